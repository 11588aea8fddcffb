"""Next steps lead on from an error: what to type on this system, and which package of this distribution it takes."""

import platform
import sys
from typing import Literal

Trouble = Literal["feedback", "no loopback", "no server", "no device", "no portaudio", "only zeros"]

_PACKAGES = {
    "debian": ("apt install libportaudio2", "apt install libasound2-plugins"),
    "fedora": ("dnf install portaudio", "dnf install alsa-plugins-pulseaudio"),
    "arch": ("pacman -S portaudio", "pacman -S alsa-plugins"),
    "suse": ("zypper install libportaudio2", "zypper install alsa-plugins-pulse"),
}
"""By family of distributions: what brings PortAudio, and what leads ALSA to a sound server."""

_STEPS: dict[Trouble, dict[str, str]] = {
    "feedback": {
        "linux": "let players play to a sink of our own: `apollo-rt live --all`, or `--app NAME` for one of them",
        "darwin": "install BlackHole (`brew install blackhole-2ch`), choose it as the system's output, and start with "
        "`--input BlackHole`",
        "win32": "choose another output here (`--output NAME`, of `apollo-rt live devices`), or let the music play to "
        "a virtual cable, such as VB-CABLE, and capture that (`--input CABLE`)",
    },
    "no loopback": {
        "linux": "where PulseAudio or PipeWire runs, `apollo-rt live --all` makes a sink of our own; PortAudio reaches "
        "the server by ALSA's plugin: {plugin}",
        "darwin": "macOS has none of itself: install BlackHole (`brew install blackhole-2ch`), choose it as the "
        "system's output, and start with `--input BlackHole`",
        "win32": "install a virtual cable, such as VB-CABLE, let the music play to `CABLE Input`, and start with "
        "`--input CABLE`",
    },
    "no server": {
        "linux": "the sound server's sinks are not among them, since PortAudio reaches it by ALSA's plugin: {plugin}",
        "darwin": "",
        "win32": "",
    },
    "no device": {
        "linux": "start a sound server (`systemctl --user start pipewire pipewire-pulse wireplumber`, or `pulseaudio "
        "--start`), and install ALSA's way to it: {plugin}",
        "darwin": "see Audio MIDI Setup whether the system has one",
        "win32": "see Settings, System, Sound whether the system has one, and whether it is enabled",
    },
    "no portaudio": {
        "linux": "{portaudio}",
        "darwin": "`brew install portaudio`",
        "win32": "`pip install --force-reinstall sounddevice`, whose wheel brings it",
    },
    "only zeros": {
        "linux": "nothing plays there, or it is muted: see `pavucontrol`, Input Devices",
        "darwin": "nothing plays there, or the terminal may not listen: System Settings, Privacy & Security, "
        "Microphone",
        "win32": "nothing plays there, or programs may not listen: Settings, Privacy & security, Microphone",
    },
}


def next_step(trouble: Trouble, system: str = "", distribution: str | None = None) -> str:
    """Name the step to take about a trouble.

    Args:
        trouble: one of those above.
        system: as `sys.platform`; empty: this one.
        distribution: words of it and its relatives, as `ID` and `ID_LIKE` of os-release; None: this one's.
    """
    step = _STEPS[trouble].get(system or sys.platform, _STEPS[trouble]["linux"])
    portaudio, plugin = _packages(_distribution() if distribution is None else distribution)
    return step.format(portaudio=portaudio, plugin=plugin)


def system_of(host_apis: set[str]) -> str:
    """The system that has such host APIs, as `sys.platform` calls it; empty where they don't tell."""
    if "Core Audio" in host_apis:
        return "darwin"
    if host_apis & {"Windows WASAPI", "MME", "Windows DirectSound", "Windows WDM-KS"}:
        return "win32"
    return "linux" if host_apis & {"ALSA", "PulseAudio", "OSS"} else ""


def _packages(distribution: str) -> tuple[str, str]:
    for family, commands in _PACKAGES.items():
        if family in distribution:
            return f"`{commands[0]}`", f"`{commands[1]}`"
    names = "libportaudio2 or portaudio", "libasound2-plugins, alsa-plugins-pulseaudio or alsa-plugins"
    return f"install the package {names[0]}", f"the package {names[1]}"


def _distribution() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ""
    words = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}"
    return words.replace("ubuntu", "debian")
