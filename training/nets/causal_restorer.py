"""The causal restorer: bands of one frame hear each other, causal convolutions look back in time.

A relative of Apollo (Li & Luo, arXiv 2409.08514). What differs, and why:

- no future frame is used, so that the latency is that of the synthesis window alone; to know what that costs, a net
  may also be given a lookahead by its framing: then its convolutions look to both sides, and it is late by as much;
- both channels are predicted in one step, from mid and side;
- the input is corrected, `X * (1 + c)`, not replaced: what the codec kept well passes unharmed;
- what the codec removed is generated: noise (the `carrier`) times a predicted gain per bin, relative to the
  loudness of the newest two hops, so that silence stays silent and a hit is followed at once;
- how loud that is begins with linear maps from band levels, which go on where the layers, that only know what they
  have met, fall back to the music they were trained on. The maps are taught by themselves, the layers what is left;
- beside the long window the net sees the newest two hops alone: what it generates lasts as long as they do;
- bands are mixed by matrices instead of attention, and high bins share features and outputs: a third of the work;
- loudness is divided out by a causal running level;
- after some of the layers the bands can leave already: lighter tiers of one net, from one training.

One forward path: a whole clip is the same call as one frame, with another number of frames and a fresh state.
"""

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from apollo_rt.stream.stft import asymmetric_windows
from training.nets.layers import SILENT_GAIN, BandLinear, CausalLayer, EnvelopeMap, RecentSpectrum, RMSNorm
from training.nets.net_config import ModelConfig

LOG_FLOOR = 1e-5  # of a bin's power, as a share of its band's mean
LOG_MAGNITUDE_SCALE, LOUDNESS_SCALE = 0.25, 0.2  # of logarithms of power: features of about unit size
LOG_GAIN_RANGE = (-14.0, 3.0)  # inaudible to absurd: keeps a wild net finite
_FEATURES_PER_BIN = 6  # re and im of mid and side, log magnitude of mid and side
_FEATURES_PER_WIDE_BIN = 2  # log magnitude of mid and side
_OUTPUTS_PER_BIN = 6  # complex correction of mid and side, log gain of the carrier of mid and side
# The unit of amplitude inside the net: -100 dB of full scale, below the noise of 16-bit audio. Powers then get a floor
# of one; a floor of 1e-10 would be taken for zero, and left out, by the exporter's optimiser.
_UNIT = 1e-5

State = list[Tensor]


