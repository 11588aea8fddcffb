"""`apollo-rt live`: the options of a live run."""

from pathlib import Path
from typing import Any

import click

from apollo_rt.commands.model_options import model_option, provider_option
from apollo_rt.commands.parameter_options import parameter_options, take_parameters
from apollo_rt.console.say import say
from apollo_rt.session.control_options import control_options, take_control_options


@click.command(short_help="Restore live, between devices and files.")
@click.option(
    "--input", "-i", "source", default="Loopback", show_default=True, metavar="INPUT",
    help="Device (name, part of it, or number), default, Loopback, a file, or demo.",
)  # fmt: skip
@click.option(
    "--output", "-o", "target", default="speakers", show_default=True, metavar="OUTPUT",
    help="Device (name, part of it, or number), default, speakers, or a file.",
)  # fmt: skip
@click.option(
    "--before", multiple=True, metavar="PLUGIN",
    help='Before the model: "HighpassFilter(cutoff_frequency_hz=30)", "/path/Plugin.vst3?parameter=value"; repeatable.',
)  # fmt: skip
@click.option("--after", multiple=True, metavar="PLUGIN", help="After the model; as --before.")
@click.option(
    "--chain", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="A YAML file with lists of plugins, before and after.",
)  # fmt: skip
@click.option("--list-devices", is_flag=True, help="Show the devices there are, and leave.")
@parameter_options
@click.option(
    "--block-size", type=click.IntRange(1, 4096), default=256, show_default=True, metavar="SAMPLES",
    help="What a device hands over at once; more is safer and later.",
)  # fmt: skip
@click.option(
    "--headroom", type=click.IntRange(64, 44_100), metavar="SAMPLES", help="Latency that covers computing and jitter."
)
@model_option
@provider_option()
@click.option("--tier", metavar="NAME", help="The best of the model's tiers that may be used; its best, if not given.")
@click.option(
    "--duration", "duration_s", type=click.FloatRange(0.0, min_open=True), metavar="SECONDS",
    help="Stop after so much sound.",
)  # fmt: skip
@click.option("--stats-json", type=click.Path(path_type=Path), metavar="FILE", help="Write figures at the end.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT and figures that are there already.")
@click.option(
    "--capture-incident", "incidents", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="When something is missed, write the last 10 s there: input, output and counters.",
)  # fmt: skip
@click.option(
    "--measure-latency", is_flag=True, help="Send a probe from OUTPUT back to INPUT, print the latency, leave."
)
@click.option("--doctor", is_flag=True, help="Measure which settings this machine holds, and leave.")
@click.option("--auto", is_flag=True, help="Measure as --doctor does, and start with the settings that hold.")
@click.option(
    "--seconds", type=click.FloatRange(2.0), default=60.0, show_default=True, help="How long to measure for those two."
)
@click.option("--no-pace", "pace", flag_value=False, default=True, help="From file to file: as fast as it goes.")
@click.option("--allow-feedback", is_flag=True, help="Accept an input that hears the output.")
@click.option("--no-reconnect", "reconnect", flag_value=False, default=True, help="A device that is lost ends the run.")
@click.option(
    "--give-up", "give_up_s", type=click.FloatRange(0.0), default=300.0, show_default=True, metavar="SECONDS",
    help="For how long to look for a device that is lost.",
)  # fmt: skip
@click.option("--follow-default", is_flag=True, help="Go to the new default device when the system changes it.")
@control_options
@click.option("--list-midi", is_flag=True, help="Show the MIDI ports there are, and leave.")
@click.option("--plain", is_flag=True, help="Plain lines instead of the screen.")
def live(list_devices: bool, list_midi: bool, doctor: bool, auto: bool, seconds: float, **options: Any) -> None:
    """Restore live: from INPUT to OUTPUT, at a constant latency.

    Loopback as input is what captures the machine's own output, unless a device has that name: the monitor of the
    default sink, a virtual cable, a WASAPI loopback. speakers is the default output. On the screen, q quits, b toggles
    bypass, [ and ] change the mix.
    """
    # Late, because numba and onnxruntime would make --help and --list-devices wait.
    if list_devices:
        from apollo_rt.devices.device import describe_devices
        from apollo_rt.devices.portaudio import list_devices as find_all

        say(*describe_devices(find_all()))
        return
    if list_midi:
        from apollo_rt.control.midi.port import back_end, list_ports

        ports, through = list_ports(), back_end()
        say(*(ports or [f"no MIDI ports (asked {through})"]))
        return
    control = take_control_options(options, click.get_current_context())
    parameters = take_parameters(options)
    if doctor or auto:
        from apollo_rt.session.doctor import choose_settings

        options |= choose_settings(options["model"], options["provider"], seconds)
        if doctor and not auto:
            return
    from apollo_rt.session.plugin_chain import ChainOptions
    from apollo_rt.session.run import LiveOptions, run_live

    chain = ChainOptions(options.pop("before"), options.pop("after"), options.pop("chain"))
    run_live(LiveOptions(**options, parameters=parameters, control=control, chain=chain))
