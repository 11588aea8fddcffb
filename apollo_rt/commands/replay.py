"""`apollo-rt replay`: an incident, run again off line."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from apollo_rt.console.say import say
from apollo_rt.errors import ApolloError
from apollo_rt.existing import refuse_existing

if TYPE_CHECKING:
    from apollo_rt.inference.model import Model
    from apollo_rt.live.monitoring.replay import Incident, Replay


@click.command(short_help="Run an incident again, off line.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="Write what comes out, as wav.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@click.option("--model", metavar="FILE", help="Where the model is now, if not where it was.")
def replay(folder: Path, output: Path | None, overwrite: bool, model: str | None) -> None:
    """Run an incident that `live --capture-incident` wrote again, and compare: the output is the same, bit for bit.

    DIR is an incident, or a folder of incidents. Ends with code 1 where an output differs.
    """
    # Late, because onnxruntime would make --help wait.
    from apollo_rt.live.monitoring.replay import read_incident

    folders = sorted(folder.glob("incident-*")) or [folder]
    if output is not None and len(folders) > 1:
        raise click.UsageError(f"--output is for one incident, {folder} holds {len(folders)}")
    if output is not None:
        refuse_existing(output, overwrite)
    results = [_replayed(path, read_incident(path), output, overwrite, model) for path in folders]
    if not all(results):
        raise click.exceptions.Exit(1)


def _replayed(path: Path, incident: "Incident", output: Path | None, overwrite: bool, model: str | None) -> bool:
    """Run one; says what came of it, and whether the output is the same."""
    from apollo_rt.files.audio_writer import AudioWriter
    from apollo_rt.files.output_format import OutputSettings
    from apollo_rt.inference.model_choice import open_model
    from apollo_rt.live.monitoring.incident import file_digest
    from apollo_rt.live.monitoring.replay import run_again

    facts = incident.facts
    loaded = open_model(model or facts["model"], facts["provider"])
    if file_digest(loaded.card.path) != facts["model_sha256"]:
        raise ApolloError(f"{loaded.card.path}: is not the model of {path}; name that with --model")
    result = run_again(incident, _by_slot(loaded, facts["tiers"]))
    for line in report_lines(path, incident, result):
        say(line)
    if output is not None:
        settings = OutputSettings(float_wav=True)
        with AudioWriter(output, facts["sample_rate"], settings=settings, overwrite=overwrite) as writer:
            writer.write(result.output)
    return result.is_equal


def _by_slot(model: "Model", tiers: list[str]) -> dict[int, "Model"]:
    """The models of the tiers that there were, by the worker's numbers."""
    from apollo_rt.inference.model_choice import open_tier

    return {slot: open_tier(model, tier) for slot, tier in enumerate(tiers)}


def report_lines(path: Path, incident: "Incident", result: "Replay") -> list[str]:
    """What was missed, what was heard instead, and how the replay compares."""
    facts = incident.facts
    rate, end = facts["sample_rate"], facts["end"] - facts["delay"]
    missed = ", ".join(f"{count} {name}" for name, count in facts.get("missed", {}).items())
    lines = [f"{path}: {len(result.output) / rate:.1f} s, {missed or 'nothing missed'}"]
    for begin, stop in result.covered:
        lines.append(f"  {(begin - end) / rate:+8.3f} s: the input was heard for {(stop - begin) / rate * 1e3:.1f} ms")
    lines.append(
        f"  hops: {result.n_computed} computed anew, {result.n_other_hops} of them other than recorded; "
        f"{result.n_recorded} taken as recorded"
    )
    how = "the same, bit for bit" if result.is_equal else (
        f"{result.n_other_samples} of {len(result.output)} samples differ, by {result.largest_difference:.2g} at most"
    )  # fmt: skip
    return [*lines, f"  output: {how}"]
