"""Restoring files with checkpoints: in pieces as at once, any rate, mono and stereo, clear errors, no half files."""

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from click.testing import CliRunner, Result
from torch.torch_version import TorchVersion

from apollo_rt.config import Framing
from tests.doubles.sound_files import tone, write
from tests.doubles.sounds import gaussian_noise
from training.inference.command import command, restore_file
from training.inference.restoration import (
    CausalRestoration,
    CheckpointError,
    ChunkedRestoration,
    Restoration,
    Samples,
    load_restoration,
)
from training.nets import checkpoint
from training.nets.apollo_published import PublishedApollo
from training.nets.causal_restorer import Restorer
from training.nets.net_config import ModelConfig

RATE = 44_100


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Nets as small as these are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def published(n_layers: int = 2) -> PublishedApollo:
    """A small net whose output is far from its input."""
    torch.manual_seed(0)
    return PublishedApollo(16, n_layers).eval()


def passing() -> Restorer:
    """A small causal net that passes its input, but for noise at -70 dB."""
    torch.manual_seed(0)
    framing = Framing(hop_length=64, analysis_length=256)
    return Restorer(ModelConfig(framing=framing, band_groups=((8, 8), (4, 16)), width=16, dilations=(1, 2))).eval()


def causal() -> Restorer:
    """The same net, doing something."""
    net = passing()
    torch.manual_seed(1)  # whatever the net drew before
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn(parameter.shape)
    return net


def save_causal(path: Path, net: Restorer) -> Path:
    checkpoint.save(
        path, config=checkpoint.config_to_dict(net.config), averaged=net.state_dict(), step=1, trained_s=1.0
    )
    return path


def save_published(path: Path, **beside: object) -> Path:
    torch.save({"state_dict": published().state_dict(), **beside}, path)
    return path


def music(n_samples: int, channels: int = 2) -> Samples:
    return gaussian_noise(n_samples, seed=1, channels=channels)


def reader(audio: Samples) -> Callable[[int], Samples]:
    position = 0

    def read(n_samples: int) -> Samples:
        nonlocal position
        position += n_samples
        return audio[position - n_samples : position]

    return read


def restored(restoration: Restoration, audio: Samples) -> Samples:
    return np.concatenate(list(restoration.restored(reader(audio))))


def run(checkpoint_file: Path, source: Path, target: Path, *more: str) -> Result:
    arguments = ["--checkpoint", str(checkpoint_file), "--in_wav", str(source), "--out_wav", str(target), *more]
    return CliRunner().invoke(command, arguments)


@pytest.mark.parametrize(("n_samples", "chunk_s"), [(1, 1.0), (RATE, 0.31), (RATE + 77, 0.15), (2 * RATE + 77, 0.9)])
def test_chunks_give_what_the_whole_file_gives(n_samples: int, chunk_s: float) -> None:
    net, audio = published(n_layers=1), music(n_samples, 1)
    with torch.inference_mode():
        whole = net(torch.from_numpy(audio.T.copy())[None])[0].numpy().T
    pieces = restored(ChunkedRestoration(net, chunk_s), audio)
    assert pieces.shape == whole.shape
    assert np.abs(whole).max() > 0.01
    np.testing.assert_allclose(pieces, whole, rtol=0, atol=1e-5)


def test_too_little_context_would_be_seen_by_the_test_above(monkeypatch: pytest.MonkeyPatch) -> None:
    net, audio = published(n_layers=1), music(RATE, 1)
    whole = restored(ChunkedRestoration(net, 100.0), audio)
    monkeypatch.setattr(PublishedApollo, "context_samples", 4 * 441)
    assert np.abs(restored(ChunkedRestoration(net, 0.31), audio) - whole).max() > 1e-4


@pytest.mark.parametrize("n_samples", [1, 64, 6400, 6401, 44_100])
@pytest.mark.parametrize("block_s", [0.01, 0.1, 10.0])
def test_the_causal_net_in_blocks_gives_what_it_gives_at_once(n_samples: int, block_s: float) -> None:
    audio = music(n_samples)
    whole = restored(CausalRestoration(causal(), 100.0), audio)
    pieces = restored(CausalRestoration(causal(), block_s), audio)
    assert pieces.shape == audio.shape
    assert np.abs(whole - audio).max() > 1e-3
    np.testing.assert_allclose(pieces, whole, rtol=0, atol=1e-5)


def test_the_causal_net_is_aligned_with_its_input() -> None:
    audio = music(20_000)
    np.testing.assert_allclose(restored(CausalRestoration(passing()), audio), audio, rtol=0, atol=1e-3)


def test_no_music_gives_no_music() -> None:
    nothing = music(0)
    assert sum(len(block) for block in ChunkedRestoration(published()).restored(reader(nothing))) == 0
    assert sum(len(block) for block in CausalRestoration(causal()).restored(reader(nothing))) == 0


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1), (22_050, 2), (96_000, 2)])
def test_a_file_keeps_its_rate_channels_length_and_place(tmp_path: Path, rate: int, channels: int) -> None:
    sound = tone(rate + 123, rate, channels)
    source = write(tmp_path / "in.wav", sound, rate, "FLOAT")
    done = run(save_causal(tmp_path / "net.pt", passing()), source, tmp_path / "out.wav")
    assert done.exit_code == 0, done.output
    result, result_rate = soundfile.read(tmp_path / "out.wav", always_2d=True)
    assert (result.shape, result_rate) == (sound.shape, rate)
    inside = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(result[inside], sound[inside], rtol=0, atol=2e-3)


