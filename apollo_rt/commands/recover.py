"""`apollo-rt recover`: what a killed run has left becomes a file."""

from pathlib import Path

import click

from apollo_rt.console.say import say


@click.command(short_help="Make a file of what a killed run has left.")
@click.argument("parts", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE.part...")
def recover(parts: tuple[Path, ...]) -> None:
    """Make a proper file of the hidden `.part` that a killed run has left, beside it; nothing is replaced or removed.

    Sound of wav and flac is read as far as it goes and written anew, without a loss; mp3, ogg and opus play as they are
    and are copied. aiff, w64 and m4a can't be read without their end.
    """
    from apollo_rt.files.recovery import recover

    for part in parts:
        say(f"{part} -> {recover(part)}; remove the .part when you have heard it")
