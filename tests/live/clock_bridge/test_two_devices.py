"""Devices whose rates or clocks are not the engine's: what passes between them, when, and what happens to it."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest

from apollo_rt.compiled import functions
from apollo_rt.devices.clocks import open_driver
from apollo_rt.devices.device import Device as DeviceRecord
from apollo_rt.errors import DeviceError
from apollo_rt.latency import FADE_LENGTH, LatencyReport
from apollo_rt.live.clock_bridge import callbacks
from apollo_rt.live.clock_bridge.bridged_driver import BridgedDriver
from apollo_rt.live.endpoints.driver import BridgingDriver, Clocks, calls_unevenly, clocks_of, conversion_latency_s
from apollo_rt.live.realtime.callback import COMPLETE, CONTINUE
from tests.doubles.recorded_calls import Recording
from tests.doubles.stepped import PA_CALLBACK
from tests.doubles.virtual_clocks import Clock, Pair, run

ENGINE_RATE = 44_100
TARGET = 64 + 256 + 256


class Device:
    """A driver that a test calls back by hand."""

    device_latency_s = (0.003, 0.004)
    finished = False

    def __init__(self, rate: int, channels: tuple[int, int], block_size: int = 256, varying: bool = False) -> None:
        self.name, self.sample_rate, self.block_size, self.varying_block = (
            f"device at {rate}",
            rate,
            block_size,
            varying,
        )
        self.input_channels, self.output_channels = channels
        self.active = False
        self.refuses = self.holds_on = False

    def start(self, callback_address: int, userdata_address: int) -> None:
        if self.refuses:
            raise DeviceError("is in use")
        self.callback, self.userdata, self.active = PA_CALLBACK(callback_address), userdata_address, True

    def stop(self) -> None:
        self.active = False
        if self.holds_on:
            raise DeviceError("does not let go")

    def call(self, block: np.ndarray | None, n_samples: int = 0, flags: int = 0) -> tuple[int, np.ndarray]:
        n = n_samples if block is None else len(block)
        source = None if block is None else np.ascontiguousarray(block, np.float32)
        out = np.full((n, max(self.output_channels, 1)), np.nan, np.float32)
        code = self.callback(
            source.ctypes.data if self.input_channels else None,
            out.ctypes.data if self.output_channels else None, n, None, flags, self.userdata,
        )  # fmt: skip
        return code, out


class Engine:
    """Takes the place of the engine's callback; gives back what it gets, or plays a clip where it gets nothing."""

    def __init__(self, clip: np.ndarray | None = None) -> None:
        self.clip, self.sizes, self.flags, self.heard = clip, [], [], []
        self.n_played = 0
        self.callback = PA_CALLBACK(self._call)
        self.address = ctypes.cast(self.callback, ctypes.c_void_p).value

    def _call(self, source: int, target: int, n: int, _: int, flags: int, userdata: int) -> int:
        assert userdata == 0x5678
        self.sizes.append(n)
        self.flags.append(flags)
        if self.clip is None:
            block = np.ctypeslib.as_array(ctypes.cast(source, ctypes.POINTER(ctypes.c_float)), (n, 2)).copy()
        else:
            assert not source
            block = np.zeros((n, 2), np.float32)
            part = self.clip[self.n_played : self.n_played + n]
            block[: len(part)] = part
        self.n_played += n
        self.heard.append(block)
        if target:
            np.ctypeslib.as_array(ctypes.cast(target, ctypes.POINTER(ctypes.c_float)), (n, 2))[:] = block
        return COMPLETE if self.clip is not None and self.n_played >= len(self.clip) else CONTINUE


def joined(engine: Engine, *devices: Device) -> BridgedDriver:
    driver = BridgedDriver(devices, ENGINE_RATE)
    driver.start(engine.address, 0x5678)
    devices[0].joined = driver  # as the engine holds it: the device calls into its memory
    return driver


def pulse(rate: int, at_s: float, n: int, width_s: float = 2e-4) -> np.ndarray:
    """A bell far below every filter's edge, at a moment that need not be a sample's; the other channel upside down."""
    bell = np.exp(-(((np.arange(n) / rate - at_s) / width_s) ** 2))
    return np.stack([bell, -0.5 * bell], axis=1).astype(np.float32)


