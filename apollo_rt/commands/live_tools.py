"""`apollo-rt live devices`, `midi`, `doctor` and `latency`: what is looked up or measured before a live run."""

import json
from typing import Any

import click

from apollo_rt.commands.live_options import run_options, seconds_option
from apollo_rt.commands.model_options import model_option, provider_option
from apollo_rt.console.say import say


@click.command(short_help="Show the audio devices there are.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON list.")
def devices(as_json: bool) -> None:
    """Show the audio devices there are, by the names that --input and --output take."""
    # Late, because PortAudio takes its time; so below.
    from apollo_rt.devices.device import describe_devices, device_records
    from apollo_rt.devices.portaudio import list_devices

    found = list_devices()
    say(*(json.dumps(device_records(found), indent=2).splitlines() if as_json else describe_devices(found)))


@click.command(short_help="Show the MIDI ports there are.")
def midi() -> None:
    """Show the MIDI ports there are, by the names that --midi takes."""
    from apollo_rt.control.midi.port import back_end, list_ports

    ports, through = list_ports(), back_end()
    say(*(ports or [f"no MIDI ports (asked {through})"]))


@click.command(short_help="Measure which settings this machine holds.")
@model_option
@provider_option()
@seconds_option
@click.option("--report", is_flag=True, help="Measure nothing; print what to paste into an issue.")
def doctor(model: str | None, provider: str, seconds: float, report: bool = False) -> None:
    """Tell what can be captured here, and measure which settings this machine holds.

    Restores music at real cadence with each tier and block size.
    """
    if report:
        from apollo_rt.session.doctor_report import report_lines

        say(*report_lines())
        return
    from apollo_rt.session.doctor import choose_settings

    choose_settings(model, provider, seconds)


@click.command(short_help="Measure the latency of a real loop.")
@run_options
def latency(**options: Any) -> None:
    """Send a probe from OUTPUT back to INPUT, and print the latency beside the terms that are reported."""
    from apollo_rt.session.run import run_latency
    from apollo_rt.session.run_options import LiveOptions

    run_latency(LiveOptions(**options))
