"""The files at either end of an engine: fed beside the audio path, watched, and finished or thrown away at the end.

What was read from a file can be read again, so after an error the unfinished output goes. What a device or a radio gave
is heard once: what was written of it is kept whatever ended it.
"""

from typing import Protocol, runtime_checkable

from apollo_rt.compiled.records import load
from apollo_rt.live.endpoints.file_feed import Sink, SinkFeed, Source, SourceFeed
from apollo_rt.live.endpoints.live_source import LiveSource, RadioState, TellingSource
from apollo_rt.live.realtime.shared_state import SharedState


@runtime_checkable
class SurvivingSink(Protocol):
    """A sink that lives on where nothing more can be written says this beside the rest."""

    @property
    def n_lost(self) -> int:
        """Samples that were not written."""

    def take_messages(self) -> list[str]:
        """Messages for the user since the last call, one line each."""


class FileEndpoints:
    """Source and sink of a stream, with a thread each.

    Args:
        source: None where a device captures.
        sink: None where a device plays.
        shared: its queues are filled and emptied.
        n_leading: samples to drop at the beginning of what is written: the latency.
    """

    def __init__(
        self, source: Source | LiveSource | None, sink: Sink | None, shared: SharedState, n_leading: int
    ) -> None:
        self._sink, self._shared = sink, shared
        self._is_heard_once = source is None or isinstance(source, LiveSource)
        self._telling = source if isinstance(source, TellingSource) else None
        self._source_feed = SourceFeed(source, shared.source) if source else None
        self._sink_feed = SinkFeed(sink, shared.sink, n_leading, shared.source) if sink else None

    @property
    def error(self) -> Exception | None:
        """Reason why a file broke off, if one did."""
        threads = [feed.thread for feed in (self._source_feed, self._sink_feed) if feed]
        return next((thread.error for thread in threads if thread.error), None)

    @property
    def n_unrecorded(self) -> int:
        """Samples that a sink which lives on could not write."""
        return self._sink.n_lost if isinstance(self._sink, SurvivingSink) else 0

    @property
    def radio(self) -> RadioState | None:
        """State of the source, where it tells one."""
        n_heard = int(load(self._shared.source.marks, "read")) - int(self._shared.control.delay)
        return self._telling.state(n_heard) if self._telling else None

    def take_titles(self) -> list[tuple[int, str]]:
        """Titles of the source with the output sample at which they begin, of what was taken; told once."""
        if self._telling is None:
            return []
        control, marks = self._shared.control, self._shared.source.marks
        # Silence stood in for what came late, and lies between. A callback may be at work: it takes first and
        # counts afterwards, so that the most of a few readings is what it is.
        n_taken = int(load(marks, "read"))
        n_silent = max(int(load(self._shared.stats.counters, "samples")) - int(load(marks, "read")) for _ in range(8))
        delay = max(n_silent, 0) + int(control.delay)
        return [(place + delay, title) for place, title in self._telling.take_titles(n_taken)]

    def start(self, n_samples: int) -> None:
        """Start both; returns when so many samples, or all there are, are decoded."""
        if self._source_feed:
            self._source_feed.start(n_samples)
        if self._sink_feed:
            self._sink_feed.start()

    def poll(self) -> list[str]:
        """Messages about the files for the user, one line each."""
        lines = self._telling.take_messages() if self._telling else []
        return lines + (self._sink.take_messages() if isinstance(self._sink, SurvivingSink) else [])

    def stop(self, complete: bool, is_over: bool) -> list[str]:
        """End both, once nothing moves samples any more; finish what was written, or throw it away.

        Args:
            complete: nothing went wrong; after an error only what is heard once is wanted.
            is_over: the source came to its end, so that all of it is wanted.

        Returns:
            What a user should know, one line each.

        Raises:
            AudioFileError: the file can't be finished.
        """
        if self._source_feed:
            self._source_feed.stop()
        if self._sink_feed and self._sink:
            self._sink_feed.stop(is_over)
            whole = complete and self.error is None
            if whole or (self._is_heard_once and self._sink_feed.has_written and self._sink_feed.thread.error is None):
                self._sink.commit()
                return self.poll() + ([] if whole else ["what was written until then is kept"])
            self._sink.abort()
        return self.poll()
