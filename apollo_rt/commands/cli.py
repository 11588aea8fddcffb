"""The command line: one program, one place where errors become one line and an exit code."""

import io
import sys
import warnings
from collections.abc import Sequence
from copy import copy
from typing import TextIO

import click

from apollo_rt.commands.build_engine import build_engine
from apollo_rt.commands.completion import completion
from apollo_rt.commands.ctl import ctl
from apollo_rt.commands.live import live
from apollo_rt.commands.man_page import man
from apollo_rt.commands.model_commands import model
from apollo_rt.commands.plugins import plugins
from apollo_rt.commands.recover import recover
from apollo_rt.commands.restore import restore
from apollo_rt.commands.service import service
from apollo_rt.console.say import open_closed_streams, say
from apollo_rt.errors import ApolloError, PipeClosedError

_INTERRUPTED = 130
"""What shells expect after Ctrl-C: 128 and the signal's number."""

_PIPE_CLOSED = 141
"""What they expect where nobody reads the pipe any more: 128 and the number of SIGPIPE, as of `yes | head -1`."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "APOLLO_RT"})
@click.version_option(package_name="apollo-rt")
def apollo_rt() -> None:
    """Restore music that a lossy codec damaged, live or file by file.

    Every option can be set by the environment too: APOLLO_RT_LIVE_BLOCK_SIZE=512 is --block-size 512 of live.
    """


def _hidden(command: click.Command) -> click.Command:
    """The same command, left out of the help."""
    alias = copy(command)
    alias.hidden = True
    return alias


apollo_rt.add_command(live)
apollo_rt.add_command(restore)
apollo_rt.add_command(model)
apollo_rt.add_command(build_engine)
apollo_rt.add_command(_hidden(build_engine), "prepare")  # as it was called before
apollo_rt.add_command(plugins)
apollo_rt.add_command(recover)
apollo_rt.add_command(ctl)
apollo_rt.add_command(service)
apollo_rt.add_command(completion)
apollo_rt.add_command(man)


def main(arguments: Sequence[str] | None = None, name: str = "apollo-rt") -> None:
    """Run the command line and leave the interpreter.

    Args:
        arguments: None: those of the process.
        name: what the program is called in its help.

    Exit codes: 0 all went well, 1 something that the user can mend (one line on stderr says what), 2 wrong usage, 130
    an interrupt, 141 a pipe that nobody reads any more; 3 to 100 so many files failed (see `restore`).
    """
    open_closed_streams()
    sys.exit(_exit_code(arguments, name))


def _exit_code(arguments: Sequence[str] | None, name: str) -> int:
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            result = apollo_rt.main(arguments, name, standalone_mode=False)
    except click.Abort as abort:
        if isinstance(abort.__cause__, EOFError):  # which click takes for an end of what the user types
            say(f"error: something that was to be read ended too early ({abort.__cause__})", err=True)
            return 1
        return _INTERRUPTED
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        say(*shown.getvalue().splitlines(), err=True)
        return error.exit_code
    except PipeClosedError:
        return _PIPE_CLOSED
    except (ApolloError, ValueError) as error:
        say(*f"error: {error}".split("\n"), err=True)
        return 1
    return result if isinstance(result, int) else 0


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """As `warnings.showwarning`, in one line without the place in our code."""
    say(f"warning: {message}", err=True)
