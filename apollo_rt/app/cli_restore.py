"""`apollo-rt restore`: files and folders, aligned with their sources to the sample."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from apollo_rt.app.model_options import model_option, provider_option
from apollo_rt.app.parameter_options import parameter_options, take_parameters
from apollo_rt.app.progress import progress_bar
from apollo_rt.app.signals import interruptible

if TYPE_CHECKING:
    from apollo_rt.files.jobs import Job, Outcome


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
@click.option("--track", type=click.IntRange(1), metavar="N", help="Audio track to read, from 1; else the best one.")
@click.option(
    "--downmix", is_flag=True, help="Make stereo of more than two channels, which are else restored in pairs."
)
@click.option("--float", "float_wav", is_flag=True, help="Write wav files of 32-bit floats, which don't clip.")
def restore(
    paths: tuple[str, ...],
    output: str | None,
    model: str | None,
    provider: str,
    threads: int | None,
    track: int | None,
    downmix: bool,
    float_wav: bool,
    **parameters: float,
) -> None:
    """Restore INPUT to OUTPUT: the same length, sample rate and channels.

    One file becomes the file OUTPUT: .wav, .flac, .ogg or .mp3. Several files, or folders with everything in them, go
    into the folder OUTPUT as flac.
    """
    inputs, target = (paths, output) if output is not None else (paths[:-1], paths[-1])
    if not inputs:
        raise click.UsageError("name at least one input, and the output last")
    with interruptible() as check:
        values = take_parameters(parameters)
        n_threads, reading = threads or _n_cores(), (track, downmix)
        if not _restore_all(inputs, target, values, model, provider, n_threads, reading, float_wav, check):
            raise click.exceptions.Exit(1)


def _restore_all(
    inputs: Sequence[str],
    output: str,
    parameters: dict[str, float],
    model: str | None,
    provider: str,
    threads: int,
    reading: tuple[int | None, bool],
    float_wav: bool,
    check: Callable[[], None],
) -> bool:
    """Returns whether all went well."""
    # Late, because onnxruntime would make --help wait.
    from apollo_rt.files.audio_reader import ReadSettings
    from apollo_rt.files.jobs import plan_jobs, run_jobs
    from apollo_rt.inference.model_choice import open_model

    jobs = plan_jobs(inputs, output)
    places = {job: f"{job.source.name} ({number} of {len(jobs)})" for number, job in enumerate(jobs, 1)}
    with progress_bar() as report:

        def show(job: "Job", n_done: int, n_all: int | None) -> None:
            check()
            report(places[job], n_done, n_all)

        loaded = open_model(model, provider)
        outcomes = [
            _said(outcome)
            for outcome in run_jobs(jobs, loaded, parameters, show, float_wav, threads, ReadSettings(*reading))
        ]
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
        f"{report.duration_s / max(report.elapsed_s, 1e-3):.1f} times real time"
    )
    return outcome
