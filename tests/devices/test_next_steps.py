"""Next steps name a command of the very system, and the package of the very distribution."""

import pytest

from apollo_rt.devices.device import Device, find_device, refuse_feedback
from apollo_rt.devices.next_steps import _STEPS, next_step
from apollo_rt.errors import DeviceError

SYSTEMS = ("linux", "darwin", "win32")


@pytest.mark.parametrize("trouble", _STEPS)
def test_every_trouble_has_a_step_for_every_system(trouble: str) -> None:
    for system in SYSTEMS:
        assert trouble == "no server" or next_step(trouble, system, ""), f"{trouble} on {system}"


@pytest.mark.parametrize(
    ("distribution", "package"),
    [
        ("debian", "`apt install libasound2-plugins`"),
        ("linuxmint debian debian", "`apt install libasound2-plugins`"),
        ("fedora", "`dnf install alsa-plugins-pulseaudio`"),
        ("manjaro arch", "`pacman -S alsa-plugins`"),
        ("opensuse-leap suse opensuse", "`zypper install alsa-plugins-pulse`"),
        ("void", "the package libasound2-plugins, alsa-plugins-pulseaudio or alsa-plugins"),
    ],
)
def test_the_package_is_the_distributions(distribution: str, package: str) -> None:
    assert package in next_step("no server", "linux", distribution)


@pytest.mark.parametrize(
    ("host_api", "advice", "foreign"),
    [
        ("ALSA", "apollo-rt live --all", "BlackHole"),
        ("Core Audio", "brew install blackhole-2ch", "live --all"),
        ("Windows WASAPI", "VB-CABLE", "live --all"),
    ],
)
def test_what_can_not_be_is_refused_with_what_to_type_on_that_system(host_api: str, advice: str, foreign: str) -> None:
    loop = Device(0, "Loop", host_api, 2, 2, captures="loop", feeds="loop")
    plain = Device(1, "Plain", host_api, 2, 2)
    with pytest.raises(DeviceError) as feedback:
        refuse_feedback(loop, loop)
    with pytest.raises(DeviceError) as nothing:
        find_device([plain], "Loopback", "input")
    for error in (feedback, nothing):
        assert advice in str(error.value)
        assert foreign not in str(error.value)


def test_where_the_servers_sinks_are_missing_the_plugin_is_named() -> None:
    with pytest.raises(DeviceError, match="PortAudio reaches it by ALSA's plugin: "):
        find_device([Device(0, "hw:0", "ALSA", 2, 2)], "apollo_rt.monitor", "input")
    served = Device(1, "Speakers", "ALSA", 0, 2, environment=(("PULSE_SINK", "speakers"),))
    with pytest.raises(DeviceError) as typing_error:
        find_device([Device(0, "hw:0", "ALSA", 2, 2), served], "Stainway", "output")
    assert "plugin" not in str(typing_error.value)