@pytest.mark.parametrize("rate", [48_000, 88_200, 96_000, 192_000, 32_000])
@pytest.mark.parametrize("sizes", [(256,), (1, 511, 64, 257, 1000)])
def test_one_device_at_another_rate_delays_by_what_is_reported_to_a_hundredth_of_a_sample(
    rate: int, sizes: tuple[int, ...]
) -> None:
    engine, device = Engine(), Device(rate, (2, 2), max(sizes), varying=len(sizes) > 1)
    driver = joined(engine, device)
    n, at_s = rate // 10, 0.03
    source, out, position, count = pulse(rate, at_s, n), [], 0, 0
    while position < n:
        block = source[position : position + sizes[count % len(sizes)]]
        out.append(device.call(block)[1])
        position, count = position + len(block), count + 1
    expected = pulse(rate, at_s + sum(conversion_latency_s(driver)), n)
    slope = np.abs(np.diff(expected, axis=0)).max()
    assert np.abs(np.concatenate(out) - expected).max() < 0.01 * slope
    assert max(engine.sizes) <= driver.block_size
    assert driver.varying_block
    assert driver.clocks is None


def test_the_report_names_each_term_of_a_conversion_and_sums_them_up() -> None:
    driver = BridgedDriver((Device(96_000, (2, 0)), Device(48_000, (0, 2))), ENGINE_RATE)
    report = LatencyReport(ENGINE_RATE, 512, 0, 320, 0.003, 0.004, *conversion_latency_s(driver))
    terms = {term.name: term.seconds for term in report.terms()}
    assert list(terms) == [
        "device input", "ring", "input resampling", "algorithmic", "rebuffering", "headroom", "output resampling",
        "device output",
    ]  # fmt: skip
    assert terms["input resampling"] == pytest.approx(140 / 96_000)
    assert terms["output resampling"] == pytest.approx(64 / ENGINE_RATE)
    # Held back are the block that is being captured and one for unevenness, the longer one; what is captured and
    # what is played counts as the devices' own.
    assert terms["ring"] == pytest.approx(512 / 96_000 + 256 / 48_000)
    assert report.total_s == pytest.approx(sum(terms.values()))
    assert set(report.to_dict()) >= {"ring_ms", "input_resampling_ms", "output_resampling_ms"}
    assert "ring" not in {term.name for term in LatencyReport(ENGINE_RATE, 512, 0, 320).terms()}


def test_one_channel_is_doubled_on_the_way_in_and_averaged_on_the_way_out() -> None:
    engine, device = Engine(), Device(48_000, (1, 1))
    driver = joined(engine, device)
    assert (driver.input_channels, driver.output_channels) == (2, 2)
    tone = 0.5 * np.sin(np.arange(4096) * 0.05)[:, None]
    out = np.concatenate([device.call(block)[1] for block in np.split(tone, 16)])
    heard = np.concatenate(engine.heard)
    assert np.array_equal(heard[:, 0], heard[:, 1])
    assert out.shape == (4096, 1)
    assert np.abs(out).max() == pytest.approx(0.5, abs=1e-3)


def test_a_file_reaches_a_device_at_another_rate_up_to_its_last_sample() -> None:
    clip = pulse(ENGINE_RATE, 0.1, 4500)
    engine, device = Engine(clip), Device(48_000, (0, 2))
    driver = joined(engine, device)
    out, code = [], CONTINUE
    while code == CONTINUE:
        code, block = device.call(None, 256)
        out.append(block)
    heard, delay_s = np.concatenate(out), conversion_latency_s(driver)[2]
    assert (driver.input_channels, conversion_latency_s(driver)[:2]) == (0, (0.0, 0.0))
    assert np.abs(heard - pulse(48_000, 0.1 + delay_s, len(heard))).max() < 1e-3
    assert len(heard) / 48_000 == pytest.approx(len(clip) / ENGINE_RATE + delay_s, abs=600 / 48_000)


