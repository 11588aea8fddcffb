"""A model file from somewhere is tried before it is used: each of its graphs once, in a process of its own with limits.

The bundled models need it not. What is refused by then is refused as a file; a stream never meets it. The process
(`trial_host`) is kept for the next file as long as it is asked again within seconds.
"""

import json
import signal
import subprocess
import threading
from contextlib import suppress

from apollo_rt.errors import ModelFileError
from apollo_rt.inference.model_file import ModelFile
from apollo_rt.inference.trial_host import LENGTH_BYTES
from apollo_rt.system.child_process import child_environment, module_command, wait_or_kill
from apollo_rt.system.guarded_thread import GuardedThread

_PATIENCE_S = 20.0
"""How long a graph may take: far longer than any useful one, on a busy machine too."""

_ENDING_S = 1.0
_KILLED = -9


def probe_model(file: ModelFile) -> None:
    """Check each graph of a file and run it once; the same content is tried once in a process.

    Raises:
        ModelFileError: a graph holds what is not allowed, can't be loaded, fails, crashes, takes more memory or longer
            than any useful one.
    """
    with _LOCK:
        if file.sha256 in _TRIED:
            return
        for graph in (None, *file.card.graphs):
            name = graph.name if graph else "main"
            if fault := _TRIAL.fault_of(file.graph(graph)):
                raise ModelFileError(f"{file.card.path}: the {name} graph is not usable: {fault}")
        _TRIED.add(file.sha256)


class _Trial:
    """The process; one thread at a time asks."""

    def __init__(self) -> None:
        """It starts when it is asked."""
        self._process: subprocess.Popen[bytes] | None = None

    def fault_of(self, model: bytes) -> str:
        """Fault of a graph in words, empty for none; where there is no C library nothing can be told.

        Raises:
            ModelFileError: no process can be started.
        """
        for _ in range(2):  # it may have ended, as it does after a while, just when it was asked
            process = self._running()
            answers: list[bytes] = []
            talk = GuardedThread("model trial", _ask, process, model, answers)
            try:
                talk.start()
                talk.join(_PATIENCE_S)
            finally:  # Ctrl-C too ends what is under way
                if talk.is_alive or not answers:
                    self._end()
            if answers:
                return str(json.loads(answers[0]).get("error", ""))
            if talk.is_alive or process.returncode != 0:
                break
        return _how_it_ended(process.returncode, talk.is_alive)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._end()
            try:
                self._process = subprocess.Popen(  # noqa: S603  # our own module
                    module_command("apollo_rt.inference.trial_host"),
                    env=child_environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,  # what the library has to say is in the answer
                    start_new_session=True,  # Ctrl-C is for us: we end it
                )
            except OSError as error:
                raise ModelFileError(f"a model can't be tried before it is used: {error}") from error
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        wait_or_kill(process, _ENDING_S)
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()


def _ask(process: "subprocess.Popen[bytes]", model: bytes, answers: list[bytes]) -> None:
    assert process.stdin
    assert process.stdout
    with suppress(OSError, ValueError):  # it has ended, or we end it
        process.stdin.write(len(model).to_bytes(LENGTH_BYTES, "little"))
        process.stdin.write(model)
        process.stdin.flush()
        if line := process.stdout.readline():
            answers.append(line)


def _how_it_ended(code: int | None, has_hung: bool) -> str:
    if has_hung or code == _KILLED:
        return f"takes longer than any useful one ({_PATIENCE_S:g} s), or more memory than there is"
    known = {int(number): number.name for number in signal.Signals}
    return f"ends ONNX Runtime's process ({known.get(-(code or 0), f'code {code}')})"


_LOCK = threading.Lock()
_TRIAL = _Trial()
_TRIED: set[str] = set()
"""SHA-256 of what was tried and found right."""
