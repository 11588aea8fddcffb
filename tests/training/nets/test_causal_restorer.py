"""The net: causal, one path for all, silent on silence; and the measures that need no perceptual model."""

import dataclasses
import math
from typing import Any

import pytest
import torch

from apollo_rt.config import Framing
from apollo_rt.stream.processor import Processor
from training.evaluation.metrics import log_spectral_distance, si_sdr_db
from training.nets import checkpoint
from training.nets.causal_restorer import Restorer
from training.nets.framing import TorchFraming
from training.nets.net_config import ModelConfig

SMALL = ModelConfig(
    framing=Framing(hop_length=64, analysis_length=256), band_groups=((8, 8), (4, 16)), width=16, dilations=(1, 2)
)


def lively(config: ModelConfig = SMALL, seed: int = 0) -> Restorer:
    """A net whose output differs from its input, as after training."""
    torch.manual_seed(seed)
    net = Restorer(config)
    for weight in net.heads[-1].weights:
        torch.nn.init.normal_(weight, std=0.1)
    return net.eval()


def frames(n_frames: int, config: ModelConfig = SMALL, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shape = (batch, n_frames, 2, config.framing.n_bins, 2)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


def test_an_untrained_net_passes_its_input_but_for_an_inaudible_carrier() -> None:
    spectrum, carrier = frames(20)
    net = Restorer(SMALL)
    with torch.no_grad():
        restored, _ = net(spectrum, carrier, net.initial_state(2))
    change_db = 10 * torch.log10((restored - spectrum).square().sum() / spectrum.square().sum())
    assert change_db < -60


LATE = dataclasses.replace(SMALL, framing=dataclasses.replace(SMALL.framing, lookahead_frames=3))


@pytest.mark.parametrize("config", [SMALL, LATE], ids=["causal", "lookahead"])
@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_frames_in_pieces_give_what_all_at_once_gives(size: int, config: ModelConfig) -> None:
    net, (spectrum, carrier) = lively(config), frames(20)
    with torch.no_grad():
        whole, last = net(spectrum, carrier, net.initial_state(2))
        state, pieces = net.initial_state(2), []
        for part, noise in zip(spectrum.split(size, 1), carrier.split(size, 1), strict=True):
            restored, state = net(part, noise, state)
            pieces.append(restored)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=1e-4, atol=1e-4)
    for ours, wanted in zip(state, last, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-4)


def test_no_output_frame_depends_on_a_later_one() -> None:
    net, (spectrum, carrier) = lively(), frames(20)
    spectrum.requires_grad_()
    restored, _ = net(spectrum, carrier, net.initial_state(2))
    restored[:, 11].square().sum().backward()
    assert spectrum.grad is not None
    assert spectrum.grad[:, 12:].abs().max() == 0
    assert spectrum.grad[:, 8].abs().max() > 0


def test_a_twin_with_a_lookahead_looks_to_both_sides_of_the_frame_that_it_answers_for() -> None:
    net, (spectrum, carrier) = lively(LATE), frames(20)
    spectrum.requires_grad_()
    restored, _ = net(spectrum, carrier, net.initial_state(2))
    restored[:, 11].square().sum().backward()
    assert spectrum.grad is not None
    assert spectrum.grad[:, 12:].abs().max() == 0
    assert (spectrum.grad[:, 2:12].abs().amax((0, 2, 3, 4)) > 0).all()
    with torch.no_grad():
        untrained = Restorer(LATE)
        passed, _ = untrained(spectrum, carrier, untrained.initial_state(2))
    torch.testing.assert_close(passed[:, 3:], spectrum[:, :-3].detach(), rtol=1e-2, atol=1e-2)
    assert passed[:, :3].abs().max() < 1e-3


