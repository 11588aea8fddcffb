"""Nodes of a playing `Board` have a latency each, which add up along a series and meet in parallel.

series      latencies add up
parallel    .-- short branch -- delay --.
            '-- long branch ------------'-- sum         the delay makes both equally late, to the sample
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from apollo_rt.effects.effect import Effect, Samples


class Node(Protocol):
    """A stream of `(channels, samples)`, any block size."""

    def start(self, sample_rate: float, n_channels: int) -> int:
        """Begin; returns the latency in samples."""

    def push(self, block: Samples) -> Samples:
        """As many samples out as in."""

    def whole(self, audio: Samples, sample_rate: float, buffer_size: int) -> Samples:
        """All of a sound at once, as long as it and aligned with it; no stream may have begun."""

    def forget(self) -> None:
        """End; the next stream is as the first."""


class EffectNode:
    """One of our own effects."""

    def __init__(self, effect: Effect) -> None:
        self._effect = effect

    def start(self, sample_rate: float, n_channels: int) -> int:
        """Begin."""
        self._effect.reset()
        return self._effect.begin(sample_rate, n_channels)

    def push(self, block: Samples) -> Samples:
        """The effect's next samples."""
        return self._effect.push(block)

    def whole(self, audio: Samples, sample_rate: float, buffer_size: int) -> Samples:
        """A call of its own."""
        return self._effect.process(audio, sample_rate, buffer_size)

    def forget(self) -> None:
        """End."""
        self._effect.reset()


class Series:
    """One after the other."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = tuple(nodes)

    def start(self, sample_rate: float, n_channels: int) -> int:
        """Begin; the latency is the sum."""
        return sum(node.start(sample_rate, n_channels) for node in self._nodes)

    def push(self, block: Samples) -> Samples:
        """Through all."""
        for node in self._nodes:
            block = node.push(block)
        return block

    def whole(self, audio: Samples, sample_rate: float, buffer_size: int) -> Samples:
        """All of it through one, then through the next."""
        for node in self._nodes:
            audio = node.whole(audio, sample_rate, buffer_size)
        return audio

    def forget(self) -> None:
        """End."""
        for node in self._nodes:
            node.forget()


class Parallel:
    """Side by side, summed; branches that are earlier than the latest one wait for it. None at all gives silence."""

    def __init__(self, branches: Sequence[Node]) -> None:
        self._branches = tuple(branches)

    def start(self, sample_rate: float, n_channels: int) -> int:
        """Begin; the latency is that of the latest branch."""
        latencies = [branch.start(sample_rate, n_channels) for branch in self._branches]
        latest = max(latencies, default=0)
        self._held = [np.zeros((n_channels, latest - latency), np.float32) for latency in latencies]
        return latest

    def push(self, block: Samples) -> Samples:
        """The sum of all branches."""
        total = np.zeros_like(block)
        for number, branch in enumerate(self._branches):
            line = np.concatenate((self._held[number], branch.push(block)), axis=1)
            self._held[number] = line[:, block.shape[1] :]
            total += line[:, : block.shape[1]]
        return total

    def whole(self, audio: Samples, sample_rate: float, buffer_size: int) -> Samples:
        """The sum of all branches."""
        return sum((branch.whole(audio, sample_rate, buffer_size) for branch in self._branches), np.zeros_like(audio))

    def forget(self) -> None:
        """End."""
        for branch in self._branches:
            branch.forget()
