"""Several files restored, as many at once as there are cores for, all of them even if one fails."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from itertools import compress
from threading import Event, Lock
from typing import Literal

from apollo_rt.control.parameters import Parameters
from apollo_rt.errors import ApolloError, ExistingFileError, PipeClosedError
from apollo_rt.existing import Existing, is_there
from apollo_rt.files.audio_reader import ReadSettings
from apollo_rt.files.offline import Progress, RestoreReport, restore_with
from apollo_rt.files.output_format import OutputSettings
from apollo_rt.files.plan import Job
from apollo_rt.inference.model import Model, load

JobProgress = Callable[[Job, int, int | None], None]
"""Called with the job, samples done, and samples in all (None: the file doesn't say)."""


_WAYS = "--overwrite replaces it, --skip-existing leaves it"


@dataclass(frozen=True)
class Outcome:
    """Outcome of a job: its report, or why there is none.

    Attributes:
        job: what was to be done.
        report: what was done; None where nothing was.
        error: why nothing was done, in one line; None where the target had been there and was left.
    """

    job: Job
    report: RestoreReport | None = None
    error: str | None = None

    @property
    def is_left(self) -> bool:
        """The target had been there before, and was wanted to be left."""
        return self.report is None and self.error is None


def run_jobs(
    jobs: Sequence[Job],
    model: Model | None = None,
    parameters: Parameters | None = None,
    progress: JobProgress | None = None,
    output: OutputSettings | None = None,
    threads: int = 1,
    existing: Existing = "error",
    reading: ReadSettings = ReadSettings(),  # noqa: B008 (frozen)
) -> Iterator[Outcome]:
    """Restore files; what one of them does wrong is its own outcome, and stops no other.

    A single file gets all threads for itself, which brings less than a file for each: they share batches of frames.

    Args:
        jobs: from `plan_jobs`.
        model: None for the model that ships with the package.
        parameters: of all files, checked when they were set; None for the table's defaults.
        progress: called after every block, by one thread at a time.
        output: as in `restore_file`.
        threads: cores to use.
        existing: what becomes of targets that are there already.
        reading: which track of the sources, and whether it is mixed down.

    Yields:
        What became of each job, as soon as it is done; those that nothing is to be done for come first.

    Raises:
        ModelFileError: the model that ships with the package is damaged.
        PipeClosedError: the target is a pipe that nobody reads any more.
        ValueError: `threads` is out of bounds.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    restore = partial(_outcome, model or load(), parameters or Parameters(), output, existing, reading)
    is_found = [existing != "overwrite" and is_there(job.target) for job in jobs]
    yield from (_found_there(job, existing) for job in compress(jobs, is_found))
    waiting = [job for job, found in zip(jobs, is_found, strict=True) if not found]
    yield from _done_at_once(waiting, threads, restore, progress)


def _done_at_once(
    jobs: Sequence[Job], threads: int, restore: Callable[[Job, Progress, int], Outcome], progress: JobProgress | None
) -> Iterator[Outcome]:
    """Outcomes of as many jobs at once as there are threads; whoever leaves early leaves none at work."""
    lock, is_left = Lock(), Event()
    n_at_once = max(1, min(threads, len(jobs)))

    def done(job: Job) -> Outcome:
        def report(n_done: int, total: int | None) -> None:
            if is_left.is_set():
                raise CancelledError
            with lock:
                if progress:
                    progress(job, n_done, total)

        return restore(job, report, threads // n_at_once)

    if n_at_once == 1:
        yield from map(done, jobs)
        return
    pool = ThreadPoolExecutor(n_at_once, "restore")
    try:
        for outcome in as_completed([pool.submit(done, job) for job in jobs]):
            yield outcome.result()
    finally:
        is_left.set()
        pool.shutdown(cancel_futures=True)


def _outcome(
    model: Model,
    parameters: Parameters,
    output: OutputSettings | None,
    existing: Existing,
    reading: ReadSettings,
    job: Job,
    progress: Progress,
    threads: int,
) -> Outcome:
    kind: Literal["error", "overwrite"] = "overwrite" if existing == "overwrite" else "error"
    try:
        if job.makes_folders:
            job.target.parent.mkdir(parents=True, exist_ok=True)
        report = restore_with(
            parameters, job.source, job.target, model, progress, output, threads, False, kind, reading
        )
    except (CancelledError, PipeClosedError):
        raise
    except ExistingFileError:  # it came meanwhile
        return _found_there(job, existing)
    except ApolloError as error:
        return Outcome(job, error=str(error))
    except Exception as error:
        # Whatever it is, a fault of ours included, it is about this file: the others are still to be restored.
        return Outcome(job, error=f"{job.source}: {_in_words(error)}")
    return Outcome(job, report)


def _found_there(job: Job, existing: Existing) -> Outcome:
    if existing == "skip":
        return Outcome(job)
    return Outcome(job, error=f"{job.target}: is there already; {_WAYS}")


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    return f"{type(error).__name__}: {error}"
