"""Several files and folders at once: which file becomes which, and all of them restored even if one fails.

```
 apollo-rt restore song.mp3 out.wav       one file to one file
 apollo-rt restore a.mp3 b.ogg restored/  files into a folder:  restored/a.flac  restored/b.flac
 apollo-rt restore albums/ restored/      a folder, its tree mirrored:  restored/1999/track.flac
```
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock

from apollo_rt.control.parameters import Parameters
from apollo_rt.errors import ApolloError, AudioFileError
from apollo_rt.files.audio_reader import ReadSettings
from apollo_rt.files.audio_writer import WRITABLE_SUFFIXES, encoding_of, refuse_same_file
from apollo_rt.files.offline import Progress, RestoreReport, restore_file
from apollo_rt.inference.model import Model, load

MUSIC_SUFFIXES = frozenset(
    (".mp3", ".mp2", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".mp4", ".wav", ".aif", ".aiff", ".wma", ".webm")
)
"""What counts as music inside a folder. A file that is named itself is tried whatever its suffix."""


@dataclass(frozen=True)
class Job:
    """One file to restore.

    Attributes:
        source: the file to read.
        target: the file to write; one that is there already is replaced when the new one is complete.
        makes_folders: folders on the way to the target are made.
    """

    source: Path
    target: Path
    makes_folders: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a report, or the reason why there is none."""

    job: Job
    report: RestoreReport | None
    error: str | None


JobProgress = Callable[[Job, int, int | None], None]
"""Called with the job, samples done, and samples in all (None: the file doesn't say)."""


def plan_jobs(
    inputs: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str], suffix: str = ".flac"
) -> list[Job]:
    """Decide what becomes of what, before anything is written.

    One file goes to the file `output`. Several inputs or a folder go into the folder `output`, and so does one file
    where `output` is a folder or has no suffix. Folders are searched by suffix, hidden files and `output` left out.

    Args:
        inputs: files and folders, at least one.
        output: a file, or a folder that need not be there yet.
        suffix: format of the files in the folder `output`.

    Raises:
        AudioFileError: a folder without music, two sources for one target, a target that is a source, or a suffix that
            can't be written.
    """
    sources, folder = [Path(path) for path in inputs], Path(output)
    if len(sources) == 1 and not sources[0].is_dir() and not _names_folder(output):
        jobs = [Job(sources[0], folder)]
    else:
        _refuse_file_as_folder(folder, sources)
        jobs = [
            Job(source, folder / relative.with_suffix(suffix), makes_folders=True)
            for path in sources
            for source, relative in _music(path, folder)
        ]
    _refuse_clashes(jobs)
    return jobs


def run_jobs(
    jobs: Sequence[Job],
    model: Model | None = None,
    parameters: Mapping[str, float] | None = None,
    progress: JobProgress | None = None,
    float_wav: bool = False,
    threads: int = 1,
    reading: ReadSettings = ReadSettings(),  # noqa: B008 (frozen)
) -> Iterator[Outcome]:
    """Restore files, as many at once as there are threads for; one that fails does not stop the others.

    A single file gets all threads for itself, which brings less than a file for each: they share blocks of frames.

    Args:
        jobs: from `plan_jobs`.
        model: None for the model that ships with the package.
        parameters: as in `restore_file`, by name.
        progress: called after every block, by one thread at a time.
        float_wav: as in `restore_file`.
        threads: cores to use.
        reading: which track of the sources, and whether it is mixed down.

    Yields:
        What became of each job, as soon as it is done.

    Raises:
        ModelFileError: the model that ships with the package is damaged.
        ValueError: a parameter or `threads` is out of bounds.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    Parameters(**(parameters or {}))  # says what is wrong before the first file is read
    model, lock, is_left = model or load(), Lock(), Event()
    n_at_once = max(1, min(threads, len(jobs)))
    threads_each = threads // n_at_once

    def restore(job: Job) -> Outcome:
        def report_progress(done: int, total: int | None) -> None:
            if is_left.is_set():
                raise CancelledError
            with lock:
                if progress:
                    progress(job, done, total)

        return _outcome(job, model, parameters or {}, report_progress, float_wav, threads_each, reading)

    if n_at_once == 1:
        yield from map(restore, jobs)
        return
    pool = ThreadPoolExecutor(n_at_once, "restore")
    try:
        for done in as_completed([pool.submit(restore, job) for job in jobs]):
            yield done.result()
    finally:  # whoever leaves early, by an interrupt say, leaves no thread at work
        is_left.set()
        pool.shutdown(cancel_futures=True)


def _outcome(
    job: Job,
    model: Model,
    parameters: Mapping[str, float],
    progress: Progress,
    float_wav: bool,
    threads: int,
    reading: ReadSettings,
) -> Outcome:
    try:
        if job.makes_folders:
            job.target.parent.mkdir(parents=True, exist_ok=True)
        report = restore_file(job.source, job.target, model, progress, float_wav, threads, False, reading, **parameters)
    except (ApolloError, OSError) as error:
        return Outcome(job, None, str(error))
    return Outcome(job, report, None)


def _names_folder(output: str | os.PathLike[str]) -> bool:
    text = os.fspath(output)
    return Path(text).is_dir() or text.endswith(("/", os.sep)) or not Path(text).suffix


def _refuse_file_as_folder(output: Path, sources: Sequence[Path]) -> None:
    if output.is_dir() or not (output.exists() or output.suffix.lower() in WRITABLE_SUFFIXES):
        return
    what = f"{sources[0]}: is a folder, which" if len(sources) == 1 else f"{len(sources)} inputs"
    raise AudioFileError(f"{what} can't become the file {output}; name a folder for the output")


def _music(path: Path, output: Path) -> list[tuple[Path, Path]]:
    """The music that an input stands for: each file, and where it goes inside the output folder."""
    if not path.is_dir():
        return [(path, Path(path.name))]
    root, inside = path.resolve(), output.resolve()
    left_out = inside if inside != root and inside.is_relative_to(root) else None
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in MUSIC_SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and not (left_out and file.resolve().is_relative_to(left_out))
    )
    if not found:
        raise AudioFileError(f"{path}: no music in this folder (looked for {' '.join(sorted(MUSIC_SUFFIXES))})")
    return [(file, file.relative_to(path)) for file in found]


def _refuse_clashes(jobs: Sequence[Job]) -> None:
    sources = {job.source.resolve(): job.source for job in jobs}
    makers: dict[Path, Path] = {}
    for job in jobs:
        encoding_of(job.target)
        refuse_same_file(job.source, job.target)
        target = job.target.resolve()
        if target in sources:
            raise AudioFileError(f"{job.target}: is itself one of the inputs; choose another folder for the output")
        if target in makers:
            raise AudioFileError(
                f"{makers[target]} and {job.source} would both become {job.target}; restore them into different folders"
            )
        makers[target] = job.source
