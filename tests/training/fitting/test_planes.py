"""The restorer in planes gives the numbers and the gradients of the restorer that is exported."""

import pytest
import torch

from training.fitting.generators import CausalGenerator
from training.fitting.planes import from_planes, in_planes, restored_planes
from training.nets.causal_restorer import Restorer
from training.nets.net_config import ModelConfig

SMALL = ModelConfig(width=16, hidden=24, dilations=(1, 2), exits=(1, 2), context=4)


def lively(config: ModelConfig) -> Restorer:
    """A net none of whose parts is silent."""
    torch.manual_seed(3)
    net = Restorer(config)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if "heads" in name:
                weight += 0.1 * torch.randn_like(weight)
            if "heads" in name and "biases" in name:
                weight.view(*weight.shape[:-1], -1, 6)[..., 4:] += 6.0
    return net


def frames(n_frames: int, seed: int) -> torch.Tensor:
    """Spectra as music has them: falling towards the highs."""
    n_bins = SMALL.framing.n_bins
    noise = torch.randn(2, n_frames, 2, n_bins, 2, generator=torch.Generator().manual_seed(seed))
    return noise * (torch.arange(n_bins) / 8 + 1)[:, None] ** -0.7


@pytest.mark.parametrize("tier", [0, 1, -1])
def test_planes_restore_what_the_restorer_restores_and_teach_it_the_same(tier: int) -> None:
    net, spectrum, carrier = lively(SMALL), frames(40, 0), frames(40, 1)
    weights = frames(40, 2)
    results, gradients = [], []
    for restore in (
        lambda: net(spectrum, carrier, net.initial_state(2, tier), tier)[0],
        lambda: from_planes(restored_planes(net, in_planes(spectrum), in_planes(carrier), tier)),
    ):
        net.zero_grad()
        restored = restore()
        (restored * weights).sum().backward()
        results.append(restored.detach())
        gradients.append({name: weight.grad for name, weight in net.named_parameters() if weight.grad is not None})
    assert float((results[0] - spectrum).abs().max()) > 0.1
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-4)
    assert set(gradients[0]) == set(gradients[1])
    for name, gradient in gradients[0].items():
        error = (gradients[1][name] - gradient).norm() / gradient.norm()
        assert error < 1e-4, f"{name}: {error}"


def test_with_halved_precision_gradients_point_the_same_way() -> None:
    net, spectrum, carrier, weights = lively(SMALL), *(in_planes(frames(40, seed)) for seed in range(3))
    gradients = []
    for enabled in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            restored = restored_planes(net, spectrum, carrier, -1)
        (restored * weights).sum().backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in net.parameters() if weight.grad is not None]))
    error = float((gradients[1] - gradients[0]).norm() / gradients[0].norm())
    assert 0 < error < 0.02, error  # eight bits of mantissa: 0.4 % a product


def test_the_newest_two_hops_as_products_are_those_of_the_convolution() -> None:
    recent = lively(SMALL).recent
    bins = torch.randn(5, SMALL.framing.n_bins - 1, 4)
    planes = bins.unflatten(-1, (2, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(recent.of_planes(planes), recent(bins), rtol=1e-4, atol=1e-4)


def test_a_twin_that_looks_ahead_is_taught_by_its_own_forward_pass() -> None:
    from dataclasses import replace

    framing = replace(SMALL.framing, lookahead_frames=3)
    generator = CausalGenerator(replace(SMALL, framing=framing, exits=(2,)))
    clip = 0.1 * torch.randn(1, 2, 40 * 256)
    restored, parts = generator.taught(clip, clip, [1])
    torch.testing.assert_close(restored, generator(clip, [1]))
    assert torch.isfinite(parts["envelope"])
