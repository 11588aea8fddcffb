"""`python -m training evaluate`: what a model does to music that it never saw, beside what does less or knows more.

Every clip is damaged, put through every system and measured (`measure`). A model file goes through the streaming
engine, hop by hop: what ships is what is measured.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from apollo_rt.app.progress import progress_bar
from apollo_rt.atomic_file import write_whole
from apollo_rt.errors import ApolloError
from apollo_rt.existing import refuse_existing
from apollo_rt.files.music_names import MUSIC_SUFFIXES
from apollo_rt.inference.model_file import default_model_path
from training.evaluation import damages, kinds, measure, report, summary, systems
from training.evaluation.measure import Row, Task
from training.evaluation.systems import System

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("evaluate")
@click.option("--model", "models", type=_FILE, multiple=True, help="ONNX file or checkpoint; the bundled one if none.")
@click.option("--tier", "tiers", multiple=True, help="Of a model file, such as full or light; the best one if none.")
@click.option(
    "--twin", type=_FILE, help="Checkpoint of the same net with a view of the future: how much that is worth."
)
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True), required=True, help="Clean music: folder or file."
)
@click.option("--kbps", default="24,32,48,64", show_default=True, help="Bit rates of MP3; 0 is the undamaged clip.")
@click.option(
    "--damages", "labels", default="", help="More damage: mp3-64-vbr,aac-48,opus-32,vorbis-64,mp3-128+aac-48."
)
@click.option("--limit", type=click.IntRange(1), help="So many clips, spread over the folder.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for CSV, Markdown, figures, page."
)
@click.option("--listen", "n_examples", type=click.IntRange(0), default=6, show_default=True, help="Clips on the page.")
@click.option("--json", "json_file", type=_NEW_FILE, help="Write the means here, as a model file's card takes them.")
@click.option("--overwrite", is_flag=True, help="Replace the file of --json; --out is written anew anyway.")
@click.option("--workers", type=click.IntRange(1), help="Processes; as many as there are cores if left out.")
@click.option("--kept", type=click.Path(path_type=Path, file_okay=False), help="Folder of results kept between runs.")
def command(
    models: tuple[Path, ...], tiers: tuple[str, ...], twin: Path | None, data: Path, kbps: str, labels: str,
    limit: int | None, out: Path | None, n_examples: int, json_file: Path | None, overwrite: bool,
    workers: int | None, kept: Path | None,
) -> None:  # fmt: skip
    """Measure models on clean music that they never saw, beside the untouched input and a plain exciter.

    What was measured before, with the same files and the same code, is taken from where it is kept; a run that was
    broken off goes on where it stopped.
    """
    try:
        if json_file:
            refuse_existing(json_file, overwrite)
        chosen = _systems(models, tiers, twin)
        tasks = _plan(data, _labels(kbps, labels), limit, chosen, kept or _kept_by_default())
        for system in chosen:
            systems.load(system)  # a file that can't be used is told before hours of work
        rows = _measure(tasks, workers)
        click.echo(f"{len({row.clip for row in rows})} clips, means")
        click.echo(report.table(summary.by_damage(rows), "damage", spread=False))
        if json_file:
            _write_json(json_file, rows)
        if out:
            _write_all(out, rows, tasks, n_examples)
    except (ApolloError, ValueError, OSError) as error:
        raise click.ClickException(" ".join(str(error).split())) from None


def _systems(models: Sequence[Path], tiers: Sequence[str], twin: Path | None) -> list[System]:
    files = [system for path in models or [default_model_path()] for system in systems.of_file(path, tiers)]
    twins = [replace(system, name="non-causal twin") for system in systems.of_file(twin)] if twin else []
    chosen = [*systems.BASELINES, *files, *twins]
    names = [system.name for system in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two systems would be named {name!r}; rename one of the files")
    return chosen


def _labels(kbps: str, more: str) -> list[str]:
    rates = [text.strip() for text in kbps.split(",") if text.strip()]
    for rate in rates:
        if not rate.isdigit():
            raise ValueError(f"--kbps must be whole numbers with commas between, got {rate!r}")
    labels = [f"mp3-{int(rate)}" if int(rate) else damages.CLEAN for rate in rates]
    labels += [text.strip() for text in more.split(",") if text.strip()]
    for label in labels:
        damages.parse(label)
    if not labels:
        raise ValueError("--kbps and --damages name no damage at all; 0 is the undamaged clip")
    return list(dict.fromkeys(labels))


def _plan(data: Path, labels: Sequence[str], limit: int | None, chosen: Sequence[System], kept: Path) -> list[Task]:
    folder = data if data.is_dir() else data.parent
    found = data.rglob("*") if data.is_dir() else [data]
    clips = sorted(path for path in found if path.suffix.lower() in MUSIC_SUFFIXES and path.is_file())
    if not clips:
        raise ValueError(f"--data must hold music ({' '.join(sorted(MUSIC_SUFFIXES))}), {data} holds none")
    clips = clips[:: max(1, len(clips) // limit)][:limit] if limit else clips
    relative = [path.relative_to(folder) for path in clips]
    listed = kinds.read_list(folder)
    return measure.plan(folder, relative, [kinds.kind_of(path, listed) for path in relative], labels, chosen, kept)


def _measure(tasks: Sequence[Task], workers: int | None) -> list[Row]:
    n_workers = min(workers or os.cpu_count() or 1, len(tasks))
    rows: list[Row] = []
    with progress_bar() as show:
        for n_done, own in enumerate(measure.run(tasks, n_workers), 1):
            rows += own
            show(f"{tasks[0].folder}: measuring", n_done, len(tasks))
    return rows


def _write_json(file: Path, rows: Sequence[Row]) -> None:
    content = {"clips": len({row.clip for row in rows}), "summary": summary.as_json(summary.by_damage(rows))}
    write_whole(file, json.dumps(content, indent=1) + "\n")


def _write_all(folder: Path, rows: Sequence[Row], tasks: Sequence[Task], n_examples: int) -> None:
    from training.evaluation import figures, listening  # matplotlib is slow to import

    folder.mkdir(parents=True, exist_ok=True)
    report.write_csv(folder / "rows.csv", rows)
    pictures = figures.write(folder, rows)
    chosen = listening.choose(tasks, n_examples)
    if chosen:
        pictures += listening.write(folder, chosen)
    write_whole(folder / "report.md", report.markdown(rows, tasks[0].systems, pictures))
    click.echo(f"{folder}: report.md, rows.csv, {len(pictures)} pictures" + (", listening.html" if chosen else ""))


def _kept_by_default() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "apollo-rt" / "evaluation"
