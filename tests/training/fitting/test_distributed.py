"""Two processes that share a batch learn what one with all of it learns."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.doubles.fit_runs import CRITIC, write_config, write_pairs
from training.fitting.fit_cli import fit
from training.nets import checkpoint

pytestmark = pytest.mark.slow


def test_two_processes_get_the_gradients_of_one_with_the_double_batch(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    config = write_config(tmp_path, 3, critic=CRITIC, adversary={"critics_from_step": 1, "heard_from_step": 1})
    two = ["--trainer.devices=2", "--trainer.strategy=ddp_find_unused_parameters_true", f"--run={tmp_path / 'two'}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "training", "fit", "--config", str(config), *two]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    fit(["--config", str(config), "--data.crops.batch=4", f"--run={tmp_path / 'one'}"])
    ours, wanted = (checkpoint.load_run(tmp_path / run / "last.ckpt") for run in ("two", "one"))
    # AdamW's first moment is a sum of the gradients of the three steps, each with a weight of its own.
    for our_optimizer, wanted_optimizer in zip(ours["optimizer_states"], wanted["optimizer_states"], strict=True):
        assert wanted_optimizer["state"]
        for name, state in wanted_optimizer["state"].items():
            moment = state["exp_avg"]
            error = (our_optimizer["state"][name]["exp_avg"] - moment).norm() / moment.norm().clamp(min=1e-9)
            assert error < 1e-3, f"parameter {name}: relative error {error}"
    for name, tensor in wanted["state_dict"].items():
        torch.testing.assert_close(ours["state_dict"][name], tensor, rtol=1e-2, atol=1e-3)
