"""`python -m training levels prepare | fit | correct`."""

import click

from training.levels import fit, prepare


@click.group()
def levels() -> None:
    """Learn the levels of what is missing: prepare a store of levels, fit the level net, then its correction."""


levels.add_command(prepare.command)
levels.add_command(fit.fit)
levels.add_command(fit.correct)