def test_what_a_device_at_another_rate_captures_reaches_a_file() -> None:
    engine, device = Engine(), Device(48_000, (2, 0), 300)
    driver = joined(engine, device)
    source = pulse(48_000, 0.05, 6000)
    for block in np.split(source, 20):
        assert device.call(block)[0] == CONTINUE
    heard = np.concatenate(engine.heard)
    assert (driver.output_channels, conversion_latency_s(driver)[2]) == (0, 0.0)
    assert np.abs(heard - pulse(ENGINE_RATE, 0.05 + conversion_latency_s(driver)[1], len(heard))).max() < 1e-3
    assert len(heard) == pytest.approx(6000 * ENGINE_RATE / 48_000, abs=2)


def test_what_is_compiled_ahead_is_all_that_a_bridge_calls_back_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "is_made_aside", lambda _: False)
    callbacks.compile_callbacks()
    monkeypatch.setattr(functions, "entry_address", None)
    monkeypatch.setattr(functions, "COMPILER", None)
    joined(Engine(), Device(96_000, (2, 0)), Device(48_000, (0, 2))).stop()
    joined(Engine(), Device(96_000, (2, 2))).stop()


def test_status_flags_reach_the_engine_even_where_a_block_is_too_short_for_a_sample() -> None:
    engine, device = Engine(), Device(192_000, (2, 2), 1)
    joined(engine, device)
    for index in range(40):
        device.call(np.zeros((1, 2)), flags=4 if index in (20, 21, 22) else 0)
    assert 0 < len(engine.sizes) < 40
    assert 4 in engine.flags


def test_a_device_that_refuses_leaves_none_running_and_one_that_hangs_is_reported_after_all_are_stopped() -> None:
    capture, playback = Device(ENGINE_RATE, (2, 0)), Device(48_000, (0, 2))
    playback.refuses = True
    with pytest.raises(DeviceError, match="in use"):
        joined(Engine(), capture, playback)
    assert not capture.active
    playback.refuses, playback.holds_on = False, True
    driver = joined(Engine(), capture, playback)
    assert driver.active
    # Half the filter, the block being captured, one for unevenness.
    assert driver.clocks == Clocks(0.0, 0.0, 64 + 256 + 256, 44_100, 0)
    with pytest.raises(DeviceError, match="let go"):
        driver.stop()
    assert not capture.active
    assert not driver.active


def test_a_driver_of_the_engines_own_clock_says_that_it_joins_nothing() -> None:
    plain, joining = Device(ENGINE_RATE, (2, 2), varying=True), BridgedDriver((Device(48_000, (2, 2)),), ENGINE_RATE)
    assert not isinstance(plain, BridgingDriver)
    assert isinstance(joining, BridgingDriver)
    assert (conversion_latency_s(plain), clocks_of(plain), calls_unevenly(plain)) == ((0.0, 0.0, 0.0), None, True)
    assert not calls_unevenly(joining)


# --- two clocks ------------------------------------------------------------------------------------------------------


def settled(pair: Pair, seconds: float = 2.0) -> Pair:
    pair.go_on(seconds)
    assert pair.error() == pytest.approx(0.0, abs=3.0)
    return pair


def steps(out: np.ndarray) -> float:
    """The largest step between two samples."""
    return float(np.abs(np.diff(out[:, 0])).max())


SINE_STEP = 0.143
"""Of the sine that the pair plays: 2 pi * 997 / 44100, rounded up."""


def test_nothing_is_heard_and_no_xrun_counted_before_anything_is_captured() -> None:
    pair = Pair(Clock(), Clock(), TARGET)
    out = np.concatenate([pair.play() for _ in range(20)])
    assert not out.any()
    assert pair.n_flagged == 0


def test_a_capture_that_stalls_is_silence_without_a_step_and_comes_back_at_the_same_latency() -> None:
    pair = settled(Pair(Clock(ppm=100), Clock(), TARGET))
    before = pair.n_flagged
    out = np.concatenate([pair.go_on(0.1), pair.go_on(1.0, capture=False), pair.go_on(0.5)])
    assert not out[int(0.2 * 44_100) : int(1.0 * 44_100)].any()
    assert np.abs(out[-4096:]).max() > 0.99
    assert steps(out) < SINE_STEP + 1.5 / FADE_LENGTH
    assert pair.n_flagged > before
    assert pair.resyncs == 1
    assert pair.error() == pytest.approx(0.0, abs=3.0)


