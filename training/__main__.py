"""`python -m training prepare | levels | burst | fit | inference | evaluation-set | evaluate | picture`."""

from importlib import import_module

import click

_COMMANDS = {
    "prepare": ("training.prepare", "prepare"),
    "levels": ("training.levels.level_commands", "levels"),
    "burst": ("training.levels.burst", "command"),
    "fit": ("training.fitting.fit", "command"),
    "inference": ("training.inference.command", "command"),
    "evaluation-set": ("training.evaluation.collect", "command"),
    "evaluate": ("training.evaluation.evaluate", "command"),
    "picture": ("training.evaluation.picture", "command"),
}


class _LateGroup(click.Group):
    """A group whose commands are imported when they are asked for: evaluation doesn't wait for the corpus tools."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the work."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=_LateGroup)
def main() -> None:
    """Train the causal restorer: data, training, files, evaluation, pictures."""


if __name__ == "__main__":
    main(prog_name="python -m training")
