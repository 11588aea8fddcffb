"""A radio as a source of the engine: listened to in a thread, held at its reserve, silent where nothing comes.

    thread "radio":  connections -> bytes -> blocks -> SoundBuffer
    feed's thread:                                     SoundBuffer -> HeldSound -> queue of the engine

Into a file or a pipe nothing is held back, dropped or resampled.
"""

import threading
import time
from collections import deque

import numpy as np
from numpy.typing import NDArray

from apollo_rt.errors import AudioFileError
from apollo_rt.live.endpoints.live_source import RadioState
from apollo_rt.network.address import shown
from apollo_rt.network.continued_stream import ContinuedStream
from apollo_rt.network.stream import NetworkStream
from apollo_rt.printable import printable
from apollo_rt.radio.decoded_stream import DecodedStream, StreamFacts
from apollo_rt.radio.held_sound import PART_LENGTH, HeldSound, compile_ahead
from apollo_rt.radio.reserve import MOST_S, Reserve
from apollo_rt.radio.sound_buffer import SoundBuffer
from apollo_rt.radio.title_marks import TitleMarks
from apollo_rt.system.guarded_thread import GuardedThread

_LONGEST_TOLD = 300
_MOST_S = 2 * MOST_S
_PAUSE_S = 1.0
_ENDING_S = 2.0
_PATIENCE_S, _FILES_PATIENCE_S = 0.75, 10.0
"""For what was heard to be sent again: a device is to play within 2 s of the server's return, a file has time."""


