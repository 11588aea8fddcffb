"""Quality of restored clips in numbers that cost little: a run chooses its best checkpoint by them."""

import torch
from torch import Tensor, nn

from training.evaluation.metrics import log_spectral_distance, si_sdr_db
from training.fitting.losses import known_bins
from training.fitting.spectral_view import SpectralView

_BAND_FLOOR = 1e-7  # of |X|^2 with an unnormalised Hann window of 2048: about -100 dB of full scale


class Quality(nn.Module):
    """Measures one clip, on the CPU.

    Args:
        sample_rate: of the clips.
    """

    def __init__(self, sample_rate: int) -> None:
        """Lay out the bands."""
        super().__init__()
        self.view = SpectralView(2048, sample_rate, 48)

    def forward(self, restored: Tensor, clean: Tensor) -> dict[str, float]:
        """Compare.

        Returns:
            band_db: root mean square error of the levels of 48 ERB bands in dB, mean over frames; without what a codec
                took from the clean clip.
            lsd: log-spectral distance in decades.
            si_sdr_db: scale-invariant signal-to-distortion ratio.

        Shape:
            (2, samples), the same
        """
        powers = [self.view.power(self.view.spectrum(clip)) for clip in (restored, clean)]
        known = known_bins(powers[1], self.view.bin_hz)
        ours, wanted = (10 * torch.log10((power * known) @ self.view.bands + _BAND_FLOOR) for power in powers)
        return {
            "band_db": float((ours - wanted).square().mean(-1).sqrt().mean()),
            "lsd": log_spectral_distance(restored, clean),
            "si_sdr_db": si_sdr_db(restored, clean),
        }
