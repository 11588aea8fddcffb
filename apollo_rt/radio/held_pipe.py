"""A pipe that a device plays: read in a thread, held at its reserve, silent where nothing comes.

Who writes it may keep time, by a clock of his own (a player, a capture), or may be as fast as he is let (a decoder).
The first is held by how fast he is read; the second waits for us, and nothing is dropped of either.
"""

import threading

import numpy as np

from apollo_rt.errors import AudioFileError
from apollo_rt.files.audio_reader import AudioReader, Samples
from apollo_rt.live.endpoints.live_source import RadioState
from apollo_rt.radio.held_sound import PART_LENGTH, HeldSound, compile_ahead
from apollo_rt.radio.reserve import MOST_S, Reserve
from apollo_rt.radio.sound_buffer import SoundBuffer, StreamBlock
from apollo_rt.radio.title_marks import TitleMarks
from apollo_rt.system.guarded_thread import GuardedThread

_ENDING_S = 2.0


class HeldPipe:
    """A `live_source.LiveSource` of a pipe.

    Args:
        reader: of the pipe; closed by the caller.
        sample_rate: Hz, of what the reader gives.
        reserve_s: seconds that are held back; None: as the pipe asks for.
    """

    def __init__(self, reader: AudioReader, sample_rate: int, reserve_s: float | None = None) -> None:
        """Nothing is read before `start`."""
        compile_ahead(sample_rate)
        self._reader, self._rate = reader, sample_rate
        self._buffer = SoundBuffer(round(MOST_S * sample_rate))
        self._reserve = Reserve(reserve_s, sample_rate)
        self._held = HeldSound(self._buffer, self._reserve, sample_rate, waits=True)
        self._thread = GuardedThread("pipe", self._run)
        self._stopping = threading.Event()
        self._titles = TitleMarks()
        if reader.tags.title:
            self._titles.note(0, reader.tags.title)
        self._lump_s = 0.0
        self._has_ended = False

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def interrupt(self) -> None:
        """End; from another thread."""
        self._stopping.set()
        self._buffer.close()
        self._reader.interrupt()
        self._thread.join(_ENDING_S)

    def take(self, n_queued: int) -> Samples | None:
        """Samples for the engine now, `(samples, 2)`; none where there is nothing yet, None at the end.

        Raises:
            AudioFileError: it is no sound.
        """
        if not self._thread.is_alive and not len(self._buffer):
            if self._thread.error:
                raise self._thread.error
            return None
        return self._held.take(n_queued, self._lump_s, self._has_ended)

    def state(self, n_heard: int) -> RadioState:
        """State of the pipe."""
        return RadioState(
            url=str(self._reader.path),
            station="",
            title=self._reader.tags.title,
            codec=self._reader.codec,
            sample_rate=self._reader.source_rate,
            channels=self._reader.source_channels,
            reserve_s=self._reserve.duration_s,
            buffered_s=len(self._buffer) / self._rate,
            correction_ppm=1e6 * self._reserve.correction,
            stalls=self._held.n_stalls,
            is_waiting=self._held.is_waiting,
        )

    def take_titles(self, n_taken: int) -> list[tuple[int, str]]:
        """The title of a file that comes through it; told once."""
        return self._titles.take(n_taken)

    def take_messages(self) -> list[str]:
        """Nothing is to be said of a pipe."""
        return []

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and len(part := self._reader.read_some(PART_LENGTH)):
                self._lump_s = max(self._lump_s, len(part) / self._rate)
                self._buffer.put(StreamBlock(np.ascontiguousarray(part, np.float32)))
        except AudioFileError:
            if not self._stopping.is_set():
                raise
        finally:
            self._has_ended = True