class Restorer(nn.Module):
    """Frames of damaged music in, frames of restored music out.

    Args:
        config: sizes.
    """

    frame_inputs = ("spectrum", "carrier")
    bins_to_bands: Tensor
    band_of_bin: Tensor
    band_share: Tensor

    def __init__(self, config: ModelConfig) -> None:
        """Build a net that passes its input through unchanged until it is trained."""
        super().__init__()
        self.config = config
        fine = config.band_groups[: config.fine_groups]
        self.split = BandLinear(config.width, fine, _FEATURES_PER_BIN, to_bins=False)
        self.split_coarse = BandLinear(config.width, config.coarse_groups, _FEATURES_PER_WIDE_BIN, to_bins=False)
        self.split_recent = BandLinear(config.width, config.recent_groups, _FEATURES_PER_WIDE_BIN, to_bins=False)
        self.recent = RecentSpectrum(config.framing, config.recent_taps)
        self.level_in = nn.Parameter(torch.randn(config.n_bands, 2, config.width) * 0.5)
        self.layers = nn.ModuleList(CausalLayer(config, dilation) for dilation in config.dilations)
        self.envelope = EnvelopeMap(config.n_bands, config.envelope_maps)
        self.norms = nn.ModuleList(RMSNorm(config.width) for _ in config.exits)
        self.heads = nn.ModuleList(
            BandLinear(config.width, config.head_groups, _OUTPUTS_PER_BIN, to_bins=True) for _ in config.exits
        )
        with torch.no_grad():  # the maps begin with a carrier as loud as the music, of which layers then leave nothing
            for bias in (bias for head in cast("list[BandLinear]", self.heads) for bias in head.biases):
                _by_bin(bias)[..., 4:] = SILENT_GAIN
        widths = torch.tensor([bins for count, bins in config.band_groups for _ in range(count)])
        band_of_bin = torch.repeat_interleave(torch.arange(config.n_bands), widths)
        self.register_buffer("band_of_bin", band_of_bin, persistent=False)
        one_hot = functional.one_hot(band_of_bin, config.n_bands).float()
        self.register_buffer("bins_to_bands", (one_hot / widths).T.contiguous(), persistent=False)
        self.register_buffer("band_share", widths / widths.sum(), persistent=False)
        # A squared sine has half the energy of a rectangle: this makes a bin's power that of the samples, in units.
        self.spectrum_scale = (config.framing.analysis_length / 2) ** -0.5 / _UNIT
        analysis, synthesis = (np.square(window, dtype=float) for window in asymmetric_windows(config.framing))
        self.carrier_kept = float(analysis.mean() * synthesis.sum() / config.framing.hop_length)

    def initial_state(self, batch: int = 1, tier: int = -1) -> State:
        """Everything before the first frame was silence.

        Args:
            batch: clips.
            tier: index of the exit; its states are the first of those of a better one.

        Returns:
            The running power (batch, 2 bands) of mid's bands, then side's, and each layer's past frames
            (batch, n_past_frames, bands, width); with a lookahead also the newest frames, what their carriers' gains
            are relative to (batch, frames), and where these begin (batch, frames, bands, 2).
        """
        weight = self.level_in
        past = [
            weight.new_zeros(batch, block.n_past_frames, self.config.n_bands, self.config.width)
            for block in cast("list[CausalLayer]", self.layers[: self.config.exits[tier]])
        ]
        framing = self.config.framing
        waiting = (batch, framing.lookahead_frames)
        kept = ((2, framing.n_bins, 2), (), (self.config.n_bands, 2)) if framing.lookahead_frames else ()
        late = [weight.new_zeros(*waiting, *shape) for shape in kept]
        return [weight.new_zeros(batch, 2 * self.config.n_bands), *past, *late]

    @torch.no_grad()
    def turn(
        self, correction: float = 1.0, carrier_db: float = 0.0, low_carrier_db: float = 0.0, departure: float = 1.0
    ) -> None:
        """Correct and generate more or less than was learnt; all of it is folded into the last layer.

        Generated music can't be the waveform that was lost: each dB less costs some highs and gains some SI-SDR. Low
        down, where most energy is and the codec left something, it costs more and is missed less. Which setting is best
        is found on validation music, after training.

        Args:
            correction: factor of the predicted corrections.
            carrier_db: added to the predicted gains of the carrier of the high bins, which share outputs.
            low_carrier_db: added to those of the fine bins below.
            departure: share of how far the layers' gains of the carrier depart from what the maps say. Layers know
                music by heart; for music that is like none of it, less is better.
        """
        for head in cast("list[BandLinear]", self.heads):
            for group, (weight, bias) in enumerate(zip(head.weights, head.biases, strict=True)):
                for per_bin in (_by_bin(weight), _by_bin(bias)):
                    per_bin[..., :4] *= correction
                    per_bin[..., 4:] *= departure
                turned_db = low_carrier_db if group < self.config.fine_groups else carrier_db
                _by_bin(bias)[..., 4:] += turned_db * math.log(10) / 20

    def forward(self, spectrum: Tensor, carrier: Tensor, state: State, tier: int = -1) -> tuple[Tensor, State]:
        """Restore frames.

        Args:
            spectrum: frames of both channels as the analysis gives them.
            carrier: noise of unit variance per complex bin.
            state: from `initial_state` or the call before, of the same tier or a better one.
            tier: index of the exit.

        Returns:
            Restored frames, late by the framing's lookahead, and the state for the next call.

        Shape:
            (batch, frames, 2, bins, 2), the same, state -> (batch, frames, 2, bins, 2), state
        """
        batch, n_frames = spectrum.shape[:2]
        bins = self._to_mid_side(spectrum.flatten(0, 1))
        power, band_power, average, running = self._powers(bins, state[0])
        tokens, loudness = self._encode(bins, power, band_power, average)
        # The maps have a loss of their own (`fitting.planes`): taught by this one, they learn what layers leave them.
        envelope = self.envelope_of(band_power, average, loudness).detach()
        tokens, next_state = tokens.unflatten(0, (batch, n_frames)), [running]
        depth = self.config.exits[tier]
        for layer, past in zip(self.layers[:depth], state[1 : depth + 1], strict=True):
            tokens, newest = layer(tokens, past)
            next_state.append(newest)
        if self.config.framing.lookahead_frames:
            newest = [spectrum, loudness.view(batch, n_frames), envelope.unflatten(0, (batch, n_frames))]
            (spectrum, loudness, envelope), late = self._delayed(newest, state[-len(newest) :])
            loudness, envelope = loudness.flatten(), envelope.flatten(0, 1)
            bins = self._to_mid_side(spectrum.flatten(0, 1))
            next_state += late
        outputs = self._outputs(tokens.flatten(0, 1), envelope, tier)
        restored = self._render(bins, self._to_mid_side(carrier.flatten(0, 1), 1.0), outputs, loudness)
        return self._from_mid_side(restored, spectrum.flatten(0, 1)).unflatten(0, (batch, n_frames)), next_state

    def _delayed(self, newest: list[Tensor], late: State) -> tuple[list[Tensor], State]:
        """Split what is known of the frames from before the lookahead from what is kept for the next call."""
        n_frames = newest[0].shape[1]
        known = [torch.cat(pair, dim=1) for pair in zip(late, newest, strict=True)]
        return [part[:, :n_frames] for part in known], [part[:, n_frames:] for part in known]

    def _to_mid_side(self, frames: Tensor, scale: float | None = None) -> Tensor:
        """(frames, 2, bins, 2) -> (frames, bins - 1, 4): re and im of mid, then of side; Nyquist left out."""
        left, right = frames[:, :, :-1].unbind(1)
        return torch.cat((left + right, left - right), dim=-1) * (0.5**0.5 * (scale or self.spectrum_scale))

    def _from_mid_side(self, bins: Tensor, spectrum: Tensor) -> Tensor:
        """The way back; the Nyquist bin is the input's."""
        mid, side = (bins * (0.5**0.5 / self.spectrum_scale)).split(2, dim=-1)
        return torch.cat((torch.stack((mid + side, mid - side), dim=1), spectrum[:, :, -1:]), dim=2)

    def _powers(self, bins: Tensor, running: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Power of bins and of bands, and its running average: a recursion written as one product with its kernel.

        Shape:
            (batch * frames, bins, 4), (batch, 2 bands) -> (batch * frames, bins, 2), (batch * frames, bands, 2) twice,
            (batch, 2 bands)
        """
        power = bins.square().unflatten(-1, (2, 2)).sum(-1)
        band_power = self.bins_to_bands @ power
        return power, band_power, *self.averages(band_power, running)

    def averages(self, band_power: Tensor, running: Tensor) -> tuple[Tensor, Tensor]:
        """Running average of the power of bands, and what it has come to.

        Shape:
            (batch * frames, bands, 2), (batch, 2 bands) -> (batch * frames, bands, 2), (batch, 2 bands)
        """
        per_clip = band_power.unflatten(0, (len(running), -1))
        n_frames = per_clip.shape[1]
        decay = math.exp(-self.config.framing.hop_period_s / self.config.level_time_s)
        index = torch.arange(n_frames, device=band_power.device)
        age = index[:, None] - index[None, :]
        kernel = torch.where(age >= 0, (1 - decay) * decay ** age.clamp(min=0), 0.0)
        faded = running[:, None] * decay ** (index[:, None] + 1)
        averaged = kernel @ per_clip.transpose(-1, -2).flatten(2) + faded
        return averaged.flatten(0, 1).unflatten(-1, (2, -1)).transpose(-1, -2), averaged[:, -1]

    def _encode(self, bins: Tensor, power: Tensor, band_power: Tensor, average: Tensor) -> tuple[Tensor, Tensor]:
        """Bins to one token a band: shape within the band, and loudness of the band against the running level.

        Returns:
            Tokens, and the power (frames,) that the carrier's gains are relative to.
        """
        total = band_power.sum(-1, keepdim=True) + 1
        per_bin = total[:, self.band_of_bin]
        n_fine, stride = self.config.n_fine, self.config.stride
        fine, per_fine = slice(n_fine), per_bin[:, :n_fine]
        log_magnitude = LOG_MAGNITUDE_SCALE * torch.log(power[:, fine] / per_fine + LOG_FLOOR)
        tokens = self.split(torch.cat((bins[:, fine] * torch.rsqrt(per_fine), log_magnitude), dim=-1))
        per_wide_bin = per_bin[:, ::stride]
        if self.config.coarse_groups:
            coarse = power[:, n_fine:].unflatten(1, (-1, stride)).mean(2)
            log_coarse = LOG_MAGNITUDE_SCALE * torch.log(coarse / per_wide_bin[:, n_fine // stride :] + LOG_FLOOR)
            tokens = torch.cat((tokens, self.split_coarse(log_coarse)), dim=1)
        level = (self.band_share @ average).sum(-1)
        loudness = LOUDNESS_SCALE * torch.log((band_power + 1) / (level + 1)[:, None, None])
        tokens = tokens + loudness[..., :1] * self.level_in[:, 0] + loudness[..., 1:] * self.level_in[:, 1]
        recent = self.recent(bins)
        log_recent = LOG_MAGNITUDE_SCALE * torch.log(recent / per_wide_bin + LOG_FLOOR)
        return tokens + self.split_recent(log_recent), recent.mean(1).sum(-1)

    def envelope_of(self, band_power: Tensor, average: Tensor, loudness: Tensor) -> Tensor:
        """Log gains that the carrier begins with.

        Shape:
            (frames, bands, 2), the same, (frames,) -> (frames, bands, 2)
        """
        reference = (loudness + 1)[:, None, None]
        return self.envelope(torch.log((band_power + 1) / reference), torch.log((average + 1) / reference))

    def _outputs(self, tokens: Tensor, envelope: Tensor, tier: int) -> Tensor:
        """(frames, bands, width) -> (frames, bins - 1, outputs): above the fine bins, neighbours share theirs."""
        outputs = self.heads[tier](self.norms[tier](tokens))
        fine, coarse = outputs.split((self.config.n_fine, outputs.shape[1] - self.config.n_fine), dim=1)
        correction, log_gain = torch.cat((fine, coarse.repeat_interleave(self.config.stride, dim=1)), dim=1).split(
            (4, 2), dim=-1
        )
        return torch.cat((correction, log_gain + envelope[:, self.band_of_bin]), dim=-1)

    def _render(self, bins: Tensor, carrier: Tensor, outputs: Tensor, loudness: Tensor) -> Tensor:
        """Correct what is there, add what is missing."""
        re, im, c_re, c_im = bins[..., 0::2], bins[..., 1::2], outputs[..., 0:2], outputs[..., 2:4]
        gain = torch.exp((outputs[..., 4:] + SILENT_GAIN).clamp(*LOG_GAIN_RANGE))
        gain = gain * torch.sqrt(loudness + 1e-12)[:, None, None]  # the root of zero has no gradient
        new_re = re + re * c_re - im * c_im + gain * carrier[..., 0::2]
        new_im = im + re * c_im + im * c_re + gain * carrier[..., 1::2]
        return torch.stack((new_re, new_im), dim=-1).flatten(-2)


def _by_bin(weights: Tensor) -> Tensor:
    """Of a head, its outputs apart. Shape: (..., bins * outputs) -> (..., bins, outputs), a view."""
    return weights.view(*weights.shape[:-1], -1, _OUTPUTS_PER_BIN)
