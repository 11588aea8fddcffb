"""`python -m benchmarks report|compare|readme`: pages and figures from saved runs.

python -m pytest benchmarks --benchmark-only --benchmark-json=run.json     takes a run
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

_Done = TypeVar("_Done")
_RUN = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(help=(__doc__ or "").partition("\n")[0])
def main() -> None:
    """See above."""


@main.command()
@click.argument("runs", type=_RUN, nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the pages.")
def report(runs: tuple[Path, ...], out: Path) -> None:
    """Write one Markdown and one HTML page from saved RUNS (of `--benchmark-json` or `--benchmark-save`)."""
    from benchmarks.report.page import write
    from benchmarks.report.runs import read_runs

    files = _told(lambda: write(read_runs(list(runs)), out))
    click.echo(f"{out}: report.md, report.html, {len(files) - 2} pictures")


@main.command()
@click.argument("runs", type=_RUN, nargs=-1, required=True)
def compare(runs: tuple[Path, ...]) -> None:
    """Print percentiles of saved RUNS beside those of the first, and in what the machines differ."""
    from benchmarks.report.compare import compare as compared
    from benchmarks.report.runs import read_runs

    click.echo(_told(lambda: compared(read_runs(list(runs)))))


@main.command()
@click.option(
    "--run", "runs", type=_RUN, multiple=True,
    help="A new run, or its parts, to be kept for the README from now on; else what is kept already.",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Write nothing; fail if the README says something else than the run.")
def readme(runs: tuple[Path, ...], check: bool) -> None:
    """Fill the marked places of the README with the figures of the run that the repository keeps."""
    from benchmarks.report.readme import fill, keep

    if runs and not check:
        _told(lambda: keep(runs))
    changed = _told(lambda: fill(write=not check))
    if check and changed:
        raise click.ClickException(
            "README.md or docs/benchmarks.md has other figures than the kept run: run `python -m benchmarks readme`"
        )
    click.echo("README.md, docs/benchmarks.md: " + ("filled" if changed else "says what the run says"))


def _told(do: Callable[[], _Done]) -> _Done:
    """Tell in one line what is wrong with a file."""
    try:
        return do()
    except (ValueError, OSError) as error:
        raise click.ClickException(" ".join(str(error).split())) from None


if __name__ == "__main__":
    main()
