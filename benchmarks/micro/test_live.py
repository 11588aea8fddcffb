"""Ring, mixer, callback body and resampler: ours, compiled, and what one writes with Python and its libraries."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soxr
from pytest_benchmark.fixture import BenchmarkFixture

from apollo_rt.config import Framing
from apollo_rt.control.parameters import Parameters
from apollo_rt.inference.model import Model, load
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.live.realtime.ring import make_ring, put, take
from apollo_rt.stream.mixer import TARGET_WET, WET, crossfade, new_mixer
from apollo_rt.stream.resample import half_length, make_resampler, n_ready, pull, push, rewind
from apollo_rt.stream.stft import Samples
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.note import note
from benchmarks.rivals.plain import DequeRing, PlainCallback, QueueOfBlocks
from tests.doubles import tiny_models
from tests.doubles.stepped import PA_CALLBACK, Stepped

BLOCK = 256
CAPACITY = 4096
RATES = (44_100, 48_000)
TONE_HZ = 997.0

Mix = Callable[[Samples, Samples, float, Samples], None]
"""Dry, wet, the gain that wet fades to, and where the mixture goes."""
Convert = Callable[[Samples], Samples]


class OurRing:
    """`live.ring` from Python."""

    def __init__(self, capacity: int) -> None:
        self._ring = make_ring(capacity)

    def put(self, block: np.ndarray) -> None:
        assert put(self._ring, block) == len(block)

    def take(self, out: np.ndarray) -> None:
        assert take(self._ring, out) == len(out)


Ring = OurRing | QueueOfBlocks | DequeRing


@pytest.mark.benchmark(group="ring: a block in, a block out")
@pytest.mark.parametrize(
    ("name", "make"),
    [("ours, compiled", OurRing), ("queue.Queue of blocks", QueueOfBlocks), ("deque of samples", DequeRing)],
)
def test_ring(
    benchmark: BenchmarkFixture, plan: Extent, music: Samples, name: str, make: Callable[[int], Ring]
) -> None:
    ring, out, block = make(CAPACITY), np.zeros((BLOCK, 2), np.float32), music[:BLOCK]
    for start in (2 * BLOCK, BLOCK, 0):
        ring.put(music[start : start + BLOCK])

    def through() -> None:
        ring.put(block)
        ring.take(out)

    benchmark.pedantic(through, rounds=plan.micro_rounds, warmup_rounds=5)
    np.testing.assert_array_equal(out, block)
    note(benchmark, "micro", name, deadline_s=BLOCK / RATES[0])


def our_mixer() -> Mix:
    mixer = new_mixer(Parameters(mix=0.0).values)

    def mix(dry: Samples, wet: Samples, target: float, out: Samples) -> None:
        mixer[TARGET_WET], mixer[WET] = target, 0.0
        crossfade(dry, wet, len(dry) + FADE_LENGTH, mixer, out)

    return mix


def numpy_mixer() -> Mix:
    steps = np.arange(1, BLOCK + 1)[:, None] / FADE_LENGTH

    def mix(dry: Samples, wet: Samples, target: float, out: Samples) -> None:
        gain = np.minimum(steps, target)
        out[:] = gain * wet + (1 - gain) * dry

    return mix


@pytest.mark.benchmark(group="mixer: a block of a fade")
@pytest.mark.parametrize(("name", "make"), [("ours, compiled", our_mixer), ("numpy", numpy_mixer)])
def test_mixer(benchmark: BenchmarkFixture, plan: Extent, music: Samples, name: str, make: Callable[[], Mix]) -> None:
    dry, wet, out, wanted = music[:BLOCK], music[BLOCK : 2 * BLOCK], *np.zeros((2, BLOCK, 2), np.float32)
    our_mixer()(dry, wet, 0.8, wanted)
    benchmark.pedantic(make(), (dry, wet, 0.8, out), rounds=plan.micro_rounds, warmup_rounds=5)
    np.testing.assert_allclose(out, wanted, atol=1e-6)
    np.testing.assert_allclose(out[-1], 0.8 * wet[-1] + 0.2 * dry[-1], atol=1e-6)
    note(benchmark, "micro", name, deadline_s=BLOCK / RATES[0])


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(tiny_models.identity(tmp_path_factory.mktemp("model"), Framing()))


def python_callback(delay: int, block_size: int) -> Any:
    """As PortAudio's bindings call one: a C function pointer with Python behind it."""
    work = PlainCallback(delay, block_size)

    @PA_CALLBACK  # type: ignore[untyped-decorator]  # ctypes' prototypes have no hints
    def callback(source: int, target: int, n_samples: int, time_info: int, flags: int, userdata: int) -> int:
        kind: Any = ctypes.c_float * (2 * n_samples)  # NumPy's hints don't take it for a buffer
        block, out = (np.frombuffer(kind.from_address(place), np.float32).reshape(-1, 2) for place in (source, target))
        work(block, out)
        return 0

    return callback