class RadioSource:
    """A `live_source.LiveSource` of a network stream.

    Args:
        url: of a stream, a file or a playlist.
        sample_rate: Hz, of what comes out.
        is_held: a device plays it, by its own clock; else all that comes is given as it comes.
        reserve_s: seconds that are held back; None: as the stream asks for.
        give_up_s: for how long a stream that is lost is looked for; 0: not at all, that is an error.

    Raises:
        NetworkError: it can't be had.
    """

    def __init__(
        self, url: str, sample_rate: int, is_held: bool, reserve_s: float | None = None, give_up_s: float = 300.0
    ) -> None:
        """Connect; nothing is decoded before `start`."""
        self._url, self._rate, self._is_held, self._give_up_s = url, sample_rate, is_held, give_up_s
        if is_held:  # compiled before a server waits for us
            compile_ahead(sample_rate)
        self._first: NetworkStream | None = NetworkStream(url)
        self._station = self._first.name
        self._is_file = self._first.is_file
        self._facts = StreamFacts()
        self._buffer = SoundBuffer(round(_MOST_S * sample_rate))
        self._reserve = Reserve(reserve_s, sample_rate)
        self._held: HeldSound | None = None
        self._continued: ContinuedStream | None = None
        self._thread = GuardedThread("radio", self._run)
        self._stopping = threading.Event()
        self._messages: deque[str] = deque(maxlen=16)
        self._titles = TitleMarks(most=64)
        self._last_title: str | None = None
        self._n_given = self._n_reconnections = 0
        self._lost_s = 0.0
        self._is_connected, self._has_ended = True, False

    def start(self) -> None:
        """Begin to listen."""
        if self._is_held and not self._is_file:
            self._held = HeldSound(self._buffer, self._reserve, self._rate)
        self._thread.start()

    def interrupt(self) -> None:
        """End; from another thread."""
        self._stopping.set()
        self._buffer.close()
        for stream in (self._continued, self._first):
            if stream:
                stream.close()
        self._thread.join(_ENDING_S)

    def take(self, n_queued: int) -> NDArray[np.float32] | None:
        """Samples for the engine now, `(samples, 2)`; none where there is nothing yet, None at the end.

        Raises:
            AudioFileError: it was given up, or is no sound.
        """
        if not self._thread.is_alive and not len(self._buffer) and self._is_over():
            return None
        n_before = self._buffer.n_out
        if self._held is None:
            return self._given(self._buffer.take(PART_LENGTH), n_before)
        taken = self._held.take(n_queued, self._facts.lump_s, self._has_ended, is_lost=not self._is_connected)
        return self._given(taken, n_before)

    def state(self, n_heard: int) -> RadioState:
        """State of the radio."""
        facts, held = self._facts, self._held
        continued = self._continued
        n_reconnections = self._n_reconnections + (continued.reconnections if continued else 0)
        return RadioState(
            shown(self._url),
            _told(self._station),
            _told(self._titles.heard(n_heard)),
            facts.codec,
            facts.sample_rate,
            facts.channels,
            self._is_connected,
            self._reserve.duration_s if held else 0.0,
            len(self._buffer) / self._rate,
            1e6 * self._reserve.correction,
            n_reconnections,
            held.n_stalls if held else 0,
            self._reserve.n_jumps,
            self._buffer.n_dropped / self._rate,
            facts.n_faults,
            held is not None and held.is_waiting,
        )

    def take_titles(self, n_taken: int) -> list[tuple[int, str]]:
        """Titles of what the engine has taken, with the number of their first sample; told once."""
        return [(place, _told(title)) for place, title in self._titles.take(n_taken)]

    def take_messages(self) -> list[str]:
        """Messages for the user since the last call, one line each."""
        return [self._messages.popleft() for _ in range(len(self._messages))]

    def _is_over(self) -> bool:
        if self._thread.error:
            raise self._thread.error
        return self._has_ended

    def _given(self, samples: NDArray[np.float32], n_before: int) -> NDArray[np.float32]:
        """Note the titles that begin in samples which follow so many of the buffer's."""
        n_most = max(len(samples) - 1, 0)
        for place, title in self._buffer.take_titles():
            if title != self._last_title:  # some servers say it again and again, most to whoever comes back
                self._titles.note(self._n_given + min(max(place - n_before, 0), n_most), title)
            self._last_title = title
        self._n_given += len(samples)
        return samples

    def _run(self) -> None:
        """Listen until the stream's end, or until it is given up."""
        stream, head, lost_s = self._first, b"", 0.0
        while not self._stopping.is_set():
            has_played = self._buffer.n_in > 0
            try:
                self._continued = ContinuedStream(
                    lambda: NetworkStream(self._url),
                    stream,
                    head,
                    self._give_up_s,
                    self._note_lost,
                    _PATIENCE_S if self._is_held else _FILES_PATIENCE_S,
                )
                self._decode(self._continued)
                if self._continued.error:
                    raise self._continued.error
                lost_s = 0.0
            except AudioFileError as error:
                lost_s = lost_s or time.monotonic()
                was_given_up = self._continued is not None and error is self._continued.error
                is_given_up = was_given_up or time.monotonic() - lost_s >= self._give_up_s
                if self._stopping.is_set():
                    return
                if not has_played or is_given_up:
                    raise
                self._note_lost(str(error))
                stream, head = None, b""
                self._stopping.wait(_PAUSE_S)
                continue
            self._n_reconnections += self._continued.reconnections
            follower = self._continued.take_follower()
            if follower is None:
                self._has_ended = True
                return
            stream, head = follower

    def _decode(self, continued: ContinuedStream) -> None:
        decoded = DecodedStream(continued, self._rate, self._facts)
        try:
            for block in decoded.blocks():
                if not continued.is_lost:  # else it is what the decoder still held
                    self._note_found()
                self._buffer.put(block)
                if self._stopping.is_set():
                    return
        finally:
            if not continued.follower:
                decoded.close()

    def _note_found(self) -> None:
        if not self._is_connected:
            away_s = time.monotonic() - self._lost_s
            self._messages.append(f"{shown(self._url)}: found again after {away_s:.1f} s")
        self._is_connected = True

    def _note_lost(self, reason: str) -> None:
        if self._stopping.is_set():  # hung up by ourselves, which is no loss that could be found again
            return
        if self._is_connected:
            self._lost_s = time.monotonic()
            self._messages.append(f"{shown(self._url)}: lost ({reason}); it is being looked for")
        self._is_connected = False


def _told(text: str) -> str:
    """Text of a stranger, harmless and short enough to be shown."""
    return printable(text)[:_LONGEST_TOLD]