@pytest.mark.parametrize("seconds", [0.3, 5.0])
def test_a_playback_that_stalls_skips_what_it_missed_and_comes_back_at_the_same_latency(seconds: float) -> None:
    pair = settled(Pair(Clock(), Clock(), TARGET))
    out = np.concatenate([pair.go_on(0.1), pair.go_on(seconds, playback=False), pair.go_on(1.5)])
    assert steps(out) < SINE_STEP + 1.5 / FADE_LENGTH
    assert pair.resyncs == 1
    assert pair.error() == pytest.approx(0.0, abs=3.0)


def test_an_xrun_does_not_steer() -> None:
    pair = settled(Pair(Clock(), Clock(), TARGET))
    before = pair.loop_state()
    pair.play(flags=4)
    assert np.array_equal(pair.loop_state(), before)
    pair.go_on(0.5)  # where the device stands now is found out first
    assert not np.array_equal(pair.loop_state(), before)


def test_samples_that_the_capture_device_lost_are_flagged_to_the_engine_once() -> None:
    pair = settled(Pair(Clock(), Clock(), TARGET))
    before = pair.n_flagged
    pair.capture(flags=2)
    pair.go_on(0.5)
    assert pair.n_flagged == before + 1


@pytest.mark.parametrize(
    ("capture", "playback"),
    [
        pytest.param(Clock(ppm=50), Clock(), id="+50 ppm"),
        pytest.param(Clock(ppm=-50), Clock(), id="-50 ppm"),
        pytest.param(Clock(ppm=200), Clock(block=100), id="+200 ppm, blocks of 256 and 100"),
        pytest.param(Clock(ppm=-100), Clock(ppm=100), id="-200 ppm"),
        pytest.param(Clock(ppm=20, wander_ppm=20), Clock(ppm=-30), id="wandering"),
        pytest.param(Clock(ppm=200), Clock(rate=48_000, block=480), id="44.1 to 48 kHz"),
    ],
)
def test_two_clocks_lock_within_15_s_and_then_hold_the_latency_to_a_sample(capture: Clock, playback: Clock) -> None:
    """10 virtual minutes each, an hour altogether; `benchmarks.programs.clock_bridge` runs an hour of each."""
    outcome = run(capture, playback, 600.0, TARGET)
    print(outcome)
    assert outcome.lock_s < 15.0
    assert outcome.worst_error < 1.0
    assert (outcome.flagged, outcome.resyncs) == (0, 0)
    assert outcome.least_left > 0
    # Second difference of the output beside that of the pure sine at the device's nominal rate.
    assert outcome.roughness < 1.001


@pytest.mark.parametrize(
    ("capture", "playback"),
    [
        pytest.param(Clock(ppm=80, burst=2, late_s=0.0005), Clock(burst=2, late_s=0.0005), id="in pairs"),
        pytest.param(Clock(ppm=80, burst=4), Clock(rate=48_000, burst=3), id="in bursts, 44.1 to 48 kHz"),
        pytest.param(
            Clock(ppm=80, burst=2, rarely_late_s=0.04), Clock(burst=2, rarely_late_s=0.04), id="tens of ms late"
        ),
    ],
)
def test_calls_as_a_busy_sound_server_makes_them_hardly_move_the_steering(capture: Clock, playback: Clock) -> None:
    """Pairs, bursts and, one in twenty, up to 40 ms late with all that wait behind it; 10 virtual minutes each."""
    outcome = run(capture, playback, 600.0, TARGET + 12 * 256)
    print(outcome)
    assert (outcome.flagged, outcome.resyncs) == (0, 0)
    assert outcome.worst_error < 4.0
    assert 80 - 60 < outcome.corrections_ppm[0] < outcome.corrections_ppm[1] < 80 + 60
    assert outcome.roughness < 1.001


