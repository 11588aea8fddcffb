"""`apollo-rt live`: the options of a live run, and the commands beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from apollo_rt.commands.config_file import config_option
from apollo_rt.commands.kept_options import in_force, take_up
from apollo_rt.commands.live_options import run_options, seconds_option
from apollo_rt.commands.live_tools import devices, doctor, latency, midi
from apollo_rt.commands.parameter_options import parameter_options, take_parameters
from apollo_rt.commands.pipe_options import pipe_options, take_pipes
from apollo_rt.commands.reserve_option import ReserveSeconds
from apollo_rt.commands.sink_options import sink_options, take_sink_options
from apollo_rt.errors import DeviceError
from apollo_rt.session.control_options import control_options, take_control_options

_FORMER_FLAGS = {"list_devices": devices, "list_midi": midi, "doctor": doctor, "measure_latency": latency}
"""What was an option before it was a command; in the order of who wins."""


def _former_flag(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(f"--{name.replace('_', '-')}", name, is_flag=True, hidden=True)


@click.group(short_help="Restore live, between devices and files.", invoke_without_command=True)
@config_option
@run_options
@click.option(
    "--before", multiple=True, metavar="PLUGIN",
    help='Before the model: "HighpassFilter(cutoff_frequency_hz=30)", "/path/Plugin.vst3?parameter=value"; repeatable.',
)  # fmt: skip
@click.option("--after", multiple=True, metavar="PLUGIN", help="After the model; as --before.")
@click.option(
    "--chain", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="A YAML file with lists of plugins, before and after.",
)  # fmt: skip
@parameter_options
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
@click.option("--auto", is_flag=True, help="Measure as `doctor` does, and start with the settings that hold.")
@seconds_option
@pipe_options
@click.option(
    "--reserve", "reserve_s", type=ReserveSeconds(), default="auto", show_default=True, metavar="SECONDS|auto",
    help="How much of a stream is held back where a device plays it: more outlasts longer silences of its server.",
)  # fmt: skip
@click.option(
    "--pace/--no-pace", default=None,
    help="From file to file: in the music's time, or as fast as it goes. Into a pipe: as fast as it is read.",
)  # fmt: skip
@click.option("--allow-feedback", is_flag=True, help="Accept an input that hears the output.")
@click.option(
    "--no-reconnect", "reconnect", flag_value=False, default=True, help="A device or stream that is lost ends the run."
)
@click.option(
    "--give-up", "give_up_s", type=click.FloatRange(0.0), default=300.0, show_default=True, metavar="SECONDS",
    help="For how long to look for a device or stream that is lost.",
)  # fmt: skip
@click.option("--follow-default", is_flag=True, help="Go to the new default device when the system changes it.")
@sink_options
@click.option(
    "--idle-close", type=click.FloatRange(0.0, min_open=True), metavar="MINUTES",
    help="Linux: let go of the devices while no player of the sink plays, after so long.",
)  # fmt: skip
@control_options
@click.option("--plain", is_flag=True, help="Plain lines instead of the screen.")
@click.option(
    "--verbose/--quiet", "-v/-q", "is_verbose", default=None,
    help="Plain lines: one a second, and the options in force; or warnings alone.",
)  # fmt: skip
@click.option(
    "--log-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write what is said there, too."
)
@click.option("--fresh", is_flag=True, help="Neither take up what the last run was set to, nor leave anything.")
@_former_flag("list_devices")
@_former_flag("list_midi")
@_former_flag("doctor")
@_former_flag("measure_latency")
@click.pass_context
def live(context: click.Context, /, auto: bool, seconds: float, **options: Any) -> None:
    """Restore live: from INPUT to OUTPUT, at a constant latency.

    Loopback as input is what captures the machine's own output, unless a device has that name: the monitor of the
    default sink, or a virtual cable. speakers is the default output. On Linux, --app NAME, --all or --sink make a sink
    of our own and restore what players play there. On the screen, q quits, b toggles bypass, [ and ] change the mix.
    """
    if context.invoked_subcommand:
        _hand_down(context, context.invoked_subcommand)
        return
    former = [command for name, command in _FORMER_FLAGS.items() if options.pop(name)]
    if former and not (former[0] is doctor and auto):
        given = {**options, "seconds": seconds}
        wanted = {option.name for option in former[0].params}
        context.invoke(former[0], **{name: value for name, value in given.items() if name in wanted})
        return
    taken_up = _taken_up(options, context)
    notes = (*taken_up, *(in_force(options, context) if options["verbosity"] > 0 else ()))
    control = take_control_options(options, context)
    raw = take_pipes(options)
    parameters = take_parameters(options)
    sink = take_sink_options(options, context)
    # Late, because numba and onnxruntime would make --help wait.
    if auto:
        from apollo_rt.session.doctor import choose_settings

        options |= choose_settings(options["model"], options["provider"], seconds)
    from apollo_rt.control.parameters import Parameters
    from apollo_rt.session.own_sink import SinkOptions
    from apollo_rt.session.plugin_chain import ChainOptions

    chain = ChainOptions(options.pop("before"), options.pop("after"), options.pop("chain"))
    own = SinkOptions(**sink)
    live_values = Parameters.checked(parameters)
    options |= {"raw": raw, "sink": own, "parameters": live_values, "control": control, "chain": chain, "notes": notes}
    _run(options, taken_up)


def _run(options: dict[str, Any], taken_up: tuple[str, ...]) -> None:
    """Run; where a device is missing, what was taken up may be why."""
    from apollo_rt.session.run import run_live
    from apollo_rt.session.run_options import LiveOptions

    try:
        run_live(LiveOptions(**options))
    except DeviceError as error:
        raise DeviceError("; ".join((str(error), *taken_up))) from None


def _taken_up(options: dict[str, Any], context: click.Context) -> tuple[str, ...]:
    """Take up the last run's state where a device plays or is captured; a line says so, if anything was."""
    from apollo_rt.session.named_files import is_read, output_file

    is_fresh, is_verbose = options.pop("fresh"), options.pop("is_verbose")
    options["verbosity"] = {None: 0, True: 1, False: -1}[is_verbose]
    options["keeps_state"] = not is_fresh and not (is_read(options["source"]) and output_file(options["target"]))
    return take_up(options, context) if options["keeps_state"] else ()


def _hand_down(context: click.Context, name: str) -> None:
    """Options before a command's name, or of live in the environment, hold for the command where it has them.

    Raises:
        UsageError: one was given that it has not.
    """
    wanted = {option.name for option in _COMMANDS[name].params}
    given = {option: source for option in context.params if (source := context.get_parameter_source(option))}
    for option, source in given.items():
        if source is ParameterSource.COMMANDLINE and option not in wanted:
            raise click.UsageError(f"{name} takes no --{option.replace('_', '-')}; see `live {name} --help`")
    default = ParameterSource.DEFAULT
    context.default_map = {
        name: {option: context.params[option] for option, source in given.items() if source is not default}
    }


_COMMANDS = {command.name or "": command for command in (devices, midi, doctor, latency)}
for _command in _COMMANDS.values():
    live.add_command(_command)
