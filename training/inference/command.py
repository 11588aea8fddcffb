"""`python -m training inference`: restores files with a checkpoint, in memory that doesn't grow with them."""

import os
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch

from apollo_rt.console.progress import progress_bar
from apollo_rt.console.say import say
from apollo_rt.errors import ApolloError, AudioFileError
from apollo_rt.existing import refuse_existing
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.files.audio_writer import AudioWriter, refuse_same_file
from apollo_rt.printable import printable
from apollo_rt.stream.rate_converter import RateConverter
from training.inference.restoration import CHUNK_S, Restoration, load_restoration


def restore_file(
    restoration: Restoration,
    source: Path,
    target: Path,
    progress: Callable[[int, int | None], None] | None = None,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Restore one file; the result has its length, sample rate and channels, and appears when it is complete.

    Args:
        restoration: the net.
        source: what FFmpeg decodes, mono or stereo.
        target: .wav, .flac, .ogg or .mp3.
        progress: called with samples done and in all (None: the file doesn't say), at the file's own rate.
        overwrite: a target that is there already is replaced.

    Returns:
        One line for each thing that was not as it should be.

    Raises:
        AudioFileError: the source can't be read, or the target can't be written; nothing is left of it then.
        ExistingFileError: the target is there already; nothing was done.
    """
    refuse_same_file(source, target)
    refuse_existing(target, overwrite)
    with (
        AudioReader(source, restoration.sample_rate) as reader,
        AudioWriter(target, reader.source_rate, reader.source_channels, overwrite=overwrite) as writer,
    ):
        n_channels = 2 if restoration.needs_stereo else reader.source_channels
        back = RateConverter(restoration.sample_rate, reader.source_rate, 2)
        for block in restoration.restored(lambda n_samples: reader.read(n_samples)[:, :n_channels]):
            if not np.isfinite(block).all():
                raise AudioFileError(f"{source}: the net's output is not finite; nothing was written")
            writer.write(back.convert(np.repeat(block, 2 // n_channels, axis=1)))
            if progress:
                progress(writer.n_samples, reader.n_source_samples)
        n_left = (reader.n_source_samples or 0) - writer.n_samples
        writer.write(back.convert(np.empty((0, 2), np.float32), last=True)[: max(n_left, 0)])
    return (*reader.warnings, *writer.warnings)


@click.command("inference")
@click.option("--checkpoint", "checkpoint_file", type=click.Path(path_type=Path), required=True, help="A .pt file.")
@click.option("--in_wav", "--in-wav", "source", type=click.Path(path_type=Path), required=True, help="Any audio file.")
@click.option(
    "--out_wav", "--out-wav", "target", type=click.Path(path_type=Path), required=True, help=".wav, .flac, .ogg, .mp3."
)
@click.option("--chunk_s", type=click.FloatRange(0.1, 600.0), default=CHUNK_S, show_default=True, help="At a time.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@click.option("--device", help="What PyTorch calls it; a GPU where there is one, if left out.")
def command(
    checkpoint_file: Path, source: Path, target: Path, chunk_s: float, overwrite: bool, device: str | None
) -> None:
    """Restore a file with a checkpoint: the published Apollo's, or one of the causal net."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise click.ClickException(f"--device {device} is not there; try cpu") from None
    try:
        refuse_existing(target, overwrite)  # before a checkpoint of gigabytes is loaded
        restoration = load_restoration(checkpoint_file, device, chunk_s)
        with progress_bar() as report:
            warnings = restore_file(
                restoration, source, target, lambda done, total: report(os.fspath(source.name), done, total), overwrite
            )
    except ApolloError as error:
        raise click.ClickException(printable(error)) from None
    say(*(f"warning: {warning}" for warning in warnings), err=True)
    say(f"{source} -> {target}")