def test_a_clock_that_jumps_by_minutes_leads_to_one_jump_and_back_to_the_same_latency() -> None:
    """The machine slept: either device goes on where it was, ten minutes later."""
    pair = settled(Pair(Clock(ppm=60), Clock(), TARGET))
    before = pair.go_on(0.2)
    pair.sleep(600.0)
    out = np.concatenate([before, pair.go_on(3.0)])
    assert pair.resyncs <= 1
    assert steps(out) < SINE_STEP + 1.5 / FADE_LENGTH
    assert np.abs(out[-4096:]).max() > 0.99
    assert pair.error() == pytest.approx(0.0, abs=3.0)


def test_recorded_calls_of_a_loaded_pulseaudio_are_steered_within_what_its_clocks_really_did() -> None:
    """Two sinks of PulseAudio 16 beside six processes that never rest, some underruns (`programs.call_times`).

    The playback sink itself ran 320 ppm fast for two seconds of them.
    """
    recorded = Recording.load()
    steering = recorded.replay(target=64 + 256 + 3 * 256)
    print(steering)
    assert -500 < steering.least_ppm < steering.largest_ppm < 500
    assert steering.typical_error < 20.0


# --- the choice ------------------------------------------------------------------------------------------------------

CARD = DeviceRecord(0, "Card", "Core Audio", 2, 2, portaudio_number=0)
SPEAKERS = DeviceRecord(1, "Speakers", "Core Audio", 0, 2, portaudio_number=1)
SERVER = DeviceRecord(2, "pulse", "ALSA", 2, 2, portaudio_number=2)


def at(device: DeviceRecord, rate: float, **changes: object) -> DeviceRecord:
    return replace(device, default_sample_rate=rate, **changes)


@pytest.mark.parametrize(
    ("source", "target", "conversions", "n_clocks"),
    [
        pytest.param(CARD, CARD, "", 1, id="one device at the engine's rate"),
        pytest.param(at(CARD, 48e3), at(CARD, 48e3), "in out", 1, id="one device at another rate"),
        pytest.param(CARD, SPEAKERS, "ring in out", 2, id="two devices at the engine's rate"),
        pytest.param(at(CARD, 96e3), SPEAKERS, "ring in out", 2, id="two devices, one at another rate"),
        pytest.param(CARD, at(SPEAKERS, 44.1e3, host_api="ASIO"), "ring in out", 2, id="two host APIs"),
        pytest.param(SERVER, SERVER, "ring in out", 2, id="both ends of a sound server"),
        pytest.param(SERVER, at(SERVER, 48e3), "ring in out", 2, id="both ends of a sound server, two rates"),
        pytest.param(None, at(SPEAKERS, 48e3), "out", 1, id="a file to a device at another rate"),
        pytest.param(at(CARD, 192e3), None, "in", 1, id="a device at another rate to a file"),
        pytest.param(None, SPEAKERS, "", 1, id="a file to a device at the engine's rate"),
        pytest.param(
            at(CARD, 48e3, host_api="JACK Audio Connection Kit"),
            at(SPEAKERS, 48e3, host_api="JACK Audio Connection Kit"),
            "in out",
            1,
            id="all of JACK",
        ),
    ],
)
def test_what_the_devices_are_decides_what_is_converted(
    source: DeviceRecord | None, target: DeviceRecord | None, conversions: str, n_clocks: int
) -> None:
    driver = open_driver(source, target, ENGINE_RATE, 256)
    latencies = dict(zip(("ring", "in", "out"), conversion_latency_s(driver), strict=True))
    assert " ".join(name for name, seconds in latencies.items() if seconds) == conversions
    assert (clocks_of(driver) is not None) == (n_clocks == 2)
    assert driver.sample_rate == ENGINE_RATE
    assert driver.name == " -> ".join(str(device) for device in (source, target) if device)


def test_at_a_multiple_of_the_rate_a_block_has_as_many_more_samples() -> None:
    for rate, most in ((48_000, 236), (88_200, 256), (96_000, 236), (192_000, 236), (32_000, 353)):
        assert open_driver(None, at(SPEAKERS, rate), ENGINE_RATE, 256).block_size == most
