"""The published Apollo as a model file: it gives what PyTorch gives over a whole file, its edges too."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from apollo_rt.commands.model_card import card_lines
from apollo_rt.effects.apollo_effect import ApolloEffect
from apollo_rt.errors import ParityError
from apollo_rt.files.offline import restore_file
from apollo_rt.inference.model import Model, load
from apollo_rt.inference.model_file import read_card, read_model_file
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.stream.batch_stream import BatchStream, open_batch_stream
from apollo_rt.stream.golden import golden_error_db
from apollo_rt.stream.restoration_stream import RestorationStream
from export import published
from tests import DATA, ROOT
from tests.doubles.memory_files import MemoryReader, MemoryWriter
from tests.doubles.published_nets import error_db, model_of, random_net, whole
from tests.doubles.sounds import gaussian_noise
from training.nets.apollo_published import PublishedApollo, from_state

Open = Callable[[Model], RestorationStream | BatchStream | None]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def net() -> PublishedApollo:
    return random_net()


@pytest.fixture(scope="module")
def path(net: PublishedApollo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_of(net, tmp_path_factory.mktemp("published") / "small.onnx")


def streamed(opened: RestorationStream | BatchStream | None, samples: np.ndarray, seed: int = 0) -> np.ndarray:
    """A whole signal in blocks of random sizes, less the latency."""
    assert opened is not None
    random, out, begin = np.random.default_rng(seed), [], 0
    while begin < len(samples):
        size = int(random.choice([1, 440, 441, 442, 3000]))
        out.append(opened.process(samples[begin : begin + size]))
        begin += size
    out.append(opened.finish())
    restored = np.concatenate(out)
    assert not restored[: opened.latency_samples].any()
    return restored[opened.latency_samples :]


@pytest.mark.parametrize("make", [RestorationStream, open_batch_stream], ids=["hop by hop", "in batches"])
@pytest.mark.parametrize("n_samples", [1, 440, 441, 442, 882, 883, 20_000])
def test_a_file_of_any_length_is_what_pytorch_makes_of_it_whole(
    net: PublishedApollo, path: Path, make: Open, n_samples: int
) -> None:
    samples = gaussian_noise(n_samples) * 0.3
    assert error_db(streamed(make(load(path)), samples), whole(net, samples)) < -100


@pytest.mark.parametrize("make", [RestorationStream, open_batch_stream], ids=["hop by hop", "in batches"])
def test_neither_the_first_nor_the_last_hop_is_any_worse(net: PublishedApollo, path: Path, make: Open) -> None:
    samples = gaussian_noise(44_100, seed=2) * 0.3
    got, wanted = streamed(make(load(path)), samples, seed=1), whole(net, samples)
    for edge in (slice(0, 441), slice(-441, None)):
        assert error_db(got[edge], wanted[edge]) < -100


def test_the_authors_own_output_comes_out(tmp_path: Path) -> None:
    with np.load(DATA / "apollo_published_n16_l2.npz") as file:
        arrays = {name: file[name] for name in file.files}
    state = {name.removeprefix("sd/"): torch.from_numpy(arrays[name]) for name in arrays if name.startswith("sd/")}
    model = load(model_of(from_state(state), tmp_path / "golden.onnx"))
    got = streamed(open_batch_stream(model), arrays["x"][0].T)
    np.testing.assert_allclose(got, arrays["y"][0].T, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("width", "n_layers"), [(64, 2), (128, 2), (16, 4)])
def test_steps_and_batches_in_random_turns_are_what_pytorch_is_at_other_sizes(width: int, n_layers: int) -> None:
    net = random_net(width, n_layers)
    assert published.verify(net, published.export_graphs(net, 7), 60) < -100


def test_bands_of_other_widths_are_taken_as_they_are() -> None:
    torch.manual_seed(1)
    net = PublishedApollo(16, 1, (3, 3, 4, 4, 4, 11)).eval()
    assert net.window_length == 56
    assert published.verify(net, published.export_graphs(net, 3), 60) < -100


def test_a_graph_of_other_weights_does_not_leave(net: PublishedApollo) -> None:
    with pytest.raises(ParityError, match=r"frame \d+ of \d+ differs by .* dB of the piece's peak from PyTorch"):
        published.verify(net, published.export_graphs(random_net(seed=1), 5), 60)


def test_the_card_says_what_it_is_and_the_golden_pair_comes_out(path: Path) -> None:
    card = read_card(path)
    framing = card.framing
    assert (card.format_version, framing.window, framing.edges, card.takes_present) == (4, "hann", "reflected", True)
    assert (framing.hop_length, framing.analysis_length, framing.lookahead_frames) == (441, 882, 18)
    assert golden_error_db(load(path)) < -100


def test_both_back_ends_give_the_same_bits(path: Path) -> None:
    samples = gaussian_noise(12_000) * 0.3
    outputs = [streamed(open_batch_stream(load(path, backend)), samples) for backend in ("c_api", "python")]
    np.testing.assert_array_equal(*outputs)


def test_a_frame_that_is_spoilt_is_dry_and_so_are_those_without_a_lookahead(path: Path) -> None:
    """From fresh states the net has nothing until its lookahead has passed; batches and hops agree on it."""
    samples = gaussian_noise(40_000) * 0.3
    slow, fast = RestorationStream(load(path)), open_batch_stream(load(path))
    assert fast is not None
    outputs = []
    for stream, buffers in ((slow, slow.processor.compiled.buffers), (fast, fast._batch.buffers)):
        out = [stream.process(samples[:13_230])]
        buffers.states[:] = np.nan
        out += [stream.process(samples[13_230:]), stream.finish()]
        outputs.append(np.concatenate(out)[stream.latency_samples :])
        assert stream.processor.frame_faults == 1
    assert np.isfinite(outputs).all()
    assert error_db(outputs[1][30_000:], outputs[0][30_000:]) < -100


@pytest.mark.parametrize("make", [RestorationStream, open_batch_stream], ids=["hop by hop", "in batches"])
def test_a_stream_that_was_reset_begins_with_its_edge_again(path: Path, make: Open) -> None:
    stream, samples = make(load(path)), gaussian_noise(9000) * 0.3
    assert stream is not None
    first = streamed(stream, samples)
    stream.reset()
    np.testing.assert_array_equal(streamed(stream, samples), first)


def test_restore_writes_a_file_as_long_as_its_source_and_equal_to_pytorchs(
    net: PublishedApollo, path: Path, tmp_path: Path
) -> None:
    import soundfile

    samples = gaussian_noise(30_011) * 0.2
    soundfile.write(tmp_path / "in.wav", samples, 44_100, subtype="FLOAT")
    restore_file(tmp_path / "in.wav", tmp_path / "out.wav", load(path))
    got, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert len(got) == len(samples)
    assert error_db(got, np.clip(whole(net, samples), -1, 1)) < -85  # 16 bits are what is written


def test_an_effect_gives_a_whole_array_what_pytorch_does(net: PublishedApollo, path: Path) -> None:
    samples = gaussian_noise(20_011) * 0.2
    effect = ApolloEffect(model=load(path))
    assert error_db(effect(samples.T, 44_100).T, whole(net, samples)) < -100
    assert effect.latency_samples == 20 * 441
    assert effect(samples.T, 48_000).shape == samples.T.shape


def test_live_it_is_late_by_what_the_card_says_and_else_what_the_stream_gives(path: Path) -> None:
    samples, model, out = gaussian_noise(40_000) * 0.2, load(path), MemoryWriter()
    device = VirtualDevice(44_100, 256, pace=False)
    with Engine(model, device, EngineSettings(), MemoryReader(samples), out) as engine:
        assert engine.wait(120)
    stream = RestorationStream(model)
    behind = np.zeros((stream.latency_samples, 2), np.float32)  # a live stream has no end: silence comes behind it
    wanted = stream.process(np.concatenate((samples, behind)))[stream.latency_samples :]
    assert (engine.latency.algorithmic, engine.snapshot().deadline_misses) == (20 * 441, 0)
    np.testing.assert_array_equal(out.samples, np.clip(wanted, -1, 1))


def test_its_card_says_the_latency(path: Path) -> None:
    lines = "\n".join(card_lines(read_model_file(path)))
    assert "hop 441, window 882 (hann); latency 8820 samples (200.0 ms), 18 frames of it lookahead" in lines


def export(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "export", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_the_command_recognises_the_architecture_of_a_checkpoint(net: PublishedApollo, tmp_path: Path) -> None:
    content = {
        "model_name": "Apollo",
        "model_args": {"sr": 44_100, "win": 20, "feature_dim": 16, "layer": 2},
        "infos": {"software_versions": {"torch": "2"}},
        "state_dict": net.state_dict(),
    }
    torch.save(content, tmp_path / "apollo.bin")
    out = tmp_path / "apollo.onnx"
    done = export("--checkpoint", tmp_path / "apollo.bin", "--out", out, "--frames", 40)
    assert done.returncode == 0, done.stderr
    assert "the published Apollo (feature_dim 16, layer 2, 80 bands)" in done.stdout
    card = read_card(out)
    assert card.training["model_name"] == "Apollo"
    assert card.training["parameters"] == sum(parameter.numel() for parameter in net.parameters())
    assert "whoever made the checkpoint" in card.licence


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"layers.0.weight": torch.zeros(2), "layers.0.bias": torch.zeros(2)}, "2 entries: layers.0.weight, layers.0"),
        ({"state_dict": {"encoder": torch.zeros(1)}}, "1 entries: encoder"),
        ({"state_dict": 3}, "1 entries: state_dict"),
    ],
)
def test_another_net_is_refused_with_what_was_found(tmp_path: Path, content: dict, reason: str) -> None:
    torch.save(content, tmp_path / "other.bin")
    done = export("--checkpoint", tmp_path / "other.bin", "--out", tmp_path / "out.onnx")
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.onnx").exists()
