"""`apollo-rt model import`: from a file or a server, with hash, bound and licence, into the user's models."""

import hashlib
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from apollo_rt.commands import model_import
from apollo_rt.commands.cli import apollo_rt
from apollo_rt.errors import ApolloError, ExistingFileError, ModelFileError, NetworkError
from apollo_rt.inference.model_file import read_card
from apollo_rt.inference.model_library import find_model
from tests.doubles import tiny_models
from tests.doubles.published_nets import random_net
from tests.doubles.radio_server import RadioServer, said


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models, which isn't there yet."""
    monkeypatch.setenv("APOLLO_RT_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def imported(*arguments: str | Path, answer: str = "y\n") -> Result:
    arguments = ("model", "import", *map(str, arguments))
    return CliRunner().invoke(apollo_rt, arguments, input=answer, catch_exceptions=False)


def is_empty(folder: Path) -> bool:
    return not folder.exists() or list(folder.iterdir()) == []


def test_a_model_of_a_server_is_found_by_its_name_afterwards(tmp_path: Path, folder: Path) -> None:
    content = tiny_models.delay_one_frame(tmp_path).read_bytes()
    with RadioServer(later_onnx=said(content, Content_Length=len(content))) as server:
        result = imported(server.url("later.onnx"))
    assert result.exit_code == 0, result.output
    assert f"sha256 {hashlib.sha256(content).hexdigest()}" in result.output
    assert "licence: MIT" in result.output
    assert find_model("later").read_bytes() == content
    assert [path.name for path in folder.iterdir()] == ["later.onnx"]


def test_a_hash_is_checked_and_another_content_is_refused(tmp_path: Path, folder: Path) -> None:
    path = tiny_models.delay_one_frame(tmp_path)
    with pytest.raises(ModelFileError, match="not what you asked for"):
        imported(path, "--sha256", "0" * 64)
    assert is_empty(folder)
    right = hashlib.sha256(path.read_bytes()).hexdigest().upper()
    assert imported(path, "--sha256", right, "--name", "mine").exit_code == 0
    assert find_model("mine") == folder / "mine.onnx"


def test_without_the_licence_accepted_nothing_is_kept(tmp_path: Path, folder: Path) -> None:
    path = tiny_models.delay_one_frame(tmp_path)
    with pytest.raises(ApolloError, match="licence was not accepted"):
        imported(path, answer="n\n")
    assert is_empty(folder)
    assert imported(path, "--accept-licence", answer="").exit_code == 0


def test_a_model_of_that_name_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    path = tiny_models.delay_one_frame(tmp_path)
    imported(path)
    with pytest.raises(ExistingFileError):
        imported(path)
    assert imported(path, "--overwrite").exit_code == 0


def test_what_is_no_model_is_refused_and_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "page.onnx").write_text("<html>not found</html>")
    with pytest.raises(ModelFileError, match=r"page\.onnx"):
        imported(tmp_path / "page.onnx")
    with pytest.raises(ModelFileError, match="can't be read: No such file"):
        imported(tmp_path / "none.onnx")
    with pytest.raises(NetworkError, match="over https:// only"):
        imported("http://models.example.org/a.onnx")
    assert is_empty(folder)


def test_a_checkpoint_is_converted_where_pytorch_is(tmp_path: Path) -> None:
    torch.save({"state_dict": random_net(16, 1).state_dict()}, tmp_path / "apollo.bin")
    result = imported(tmp_path / "apollo.bin", "--licence", "CC-BY-SA-4.0")
    assert result.exit_code == 0, result.output
    assert "licence: CC-BY-SA-4.0" in result.output
    card = read_card(find_model("apollo"))
    assert (card.name, card.licence, card.framing.lookahead_frames) == ("apollo", "CC-BY-SA-4.0", 9)


def test_a_checkpoint_of_another_net_is_refused_with_what_it_holds(tmp_path: Path, folder: Path) -> None:
    torch.save({"encoder.weight": torch.zeros(3)}, tmp_path / "other.bin")
    with pytest.raises(ModelFileError, match=r"holds no net that this version knows, but 1 entries: encoder\.weight"):
        imported(tmp_path / "other.bin", "--accept-licence")
    assert is_empty(folder)


def test_without_pytorch_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"state_dict": {}}, tmp_path / "apollo.bin")
    monkeypatch.setattr(model_import.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelFileError, match=r"torch and export can't be imported here: .*python -m export"):
        imported(tmp_path / "apollo.bin", "--accept-licence")
