"""`apollo-rt restore`: files and folders, aligned with their sources to the sample."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from apollo_rt.app.model_options import model_option, provider_option
from apollo_rt.app.output_options import output_options, take_output
from apollo_rt.app.parameter_options import parameter_options, take_parameters
from apollo_rt.app.progress import progress_bar
from apollo_rt.app.signals import interruptible

if TYPE_CHECKING:
    from apollo_rt.files.jobs import Job, Outcome
    from apollo_rt.files.offline import RestoreReport
    from apollo_rt.files.output_format import OutputSettings


@click.command(short_help="Restore files and folders.")
@click.argument("paths", nargs=-1, required=True, metavar="INPUT... OUTPUT")
@click.option("--output", "-o", metavar="OUTPUT", help="File or folder to write; all other names are inputs then.")
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
def restore(
    paths: tuple[str, ...],
    output: str | None,
    model: str | None,
    provider: str,
    threads: int | None,
    **parameters: Any,
) -> None:
    """Restore INPUT to OUTPUT: the same length and channels, with its tags and cover.

    One file becomes the file OUTPUT: .flac, .wav, .m4a, .mp3, .ogg, .opus, .aiff or .w64. Several files, or folders
    with everything in them, go into the folder OUTPUT as flac.
    """
    inputs, target = (paths, output) if output is not None else (paths[:-1], paths[-1])
    if not inputs:
        raise click.UsageError("name at least one input, and the output last")
    with interruptible() as check:
        settings = take_output(parameters)
        values = take_parameters(parameters)
        if not _restore_all(inputs, target, values, model, provider, threads or _n_cores(), settings, check):
            raise click.exceptions.Exit(1)


def _restore_all(
    inputs: Sequence[str],
    output: str,
    parameters: dict[str, float],
    model: str | None,
    provider: str,
    threads: int,
    settings: "OutputSettings",
    check: Callable[[], None],
) -> bool:
    """Returns whether all went well."""
    # Late, because onnxruntime would make --help wait.
    from apollo_rt.files.jobs import plan_jobs, run_jobs
    from apollo_rt.files.recovery import leftover_lines
    from apollo_rt.inference.model_choice import open_model

    jobs = plan_jobs(inputs, output)
    for line in leftover_lines(job.target.parent for job in jobs):
        click.echo(f"warning: {line}", err=True)
    places = {job: f"{job.source.name} ({number} of {len(jobs)})" for number, job in enumerate(jobs, 1)}
    with progress_bar() as report:

        def show(job: "Job", n_done: int, n_all: int | None) -> None:
            check()
            report(places[job], n_done, n_all)

        loaded = open_model(model, provider)
        outcomes = [_said(outcome) for outcome in run_jobs(jobs, loaded, parameters, show, settings, threads)]
    return all(outcome.report for outcome in outcomes)


def _n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _said(outcome: "Outcome") -> "Outcome":
    """Say what became of a file."""
    report = outcome.report
    if report is None:
        click.echo(f"error: {outcome.error}", err=True)
        return outcome
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(
        f"{report.source} -> {report.target}: {report.duration_s:.1f} s of sound in {report.elapsed_s:.1f} s, "
        f"{report.duration_s / max(report.elapsed_s, 1e-3):.1f} times real time{_rate_change(report)}"
    )
    return outcome


def _rate_change(report: "RestoreReport") -> str:
    """Said where the file got another rate: a low one has no room for what is restored."""
    if report.sample_rate == report.source_rate:
        return ""
    return f"; from {report.source_rate} to {report.sample_rate} Hz"
