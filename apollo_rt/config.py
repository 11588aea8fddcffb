"""Framing: how a stream of samples is cut into overlapping frames and put together again.

The values of a running program come from the model file alone (`model_file.ModelCard.framing`); nothing else may
contradict it.
"""

from dataclasses import dataclass
from typing import Final

WINDOWS: Final = ("asymmetric-sine", "hann")
"""Pairs of windows that `stream.stft.windows_of` makes."""

EDGES: Final = ("silent", "reflected")
"""What frames see beyond a stream's first and last sample."""

MOST_LOOKAHEAD_FRAMES: Final = 128

SAMPLE_RATES: Final = (1000, 768_000)
"""Hz, of effects and files: what lies beyond is no music, and its conversion to the model's rate has no bound."""


@dataclass(frozen=True)
class Framing:
    """Overlapping frames: an analysis window over the past, a synthesis window two hops long.

    Attributes:
        sample_rate: samples per second.
        hop_length: new samples per frame.
        analysis_length: length of analysis window and FFT, in samples; even, at least twice the hop.
        lookahead_frames: frames of future that the model needs, 0 for a causal model.
        window: `asymmetric-sine`, a long analysis window with a short fall; or `hann`, two hops long.
        edges: `silent`, or `reflected`: frames are centred, the first and the last see the stream's own ends reflected,
            and the model is told which frames there are. Only of windows two hops long.

    Raises:
        ValueError: a value is outside its bounds.
    """

    sample_rate: int = 44_100
    hop_length: int = 256
    analysis_length: int = 2048
    lookahead_frames: int = 0
    window: str = WINDOWS[0]
    edges: str = EDGES[0]

    def __post_init__(self) -> None:
        """Check the bounds once, so that nobody has to check them again."""
        if not 8_000 <= self.sample_rate <= 384_000:
            raise ValueError(f"sample_rate must be from 8000 to 384000 Hz, got {self.sample_rate}")
        if not 16 <= self.hop_length <= 4096:
            raise ValueError(f"hop_length must be from 16 to 4096 samples, got {self.hop_length}")
        longest = 65_536
        if not 2 * self.hop_length <= self.analysis_length <= longest or self.analysis_length % 2:
            raise ValueError(
                f"analysis_length must be even and from {2 * self.hop_length} (two hops) to {longest} samples, "
                f"got {self.analysis_length}"
            )
        if not 0 <= self.lookahead_frames <= MOST_LOOKAHEAD_FRAMES:
            raise ValueError(f"lookahead_frames must be from 0 to {MOST_LOOKAHEAD_FRAMES}, got {self.lookahead_frames}")
        if self.window not in WINDOWS:
            raise ValueError(f"window must be {' or '.join(WINDOWS)}, got {self.window!r}")
        if self.edges not in EDGES:
            raise ValueError(f"edges must be {' or '.join(EDGES)}, got {self.edges!r}")
        two_hops = 2 * self.hop_length
        if (self.window == "hann" or self.edges == "reflected") and self.analysis_length != two_hops:
            raise ValueError(
                f"analysis_length must be {two_hops} (two hops) with the window {self.window} and {self.edges} edges, "
                f"got {self.analysis_length}"
            )

    @property
    def n_bins(self) -> int:
        """Bins of a one-sided spectrum, DC and Nyquist included."""
        return self.analysis_length // 2 + 1

    @property
    def synthesis_length(self) -> int:
        """Length of the synthesis window in samples: two hops."""
        return 2 * self.hop_length

    @property
    def algorithmic_latency(self) -> int:
        """Samples from a sample's arrival to its finished output when compute is free."""
        return self.synthesis_length + self.lookahead_frames * self.hop_length

    @property
    def hop_delay(self) -> int:
        """Delay in samples of a processor fed with whole hops: output hop k holds input hop k - 1 - lookahead."""
        return self.algorithmic_latency - self.hop_length

    @property
    def hop_period_s(self) -> float:
        """Seconds between two hops: what one step may cost at most."""
        return self.hop_length / self.sample_rate
