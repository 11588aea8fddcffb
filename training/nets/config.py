"""Sizes of the causal restorer."""

from dataclasses import dataclass, field

from apollo_rt.config import Framing

Groups = tuple[tuple[int, int], ...]
"""(Number of bands, bins of each), from low to high."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the net.

    Attributes:
        framing: sample rate, hop and window.
        band_groups: (number of bands, bins of each), from low to high; together all bins but Nyquist.
        width: channels of a band's token.
        n_heads: attention heads; divides `width`.
        mlp_ratio: hidden channels of the feed-forward part, in widths.
        kernel_size: taps of the convolution over time.
        dilations: frames between taps, one entry a layer.
        level_time_s: time constant of the running level.
        exits: layers after which the bands can leave, best last: one tier each, the last is the whole net. None given:
            the whole net alone.
        recent_taps: width in bins of the kernel that picks out the newest two hops, odd; 0 leaves them out.
    """

    framing: Framing = field(default_factory=Framing)
    band_groups: Groups = ((16, 8), (12, 16), (10, 32), (6, 64))
    width: int = 64
    n_heads: int = 4
    mlp_ratio: int = 3
    kernel_size: int = 4
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    level_time_s: float = 0.5
    exits: tuple[int, ...] = ()
    recent_taps: int = 33

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            ValueError: the bands don't cover the bins, the heads don't divide the width, or the exits aren't layers.
        """
        covered = sum(count * bins for count, bins in self.band_groups)
        if covered != self.framing.n_bins - 1:
            raise ValueError(f"band_groups must cover {self.framing.n_bins - 1} bins, they cover {covered}")
        if self.width % self.n_heads:
            raise ValueError(f"n_heads must divide width {self.width}, got {self.n_heads}")
        if not self.exits:
            object.__setattr__(self, "exits", (len(self.dilations),))
        if sorted({0, *self.exits}) != [0, *self.exits] or self.exits[-1] != len(self.dilations):
            raise ValueError(f"exits must rise from 1 to the {len(self.dilations)} layers, got {self.exits}")
        stride = self.framing.analysis_length // self.framing.synthesis_length
        if self.recent_taps and (self.recent_taps % 2 == 0 or any(bins % stride for _, bins in self.band_groups)):
            raise ValueError(f"recent_taps must be odd and all bands multiples of {stride} bins, or recent_taps 0")

    @property
    def n_bands(self) -> int:
        """Tokens of one frame."""
        return sum(count for count, _ in self.band_groups)
