"""The PortAudio driver over a stand-in for the library; real servers play in commands/test_live_on_servers.py."""

import _thread
import inspect
import os
import sys
import threading
import types
from dataclasses import replace

import pytest

from apollo_rt.devices import left_behind, portaudio, portaudio_driver, pulse, time_limit
from apollo_rt.devices.device import Device
from apollo_rt.devices.opening_environment import unwrapped_latency_s
from apollo_rt.devices.portaudio import list_devices
from apollo_rt.devices.portaudio_driver import PortAudioDriver
from apollo_rt.devices.pulse_connection import ServerError
from apollo_rt.errors import DeviceError

MICROPHONE = Device(0, "Microphone", "Core Audio", 1, 0, portaudio_number=0)
SPEAKERS = Device(1, "Speakers", "Core Audio", 0, 8, portaudio_number=1)
HOST_APIS = [
    {"name": "ALSA", "default_input_device": 1, "default_output_device": 1},
    {"name": "JACK Audio Connection Kit", "default_input_device": -1, "default_output_device": 2},
]
CALLBACK, USERDATA = 0x1234, 0x5678


class Library(types.ModuleType):
    """Looks like sounddevice as far as the driver goes; whatever else is asked of it fails."""

    class PortAudioError(Exception):
        pass

    class WasapiSettings:
        def __init__(self, auto_convert: bool) -> None:
            self.auto_convert = auto_convert

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.opened: list[dict] = []
        self.seen_environment: list[str | None] = []
        self.refusal: Exception | None = None
        self.streams: list[Stream] = []
        self._ffi = types.SimpleNamespace(cast=lambda kind, address: (kind, address))

    def query_hostapis(self) -> list[dict]:
        return HOST_APIS

    def query_devices(self) -> list[dict]:
        rows = [("hw", 0, 2, 0), ("pulse", 0, 32, 32), ("system", 1, 0, 2)]
        return [
            {
                "index": index,
                "name": name,
                "hostapi": host_api,
                "max_input_channels": n_in,
                "max_output_channels": n_out,
                "default_samplerate": 48_000.0,
            }
            for index, (name, host_api, n_in, n_out) in enumerate(rows)
        ]

    def _StreamBase(self, **options: object) -> "Stream":  # noqa: N802  # its real name
        if self.refusal:
            raise self.refusal
        self.opened.append(options)
        self.seen_environment.append(os.environ.get("PULSE_SINK"))
        self.streams.append(Stream((0.01, 0.02) if options["kind"] == "duplex" else 0.03))
        return self.streams[-1]


class Stream:
    def __init__(self, latency: object) -> None:
        self.latency = latency
        self.active = False
        self.is_closed = False

    def start(self) -> None:
        self.active = True

    def close(self) -> None:
        assert not self.is_closed, "PortAudio crashes on that"
        self.is_closed, self.active = True, False


def refuse(_: object) -> None:
    raise ServerError("no sound server")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    monkeypatch.setattr(pulse, "ask", refuse)
    return library


def test_the_callback_goes_to_portaudio_as_a_c_pointer_with_its_userdata(library: Library) -> None:
    driver = PortAudioDriver(MICROPHONE, SPEAKERS, 44_100, 480)
    driver.start(CALLBACK, USERDATA)
    assert library.opened == [
        {
            "kind": "duplex", "samplerate": 44_100, "blocksize": 480, "device": [0, 1], "channels": [1, 2],
            "dtype": ["float32", "float32"], "latency": ["low", "low"], "extra_settings": [None, None],
            "callback": ("PaStreamCallback *", CALLBACK), "userdata": ("void *", USERDATA), "wrap_callback": None,
        }
    ]  # fmt: skip
    assert (driver.input_channels, driver.output_channels) == (1, 2)
    assert (driver.block_size, driver.varying_block) == (480, False)
    assert driver.device_latency_s == (0.01, 0.02)
    assert driver.active
    assert not driver.finished


@pytest.mark.parametrize(
    ("source", "target", "kind", "device", "latency"),
    [(MICROPHONE, None, "input", 0, (0.03, 0.0)), (None, SPEAKERS, "output", 1, (0.0, 0.03))],
)
def test_where_a_file_is_at_the_other_end_the_stream_has_one_end(
    library: Library, source: Device | None, target: Device | None, kind: str, device: int, latency: tuple[float, float]
) -> None:
    driver = PortAudioDriver(source, target, 44_100)
    driver.start(CALLBACK, USERDATA)
    assert (library.opened[0]["kind"], library.opened[0]["device"]) == (kind, device)
    assert library.opened[0]["dtype"] == "float32"
    assert driver.device_latency_s == latency


