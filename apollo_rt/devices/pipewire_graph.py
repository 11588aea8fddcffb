"""PipeWire's graph runs at a rate of its own, whatever its sinks say: read, and allowed to be another.

A sink made with `rate=44100` still runs at 48000 unless that rate is among the allowed ones, and music of 44.1 kHz
through it passes two resamplers (-4.5 dB at 18 kHz, -41 dB at 20, PipeWire 0.3.65 and 1.4.2): what a codec's cut looks
like. `pw-metadata` is PipeWire's own tool; the settings are not to be had through its PulseAudio interface.
"""

import re
import shutil
import subprocess

from apollo_rt.system.child_process import child_environment

_TIMEOUT_S = 2.0
_DEFAULT_RATE = 48_000
_SETTING = re.compile(r"key:'clock\.(rate|allowed-rates)' value:'([^']*)'")


def read_rates() -> tuple[int, ...]:
    """Rates in Hz at which the graph may run, the usual one first; PipeWire's own default where the tool is missing."""
    settings = _settings()
    rates = [settings.get("rate", ""), *settings.get("allowed-rates", "").strip("[] ").replace(",", " ").split()]
    found = dict.fromkeys(int(rate) for rate in rates if rate.isdecimal())
    return tuple(found) or (_DEFAULT_RATE,)


def allow_rate(sample_rate: int) -> str | None:
    """Let the graph run at a rate too, where everything that it joins wants that.

    Returns:
        What was allowed before, for `restore`; None where nothing was changed: it is allowed already, or can't be.
    """
    before = _settings().get("allowed-rates")
    if before is None or str(sample_rate) in before.strip("[] ").replace(",", " ").split():
        return None
    rates = before.strip("[] ")
    return before if _metadata("0", "clock.allowed-rates", f"[ {rates} {sample_rate} ]") else None


def restore(before: str) -> None:
    """Allow what was allowed before."""
    _metadata("0", "clock.allowed-rates", before)


def _settings() -> dict[str, str]:
    """The last value of each: the tool prints what is set as one line each."""
    return dict(_SETTING.findall(_metadata("0")))


def _metadata(*arguments: str) -> str:
    """Output of the tool; empty if it fails or isn't there."""
    tool = shutil.which("pw-metadata")
    if tool is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  # the tool itself, with arguments of ours
            [tool, "-n", "settings", *arguments],
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_S,
            env=child_environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")
