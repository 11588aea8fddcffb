"""Names, numbers and words become devices, on tables as PortAudio shows them on each system."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from apollo_rt.devices import pulse
from apollo_rt.devices.device import Device, describe_devices, device_records, find_device, refuse_feedback
from apollo_rt.devices.loopback import mark_loops, with_server
from apollo_rt.devices.pulse_connection import ServerError
from apollo_rt.errors import DeviceError


def end(index: int, name: str, description: str = "", channels: int = 2, rate: int = 48_000, **more: object) -> object:
    """A sink or a source, as pulsectl returns it."""
    spec, volume = SimpleNamespace(channels=channels, rate=rate), SimpleNamespace(values=[1.0] * channels)
    record = {
        "index": index,
        "name": name,
        "description": description,
        "sample_spec": spec,
        "volume": volume,
        "mute": 0,
    }
    return SimpleNamespace(**{"monitor_of_sink_name": None, **record, **more})


SINKS = [end(7, "alsa_output.pci.analog-stereo", "Built-in Audio"), end(9, "Music", "Music")]
SOURCES = [
    end(7, "alsa_output.pci.analog-stereo.monitor", "Monitor of Built-in Audio"),
    end(8, "alsa_input.pci.analog-stereo", "Built-in Audio"),
    end(9, "Music.monitor", "Monitor of Music", monitor_of_sink_name="Music"),
]


def info(default_sink: str, name: str = "pulseaudio") -> object:
    return SimpleNamespace(
        default_sink_name=default_sink, default_source_name="alsa_input.pci.analog-stereo", server_name=name
    )


def server(default_sink: str = "alsa_output.pci.analog-stereo") -> pulse.Server:
    return pulse.server_of(info(default_sink), SINKS, SOURCES)


def table(
    host_api: str, *rows: tuple[str, int, int], default_input: str = "", default_output: str = ""
) -> list[Device]:
    return [
        Device(
            0,
            name,
            host_api,
            n_in,
            n_out,
            is_default_input=name == default_input,
            is_default_output=name == default_output,
        )
        for name, n_in, n_out in rows
    ]


def numbered(*tables: list[Device], server: pulse.Server | None = None) -> list[Device]:
    rows = [device for table in tables for device in table]
    devices = [replace(device, number=number, portaudio_number=number) for number, device in enumerate(rows)]
    return mark_loops(with_server(devices, server), server)


ALSA = table(
    "ALSA", ("HDA Intel: ALC257 (hw:0,0)", 2, 2), ("pulse", 32, 32), ("default", 32, 32),
    default_input="default", default_output="default",
)  # fmt: skip
ALOOP = table("ALSA", ("Loopback: PCM (hw:2,0)", 32, 32), ("Loopback: PCM (hw:2,1)", 32, 32))
JACK = table(
    "JACK Audio Connection Kit", ("system", 2, 2), ("Loopback", 2, 0), ("speakers", 0, 2), default_output="system"
)
MACOS = numbered(
    table(
        "Core Audio", ("MacBook Pro Microphone", 1, 0), ("MacBook Pro Speakers", 0, 2), ("BlackHole 2ch", 2, 2),
        default_input="MacBook Pro Microphone", default_output="MacBook Pro Speakers",
    )
)  # fmt: skip
WINDOWS = numbered(
    table(
        "MME", ("Microsoft Sound Mapper - Output", 0, 2), ("CABLE Output (VB-Audio Virtual ", 2, 0),
        ("Speakers (Realtek(R) Audio)", 0, 2), default_output="Speakers (Realtek(R) Audio)",
    ),
    table(
        "Windows WASAPI", ("Speakers (Realtek(R) Audio)", 0, 2), ("CABLE Input (VB-Audio Virtual Cable)", 0, 2),
        ("CABLE Output (VB-Audio Virtual Cable)", 2, 0), ("Speakers (Realtek(R) Audio) [Loopback]", 2, 0),
        ("CABLE Input (VB-Audio Virtual Cable) [Loopback]", 2, 0), default_output="Speakers (Realtek(R) Audio)",
    ),
)  # fmt: skip


def test_a_name_counts_in_any_case_and_an_exact_one_beats_a_part_of_another() -> None:
    devices = numbered(table("Core Audio", ("Interface 2", 2, 2), ("Interface", 2, 2), ("Other", 2, 2)))
    assert find_device(devices, "interface", "input").number == 1
    assert find_device(devices, "FACE 2", "output").number == 0


def test_a_number_is_the_one_that_the_list_shows() -> None:
    assert find_device(MACOS, "2", "input").name == "BlackHole 2ch"
    assert describe_devices(MACOS)[2].startswith("  2  BlackHole 2ch")


@pytest.mark.parametrize("number", ["1", "3"])
def test_a_number_that_is_no_input_is_refused_with_the_inputs_there_are(number: str) -> None:
    with pytest.raises(DeviceError, match=rf"(?s)input device {number}: no input.*MacBook Pro Microphone.*BlackHole"):
        find_device(MACOS, number, "input")


def test_nothing_fitting_and_several_fitting_both_list_the_candidates_and_only_those() -> None:
    with pytest.raises(
        DeviceError, match=r"(?s)output 'Steinway': no device fits; there are:.*Speakers.*BlackHole"
    ) as nothing:
        find_device(MACOS, "Steinway", "output")
    assert "Microphone" not in str(nothing.value)
    with pytest.raises(DeviceError, match=r"(?s)input 'o': several devices fit; there are:.*Microphone.*BlackHole"):
        find_device(MACOS, "o", "input")


def test_no_device_at_all_says_that_files_still_work() -> None:
    with pytest.raises(DeviceError, match=r"no output device; .*; a file can be the output"):
        find_device([], "speakers", "output")


def test_default_prefers_the_host_api_of_the_other_end() -> None:
    devices = numbered(ALSA, JACK)
    assert find_device(devices, "default", "output").name == "default"
    assert find_device(devices, "default", "output", "JACK Audio Connection Kit").name == "system"
    with pytest.raises(DeviceError, match="names no default"):
        find_device(numbered(ALOOP), "default", "input")


def test_speakers_is_the_default_output_unless_a_device_has_that_name() -> None:
    assert find_device(numbered(ALSA), "Speakers", "output").name == "default"
    assert find_device(MACOS, "speakers", "output").name == "MacBook Pro Speakers"
    assert find_device(numbered(ALSA, JACK), "speakers", "output").host_api == "JACK Audio Connection Kit"


def test_loopback_is_the_monitor_of_the_servers_default_sink() -> None:
    devices = numbered(ALSA, server=server())
    found = find_device(devices, "Loopback", "input")
    assert found.name == "Monitor of Built-in Audio"
    assert found.environment == (("PULSE_SOURCE", "alsa_output.pci.analog-stereo.monitor"),)
    assert found.portaudio_number == 1, "it is reached through the ALSA device `pulse`"
    assert found.number == len(ALSA), "but has a number of its own"


def test_loopback_without_pactl_asks_the_server_for_its_default_monitor() -> None:
    found = find_device(numbered(ALSA), "Loopback", "input")
    assert found.environment == (("PULSE_SOURCE", "@DEFAULT_MONITOR@"),)


def test_loopback_is_the_second_end_of_the_kernels_cable() -> None:
    assert find_device(numbered(ALOOP), "Loopback", "input").name == "Loopback: PCM (hw:2,1)"


def test_a_device_that_bears_the_name_loopback_comes_before_the_words_meaning() -> None:
    assert find_device(numbered(ALSA, JACK, server=server()), "Loopback", "input").host_api == JACK[0].host_api
    assert find_device(numbered(ALSA, ALOOP, server=server()), "Loopback", "input").name == "Loopback: PCM (hw:2,1)"


def test_loopback_on_macos_is_the_virtual_cable() -> None:
    assert find_device(MACOS, "Loopback", "input").name == "BlackHole 2ch"
    two_cables = numbered(MACOS, table("Core Audio", ("Soundflower (2ch)", 2, 2)))
    with pytest.raises(DeviceError, match=r"(?s)several devices fit.*BlackHole.*Soundflower"):
        find_device(two_cables, "Loopback", "input")


def test_loopback_on_windows_is_the_default_outputs_endpoint() -> None:
    assert find_device(WINDOWS, "Loopback", "input").name == "Speakers (Realtek(R) Audio) [Loopback]"


def test_loopback_where_nothing_hears_the_machine_says_so() -> None:
    with pytest.raises(DeviceError, match=r"(?s)no device fits \(nothing here captures.*there are:.*ALC257"):
        find_device(numbered(ALSA[:1]), "Loopback", "input")


def test_on_windows_one_device_behind_several_host_apis_is_taken_through_wasapi() -> None:
    found = find_device(WINDOWS, "Realtek", "output")
    assert (found.name, found.host_api) == ("Speakers (Realtek(R) Audio)", "Windows WASAPI")
    assert find_device(WINDOWS, "default", "output").host_api == "Windows WASAPI"


def test_an_alsa_device_that_the_user_named_comes_before_a_sink_of_the_same_name() -> None:
    devices = numbered(ALSA, table("ALSA", ("Music", 0, 2)), server=server())
    assert not find_device(devices, "music", "output").environment
    assert find_device(numbered(ALSA, server=server()), "music", "output").environment == (("PULSE_SINK", "Music"),)


@pytest.mark.parametrize(
    ("devices", "source", "target"),
    [
        pytest.param(numbered(ALSA, server=server()), "Loopback", "speakers", id="monitor of the default sink"),
        pytest.param(numbered(ALSA), "Loopback", "speakers", id="the same without pactl"),
        pytest.param(
            numbered(ALSA, server=server("Music")), "Monitor of Music", "default", id="null sink made default"
        ),
        pytest.param(numbered(ALOOP), "Loopback", "hw:2,0", id="both ends of the kernel's cable"),
        pytest.param(MACOS, "Loopback", "BlackHole", id="BlackHole in and out"),
        pytest.param(WINDOWS, "Loopback", "speakers", id="one WASAPI endpoint"),
        pytest.param(WINDOWS, "Loopback", "2", id="the same endpoint through MME"),
        pytest.param(WINDOWS, "Loopback", "0", id="the same endpoint as MME's default"),
        pytest.param(WINDOWS, "CABLE Output (VB-Audio Virtual Cable)", "CABLE Input", id="both ends of VB-Cable"),
    ],
)
def test_an_input_that_hears_the_output_is_refused_with_the_reason(
    devices: list[Device], source: str, target: str
) -> None:
    hears, plays = find_device(devices, source, "input"), find_device(devices, target, "output")
    with pytest.raises(DeviceError, match=r"feedback: .* hears what .* plays.*--allow-feedback"):
        refuse_feedback(hears, plays)


@pytest.mark.parametrize(
    ("devices", "source", "target"),
    [
        pytest.param(numbered(ALSA, server=server()), "Monitor of Music", "speakers", id="null sink to hardware"),
        pytest.param(numbered(ALSA, server=server()), "default", "default", id="microphone to loudspeaker"),
        pytest.param(numbered(ALOOP), "Loopback", "hw:2,1", id="the cable's other direction"),
        pytest.param(MACOS, "Loopback", "speakers", id="BlackHole to loudspeaker"),
        pytest.param(WINDOWS, "CABLE Output (VB-Audio Virtual Cable)", "speakers", id="VB-Cable to loudspeaker"),
    ],
)
def test_an_input_that_hears_something_else_is_accepted(devices: list[Device], source: str, target: str) -> None:
    refuse_feedback(find_device(devices, source, "input"), find_device(devices, target, "output"))


def test_the_list_marks_defaults_and_loopbacks() -> None:
    lines = describe_devices(numbered(ALSA, server=server()))
    assert [line.split("Hz")[1].strip() for line in lines] == [
        "", "", "default input, default output", "loopback", "", "loopback", "", "",
    ]  # fmt: skip
    shown = "3 Monitor of Built-in Audio PulseAudio 2 in 0 out 48000 Hz loopback"
    assert " ".join(lines[3].split()) == shown


def test_records_for_programs_are_plain_values_and_each_of_their_names_finds_the_device() -> None:
    devices = numbered(ALSA, server=server())
    records = json.loads(json.dumps(device_records(devices)))
    assert [record["number"] for record in records] == [device.number for device in devices]
    for record, device in zip(records, devices, strict=True):
        direction = "input" if device.input_channels else "output"
        if device.environment:
            assert all(find_device(devices, name, direction) == device for name in record["names"][1:])
    assert [record["is_loopback"] for record in records].count(True) == 2


def test_a_monitor_whose_sink_the_server_leaves_unnamed_is_known_by_its_own_name() -> None:
    assert server().monitored_sink("alsa_output.pci.analog-stereo.monitor") == "alsa_output.pci.analog-stereo"
    assert server().monitored_sink("alsa_input.pci.analog-stereo") == ""


def test_feedback_is_found_by_where_the_server_has_routed_our_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(process_id: str, **place: int) -> object:
        return SimpleNamespace(proplist={"application.process.id": process_id}, **place)

    asked = SimpleNamespace(
        sink_input_list=lambda: [stream("41", sink=7), stream("42", sink=9)],
        source_output_list=lambda: [stream("41", source=7), stream("42", source=8)],
        sink_list=lambda: SINKS,
        source_list=lambda: SOURCES,
    )
    monkeypatch.setattr(pulse, "ask", lambda question: question(asked))
    assert pulse.feedback_sink(41) == "alsa_output.pci.analog-stereo"
    assert pulse.feedback_sink(42) == ""
    assert pulse.routes(41).captured == ("alsa_output.pci.analog-stereo.monitor",)


def test_where_no_server_answers_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise ServerError("no sound server")

    monkeypatch.setattr(pulse, "ask", refuse)
    assert pulse.read_server() is None
    assert pulse.feedback_sink(1) == ""


def test_on_pipewire_an_end_runs_at_its_own_rate_only_where_the_graph_may() -> None:
    sinks = [end(1, "label", rate=44_100), end(2, "card", rate=48_000)]
    for rates, expected in (((48_000,), [48_000, 48_000]), ((48_000, 44_100), [44_100, 48_000])):
        found = pulse.server_of(info("card", "PulseAudio (on PipeWire 1.4.2)"), sinks, [], rates)
        assert [sink.sample_rate for sink in found.sinks] == expected
        assert found.is_pipewire


def test_what_leads_to_a_servers_defaults_runs_at_their_rates_so_that_the_server_has_nothing_to_resample() -> None:
    source = end(8, "alsa_input.pci.analog-stereo", rate=96_000)
    devices = numbered(ALSA, server=pulse.server_of(info("Music"), [end(9, "Music", rate=48_000)], [source]))
    default = find_device(devices, "default", "output")
    assert default.name == "default"
    assert (default.sample_rate("output"), default.sample_rate("input")) == (48_000, 96_000)


def twins() -> list[Device]:
    sinks = [end(n, f"usb-{n}", "USB Audio") for n in (1, 2)]
    return numbered(ALSA, server=pulse.server_of(info("usb-1"), sinks, []))


def test_two_devices_of_one_description_are_told_apart_by_what_can_be_typed() -> None:
    devices = twins()
    with pytest.raises(DeviceError, match=r"(?s)several devices fit.*USB Audio \[usb-1\].*USB Audio \[usb-2\]"):
        find_device(devices, "USB Audio", "output")
    for typed in ("usb-2", "USB Audio [usb-2]", "[usb-2]"):
        assert find_device(devices, typed, "output").environment == (("PULSE_SINK", "usb-2"),)
    assert "[" not in describe_devices(devices)[0], "who has a name of its own needs no second one"
