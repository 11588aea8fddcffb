"""One plugin, hop by hop, at a constant latency; where it fails it is bypassed, at the same latency and without a step.

What Pedalboard does with `reset=False` was measured (0.9.26). After `reset()` every plugin, VST3 or its own, begins by
returning fewer samples than it is given, as many fewer as its latency is (BrickwallLimiter: 36 of the first 256, for
220), and then as many: a queue with so much silence in front makes a constant delay of that. A VST3 that was never
reset returns as many from the beginning, late by what it reports; so each is reset before it begins. What an impulse
takes is measured beside it, for those that say something else than they do.
"""

import numpy as np
from numpy.typing import NDArray

from apollo_rt.errors import PluginError
from apollo_rt.latency import FADE_LENGTH
from apollo_rt.plugins.held_back import most_held_back
from apollo_rt.plugins.native_parameters import NOT_LIVE
from apollo_rt.plugins.pedalboard_plugins import make_plugin, reported_latency, rows_of, set_value
from apollo_rt.plugins.plugin_spec import PluginSpec, Value

Block = NDArray[np.float32]
"""(2, samples), as Pedalboard wants it."""

_LONGEST_LATENCY_S = 5.0
_WARM_HOPS = 16
"""Hops that a plugin runs unheard before it is faded in again: 93 ms."""


class HostedPlugin:
    """A loaded plugin.

    Args:
        spec: what the user said.
        sample_rate: Hz.
        hop_length: samples that are always processed at once.

    Attributes:
        latency: samples.
        arrival: samples after which an impulse came out loudest; what a plugin does to a sound may move it.
        rows: see `pedalboard_plugins.rows_of`.
        failure: why it was taken out, or nothing.
        is_bypassed: the user wants to hear its input instead.

    Raises:
        PluginError: it can't be had.
    """

    def __init__(self, spec: PluginSpec, sample_rate: int, hop_length: int) -> None:
        self.failure = ""
        self.is_bypassed = False
        self._rate, self._hop_length = sample_rate, hop_length
        if spec.kind in NOT_LIVE:
            raise PluginError(f"{spec.kind}: can't be live: block by block it {NOT_LIVE[spec.kind]}")
        self._plugin = make_plugin(spec)
        self.rows = rows_of(self._plugin)
        self._reported = reported_latency(self._plugin)
        self.latency, self.arrival = self._measured(spec)
        n_fade = min(FADE_LENGTH, hop_length)
        self._ramp = (np.arange(1, n_fade + 1) / n_fade).astype(np.float32)
        self._gain = 1.0
        self._n_warm = 0
        self._dry: Block = np.zeros((2, self.latency), np.float32)
        self._warm_hops = -(-self.latency // hop_length) + _WARM_HOPS
        self.reset()

    def process(self, hop: Block) -> Block:
        """The next hop, `latency` samples later: the plugin's, or the input where it is bypassed."""
        line: Block = np.concatenate((self._dry, hop), axis=1)
        dry = line[:, : self._hop_length]
        self._dry = line[:, self._hop_length :]
        wet = self._wet_or_none(hop)
        is_heard = not self.is_bypassed and wet is not None and self._n_warm > self._warm_hops
        return self._faded(dry, wet, is_heard)

    def set_value(self, name: str, value: Value) -> None:
        """Change a parameter; heard from the next hop on.

        Raises:
            PluginError: the plugin refuses, or its latency is another now.
        """
        set_value(self._plugin, name, value)
        latency = reported_latency(self._plugin)
        if latency != self._reported:
            raise PluginError(
                f"{name}={value!r} changes its latency from {self._reported} to {latency} samples while it plays; "
                "start anew with that value"
            )

    def reset(self) -> None:
        """Forget all sound; as new, apart from the parameters."""
        self._plugin.reset()
        self._queue: Block = np.zeros((2, self.latency), np.float32)
        self._dry = np.zeros((2, self.latency), np.float32)
        self._difference: Block = np.zeros((2, 1), np.float32)
        self._gain = 0.0 if self.is_bypassed or self.failure else 1.0
        self._n_warm = self._warm_hops  # silence was before, and silence is what it holds

    def fail(self, reason: str) -> None:
        """Take it out for good."""
        self.failure = self.failure or reason

    def _wet_or_none(self, hop: Block) -> Block | None:
        """The plugin's own output, where it is heard, or shall be."""
        if self.failure or (self.is_bypassed and self._gain == 0.0):
            self._n_warm = 0
            return None
        if self._n_warm == 0:
            self._plugin.reset()
            self._queue = np.zeros((2, self.latency), np.float32)
        self._n_warm += 1
        try:
            return self._wet(hop)
        except Exception as error:  # a plugin's code may raise anything
            self.fail(_one_line(error))
        return None

    def _wet(self, hop: Block) -> Block:
        out = self._processed(hop)
        queue = np.concatenate((self._queue, out), axis=1)
        wet, self._queue = queue[:, : self._hop_length], queue[:, self._hop_length :]
        if wet.shape[1] < self._hop_length:
            raise PluginError(f"returned {out.shape[1]} samples of {self._hop_length}, fewer than it may hold back")
        if not np.isfinite(wet).all():
            raise PluginError("returned values that are no numbers")
        return wet

    def _processed(self, hop: Block) -> Block:
        out: Block = self._plugin.process(hop, self._rate, buffer_size=self._hop_length, reset=False)
        return out

    def _faded(self, dry: Block, wet: Block | None, is_heard: bool) -> Block:
        """From one to the other at 1/64 per sample; where the plugin's output ends its last distance from dry fades."""
        target = 1.0 if is_heard else 0.0
        if self._gain == target:
            out = dry if wet is None or target == 0.0 else wet
        else:
            difference = self._difference if wet is None else wet - dry
            gains = np.full(self._hop_length, target, np.float32)
            gains[: len(self._ramp)] = self._gain + (target - self._gain) * self._ramp
            out = dry + gains * difference
            self._gain = target
        if wet is not None:
            self._difference = wet[:, -1:] - dry[:, -1:]
        return np.ascontiguousarray(out)

    def _measured(self, spec: PluginSpec) -> tuple[int, int]:
        """Samples that it holds back at most, and by which an impulse comes out later."""
        self._plugin.reset()
        try:
            held_back, shift = most_held_back(
                self._processed, (2, self._hop_length), self._rate, longest_s=_LONGEST_LATENCY_S
            )
        except ValueError as error:
            raise PluginError(f"{spec.label}: can't be live: {_one_line(PluginError(str(error)))}") from None
        except Exception as error:  # a plugin's code may raise anything
            raise PluginError(f"{spec.label}: can't process stereo: {_one_line(error)}") from None
        return held_back, held_back + shift


class AbsentPlugin:
    """In the place of a plugin that crashed: its latency, and nothing else.

    Args:
        latency: samples.
        hop_length: samples that are always processed at once.
    """

    failure = "absent"

    def __init__(self, latency: int, hop_length: int) -> None:
        self._hop_length = hop_length
        self._held: Block = np.zeros((2, latency), np.float32)

    def process(self, hop: Block) -> Block:
        """The input, `latency` samples later."""
        line = np.concatenate((self._held, hop), axis=1)
        self._held = line[:, self._hop_length :]
        return line[:, : self._hop_length]

    def reset(self) -> None:
        """Forget all sound."""
        self._held = np.zeros_like(self._held)


def _one_line(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return text if isinstance(error, PluginError) else f"raised {type(error).__name__}: {text}"
