"""Restoring files: the live processor over a whole file, aligned with its input to the sample.

Where the model has a graph for batches of frames, it serves: the same to -80 dB, and faster (`docs/graph.md`).
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from apollo_rt.control.parameters import Parameters
from apollo_rt.errors import AudioFileError
from apollo_rt.existing import refuse_existing
from apollo_rt.files.audio_reader import AudioReader, ReadSettings, Samples
from apollo_rt.files.audio_writer import AudioWriter, refuse_same_file
from apollo_rt.files.channel_lanes import Lanes, Stream
from apollo_rt.files.output_format import OutputSettings
from apollo_rt.files.pipe_writer import PipeWriter
from apollo_rt.inference.model import Model, load
from apollo_rt.network.address import Address, place_of
from apollo_rt.standard_streams import is_pipe
from apollo_rt.stream.batch_stream import open_batch_stream
from apollo_rt.stream.rate_converter import RateConverter
from apollo_rt.stream.restoration_stream import RestorationStream

Progress = Callable[[int, int | None], None]
"""Called with samples done and samples in all (None: the file doesn't say), at the rate of what is written."""

_BLOCK_SIZE = 65_536
"""Samples at a time: 1.5 s, so that memory stays small and progress moves."""


@dataclass(frozen=True)
class RestoreReport:
    """Report of one file that was restored.

    Attributes:
        source: the file that was read.
        target: the file that was written.
        n_samples: its length, at its sample rate.
        sample_rate: Hz.
        source_rate: Hz, of the file that was read.
        channels: those of the target.
        elapsed_s: how long it took.
        warnings: one line for each thing that was not as it should be.
    """

    source: Path | Address
    target: Path
    n_samples: int
    sample_rate: int
    source_rate: int
    channels: int
    elapsed_s: float
    warnings: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """Seconds of music."""
        return self.n_samples / self.sample_rate


def restore_file(
    source: str | os.PathLike[str] | Address,
    target: str | os.PathLike[str],
    model: Model | None = None,
    progress: Progress | None = None,
    output: OutputSettings | None = None,
    threads: int = 1,
    hop_by_hop: bool = False,
    existing: Literal["error", "overwrite"] = "error",
    reading: ReadSettings = ReadSettings(),  # noqa: B008 (frozen)
    **parameters: float,
) -> RestoreReport:
    """Restore one file; the result has the source's length and channels, and is aligned with it.

    Args:
        source: what FFmpeg decodes, `standard_streams.STDIN` and addresses too; more than two channels are restored
            pair by pair.
        target: its suffix picks the format, see `output_format`. It appears when it is complete. A named pipe, and
            `standard_streams.STDOUT`, get a wav or raw samples as they are ready.
        model: None for the model that ships with the package.
        progress: called after every block.
        output: rate and quality of what is written; None for the usual.
        threads: that share the work on one batch of frames.
        hop_by_hop: as the live engine does it, bit for bit, and slower.
        existing: what becomes of a file that has the target's name.
        reading: which track of the source, and whether it is mixed down.
        parameters: by the names of the table of parameters: `mix`, `strength`, `air_db` ...

    Raises:
        AudioFileError: the source can't be read, or the target can't be written; nothing is left of it then.
        ExistingFileError: the target is there already; nothing was done.
        PipeClosedError: the target is a pipe that nobody reads any more.
        ModelFileError: the model that ships with the package is damaged.
        ValueError: there is no such parameter, or it is out of bounds.
    """
    live = Parameters(**parameters)
    return restore_with(live, source, target, model or load(), progress, output, threads, hop_by_hop, existing, reading)


def restore_with(
    parameters: Parameters,
    source: str | os.PathLike[str] | Address,
    target: str | os.PathLike[str],
    model: Model,
    progress: Progress | None = None,
    output: OutputSettings | None = None,
    threads: int = 1,
    hop_by_hop: bool = False,
    existing: Literal["error", "overwrite"] = "error",
    reading: ReadSettings = ReadSettings(),  # noqa: B008 (frozen)
) -> RestoreReport:
    """Restore one file with live values, which were checked when they were set; the rest as in `restore_file`.

    Raises:
        AudioFileError: the source can't be read, or the target can't be written; nothing is left of it then.
        ExistingFileError: the target is there already; nothing was done.
        PipeClosedError: the target is a pipe that nobody reads any more.
    """
    started_s = time.perf_counter()
    place = place_of(source)
    if isinstance(place, Path):
        refuse_same_file(place, target)
    refuse_existing(target, existing == "overwrite", "existing='overwrite' replaces it")
    rate = model.framing.sample_rate
    with (
        AudioReader(place, rate, reading.track, reading.downmix, reading.raw) as reader,
        _open_writer(target, reader, model, output or OutputSettings(), existing == "overwrite") as writer,
    ):
        lanes = Lanes(reader.channel_pairs, partial(_open_stream, model, parameters, threads, hop_by_hop), parameters)
        _write_all(reader, lanes, RateConverter(rate, writer.sample_rate, lanes.n_columns), writer, progress)
        n_samples = writer.n_samples
    warnings = [*reader.warnings, *_model_warnings(reader.path, lanes), *writer.warnings]
    if not n_samples:
        warnings.append(f"{reader.path}: holds no sound, and so does the output")
    what = reader.path, writer.path, n_samples, writer.sample_rate, reader.source_rate, reader.source_channels
    return RestoreReport(*what, time.perf_counter() - started_s, tuple(warnings))


def _write_all(
    reader: AudioReader,
    lanes: Lanes,
    back: RateConverter,
    writer: AudioWriter | PipeWriter,
    progress: Progress | None,
) -> None:
    """Restore what is read and write it, as long as it was read."""
    for block in _restored(reader, lanes):
        writer.write(lanes.joined(back.convert(block)))
        if progress:
            progress(writer.n_samples, _length_at(reader, writer.sample_rate))
    n_left = (_length_at(reader, writer.sample_rate) or 0) - writer.n_samples
    rest = back.convert(np.empty((0, lanes.n_columns), np.float32), last=True)
    writer.write(lanes.joined(rest[:n_left]))


def _open_writer(
    target: str | os.PathLike[str], reader: AudioReader, model: Model, output: OutputSettings, overwrite: bool
) -> AudioWriter | PipeWriter:
    rate = output.rate_for(reader.source_rate, model.framing.sample_rate, Path(target))
    if is_pipe(target):
        return PipeWriter(Path(target), rate, reader.source_channels, output.raw, output.float_wav)
    if reader.is_endless:
        raise AudioFileError(
            f"{reader.path}: is a station, which has no end, so that its file would never be complete; "
            "`live --input ADDRESS --output FILE --duration SECONDS` takes a part of it"
        )
    length = _length_at(reader, rate)
    return AudioWriter(target, rate, reader.source_channels, output, reader.tags, model.card.name, length, overwrite)


def _length_at(reader: AudioReader, sample_rate: int) -> int | None:
    """Samples that a file has at another rate, None where it doesn't say."""
    length = reader.n_source_samples
    return None if length is None else round(length * sample_rate / reader.source_rate)


def _open_stream(model: Model, parameters: Parameters, threads: int, hop_by_hop: bool) -> Stream:
    """In batches where the model can, unless it shall be hop by hop."""
    in_batches = None if hop_by_hop else open_batch_stream(model, threads, parameters)
    return in_batches or RestorationStream(model, parameters)


def _restored(reader: AudioReader, lanes: Lanes) -> Iterator[Samples]:
    """The file through the streams, less the latency at its beginning, plus the tail that is inside at its end."""
    n_early = lanes.latency_samples
    for out in _late_blocks(reader, lanes):
        yield out[n_early:]
        n_early = max(n_early - len(out), 0)


def _late_blocks(reader: AudioReader, lanes: Lanes) -> Iterator[Samples]:
    while len(block := reader.read(_BLOCK_SIZE)):
        yield lanes.process(block)
    yield lanes.finish()


def _model_warnings(path: Path | Address, lanes: Lanes) -> list[str]:
    warnings = []
    if n_samples := lanes.sample_faults:
        warnings.append(f"{path}: {n_samples} samples far beyond full scale were taken for silence")
    if n_frames := lanes.frame_faults:
        warnings.append(f"{path}: the model failed on {n_frames} frames, which are left as they were")
    return warnings
