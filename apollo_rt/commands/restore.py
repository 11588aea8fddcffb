"""`apollo-rt restore`: files and folders, aligned with their sources to the sample."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apollo_rt.commands.model_options import model_option, provider_option
from apollo_rt.commands.output_options import output_options, take_output
from apollo_rt.commands.parameter_options import parameter_options, take_parameters
from apollo_rt.commands.pipe_options import pipe_options, take_pipes
from apollo_rt.console.progress import progress_bar
from apollo_rt.console.say import say
from apollo_rt.console.signals import interruptible
from apollo_rt.existing import Existing, is_there, refuse_named_twice
from apollo_rt.printable import printable
from apollo_rt.standard_streams import DASH, words_on_stderr

if TYPE_CHECKING:
    from apollo_rt.files.jobs import Outcome
    from apollo_rt.files.offline import RestoreReport
    from apollo_rt.files.output_format import OutputSettings
    from apollo_rt.files.plan import Job, LeftOut
    from apollo_rt.files.raw_format import RawFormat

_MOST_FAILED = 100
_MOST_NAMES = 8


@dataclass(frozen=True)
class _Wanted:
    """Wishes of the user, as options say them.

    Attributes:
        inputs: files and folders.
        output: a file or a folder.
        parameters: by name; their options have checked them.
        model: name or file; None: the built-in one.
        provider: what runs it.
        threads: cores to use.
        settings: of what is written.
        existing: what becomes of targets that are there already.
        report: where to tell what became of each file; None: nowhere.
        reading: track, whether to mix down, and what the input is where it has no header.
        as_json: tell on stdout what the report tells.
    """

    inputs: Sequence[str]
    output: str
    parameters: dict[str, float]
    model: str | None
    provider: str
    threads: int
    settings: "OutputSettings"
    existing: Existing
    report: Path | None
    reading: tuple[int | None, bool, "RawFormat | None"]
    as_json: bool


@click.command(short_help="Restore files and folders.")
@click.argument("paths", nargs=-1, required=True, metavar="INPUT... OUTPUT")
@click.option("--output", "-o", metavar="OUTPUT", help="File or folder to write; all other names are inputs then.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there already; else they are an error.")
@click.option("--skip-existing", is_flag=True, help="Leave files that are there already: go on where a run stopped.")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write a line of JSON for each file: source, target, seconds, warnings, error.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print these lines instead of those for people.")
@parameter_options
@model_option
@provider_option()
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Cores to use: for as many files at once, or for one. All there are, if not given.",
)
@output_options
@pipe_options
@click.option("--track", type=click.IntRange(1), metavar="N", help="Audio track to read, from 1; else the best one.")
@click.option(
    "--downmix", is_flag=True, help="Make stereo of more than two channels, which are else restored in pairs."
)
def restore(
    paths: tuple[str, ...],
    output: str | None,
    overwrite: bool,
    skip_existing: bool,
    report: Path | None,
    as_json: bool,
    model: str | None,
    provider: str,
    threads: int | None,
    track: int | None,
    downmix: bool,
    **parameters: Any,
) -> None:
    """Restore INPUT to OUTPUT: the same length and channels, with its tags and cover.

    One file becomes the file OUTPUT: .flac, .wav, .m4a, .mp3, .ogg, .opus, .aiff or .w64. Several files, or folders
    with everything in them, go into the folder OUTPUT as flac. A file that is there already is not replaced unless you
    say so. - is stdin as INPUT and stdout as OUTPUT; what is said then goes to stderr.

    Ends with code 0 if all went well, else with the number of files that failed: 1, or from 3 to 100 (2 is wrong
    usage, so two count as 3, and more than 100 as 100).
    """
    inputs, target = _inputs_and_output(paths, output)
    existing = _existing(overwrite, skip_existing)
    with words_on_stderr(target == DASH), interruptible() as check:
        raw_input, raw_output = take_pipes(parameters)
        settings = replace(take_output(parameters), raw=raw_output)
        values = take_parameters(parameters)
        n_cores = threads or _n_cores()
        reading = (track, downmix, raw_input)
        wanted = _Wanted(inputs, target, values, model, provider, n_cores, settings, existing, report, reading, as_json)
        if n_failed := _restore_all(wanted, check):
            raise click.exceptions.Exit(exit_code(n_failed))


def exit_code(n_failed: int) -> int:
    """Exit code of the program: the number itself, but for 2, which is wrong usage, and for more than 100."""
    return n_failed if n_failed < 2 else min(max(n_failed, 3), _MOST_FAILED)


def _inputs_and_output(paths: Sequence[str], output: str | None) -> tuple[Sequence[str], str]:
    if output is not None:
        return paths, output
    if len(paths) < 2:
        raise click.UsageError("name at least one input, and the output last")
    if is_there(paths[-1]):
        # `restore *.mp3` would make the last song of the first one.
        raise click.UsageError(
            f"{printable(paths[-1])} is a file that is there, so is it an input too, or the output? Name the output "
            "with -o (and replace a file with --overwrite)"
        )
    return paths[:-1], paths[-1]


def _existing(overwrite: bool, skip_existing: bool) -> Existing:
    if overwrite and skip_existing:
        raise click.UsageError("--overwrite and --skip-existing can't both be: replace what is there, or leave it")
    return "overwrite" if overwrite else "skip" if skip_existing else "error"


def _restore_all(wanted: _Wanted, check: Callable[[], None]) -> int:
    """Returns how many files failed."""
    # Late, because onnxruntime would make --help wait.
    from apollo_rt.commands.batch_report import BatchReport
    from apollo_rt.control.parameters import Parameters
    from apollo_rt.files.audio_reader import ReadSettings
    from apollo_rt.files.jobs import run_jobs
    from apollo_rt.files.plan import plan_jobs
    from apollo_rt.files.recovery import leftover_lines
    from apollo_rt.inference.model_choice import open_model

    plan = plan_jobs(wanted.inputs, wanted.output)
    places = {job: f"{job.source.name} ({number} of {len(plan.jobs)})" for number, job in enumerate(plan.jobs, 1)}
    if wanted.report:
        named = [path for job in plan.jobs for path in (job.source, job.target) if isinstance(path, Path)]
        refuse_named_twice(wanted.report, named, "the report")
    counts = Counter(failed=sum(thing.is_fault for thing in plan.left_out))
    loaded, live = open_model(wanted.model, wanted.provider), Parameters.checked(wanted.parameters)
    with BatchReport(wanted.report, wanted.existing, say if wanted.as_json else None) as file, progress_bar() as report:

        def show(job: "Job", n_done: int, n_all: int | None) -> None:
            check()
            report(places[job], n_done, n_all)

        say(*(f"warning: {line}" for line in leftover_lines(job.target.parent for job in plan.jobs)), err=True)
        _say_left_out(plan.left_out)
        for thing in plan.left_out:
            file.add_left_out(thing)
        options = wanted.settings, wanted.threads, wanted.existing, ReadSettings(*wanted.reading)
        for outcome in run_jobs(plan.jobs, loaded, live, show, *options):
            if outcome.error:
                check()  # a signal that a library dropped while it read makes a file look bad
            _say(outcome, wanted.as_json)
            file.add(outcome)
            counts["left" if outcome.is_left else "failed" if outcome.error else "restored"] += 1
    _say_counts(counts)
    if file.error:
        say(f"error: {file.error}", err=True)
    return max(counts["failed"], int(bool(file.error)))


def _n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _say(outcome: "Outcome", as_json: bool) -> None:
    """Say what became of a file; those that were left are only counted, and those that are told as JSON not praised."""
    if outcome.error:
        say(f"error: {outcome.error}", err=True)
    if report := outcome.report:
        say(*(f"warning: {warning}" for warning in report.warnings), err=True)
        if as_json:
            return
        say(
            f"{report.source} -> {report.target}: {report.duration_s:.1f} s of sound in {report.elapsed_s:.1f} s, "
            f"{report.duration_s / max(report.elapsed_s, 1e-3):.1f} times real time{_rate_change(report)}"
        )


def _rate_change(report: "RestoreReport") -> str:
    """Said where the file got another rate: a low one has no room for what is restored."""
    if report.sample_rate == report.source_rate:
        return ""
    return f"; from {report.source_rate} to {report.sample_rate} Hz"


def _say_left_out(left_out: Sequence["LeftOut"]) -> None:
    """Name what is not restored, a kind of reason in a line; there may be as many covers as albums."""
    by_reason: dict[str, list[str]] = {}
    for thing in left_out:
        if thing.is_fault:
            say(f"error: {thing.path}: {thing.reason}", err=True)
            continue
        by_reason.setdefault(thing.reason, []).append(thing.path.name)
    for reason, names in by_reason.items():
        more = f" and {len(names) - _MOST_NAMES} more (--report names all)" if len(names) > _MOST_NAMES else ""
        say(f"left out, {reason}: {len(names)}: {', '.join(names[:_MOST_NAMES])}{more}", err=True)


def _say_counts(counts: Counter[str]) -> None:
    """Sum up, where the lines of the single files don't say it all."""
    words = {
        "restored": "restored",
        "left": "there already and left as they are",
        "failed": "failed",
    }
    if counts["left"] or (counts["failed"] and counts.total() > 1):
        parts = [f"{counts[kind]} {text}" for kind, text in words.items() if counts[kind]]
        say(f"of {counts.total()} files: {', '.join(parts)}", err=True)
