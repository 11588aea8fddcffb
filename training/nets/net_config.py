"""Sizes of the causal restorer."""

from dataclasses import dataclass, field

from apollo_rt.config import Framing

Groups = tuple[tuple[int, int], ...]
"""(Number of bands, bins of each), from low to high."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the net.

    Attributes:
        framing: sample rate, hop and window. A lookahead makes a twin that can't ship: the convolutions over time look
            ahead by as many frames together, and fewer of their taps look back.
        band_groups: (number of bands, bins of each), from low to high; together all bins but Nyquist.
        fine_groups: groups whose bins have features and outputs of their own; above them as many bins as make one of
            the newest two hops share theirs: there the ear's bands are twenty times as wide.
        width: channels of a band's token.
        hidden: channels inside the feed-forward part.
        context: numbers in which each layer sums up the whole frame for all bands; 0 leaves that out.
        kernel_size: taps of the convolution over time.
        dilations: frames between taps, one entry a layer.
        level_time_s: time constant of the running power of bands, and so of the level.
        envelope_maps: linear maps from the levels of bands to those of the carrier.
        exits: layers after which the bands can leave, best last: one tier each, the last is the whole net. None given:
            the whole net alone.
        recent_taps: width in bins of the kernel that picks out the newest two hops, odd.
    """

    framing: Framing = field(default_factory=Framing)
    band_groups: Groups = ((8, 8), (12, 16), (8, 32), (8, 64))
    fine_groups: int = 2
    width: int = 64
    hidden: int = 96
    context: int = 16
    kernel_size: int = 4
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    level_time_s: float = 0.5
    envelope_maps: int = 4
    exits: tuple[int, ...] = ()
    recent_taps: int = 33

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            ValueError: the bands don't cover the bins, or aren't whole wider bins, or the exits aren't layers, or the
                lookahead isn't whole taps of all layers, or there is one and an exit before the last layer, or there
                is no map.
        """
        covered = sum(count * bins for count, bins in self.band_groups)
        if covered != self.framing.n_bins - 1:
            raise ValueError(f"band_groups must cover {self.framing.n_bins - 1} bins, they cover {covered}")
        if not 0 < self.fine_groups <= len(self.band_groups):
            raise ValueError(f"fine_groups must be 1 to {len(self.band_groups)}, got {self.fine_groups}")
        if not self.exits:
            object.__setattr__(self, "exits", (len(self.dilations),))
        if sorted({0, *self.exits}) != [0, *self.exits] or self.exits[-1] != len(self.dilations):
            raise ValueError(f"exits must rise from 1 to the {len(self.dilations)} layers, got {self.exits}")
        ahead, frames_a_tap = self.framing.lookahead_frames, sum(self.dilations)
        if ahead % frames_a_tap or not 0 <= self.taps_ahead < self.kernel_size:
            allowed = ", ".join(str(taps * frames_a_tap) for taps in range(self.kernel_size))
            raise ValueError(f"lookahead_frames must be one of {allowed} with these dilations, got {ahead}")
        if ahead and len(self.exits) > 1:
            raise ValueError(f"exits must be [{len(self.dilations)}] with a lookahead, got {list(self.exits)}")
        if self.envelope_maps < 1:
            raise ValueError(f"envelope_maps must be at least 1, got {self.envelope_maps}")
        if self.recent_taps % 2 == 0 or any(bins % self.stride for _, bins in self.band_groups):
            raise ValueError(f"recent_taps must be odd and all bands multiples of {self.stride} bins")

    @property
    def n_bands(self) -> int:
        """Tokens of one frame."""
        return sum(count for count, _ in self.band_groups)

    @property
    def taps_ahead(self) -> int:
        """Taps of every convolution over time that look ahead."""
        return self.framing.lookahead_frames // sum(self.dilations)

    @property
    def stride(self) -> int:
        """Bins that make one bin of the newest two hops."""
        return self.framing.analysis_length // self.framing.synthesis_length

    @property
    def n_fine(self) -> int:
        """Bins with features and outputs of their own; the others share theirs by `stride`."""
        return sum(count * bins for count, bins in self.band_groups[: self.fine_groups])

    @property
    def head_groups(self) -> Groups:
        """(Number of bands, outputs' places in each): bins where they are fine, wider ones above."""
        fine = self.band_groups[: self.fine_groups]
        return *fine, *self.coarse_groups

    @property
    def coarse_groups(self) -> Groups:
        """(Number of bands, wider bins of each) above the fine ones."""
        return tuple((count, bins // self.stride) for count, bins in self.band_groups[self.fine_groups :])

    @property
    def recent_groups(self) -> Groups:
        """(Number of bands, wider bins of each) of all bands."""
        return tuple((count, bins // self.stride) for count, bins in self.band_groups)
