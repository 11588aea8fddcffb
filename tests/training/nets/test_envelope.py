"""Where the carrier's gains begin: linear maps from band levels, chosen among by where the music ends."""

import math

import pytest
import torch
from torch import Tensor

from tests.doubles.tiny_nets import SMALL, lively
from training.fitting.generators import CausalGenerator, carrier_like
from training.fitting.losses import missing_level_error
from training.fitting.planes import carrier_levels, in_planes, recent_power
from training.nets.causal_restorer import Restorer
from training.nets.layers import LOG_ABSENT, SILENT_GAIN, EnvelopeMap

N_BANDS = 6


def going_on(n_maps: int = 1) -> EnvelopeMap:
    """Every band's answer is the usual level of the first plus three times the step from the first to the second."""
    envelope = EnvelopeMap(N_BANDS, n_maps)
    with torch.no_grad():
        envelope.maps.weight.zero_()
        envelope.maps.bias.zero_()
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


def test_untrained_the_carrier_is_as_loud_as_the_music() -> None:
    assert (EnvelopeMap(N_BANDS, 4)(levels(-1.0), levels(-2.0)) + SILENT_GAIN).abs().max() < 0.2


def test_where_the_music_ends_chooses_the_map() -> None:
    envelope = EnvelopeMap(N_BANDS, 2)
    with torch.no_grad():
        envelope.maps.weight.zero_()
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
    steady = torch.randn(SMALL.framing.n_bins - 1, 4).expand(4000, -1, -1)
    _, band_power, average, running = net._powers(steady, torch.zeros(1, 2 * SMALL.n_bands))
    torch.testing.assert_close(average[-1], band_power[0], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(running.view(2, -1).T, band_power[0], rtol=1e-3, atol=1e-5)


# How the maps learn


def noise(n_samples: int, seed: int = 0) -> Tensor:
    """Two clips. Shape: () -> (2, 2, samples)."""
    return torch.randn(2, 2, n_samples, generator=torch.Generator().manual_seed(seed)) * 0.1


def test_the_level_that_the_maps_are_taught_by_is_the_one_that_is_heard() -> None:
    generator = CausalGenerator()
    net = generator.net
    clip = noise(200 * 256)
    with torch.no_grad():
        net.turn(departure=0.0)
        net.envelope.maps.weight.zero_()
        net.envelope.maps.bias.fill_(7.0)
        spectrum = generator.framing.analyse(clip)
        restored, _ = net(spectrum, carrier_like(spectrum, [1, 2]), net.initial_state(2))
        added = generator.framing.synthesise(restored - spectrum)
        heard = recent_power(net, in_planes(generator.framing.analyse(added)))[:, 20:].mean((0, 1))
        said = carrier_levels(net, in_planes(spectrum), 1)[0][:, 20:].exp().mean((0, 1))
    error_db = 10 * torch.log10(heard / said)[1:]  # in the lowest band the bin of a constant has another variance
    assert error_db.abs().max() < 1.0, error_db


def test_levels_of_some_frames_are_those_of_all() -> None:
    net = lively()
    spectrum = torch.randn(2, 12, 2, 2, SMALL.framing.n_bins)
    for some, every in zip(carrier_levels(net, spectrum, 4), carrier_levels(net, spectrum, 1), strict=True):
        torch.testing.assert_close(some, every[:, 3::4])


def error_of_maps(generator: CausalGenerator, damaged: Tensor, clean: Tensor) -> Tensor:
    """As a step has it, without the rest of the step."""
    analyse = generator.framing.analyse
    return generator.error_of_maps(in_planes(analyse(damaged)), in_planes(analyse(clean, 4)))


def test_maps_and_layers_are_each_taught_by_their_own_loss() -> None:
    generator = CausalGenerator(SMALL)
    damaged, clean = noise(6400), noise(6400, seed=1)

    def learning() -> set[str]:
        names = {name.split(".")[1] for name, weight in generator.named_parameters() if weight.grad is not None}
        generator.zero_grad()
        return names

    generator(damaged, [1, 2]).square().mean().backward()
    assert "envelope" not in learning()
    error_of_maps(generator, damaged, clean).backward()
    assert learning() == {"envelope"}


def pair_of_slope(db_per_octave: float, seed: int) -> tuple[Tensor, Tensor]:
    """Noise of that slope, and the same cut at half of Nyquist before it. Shape: () -> (2, 2, samples) twice."""
    spectrum = torch.fft.rfft(noise(6400, seed))
    octave = torch.log2(torch.arange(3201).clamp(min=50) / 1600)
    clean = spectrum * 10 ** (db_per_octave * octave / 20)
    return torch.fft.irfft(clean * (octave < 0)), torch.fft.irfft(clean)


def error_of_an_unmet_slope(learnt_by: str) -> float:
    """After some steps with slopes of -12 to 0 dB per octave, at 6 dB per octave, in square decades."""
    generator = CausalGenerator(SMALL)
    taught = [weight for name, weight in generator.net.envelope.named_parameters() if learnt_by in name]
    optimizer = torch.optim.AdamW(taught, lr=0.02)
    for step in range(150):
        optimizer.zero_grad()
        error_of_maps(generator, *pair_of_slope(-12.0 + 3.0 * (step % 5), step)).backward()
        optimizer.step()
    with torch.no_grad():
        return float(error_of_maps(generator, *pair_of_slope(6.0, 0)))


def test_the_maps_learn_how_music_goes_on() -> None:
    torch.manual_seed(0)
    maps, offsets_alone = error_of_an_unmet_slope("maps"), error_of_an_unmet_slope("maps.bias")
    assert maps < 0.3, maps  # of it, 0.2 are how noise in narrow bands varies by itself
    assert maps < 0.5 * offsets_alone, (maps, offsets_alone)


LEVELS = torch.full((1, 2, 3, 2), 1e6)


@pytest.mark.parametrize(
    ("added", "damaged", "error"),
    [
        (math.log(1e6 * 1.01), 0.0, 0.0),  # all of it was missing and all of it is added
        (math.log(1e7 * 1.01), 0.0, 1.0),  # ten times too much: one decade, squared
        (math.log(1e4), 1e6, 0.0),  # nothing was missing, 20 dB below is as good as nothing
        (math.log(1e6), 1e6, 0.4),
    ],
)
def test_the_error_of_levels_is_that_of_what_is_missing(added: float, damaged: float, error: float) -> None:
    ours = missing_level_error(torch.full_like(LEVELS, added), torch.full_like(LEVELS, damaged), LEVELS, torch.ones(1))
    assert float(ours) == pytest.approx(error, abs=0.01)


def test_bands_that_a_codec_took_count_ten_times_and_what_the_music_never_had_does_not_count() -> None:
    added = torch.full_like(LEVELS, math.log(1e6 * 1.01))
    damaged, known = torch.zeros_like(LEVELS), torch.ones(1, 1, 3, 1)
    damaged[:, :, 0] = 1e6
    weighed = missing_level_error(added, damaged, LEVELS, known)
    assert float(weighed) == pytest.approx(4.0 * 0.1 / 3, rel=0.01)
    known[:, :, 0] = 0
    assert float(missing_level_error(added, damaged, LEVELS, known)) == pytest.approx(0.0, abs=1e-3)


def test_how_far_layers_depart_from_the_maps_can_be_turned_down() -> None:
    spectrum, carrier = (torch.randn(1, 8, 2, SMALL.framing.n_bins, 2) for _ in range(2))

    def added(departure: float) -> Tensor:
        net = lively()
        net.turn(correction=0.0, departure=departure)
        with torch.no_grad():
            return (net(spectrum, carrier, net.initial_state())[0] - spectrum)[..., :-1, :].square().sum((2, -1)).log()

    whole, half, maps_alone = added(1.0), added(0.5), added(0.0)
    assert (whole - maps_alone).abs().max() > 0.1
    again = lively()
    again.turn(correction=0.0, departure=0.0)
    assert not any(weight.any() for head in again.heads for weight in head.weights)
    assert (half - maps_alone).abs().mean() < 0.75 * (whole - maps_alone).abs().mean()