@pytest.mark.parametrize(("asked", "most"), [(1, 1), (256, 256), (257, 512), (4096, 4096)])
def test_alsa_is_asked_for_a_period_of_the_block_and_gives_blocks_as_they_come(
    library: Library, asked: int, most: int
) -> None:
    driver = PortAudioDriver(None, replace(SPEAKERS, host_api="ALSA"), 44_100, asked)
    assert (driver.block_size, driver.varying_block) == (most, True)
    driver.start(CALLBACK, USERDATA)
    assert library.opened[0]["blocksize"] == 0
    assert library.opened[0]["latency"] == pytest.approx(3 * most / 44_100)


def test_a_capture_period_is_what_waits_in_alsa(library: Library) -> None:
    ends = [replace(device, host_api="ALSA") for device in (MICROPHONE, SPEAKERS)]
    driver = PortAudioDriver(*ends, 44_100, 441 - 185)
    driver.start(CALLBACK, USERDATA)
    assert driver.device_latency_s == (256 / 44_100, 0.02)


def test_wasapi_is_told_to_convert_the_rate(library: Library) -> None:
    PortAudioDriver(None, replace(SPEAKERS, host_api="Windows WASAPI"), 44_100).start(CALLBACK, USERDATA)
    assert library.opened[0]["extra_settings"].auto_convert


def test_a_servers_sink_is_opened_with_its_name_in_the_environment_and_only_then(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SINK", "what the user set")
    sink = replace(SPEAKERS, host_api="ALSA", environment=(("PULSE_SINK", "hdmi"),))
    PortAudioDriver(None, sink, 44_100).start(CALLBACK, USERDATA)
    assert library.seen_environment == ["hdmi"]
    assert os.environ["PULSE_SINK"] == "what the user set"
    monkeypatch.delenv("PULSE_SINK")
    PortAudioDriver(None, sink, 44_100).start(CALLBACK, USERDATA)
    assert "PULSE_SINK" not in os.environ


def test_devices_of_different_host_apis_are_refused() -> None:
    with pytest.raises(DeviceError, match=r"Microphone \(Core Audio\) and Speakers \(ALSA\) .*different host APIs"):
        PortAudioDriver(MICROPHONE, replace(SPEAKERS, host_api="ALSA"), 44_100)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(-9997, "does not run at 44100 Hz"), (-9985, "is in use"), (-9999, "Unanticipated host error")],
)
def test_a_device_that_refuses_is_named_with_the_reason(library: Library, code: int, reason: str) -> None:
    library.refusal = library.PortAudioError("Unanticipated host\n error", code)
    driver = PortAudioDriver(None, SPEAKERS, 44_100)
    with pytest.raises(DeviceError, match=rf"Speakers \(Core Audio\): .*{reason}") as refused:
        driver.start(CALLBACK, USERDATA)
    assert "\n" not in str(refused.value)
    assert not driver.active


def test_streams_that_the_server_routed_into_a_loop_are_closed_at_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "feedback_sink", lambda process_id: "headphones" if process_id == os.getpid() else "")
    ends = [replace(device, host_api="ALSA") for device in (MICROPHONE, SPEAKERS)]
    with pytest.raises(DeviceError, match=r"feedback: .*'headphones'"):
        PortAudioDriver(*ends, 44_100).start(CALLBACK, USERDATA)
    assert library.streams[0].is_closed
    PortAudioDriver(*ends, 44_100, allow_feedback=True).start(CALLBACK, USERDATA)
    PortAudioDriver(None, ends[1], 44_100).start(CALLBACK, USERDATA)
    assert not any(stream.is_closed for stream in library.streams[1:])


def test_a_stream_that_ends_by_itself_is_finished_and_one_that_is_stopped_is_not(library: Library) -> None:
    driver = PortAudioDriver(None, SPEAKERS, 44_100)
    driver.stop()
    assert not driver.finished
    driver.start(CALLBACK, USERDATA)
    library.streams[0].active = False
    assert driver.finished
    driver.stop()
    driver.stop()
    assert library.streams[0].is_closed
    assert not driver.active
    assert not driver.finished


class End:
    """Of the library with the program."""

    is_dropped = False

    def drop(self) -> None:
        self.is_dropped = True


@pytest.fixture
def end(monkeypatch: pytest.MonkeyPatch) -> End:
    end = End()
    monkeypatch.setattr(portaudio, "_ENDS", [end])
    monkeypatch.setattr(left_behind, "_names", [])
    monkeypatch.setattr(left_behind, "_since_renewal", [])
    monkeypatch.setattr(time_limit, "_HAS_SERVERS", True)
    return end


