"""More than two channels restored: a stream of its own for each pair, and for each channel that stands alone."""

from collections.abc import Callable, Sequence

import numpy as np

from apollo_rt.control.parameters import Parameters
from apollo_rt.files.sound import Samples
from apollo_rt.stream.batch_stream import BatchStream
from apollo_rt.stream.dry_line import DryLine
from apollo_rt.stream.restoration_stream import RestorationStream

Stream = RestorationStream | BatchStream


class Lanes:
    """Streams side by side, in step.

    Args:
        pairs: channels of each lane, one or two; from `AudioReader.channel_pairs`.
        open_stream: makes a stream in its first state.
        parameters: of all lanes.

    Attributes:
        latency_samples: of all lanes.
        n_columns: two for each lane.
    """

    def __init__(
        self, pairs: Sequence[Sequence[int]], open_stream: Callable[[], Stream], parameters: Parameters
    ) -> None:
        """Open the streams."""
        self._pairs = pairs
        self._streams = [open_stream() for _ in pairs]
        self.latency_samples = self._streams[0].latency_samples
        self.n_columns = 2 * len(pairs)
        rate = self._streams[0].framing.sample_rate
        self._lines = [DryLine(self.latency_samples, parameters, rate) for _ in pairs]

    @property
    def sample_faults(self) -> int:
        """Samples that were no audio, in all lanes."""
        return sum(stream.processor.sample_faults for stream in self._streams)

    @property
    def frame_faults(self) -> int:
        """Frames that the model failed on, in all lanes."""
        return sum(stream.processor.frame_faults for stream in self._streams)

    def process(self, dry: Samples) -> Samples:
        """Restore the next block of all lanes.

        Shape:
            `(samples, 2 * lanes)` in and out.
        """
        return self._mixed(
            dry, [stream.process(part) for stream, part in zip(self._streams, self._split(dry), strict=True)]
        )

    def finish(self) -> Samples:
        """End the streams: give what is still inside them, `latency_samples` of them; nothing may follow.

        Shape:
            `(samples, 2 * lanes)`.
        """
        dry = np.zeros((self.latency_samples, self.n_columns), np.float32)
        return self._mixed(dry, [stream.finish() for stream in self._streams])

    def _mixed(self, dry: Samples, wet: Sequence[Samples]) -> Samples:
        parts = [line.mixed(*each) for line, *each in zip(self._lines, self._split(dry), wet, strict=True)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def joined(self, block: Samples) -> Samples:
        """Put the lanes' columns back into the order of the channels; a single lane stays as it is.

        Shape:
            `(samples, 2 * lanes)` in; out `(samples, channels)`, or `(samples, 2)` of a single lane.
        """
        if len(self._pairs) == 1:
            return block
        channels = np.empty((len(block), sum(map(len, self._pairs))), np.float32)
        for pair, part in zip(self._pairs, self._split(block), strict=True):
            channels[:, list(pair)] = part if len(pair) == 2 else part.mean(axis=1, keepdims=True)
        return channels

    def _split(self, block: Samples) -> list[Samples]:
        return [np.ascontiguousarray(block[:, column : column + 2]) for column in range(0, self.n_columns, 2)]