def test_correction_and_carrier_high_and_low_can_be_turned_down_apart() -> None:
    (spectrum, carrier), net, turned = frames(5), lively(), lively()
    turned.turn(correction=0.5, carrier_db=-20.0, low_carrier_db=-6.0)

    def restored(part: Restorer, noise: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return part(spectrum, noise, net.initial_state(2))[0]

    corrected, less_corrected = (restored(part, torch.zeros_like(carrier)) for part in (net, turned))
    generated, less_generated = (restored(net, carrier) - corrected, restored(turned, carrier) - less_corrected)
    torch.testing.assert_close(less_corrected - spectrum, 0.5 * (corrected - spectrum), rtol=1e-3, atol=1e-5)
    n_fine = net.config.n_fine
    torch.testing.assert_close(less_generated[..., n_fine:, :], 0.1 * generated[..., n_fine:, :], rtol=1e-3, atol=1e-5)
    low = generated[..., :n_fine, :] * 10 ** (-6 / 20)
    torch.testing.assert_close(less_generated[..., :n_fine, :], low, rtol=1e-3, atol=1e-5)


def test_silence_stays_silent() -> None:
    net, (_, carrier) = lively(), frames(20)
    with torch.no_grad():
        restored, _ = net(torch.zeros_like(carrier), carrier, net.initial_state(2))
    assert restored.abs().max() < 1e-9


def test_loudness_hardly_matters() -> None:
    net, (spectrum, carrier) = lively(), frames(20)
    with torch.no_grad():
        loud, _ = net(spectrum * 10, carrier, net.initial_state(2))
        soft, _ = net(spectrum * 0.1, carrier, net.initial_state(2))
    torch.testing.assert_close(loud / 100, soft, rtol=1e-3, atol=1e-4)


def test_framing_gives_the_signal_back_one_hop_later() -> None:
    framing = TorchFraming(Framing())
    audio = torch.randn(1, 2, 256 * 30, generator=torch.Generator().manual_seed(0))
    back = framing.synthesise(framing.analyse(audio))
    torch.testing.assert_close(back[..., 256:], audio[..., :-256], rtol=0, atol=3e-6)


def test_fine_groups_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="fine_groups must be 1 to 4, got 5"):
        ModelConfig(fine_groups=5)


def test_a_checkpoint_gives_the_same_sizes_back() -> None:
    assert checkpoint.config_from_dict(checkpoint.config_to_dict(SMALL)) == SMALL


def test_si_sdr_ignores_gain_and_lsd_counts_decades() -> None:
    target = torch.randn(2, 44_100, generator=torch.Generator().manual_seed(2)) * 0.1
    noise = torch.randn(2, 44_100, generator=torch.Generator().manual_seed(5)) * 0.1
    assert si_sdr_db(3 * (target + 0.1 * noise), target) == pytest.approx(20, abs=0.2)
    assert log_spectral_distance(target * math.sqrt(10), target) == pytest.approx(1, abs=1e-3)


def test_a_wild_net_is_still_finite() -> None:
    net, (spectrum, carrier) = lively(), frames(5)
    for bias in net.heads[-1].biases:
        bias.data.fill_(1e4)
    with torch.no_grad():
        restored, _ = net(spectrum, carrier, net.initial_state(2))
    assert torch.isfinite(restored).all()


def test_the_engine_hears_what_training_hears() -> None:
    """The framing of training and the bundled model's are the same numbers."""
    from apollo_rt.inference.model import load

    model = load()
    assert Processor(model).framing == model.card.framing
    assert TorchFraming(model.framing).analysis_window.shape == (model.framing.analysis_length,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"framing": dataclasses.replace(LATE.framing, lookahead_frames=4)}, r"one of 0, 3, 6, 9 with these.*got 4"),
        ({"framing": dataclasses.replace(LATE.framing, lookahead_frames=12)}, r"one of 0, 3, 6, 9 with these.*got 12"),
        ({"framing": LATE.framing, "exits": (1, 2)}, r"exits must be \[2\] with a lookahead, got \[1, 2\]"),
        ({"exits": (2, 1)}, r"exits must rise from 1 to the 2 layers"),
        ({"band_groups": ((8, 8),)}, r"band_groups must cover 128 bins, they cover 64"),
        ({"recent_taps": 32}, "recent_taps must be odd"),
        ({"envelope_maps": 0}, "envelope_maps must be at least 1, got 0"),
    ],
)
def test_sizes_that_do_not_fit_together_are_clear_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)