def test_a_device_that_does_not_let_go_is_left_behind_also_at_the_end_of_the_program(
    library: Library, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = threading.Event()
    monkeypatch.setattr(portaudio_driver, "_CLOSING_S", 0.05)
    driver = PortAudioDriver(None, SPEAKERS, 44_100)
    driver.start(CALLBACK, USERDATA)
    library.streams[0].close = dead.wait
    with pytest.raises(DeviceError, match="does not let go"):
        driver.stop()
    dead.set()
    assert end.is_dropped
    assert left_behind.is_any_left()
    assert (left_behind.take_hung(), left_behind.take_hung()) == (True, False)
    driver.stop()
    assert not driver.active


@pytest.mark.parametrize("what", ["open", "start"])
def test_a_device_that_hangs_while_it_opens_or_starts_is_left_behind(
    library: Library, end: End, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    dead, usual = threading.Event(), library._StreamBase

    def hang(**options: object) -> Stream:
        stream = usual(**options)
        stream.start = dead.wait
        return stream

    library._StreamBase = hang if what == "start" else lambda **_: dead.wait()
    monkeypatch.setattr(portaudio_driver, "_STARTING_S", 0.05)
    driver = PortAudioDriver(None, SPEAKERS, 44_100)
    with pytest.raises(DeviceError, match=f"does not {what}; its sound server hangs"):
        driver.start(CALLBACK, USERDATA)
    dead.set()
    assert end.is_dropped
    assert left_behind.take_hung()
    assert not driver.active


def test_a_library_that_hangs_while_it_looks_for_devices_is_left_behind(
    library: Library, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = threading.Event()
    library._terminate = dead.wait
    monkeypatch.setattr(portaudio, "_RENEWING_S", 0.05)
    with pytest.raises(DeviceError, match="PortAudio does not start; a sound server hangs"):
        portaudio.rescan()
    library._initialize = lambda: None
    dead.set()
    assert end.is_dropped
    assert left_behind.take_hung()


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_threads_of_a_stream_that_hangs_only_get_what_nobody_else_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that no Python knows of, as PortAudio's."""
    monkeypatch.setattr(left_behind, "_names", [])
    ids: set[int] = set()
    begun, dead = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        dead.wait()

    with left_behind.threads_begun(ids):
        _thread.start_new_thread(hang, ())
        begun.wait()
    monkeypatch.setattr(left_behind, "_since_renewal", [])
    left_behind.leave_behind("it", ids)
    assert [os.sched_getscheduler(number) for number in ids] == [os.SCHED_IDLE]
    dead.set()


def test_the_list_has_portaudios_devices_and_what_the_server_adds(library: Library) -> None:
    devices = list_devices()
    assert [(device.name, device.system, device.is_default_output) for device in devices] == [
        ("hw", "ALSA", False),
        ("pulse", "ALSA", True),
        ("system", "JACK Audio Connection Kit", True),
        ("Monitor of the default output", "PulseAudio", False),
    ]
    assert [device.number for device in devices] == [0, 1, 2, 3]


def test_without_the_library_the_error_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing, *sys.meta_path])
    with pytest.raises(DeviceError, match=r"is not installed: .*portaudio.*; from file to file"):
        list_devices()


def test_what_a_library_prints_while_it_loads_does_not_reach_the_terminal(
    library: Library, capfd: pytest.CaptureFixture[str]
) -> None:
    library._StreamBase = lambda **_: (os.write(2, b"ALSA lib: noise\n"), Stream(0.03))[1]
    PortAudioDriver(None, SPEAKERS, 44_100).start(CALLBACK, USERDATA)
    os.write(2, b"but this does\n")
    assert capfd.readouterr().err == "but this does\n"


@pytest.mark.parametrize(
    ("reported", "real"),
    [
        ((0.02, 0.03), (0.02, 0.03)),
        (((2**32 - 256) / 44_100, (2**32 - 192) / 44_100), (0.0, 64 / 44_100)),
        (((2**32 - 256) / 44_100, 768 / 44_100), (0.0, 1024 / 44_100)),
        ((0.02,), (0.02,)),
    ],
)
def test_latencies_that_wrapped_around_zero_are_mended(reported: tuple[float, ...], real: tuple[float, ...]) -> None:
    assert unwrapped_latency_s(reported, 44_100) == pytest.approx(real, abs=1e-7)


def test_the_private_door_of_the_real_library_still_has_its_shape() -> None:
    try:
        import sounddevice
    except OSError as error:
        pytest.skip(f"{error}; the other tests do without it")
    names = inspect.signature(sounddevice._StreamBase.__init__).parameters
    assert {
        "kind", "samplerate", "blocksize", "device", "channels", "dtype", "latency", "extra_settings", "callback",
        "userdata", "wrap_callback",
    } <= set(names)  # fmt: skip
    assert sounddevice._ffi.cast("PaStreamCallback *", CALLBACK)
    assert sounddevice._ffi.cast("void *", USERDATA)
    assert callable(sounddevice._exit_handler)