def test_the_published_net_restores_a_file_of_any_rate_as_it_restores_the_converted_music(tmp_path: Path) -> None:
    sound = soxr.resample(music(RATE, 1), RATE, 48_000, "VHQ")
    source = write(tmp_path / "in.wav", sound, 48_000, "FLOAT")
    done = run(save_published(tmp_path / "net.ckpt"), source, tmp_path / "out.wav", "--chunk_s", "0.3")
    assert done.exit_code == 0, done.output
    result, _ = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    converted = soxr.resample(sound, 48_000, RATE, "VHQ")
    wanted = soxr.resample(restored(ChunkedRestoration(published()), converted), RATE, 48_000, "VHQ")
    inside = slice(500, -500)
    np.testing.assert_allclose(result[inside], wanted[: len(result)][inside], rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"model_name": "Apollo", "model_args": {"sr": 44_100, "win": 20, "feature_dim": 16, "layer": 2}},
        {"infos": {"software_versions": {"torch_version": TorchVersion("2.2.0")}}},
    ],
)
def test_published_checkpoints_load_whatever_stands_beside_the_state(tmp_path: Path, beside: dict[str, object]) -> None:
    assert isinstance(load_restoration(save_published(tmp_path / "net.bin", **beside)), ChunkedRestoration)


def test_a_bare_state_dict_loads(tmp_path: Path) -> None:
    torch.save(published().state_dict(), tmp_path / "bare.pt")
    assert isinstance(load_restoration(tmp_path / "bare.pt"), ChunkedRestoration)


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (Path("exploded"),)


def test_a_checkpoint_with_code_inside_is_refused_and_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Bomb()}, "bomb.pt")
    with pytest.raises(CheckpointError, match="tensors and plain values"):
        load_restoration(Path("bomb.pt"))
    assert not Path("exploded").exists()


def damaged_checkpoints(folder: Path) -> dict[str, Path]:
    whole = save_published(folder / "whole.pt").read_bytes()
    (folder / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "text.pt").write_text("no checkpoint")
    (folder / "empty.pt").write_bytes(b"")
    (folder / "pickle.pt").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    torch.save(torch.zeros(3), folder / "tensor.pt")
    torch.save({"other.weight": torch.zeros(3)}, folder / "other.pt")
    torch.save({"state_dict": published().state_dict() | {"net.2.x": torch.zeros(1)}}, folder / "misfit.pt")
    save_published(folder / "rate.pt", model_args={"sr": 48_000})
    torch.save({"config": {"width": 3}, "averaged": {}}, folder / "ours.pt")
    return {path.stem: path for path in folder.glob("*.pt") if path.stem != "whole"} | {"none": folder / "none.pt"}


def test_bad_checkpoints_are_one_clear_line_and_leave_no_file(tmp_path: Path) -> None:
    source = write(tmp_path / "in.wav", tone(RATE // 4))
    said = {}
    for name, path in damaged_checkpoints(tmp_path).items():
        done = run(path, source, tmp_path / "out.wav")
        assert done.exit_code == 1, name
        assert isinstance(done.exception, SystemExit), name
        assert done.output.count("\n") == 1, name
        assert str(path) in done.output, name
        said[name] = done.output
    assert "model_args says win 20 at sr 48000, its tensors are of 18.375" in said["rate"]
    assert "layers of width 16" in said["misfit"]
    assert "no net that this version knows, but 1 entries: other.weight" in said["other"]
    assert "No such file" in said["none"]
    assert not (tmp_path / "out.wav").exists()
    assert not list(tmp_path.glob(".*.part"))


def test_a_device_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    done = run(save_published(tmp_path / "net.pt"), tmp_path / "in.wav", tmp_path / "out.wav", "--device", "warp:9")
    assert (done.exit_code, done.output) == (1, "Error: --device warp:9 is not there; try cpu\n")


def test_a_net_that_goes_wild_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    net = published()
    net.output[0][1].bias.data.fill_(3e38)  # what is finite in a checkpoint may still end beyond all numbers
    torch.save(net.state_dict(), tmp_path / "wild.pt")
    source = write(tmp_path / "in.wav", tone(RATE // 4))
    target = tmp_path / "out.wav"
    target.write_text("old")
    done = run(tmp_path / "wild.pt", source, target, "--overwrite")
    assert (done.exit_code, target.read_text()) == (1, "old")
    assert "not finite" in done.output
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("target", ["out.xyz", "nowhere/out.wav", "in.wav"])
def test_a_target_that_cannot_be_written_is_one_clear_line(tmp_path: Path, target: str) -> None:
    source = write(tmp_path / "in.wav", tone(RATE // 4))
    before = source.read_bytes()
    done = run(save_causal(tmp_path / "net.pt", passing()), source, tmp_path / target)
    assert (done.exit_code, done.output.count("Error: ")) == (1, 1)
    assert isinstance(done.exception, SystemExit)
    assert source.read_bytes() == before


def test_progress_ends_at_the_length_of_the_file(tmp_path: Path) -> None:
    source = write(tmp_path / "in.wav", tone(RATE))
    seen: list[tuple[int, int | None]] = []
    restore_file(CausalRestoration(passing(), 0.2), source, tmp_path / "o.flac", lambda *state: seen.append(state))
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1] == (RATE, RATE)


def test_the_program_knows_the_command() -> None:
    from training.__main__ import main

    done = CliRunner().invoke(main, ["inference", "--help"])
    assert done.exit_code == 0
    assert "--in_wav" in done.output
