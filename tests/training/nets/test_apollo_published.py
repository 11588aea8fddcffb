"""The published Apollo, written from its description: the numbers, sizes and names of its authors' own."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests import DATA
from training.nets.apollo_published import BAND_WIDTHS, HOP_LENGTH, PublishedApollo, from_state

GOLDEN = DATA / "apollo_published_n16_l2.npz"


def golden() -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """State dict, input and output of the authors' implementation."""
    with np.load(GOLDEN) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    x, y = arrays.pop("x"), arrays.pop("y")
    return {name.removeprefix("sd/"): tensor for name, tensor in arrays.items()}, x, y


def test_the_output_is_that_of_the_authors_implementation() -> None:
    state, x, y = golden()
    with torch.inference_mode():
        ours = from_state(state)(x)
    assert y.abs().max() > 0.05
    torch.testing.assert_close(ours, y, rtol=0, atol=1e-5)


def test_names_and_shapes_are_those_of_published_checkpoints() -> None:
    state, _, _ = golden()
    ours = PublishedApollo(16, 2).state_dict()
    assert {name: tensor.shape for name, tensor in ours.items()} == {name: t.shape for name, t in state.items()}


def test_the_default_sizes_have_16539308_parameters() -> None:
    assert sum(parameter.numel() for parameter in PublishedApollo().parameters()) == 16_539_308


def test_the_bands_cover_every_bin_once() -> None:
    assert (len(BAND_WIDTHS), sum(BAND_WIDTHS)) == (80, 442)


def test_the_rotary_tables_are_those_of_the_checkpoint() -> None:
    state, _, _ = golden()
    ours = PublishedApollo(16, 2).state_dict()
    for name in ("net.1.band_net.cos_freq", "net.1.band_net.sin_freq"):
        torch.testing.assert_close(ours[name], state[name], rtol=0, atol=1e-6)


def test_each_pair_of_channels_turns_at_a_speed_of_its_own() -> None:
    """The golden pair has heads of two channels, one speed only; the formula is Su et al.'s, equation 34."""
    angles = torch.acos(PublishedApollo(64, 1).net[0].band_net.cos_freq[1])
    torch.testing.assert_close(angles, torch.tensor([1.0, 1.0, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]), rtol=0, atol=3e-4)


def test_channels_know_nothing_of_each_other() -> None:
    state, x, _ = golden()
    net = from_state(state)
    with torch.inference_mode():
        torch.testing.assert_close(net(x[:, :1]), net(x)[:, :1], rtol=0, atol=1e-6)


def test_beyond_the_context_nothing_matters_and_just_within_it_does() -> None:
    torch.manual_seed(0)
    net = PublishedApollo(16, 1)
    changed_from = 30 * HOP_LENGTH
    music = torch.randn(1, 1, changed_from + 20 * HOP_LENGTH) * 0.1
    changed = music.clone()
    changed[..., changed_from:] *= -1
    with torch.inference_mode():
        differs = (net(music) - net(changed)).abs()[0, 0] > 0
    first = int(differs.nonzero()[0])
    assert changed_from - net.context_samples <= first <= changed_from - net.context_samples + 2 * HOP_LENGTH


@pytest.mark.parametrize("n_samples", [1, 440, 441, 442, 882, 10_000])
def test_any_length_comes_back_as_it_was_and_without_a_burst_at_its_end(n_samples: int) -> None:
    torch.manual_seed(0)
    net = PublishedApollo(16, 1)
    with torch.inference_mode():
        restored = net(torch.randn(2, 2, n_samples) * 0.1)
    assert restored.shape == (2, 2, n_samples)
    assert restored.abs().max() < 1


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    net = PublishedApollo(16, 1)
    net(torch.randn(1, 1, 4410)).square().sum().backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


def test_a_state_may_have_a_prefix_and_other_tensors_beside_it() -> None:
    state, x, y = golden()
    lightning = {f"generator.module.{name}": tensor for name, tensor in state.items()} | {"critic.0": torch.zeros(1)}
    with torch.inference_mode():
        torch.testing.assert_close(from_state(lightning)(x), y, rtol=0, atol=1e-5)


def test_a_state_that_lacks_a_tensor_is_refused_with_its_name() -> None:
    state, _, _ = golden()
    del state["output.79.1.bias"]
    with pytest.raises(ValueError, match=r"don't fit 2 layers of width 16.*output\.79\.1\.bias"):
        from_state(state)


def test_a_state_of_another_net_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no tensor named BN\.0\.0\.weight"):
        from_state({"conv.weight": torch.zeros(1)})


def test_half_precision_is_taken_and_computed_in_full() -> None:
    state, x, y = golden()
    with torch.inference_mode():
        torch.testing.assert_close(
            from_state({name: one.half() for name, one in state.items()})(x), y, rtol=0, atol=0.01
        )


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(2**40),  # four bytes in the file
        torch.zeros(16, 11).to_sparse(),
        torch.full((16, 11), torch.nan),
        torch.zeros(16, 11, dtype=torch.int64),
        "a text",
    ],
    ids=["one number for all", "sparse", "nan", "whole numbers", "text"],
)
def test_a_tensor_that_is_none_of_weights_is_refused_and_costs_no_memory(tensor: object) -> None:
    state, _, _ = golden()
    with pytest.raises(ValueError, match=r"BN\.0\.1\.weight is no dense tensor"):
        from_state(state | {"BN.0.1.weight": tensor})  # type: ignore[dict-item]


def test_sizes_that_only_some_tensors_claim_are_refused_before_memory_is_taken() -> None:
    state, _, _ = golden()
    with pytest.raises(ValueError, match="don't fit 2 layers of width 1048576"):
        from_state(state | {"BN.0.1.weight": torch.zeros(2**20, 11, 1)})
    with pytest.raises(ValueError, match="has 70 layers, at most 64"):
        from_state(state | {f"net.{i}.x": torch.zeros(1) for i in range(70)})


@pytest.mark.parametrize(("width", "n_layers"), [(0, 1), (24, 1), (16, 0)])
def test_sizes_out_of_bounds_are_refused(width: int, n_layers: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        PublishedApollo(width, n_layers)
