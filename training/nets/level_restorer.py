"""The restorer whose levels come from a level net: noise as loud, and as alike in both channels, as the net says.

```
 spectrum --------------------> long    \
 newest samples -> FFTs ------> short,   > level net -> missing L, R, coherence -> gains
                                fast    /                                            |
 carrier (two noises) -> turned by the coherence: one for left, one for right -----> x -> + spectrum -> restored
```
"""

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from apollo_rt.stream.stft import asymmetric_windows
from training.nets.level_bands import FLOOR, banded, scale_of
from training.nets.level_net import LevelNet, LevelNetConfig, generated

SILENT = -11.0
"""Levels up to this are not generated: -110 dB of full scale."""

LOW_HZ = 8000.0
"""Bands below can be given a carrier of their own loudness."""

State = list[Tensor]


class LevelRestorer(nn.Module):
    """Frames of damaged music in, frames with what is missing out.

    Args:
        config: sizes of the level net, and the framing.
    """

    frame_inputs = ("spectrum", "carrier", "recent")
    short_window: Tensor
    fast_window: Tensor
    level_to_power: Tensor
    band_of_bin: Tensor
    long_of_bin: Tensor
    decays: Tensor

    def __init__(self, config: LevelNetConfig) -> None:
        """Build the net; how loud a carrier is heard follows from the windows."""
        super().__init__()
        self.config = config
        self.levels = LevelNet(config)
        bands = config.bands
        analysis, synthesis = (torch.from_numpy(np.asarray(one)).float() for one in asymmetric_windows(bands.framing))
        self.long_scale = scale_of(analysis)
        self.register_buffer("short_window", torch.hann_window(bands.framing.synthesis_length), persistent=False)
        self.register_buffer("fast_window", torch.hann_window(bands.fast_length), persistent=False)
        length, hop = bands.framing.analysis_length, bands.framing.hop_length
        widths = torch.tensor([bins for count, bins in bands.short_groups for _ in range(count)])
        widths = widths * (length // bands.framing.synthesis_length)
        # A frame of noise with a power of g^2 a bin is heard as loud as 2 sum(g^2) / length^2 * sum(synthesis^2) / hop.
        heard = length**2 * hop / (2 * widths * float(synthesis.square().sum()))
        self.register_buffer("level_to_power", torch.log10(heard), persistent=False)
        self.register_buffer(
            "band_of_bin", torch.repeat_interleave(torch.arange(len(widths)), widths), persistent=False
        )
        narrow = torch.tensor([bins for count, bins in bands.long_groups for _ in range(count)])
        self.register_buffer(
            "long_of_bin", torch.repeat_interleave(torch.arange(len(narrow)), narrow), persistent=False
        )
        decays = [math.exp(-bands.framing.hop_period_s / time_s) for time_s in bands.slow_times_s]
        self.register_buffer("decays", torch.tensor(decays), persistent=False)

    def initial_state(self, batch: int = 1, tier: int = -1) -> State:
        """Nothing was before: sums and weights of the running averages, then the level net's."""
        bands = self.config.bands
        sums = self.decays.new_zeros(batch, len(bands.slow_times_s), 4, bands.n_short)
        return [sums, self.decays.new_zeros(batch, len(bands.slow_times_s)), *self.levels.initial_state(batch, tier)]

    @torch.no_grad()
    def turn(
        self, correction: float = 1.0, carrier_db: float = 0.0, low_carrier_db: float = 0.0, evidence: float = 0.0
    ) -> None:
        """Correct and generate more or less than was learnt; folded into the last layers.

        Args:
            correction: factor of how far gains depart from one.
            carrier_db: added to the levels of what is missing, which stay below that of their channel.
            low_carrier_db: added to those below `LOW_HZ` as well: there noise costs most SI-SDR, and is missed least.
            evidence: added to that of each frame: above nothing more is generated, and more that was never there.
        """
        n_bands = self.config.bands.n_short
        is_low = torch.from_numpy(self.config.bands.centres_hz("short") < LOW_HZ)
        for decoder in cast("list[nn.Linear]", self.levels.decoders):
            decoder.bias[:n_bands] += (carrier_db + low_carrier_db * is_low) / 10
            decoder.bias[2 * n_bands :] += evidence
        if self.levels.correction:
            self.levels.correction.decoder.weight *= correction
            self.levels.correction.decoder.bias *= correction  # type: ignore[misc]  # in place it stays a Parameter

    def forward(
        self, spectrum: Tensor, carrier: Tensor, recent: Tensor, state: State, tier: int = -1
    ) -> tuple[Tensor, State]:
        """Add what is missing.

        Args:
            spectrum: frames as the analysis gives them.
            carrier: noise of unit variance per complex bin; its two channels have nothing in common.
            recent: the newest two hops of samples of each frame.
            state: from `initial_state` or the call before.
            tier: index of the exit.

        Shape:
            (batch, frames, 2, bins, 2) twice, (batch, frames, 2, synthesis length), state
            -> (batch, frames, 2, bins, 2), state
        """
        levels, slow_state = self.measure(spectrum, recent, state)
        predicted, net_state = self.levels(levels, state[2:], tier)
        gains = self._gains(generated(predicted, levels["short"][:, :, :2]))
        kept = spectrum if predicted.gains is None else self._corrected(spectrum, predicted.gains.float())
        return kept + gains[..., None] * self._placed(carrier, predicted.coherence.float()), [*slow_state, *net_state]

    def measure(self, spectrum: Tensor, recent: Tensor, state: State) -> tuple[dict[str, Tensor], State]:
        """Measure the levels of frames, running averages included.

        Shape:
            (batch, frames, 2, bins, 2), (batch, frames, 2, synthesis length), state -> parts, state
        """
        bands = self.config.bands
        four = _four(spectrum[..., :-1, :], dim=2)
        long = banded(four.square().sum(-1) * self.long_scale, bands.long_groups)
        short = self._powers(_four(recent, dim=2), self.short_window, bands.short_groups)
        hop = bands.fast_length // 2
        pieces = recent[..., -(bands.fast_a_hop + 1) * hop :].unfold(-1, bands.fast_length, hop)
        fast = self._powers(pieces, self.fast_window, bands.fast_groups)
        averages, slow_state = self._running(long.unflatten(-1, (bands.n_short, -1)).sum(-1), state)
        parts = {"long": long, "short": short, "fast": fast, "slow": averages}
        return {name: torch.log10(part + FLOOR) for name, part in parts.items()}, slow_state

    def _powers(self, samples: Tensor, window: Tensor, groups: tuple[tuple[int, int], ...]) -> Tensor:
        spectrum = torch.view_as_real(torch.fft.rfft(samples * window))[..., :-1, :]
        return banded(spectrum.square().sum(-1) * scale_of(window), groups)

    def _running(self, power: Tensor, state: State) -> tuple[Tensor, State]:
        """Averages over the past, newest most. Shape: (batch, frames, 4, bands) -> (batch, frames, times, 4, bands)."""
        sums, weights = state[:2]
        found = []
        for frame in power.unbind(1):
            sums = sums * self.decays[:, None, None] + frame[:, None]
            weights = weights * self.decays + 1
            found.append(sums / weights[..., None, None])
        return torch.stack(found, dim=1), [sums, weights]

    def _gains(self, missing: Tensor) -> Tensor:
        """Levels of bands to gains of bins, Nyquist none. Shape: (..., bands) -> (..., bins)."""
        power = (10 ** missing.clamp(max=1.0) - 10**SILENT).clamp(min=0.0) * 10**self.level_to_power
        by_bin = torch.sqrt(power)[..., self.band_of_bin]
        return torch.nn.functional.pad(by_bin, (0, 1))

    def _corrected(self, spectrum: Tensor, gains: Tensor) -> Tensor:
        """Each channel by its gains, Nyquist as it is. Shape: spectrum, (..., 2, bands) -> (..., 2, bins, 2)."""
        return spectrum * torch.nn.functional.pad(gains[..., self.long_of_bin], (0, 1), value=1.0)[..., None]

    def _placed(self, carrier: Tensor, coherence: Tensor) -> Tensor:
        """Two noises that have as much in common as the net says: a pair turned by half the angle between them."""
        alike = torch.sqrt((1 + coherence) / 2)[..., self.band_of_bin]
        apart = torch.sqrt((1 - coherence) / 2)[..., self.band_of_bin]
        alike, apart = (torch.nn.functional.pad(one, (0, 1))[..., None] for one in (alike, apart))
        first, second = carrier.unbind(2)
        return torch.stack((alike * first + apart * second, alike * first - apart * second), dim=2)


def _four(pair: Tensor, dim: int) -> Tensor:
    """Left, right, mid and side."""
    left, right = pair.unbind(dim)
    return torch.stack((left, right, (left + right) * 0.5**0.5, (left - right) * 0.5**0.5), dim=dim)
