"""`apollo-rt service`: a live run that the user's service manager starts at log-in and keeps alive."""

import click

from apollo_rt.commands.live import live
from apollo_rt.console.say import say

_ANY = {"ignore_unknown_options": True}


@click.group(short_help="Let a live run start at log-in and stay.")
def service() -> None:
    """Let a live run start at log-in and stay: a systemd user service on Linux, a launch agent on macOS."""


@service.command(short_help="Install the service and start it.", context_settings=_ANY)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def install(options: tuple[str, ...]) -> None:
    """Install the service and start it, with OPTIONS of `apollo-rt live`, such as: --all --control --config FILE.

    An installed one is replaced.
    """
    from apollo_rt.session.user_service import UserService

    live.make_context("apollo-rt live", list(options), resilient_parsing=False).close()
    say(*UserService.of_this_system().install(options))


@service.command(short_help="Tell how it is.")
def status() -> None:
    """Tell whether the service is installed and running, and how it ended last."""
    from apollo_rt.session.user_service import UserService

    say(*UserService.of_this_system().status())


@service.command(short_help="Stop the service and remove it.")
def remove() -> None:
    """Stop the service and remove it; players go back to where they were."""
    from apollo_rt.session.user_service import UserService

    say(*UserService.of_this_system().remove())


@service.command(hidden=True)
def clean() -> None:
    """Remove the sink that a killed run left, and give its players back: what the service does behind every end."""
    from apollo_rt.devices.pulse_connection import ServerError
    from apollo_rt.devices.virtual_sink import remove_left_sinks

    try:
        say(*remove_left_sinks())
    except ServerError as error:
        say(f"nothing to remove: {error}")
