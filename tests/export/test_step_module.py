"""The lean forms of step and block against the net itself, in PyTorch."""

import dataclasses

import pytest
import torch

from export.graphs.step_module import FOLDS, StepModule
from tests.doubles.tiny_nets import PLAIN, SMALL, lively
from training.nets.net_config import ModelConfig


@torch.no_grad()
def assert_equal_to_the_net(config: ModelConfig, tier: int, n_frames: int, folds: tuple[str, ...]) -> None:
    net, n_all = lively(config), 24
    generator = torch.Generator().manual_seed(1)
    spectrum, carrier = torch.randn(2, n_all, 2, config.framing.n_bins, 2, generator=generator)
    wanted, wanted_state = net(spectrum[None], carrier[None], net.initial_state(1, tier), tier)
    module = StepModule(net, tier, n_frames, folds)
    state, outputs = module.initial_state(), []
    for begin in range(0, n_all, n_frames):
        frames = begin if n_frames == 1 else slice(begin, begin + n_frames)
        restored, *state = module(spectrum[frames], carrier[frames], *state)
        outputs.append(restored)
    got = torch.stack(outputs) if n_frames == 1 else torch.cat(outputs)
    torch.testing.assert_close(got, wanted[0], atol=1e-5 * float(wanted.abs().max()), rtol=0)
    assert [tensor.shape for tensor in state] == [tensor.shape for tensor in module.initial_state()]
    for ours, theirs in zip(state, wanted_state, strict=True):
        torch.testing.assert_close(ours.flatten(), theirs.flatten(), atol=1e-5 * float(theirs.abs().max()), rtol=0)


@pytest.mark.parametrize("config", [SMALL, PLAIN])
@pytest.mark.parametrize("folds", [(), *((fold,) for fold in FOLDS), FOLDS])
def test_each_fold_alone_and_all_together_change_nothing(config: ModelConfig, folds: tuple[str, ...]) -> None:
    assert_equal_to_the_net(config, -1, 1, folds)


@pytest.mark.parametrize("config", [SMALL, PLAIN])
@pytest.mark.parametrize("n_frames", [2, 8, 24])
def test_blocks_give_what_frames_give(config: ModelConfig, n_frames: int) -> None:
    assert_equal_to_the_net(config, -1, n_frames, FOLDS)


@pytest.mark.parametrize("n_frames", [1, 8])
def test_the_lighter_tier_leaves_where_the_net_does(n_frames: int) -> None:
    assert_equal_to_the_net(SMALL, 0, n_frames, FOLDS)


def test_folding_leaves_the_net_as_it_was() -> None:
    net = lively()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    StepModule(net)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_a_net_with_a_lookahead_is_refused() -> None:
    framing = dataclasses.replace(SMALL.framing, lookahead_frames=3)
    with pytest.raises(ValueError, match="causal to be exported, its lookahead_frames are 3; evaluate it with --twin"):
        StepModule(lively(dataclasses.replace(SMALL, framing=framing, exits=())))