@pytest.mark.benchmark(group="callback body")
@pytest.mark.parametrize("size", [64, 256, 1024])
@pytest.mark.parametrize("name", ["ours, compiled", "Python and numpy"])
def test_callback_body(
    benchmark: BenchmarkFixture, plan: Extent, music: Samples, identity: Model, size: int, name: str
) -> None:
    """The C call is timed; with an identity for a model both must play what came in, D samples later."""
    stepped = Stepped(identity, size, mix=0.5)
    delay = -(-stepped.delay // size) * size
    ours = name.startswith("ours")
    callback = stepped.callback if ours else python_callback(delay, size)
    block, out = np.ascontiguousarray(music[:size]), np.zeros((size, 2), np.float32)
    arguments = (block.ctypes.data, out.ctypes.data, size, None, 0, stepped.userdata)
    rounds = max(plan.micro_rounds, 2 * delay // size)
    assert benchmark.pedantic(callback, arguments, setup=stepped.work if ours else None, rounds=rounds) == 0
    played, late = np.tile(block, (3, 1)), 0 if not ours else -stepped.delay % size
    np.testing.assert_allclose(out, played[late : late + size], atol=1e-5)
    note(benchmark, "micro", f"{size} samples: {name}", deadline_s=size / RATES[0])


class OurResampler:
    """`stream.resample` from Python."""

    def __init__(self) -> None:
        self._step = RATES[0] / RATES[1]
        self._resampler = make_resampler(*RATES, BLOCK)
        self.delay = half_length(*RATES)
        rewind(self._resampler, self.delay)
        self._out = np.zeros((2 * BLOCK, 2), np.float32)

    def __call__(self, block: np.ndarray) -> np.ndarray:
        push(self._resampler, block)
        out = self._out[: n_ready(self._resampler, self._step)]
        pull(self._resampler, out, self._step)
        return out


def soxr_resampler() -> Convert:
    stream = soxr.ResampleStream(*RATES, 2, dtype="float32", quality="HQ")
    convert: Convert = stream.resample_chunk
    return convert


def numpy_resampler() -> Convert:
    """Straight lines between samples, at a position that is carried on: any ratio in three lines."""
    last, position = np.zeros((1, 2), np.float32), 0.0

    def convert(block: Samples) -> Samples:
        nonlocal last, position
        samples, last = np.concatenate((last, block)), block[-1:]
        places = np.arange(position, len(block), RATES[0] / RATES[1])
        position = places[-1] + RATES[0] / RATES[1] - len(block)
        return np.stack([np.interp(places, np.arange(len(samples)), side) for side in samples.T], axis=1)

    return convert


@pytest.mark.benchmark(group="resampler: a block from 44.1 to 48 kHz")
@pytest.mark.parametrize(
    ("name", "make", "error_db"),
    [("ours, ratio may vary", OurResampler, -80.0), ("soxr HQ, fixed ratio", soxr_resampler, -80.0),
     ("np.interp", numpy_resampler, -40.0)],
)  # fmt: skip
def test_resampler(
    benchmark: BenchmarkFixture, plan: Extent, name: str, make: Callable[[], Convert], error_db: float
) -> None:
    convert, count = make(), 60
    time_s = np.arange(count * BLOCK) / RATES[0]
    tone = np.repeat(0.5 * np.sin(2 * np.pi * TONE_HZ * time_s), 2).reshape(-1, 2).astype(np.float32)
    out = np.concatenate([convert(block).copy() for block in np.split(tone, count)])[RATES[1] // 10 :]
    assert residue_db(out[:, 0]) < error_db
    lengths: list[int] = []
    benchmark.pedantic(lambda: lengths.append(len(convert(tone[:BLOCK]))), rounds=plan.micro_rounds)
    assert sum(lengths) == pytest.approx(plan.micro_rounds * BLOCK * RATES[1] / RATES[0], abs=4 * BLOCK)
    note(benchmark, "micro", name, deadline_s=BLOCK / RATES[0], residue_db=round(residue_db(out[:, 0])))


def residue_db(signal: np.ndarray) -> float:
    """Residue of a signal without the tone, relative to it."""
    angle = 2 * np.pi * TONE_HZ * np.arange(len(signal)) / RATES[1]
    basis = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    fitted = basis @ np.linalg.lstsq(basis, signal.astype(np.float64), rcond=None)[0]
    return float(10 * np.log10(np.sum((signal - fitted) ** 2) / np.sum(fitted**2)))
