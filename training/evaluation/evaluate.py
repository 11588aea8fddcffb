"""`python -m training evaluate`: what a model does to music that it never saw, beside what does less or knows more.

Every clip is damaged, put through every system and measured (`measure`). A model file goes through the streaming
engine, hop by hop: what ships is what is measured.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from apollo_rt.atomic_file import write_whole
from apollo_rt.console.progress import progress_bar
from apollo_rt.errors import ApolloError
from apollo_rt.existing import refuse_existing
from apollo_rt.inference.model_file import default_model_path
from training.evaluation import card, codec_table, measure, report, selection, summary, systems
from training.evaluation.measure import Row, Task
from training.evaluation.selection import Part, Preset
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
@click.option("--part", "parts", type=click.Choice(selection.PARTS), multiple=True, help="Of the folder; all if none.")
@click.option(
    "--quick", "preset", flag_value="quick", help="To choose among nets: 8 clips, 4 damages, 5 s; no exciter."
)
@click.option(
    "--codecs", "preset", flag_value="codecs", help=f"All {len(selection.CODEC_LABELS)} that people meet: 8 clips, 5 s."
)
@click.option("--kbps", help="Bit rates of MP3; 0 is the undamaged clip. [24,32,48,64]")
@click.option("--damages", "labels", help="More damage: mp3-64-vbr,mp3-64-24khz,aac-48,opus-32,mp3-128+aac-48.")
@click.option("--limit", type=click.IntRange(1), help="So many clips of music; one of each undamaged kind.")
@click.option("--seconds", type=click.FloatRange(1.0), help="The beginning of each clip. [all]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for CSV, Markdown, figures, page."
)
@click.option("--listen", "n_examples", type=click.IntRange(0), default=6, show_default=True, help="Clips on the page.")
@click.option("--json", "json_file", type=_NEW_FILE, help="Write all rows and their means here.")
@click.option("--card", "card_file", type=_NEW_FILE, help="Write the means here, as a model file's card takes them.")
@click.option(
    "--page",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Write the table decoded -> restored of the first model into its place there, as docs/evaluation.md has it.",
)
@click.option("--overwrite", is_flag=True, help="Replace the files of --json and --card; --out is written anew anyway.")
@click.option("--workers", type=click.IntRange(1), help="Processes; as many as there are cores if left out.")
@click.option("--kept", type=click.Path(path_type=Path, file_okay=False), help="Folder of results kept between runs.")
def command(
    models: tuple[Path, ...], tiers: tuple[str, ...], twin: Path | None, data: Path, parts: tuple[Part, ...],
    preset: str | None, kbps: str | None, labels: str | None, limit: int | None, seconds: float | None,
    out: Path | None, n_examples: int, json_file: Path | None, card_file: Path | None, page: Path | None,
    overwrite: bool, workers: int | None, kept: Path | None,
) -> None:  # fmt: skip
    """Measure models on clean music that they never saw, beside the untouched input and a plain exciter.

    What was measured before, with the same files and the same code, is taken from where it is kept; a run that was
    broken off goes on where it stopped.
    """
    try:
        for file in filter(None, (json_file, card_file)):
            refuse_existing(file, overwrite)
        wanted = _wanted(preset, kbps, labels, limit, seconds)
        baselines = systems.BASELINES[:1] if preset else systems.BASELINES
        chosen = [*baselines, *_systems(models, tiers, twin)]
        _refuse_same_names(chosen)
        folder, clips = selection.find(data, parts or selection.PARTS, wanted.limit)
        tasks = measure.plan(folder, clips, wanted.labels, chosen, kept or _kept_by_default(), wanted.seconds)
        for system in chosen:
            systems.load(system)  # a file that can't be used is told before hours of work
        rows = _measure(tasks, workers)
        click.echo(f"{len({row.clip for row in rows})} clips, means\n")
        click.echo("\n\n".join(report.overview(rows, chosen)))
        if json_file:
            _write_json(json_file, _as_json(rows))
        if card_file:
            _write_json(card_file, card.quality(rows))
        if page:
            restored = next(one for one in chosen if one.path)
            codec_table.write(page, codec_table.table(summary.of_part(rows, "music"), restored.name))
        if out:
            _write_all(out, rows, tasks, n_examples)
    except (ApolloError, ValueError, OSError) as error:
        raise click.ClickException(" ".join(str(error).split())) from None


def _wanted(
    preset: str | None, kbps: str | None, labels: str | None, limit: int | None, seconds: float | None
) -> Preset:
    """Selection that was chosen, and over it what was said."""
    wanted = {"quick": selection.QUICK, "codecs": selection.CODECS}.get(preset or "", selection.USUAL)
    if kbps is not None:
        wanted = replace(wanted, labels=selection.labels(kbps, labels or ""))
    elif labels:
        wanted = replace(wanted, labels=(*wanted.labels, *selection.labels("", labels)))
    return replace(wanted, limit=limit or wanted.limit, seconds=seconds or wanted.seconds)


def _systems(models: Sequence[Path], tiers: Sequence[str], twin: Path | None) -> list[System]:
    files = [system for path in models or [default_model_path()] for system in systems.of_file(path, tiers)]
    return files + ([replace(system, name="non-causal twin") for system in systems.of_file(twin)] if twin else [])


def _refuse_same_names(chosen: Sequence[System]) -> None:
    names = [system.name for system in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two systems would be named {name!r}; rename one of the files")


def _measure(tasks: Sequence[Task], workers: int | None) -> list[Row]:
    n_workers = min(workers or os.cpu_count() or 1, len(tasks))
    rows: list[Row] = []
    with progress_bar() as show:
        for n_done, own in enumerate(measure.run(tasks, n_workers), 1):
            rows += own
            show(f"{tasks[0].folder}: measuring", n_done, len(tasks))
    return rows


def _as_json(rows: Sequence[Row]) -> dict[str, Any]:
    music, undamaged, probes = (summary.of_part(rows, part) for part in selection.PARTS)
    return {
        "clips": len({row.clip for row in rows}),
        "summary": summary.as_json(summary.by_damage(music)),
        "undamaged": summary.as_json(summary.by_kind(undamaged)) if undamaged else {},
        "probes": summary.as_json(summary.by_probe(probes)),
        "rows": report.as_json(rows),
    }


def _write_json(file: Path, content: dict[str, Any]) -> None:
    write_whole(file, json.dumps(content, indent=1) + "\n")


def _write_all(folder: Path, rows: Sequence[Row], tasks: Sequence[Task], n_examples: int) -> None:
    from training.evaluation import figures, listening  # matplotlib is slow to import

    folder.mkdir(parents=True, exist_ok=True)
    report.write_csv(folder / "rows.csv", rows)
    music = summary.of_part(rows, "music")
    pictures = figures.write(folder, music) if music else []
    chosen = listening.choose(tasks, n_examples)
    if chosen:
        pictures += listening.write(folder, chosen)
    write_whole(folder / "report.md", report.markdown(rows, tasks[0].systems, pictures))
    click.echo(f"{folder}: report.md, rows.csv, {len(pictures)} pictures" + (", listening.html" if chosen else ""))


def _kept_by_default() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "apollo-rt" / "evaluation"
