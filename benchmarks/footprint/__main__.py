"""`python -m benchmarks.footprint ratios|weights`: the tables of `docs/footprint.md`."""

import click

from benchmarks.footprint.footprint_page import fill, ratios_table, weights_table
from benchmarks.footprint.packages import weights
from benchmarks.footprint.turns import AFTER, BEFORE, WHEEL, make_ready, take_turns, tree_of
from benchmarks.measuring.machine import cpu_name, load_average

BASELINE = "20317d0"
"""The commit before start, memory and size were looked at."""


@click.group()
def main() -> None:
    """Measure, and write what was found into docs/footprint.md."""


@main.command()
@click.option("--before", default=BASELINE, show_default=True, metavar="COMMIT")
@click.option("--after", default="HEAD", show_default=True, metavar="COMMIT")
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=30.0, show_default=True, help="Of music, for a hop at cadence.")
@click.option("--write/--no-write", default=True, show_default=True)
def ratios(before: str, after: str, rounds: int, seconds: float, write: bool) -> None:
    """Probe two commits in turns: starts, memory, a hop at cadence."""
    load = load_average()
    try:
        with tree_of(before) as older, tree_of(after) as newer, tree_of(after) as wheel:
            make_ready(wheel)
            trees = {BEFORE: older, AFTER: newer, WHEEL: wheel}
            found = take_turns(trees, rounds, seconds, lambda line: click.echo(line, err=True))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    origin = f"Medians of {rounds} rounds, commit {before} before; {cpu_name()}, load average {load} at the beginning."
    table = ratios_table(found, origin)
    click.echo(table)
    if write:
        fill("ratios", table)


@main.command(name="weights")
@click.option("--place", type=click.Choice(["weights", "weights-cpu"]), help="Write the table there.")
def show_weights(place: str | None) -> None:
    """Weigh the packages that the program needs, of the environment that this runs in."""
    table = weights_table(weights())
    click.echo(table)
    if place:
        fill(place, table)


if __name__ == "__main__":
    main()
