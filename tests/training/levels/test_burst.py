"""Levels in pieces, and the run that takes them up on another machine and goes on the next time."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from training.__main__ import main
from training.levels import burst, pieces, store
from training.nets import checkpoint
from training.nets.level_bands import LevelBands, measure, measure_likeness

SMALL = (
    *("--width", "16", "--hidden", "16", "--batch", "2", "--frames", "64", "--validate-every", "100"),
    *("--accelerator", "cpu", "--precision", "32-true"),
)


@pytest.fixture(autouse=True)
def _no_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burst, "restart_with_fast_allocator", lambda: None)


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items of moving noise, five to train on and one for validation."""
    folder, bands = tmp_path_factory.mktemp("levels"), LevelBands()
    for number, split in enumerate(("train",) * 5 + ("valid",)):
        random = np.random.default_rng(number)
        moving = (0.2 + np.abs(np.sin(np.arange(44_100) / 7000)))[:, None]
        audio = (0.05 * moving * random.standard_normal((44_100, 2))).astype(np.float32)
        item = store.LevelItem(f"a__{number}__0", "a", "mp3-48", 22_050.0, len(audio) // 256)
        likeness = measure_likeness(audio * np.float32(0.5), audio, bands)
        store.write(folder / split, item, measure(audio * np.float32(0.5), bands), measure(audio, bands), likeness)
    return folder


def run(*arguments: str) -> str:
    """A command that must end well."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def packed(levels: Path, tmp_path: Path) -> Path:
    """The same in pieces of two items or so."""
    assert "3 pieces" in run(
        "levels", "pack", "--levels", str(levels), "--out", str(tmp_path / "pieces"), "--piece-mb", "0.22"
    )
    return tmp_path / "pieces"


def test_pieces_are_small_enough_hold_everything_once_and_give_levels_back_to_half_a_step(
    levels: Path, packed: Path, tmp_path: Path
) -> None:
    assert all(piece.stat().st_size <= 220_000 for piece in packed.iterdir())
    assert pieces.unpack(packed, tmp_path / "levels") == len(list(packed.iterdir()))
    for split in pieces.SPLITS:
        items = store.items_of(levels / split)
        assert items == store.items_of(tmp_path / "levels" / split)
        for item in items:
            for wanted, found in zip(
                store.rows(levels / split, item), store.rows(tmp_path / "levels" / split, item), strict=True
            ):
                assert wanted.shape == found.shape
                np.testing.assert_allclose(found, wanted.astype(np.float32).clip(-12.0), atol=0.033)


def test_what_was_unpacked_before_is_left_as_it_is(packed: Path, tmp_path: Path) -> None:
    pieces.unpack(packed, tmp_path / "levels")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "levels").rglob("*.npy")}
    pieces.unpack(packed, tmp_path / "levels")
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "levels").rglob("*.npy")}


def test_a_run_goes_on_with_other_pieces_elsewhere(packed: Path, tmp_path: Path) -> None:
    first, second = sorted(packed.iterdir())[:2], sorted(packed.iterdir())[1:]
    heard = []
    for call, (there, steps) in enumerate(((first, "3"), (second, "6"))):
        machine = tmp_path / f"machine{call}"
        machine.mkdir()
        (machine / "pieces").mkdir()
        for piece in there:
            shutil.copy(piece, machine / "pieces")
        if call:
            (machine / "run").mkdir()
            for part in (tmp_path / "machine0" / "run").glob("l*"):
                if part.is_file():
                    shutil.copy(part, machine / "run")
        where = ("--pieces", str(machine / "pieces"), "--run", str(machine / "run"))
        run("burst", *where, "--steps", steps, "--workers", str(call), "--part-mb", "0.05", *SMALL)
        assert len(list((machine / "run").glob("last.ckpt.*"))) > 1
        assert not (machine / "run" / "last.ckpt").exists()
        _, facts = checkpoint.load_restorer(machine / "run" / "levels.pt")
        assert facts["step"] == int(steps)
        heard.append(facts["heard_s"])
    assert heard[1] == pytest.approx(2 * heard[0])


def test_a_burst_ends_when_its_time_is_up_and_leaves_what_it_learnt(packed: Path, tmp_path: Path) -> None:
    run(
        "burst", "--pieces", str(packed), "--run", str(tmp_path / "run"), "--minutes", "0.001", "--workers", "0", *SMALL
    )
    content = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)
    assert 1 <= content["global_step"] < 100


def test_no_pieces_foreign_pieces_and_a_missing_part_are_said(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found none in"):
        pieces.unpack(tmp_path, tmp_path / "levels")
    with pytest.raises(ValueError, match="a piece may take 100"):
        pieces.pack(store_of(packed, tmp_path), tmp_path / "out", 100, 0)
    file = tmp_path / "last.ckpt"
    file.write_bytes(bytes(range(100)))
    parts = burst.split(file, 40)
    assert [part.name for part in parts] == ["last.ckpt.000", "last.ckpt.001", "last.ckpt.002"]
    burst.join(file)
    assert file.read_bytes() == bytes(range(100))
    file.unlink()
    parts[1].unlink()
    with pytest.raises(ValueError, match=r"last\.ckpt\.001 is missing"):
        burst.join(file)


def store_of(packed: Path, tmp_path: Path) -> Path:
    """A store from pieces."""
    pieces.unpack(packed, tmp_path / "again")
    return tmp_path / "again"


@pytest.mark.parametrize("name", ["../evil.json", "train/../../evil.json", "test/a.json"])
def test_a_piece_writes_nothing_elsewhere(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "0000.levels.zip", "w") as piece:
        piece.writestr(name, "{}")
    with pytest.raises(ValueError, match="no item"):
        pieces.unpack(tmp_path, tmp_path / "levels")
    assert not list(tmp_path.rglob("evil*"))
