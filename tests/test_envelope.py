"""Where the carrier's gains begin: linear maps from band levels, chosen among by where the music ends."""

import torch
from torch import Tensor

from tests.tiny_nets import SMALL
from training.nets.layers import LOG_ABSENT, EnvelopeMap
from training.nets.model import Restorer

N_BANDS = 6


def going_on(n_maps: int = 1) -> EnvelopeMap:
    """Every band's answer is the usual level of the first plus three times the step from the first to the second."""
    envelope = EnvelopeMap(N_BANDS, n_maps)
    with torch.no_grad():
        for row in envelope.maps.weight:
            row[N_BANDS], row[N_BANDS + 1] = -2.0, 3.0
    return envelope


def levels(slope: float) -> Tensor:
    """Falling or rising alike in both channels. Shape: () -> (1, bands, 2)."""
    return (slope * torch.arange(N_BANDS)).repeat(2, 1).T[None]


def test_a_slope_that_was_never_met_goes_on() -> None:
    envelope = going_on()
    for slope in (-1.0, 0.0, 0.5, 4.0):
        torch.testing.assert_close(
            envelope(torch.zeros(1, N_BANDS, 2), levels(slope)), torch.full((1, 6, 2), 3 * slope)
        )


def test_untrained_it_asks_for_nothing() -> None:
    assert EnvelopeMap(N_BANDS, 4)(levels(-1.0), levels(-2.0)).abs().max() == 0


def test_where_the_music_ends_chooses_the_map() -> None:
    envelope = EnvelopeMap(N_BANDS, 2)
    with torch.no_grad():
        envelope.maps.bias.copy_(torch.tensor([1.0, 2.0]).repeat_interleave(N_BANDS))
        envelope.choice.weight.copy_(torch.stack((-torch.ones(N_BANDS), torch.ones(N_BANDS))) * 20)
        envelope.choice.bias.copy_(torch.tensor([120.0, 0.0]))
    full, ended = torch.zeros(1, N_BANDS, 2), torch.zeros(1, N_BANDS, 2)
    ended[:, 2:] = LOG_ABSENT - 20
    assert (envelope(full, full) == 2).all()
    assert (envelope(full, ended) == 1).all()


def test_mid_and_side_are_mapped_alike_and_apart() -> None:
    torch.manual_seed(0)
    envelope, now, usual = EnvelopeMap(N_BANDS, 3), torch.randn(4, N_BANDS, 2), torch.randn(4, N_BANDS, 2)
    torch.nn.init.normal_(envelope.maps.weight)
    torch.testing.assert_close(envelope(now.flip(-1), usual.flip(-1)), envelope(now, usual).flip(-1))


def test_what_the_maps_answer_is_how_loud_the_carrier_is() -> None:
    """Two nets that differ in the maps' offset alone: one adds 20 dB more of the carrier, and corrects as before."""
    torch.manual_seed(0)
    spectrum, carrier = (torch.randn(1, 8, 2, SMALL.framing.n_bins, 2) for _ in range(2))
    net = Restorer(SMALL)

    def added(offset: float) -> Tensor:
        with torch.no_grad():
            net.envelope.maps.bias.fill_(offset)
            return net(spectrum, carrier, net.initial_state())[0] - spectrum

    torch.testing.assert_close(added(4.0 + 2.302585), 10 * added(4.0), rtol=1e-3, atol=1e-3)


def test_the_running_power_is_that_of_a_steady_sound() -> None:
    net = Restorer(SMALL)
    steady = torch.rand(1, 1, SMALL.n_bands, 2).expand(1, 4000, -1, -1)
    average, running = net._running_power(steady, torch.zeros(1, 2 * SMALL.n_bands))
    torch.testing.assert_close(average[-1], steady[0, 0], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(running.view(2, -1).T, steady[0, 0], rtol=1e-3, atol=1e-5)
