"""Latency of the live engine: what it is made of, in samples and milliseconds, and why each term is as long as it is.

Output sample t is input sample t - D, always, with `D = algorithmic + rebuffering + headroom`; devices add their own.

    algorithmic   synthesis window and lookahead: what remains when blocks are one sample long and compute is free
    rebuffering   `B - gcd(B, H)`: blocks of B samples bring hops of H samples late, and want output a block at a time
    headroom      pre-fill that covers compute time and jitter; its last `FADE_LENGTH` samples are what a fade needs

Proof. Number callbacks by the samples delivered when each begins: P = 0, B, 2B, ... A hop that ends with sample x - 1
reaches the worker with the callback at `P = ceil(x / B) * B - B`. A worker that spends c <= H samples of time on each
hop has it done by `x + c - g`, with g = gcd(B, H): hops that come together wait for each other, but their deadlines lie
as far apart. It is first needed by the callback whose end, moved on by the fade's reserve F, passes what is there:
`P + B + F - D > x - algorithmic`, thus `P >= x + headroom - F - g + 1`. All of these lie on a grid of g samples, so the
hop is in time for every `c <= g * ceil((headroom - F + 1) / g)`: the `step_budget`. Where block sizes vary up to B,
g = 1. `tests/test_latency.py` simulates it for every block size.
"""

import math
from dataclasses import dataclass

FADE_LENGTH = 64
"""Length in samples of a crossfade between wet and dry: 1.45 ms at 44.1 kHz; wet and dry are aligned and correlated."""


def rebuffering_latency(block_size: int, hop_length: int, varying: bool = False) -> int:
    """Latency that comes from blocks and hops being of different length.

    Args:
        block_size: samples per callback, 1 or more; the most where they vary.
        hop_length: samples per hop, 1 or more.
        varying: the device chooses another block size for each callback.

    Returns:
        Samples.
    """
    return block_size - _grid(block_size, hop_length, varying)


def step_budget(block_size: int, hop_length: int, headroom: int, varying: bool = False) -> int:
    """Time that every step may take without a hop ever being late, whatever the phase of blocks and hops.

    Args:
        block_size: samples per callback, 1 or more; the most where they vary.
        hop_length: samples per hop, 1 or more.
        headroom: samples, at least `FADE_LENGTH`.
        varying: the device chooses another block size for each callback.

    Returns:
        Samples of time, at most one hop: steps that take longer can't keep up at all.
    """
    grid = _grid(block_size, hop_length, varying)
    return min(hop_length, grid * -(-(headroom - FADE_LENGTH + 1) // grid))


def _grid(block_size: int, hop_length: int, varying: bool) -> int:
    return 1 if varying else math.gcd(block_size, hop_length)


@dataclass(frozen=True)
class LatencyTerm:
    """One named part of the latency; `samples` is None where a device reports seconds only."""

    name: str
    seconds: float
    samples: int | None = None

    @property
    def ms(self) -> float:
        """The term in milliseconds."""
        return self.seconds * 1e3


@dataclass(frozen=True)
class LatencyReport:
    """The engine's latency in named terms.

    Attributes:
        sample_rate: samples per second of the stream.
        algorithmic: samples, synthesis window and lookahead.
        rebuffering: samples, see `rebuffering_latency`.
        headroom: samples of pre-fill for compute time, jitter and the fade's reserve.
        device_input_s: seconds that the capture device reports, 0 for a file.
        device_output_s: seconds that the playback device reports, 0 for a file.
        ring_s: seconds that the ring between two clocks holds back, 0 for one clock.
        input_resampling_s: seconds, of the filter from the capture device's rate or clock; 0 where there is none.
        output_resampling_s: seconds, of the filter to the playback device's rate; 0 where there is none.
        plugins_before: samples that plugins before the model take.
        plugins_after: samples that plugins after the model take.
        plugin_padding: samples that make whole hops of both.
    """

    sample_rate: int
    algorithmic: int
    rebuffering: int
    headroom: int
    device_input_s: float = 0.0
    device_output_s: float = 0.0
    ring_s: float = 0.0
    input_resampling_s: float = 0.0
    output_resampling_s: float = 0.0
    plugins_before: int = 0
    plugins_after: int = 0
    plugin_padding: int = 0

    @property
    def stream(self) -> int:
        """D in samples: by how much the engine's output lags its input, devices apart."""
        plugins = self.plugins_before + self.plugins_after + self.plugin_padding
        return self.algorithmic + self.rebuffering + self.headroom + plugins

    @property
    def total_s(self) -> float:
        """Sum of all terms in seconds."""
        return math.fsum(term.seconds for term in self.terms())

    @property
    def total_ms(self) -> float:
        """Sum of all terms in milliseconds."""
        return self.total_s * 1e3

    def terms(self) -> tuple[LatencyTerm, ...]:
        """The terms in the order in which a sample meets them, those of conversions and plugins only where they are."""
        before = (("ring", self.ring_s), ("input resampling", self.input_resampling_s))
        after = (("output resampling", self.output_resampling_s),)
        stream = (
            ("plugins before", self.plugins_before),
            ("algorithmic", self.algorithmic),
            ("plugins after", self.plugins_after),
            ("plugin padding", self.plugin_padding),
            ("rebuffering", self.rebuffering),
            ("headroom", self.headroom),
        )
        return (
            LatencyTerm("device input", self.device_input_s),
            *(LatencyTerm(name, seconds) for name, seconds in before if seconds),
            *(
                LatencyTerm(name, samples / self.sample_rate, samples)
                for name, samples in stream
                if samples or not name.startswith("plugin")
            ),
            *(LatencyTerm(name, seconds) for name, seconds in after if seconds),
            LatencyTerm("device output", self.device_output_s),
        )

    def to_dict(self) -> dict[str, float | int]:
        """Terms for a JSON file: samples by name, milliseconds by name with `_ms`, and both sums."""
        report: dict[str, float | int] = {"stream_samples": self.stream, "total_ms": self.total_ms}
        for term in self.terms():
            name = term.name.replace(" ", "_")
            report[f"{name}_ms"] = term.ms
            if term.samples is not None:
                report[f"{name}_samples"] = term.samples
        return report

    def __str__(self) -> str:
        """One line: `algorithmic 11.6 + rebuffering 0.0 + headroom 7.3 = 18.9 ms`; devices where they report any."""
        parts = [f"{term.name} {term.ms:.1f}" for term in self.terms() if term.samples is not None or term.seconds]
        return " + ".join(parts) + f" = {self.total_ms:.1f} ms"
