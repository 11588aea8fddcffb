"""A run from its configuration to its files: learning, resumable to the bit, ended in order, clear when wrong."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from tests.doubles.fit_runs import CRITIC, logged, write_config, write_pairs
from training.fitting.fit_cli import FitCli, fit
from training.inference import restoration
from training.nets import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning", "ignore:.*workers")


class Interruption(Callback):
    """Sends the signal that ends a run, in the middle of it."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.steps == self.step - 1:
            os.kill(os.getpid(), signal.SIGTERM)


def run_until(config: Path, step: int, folder: Path) -> None:
    cli = FitCli(["--config", str(config), "--run", str(folder)])
    cli.trainer.callbacks.append(Interruption(step))
    cli.fit()


def test_training_lowers_the_loss_and_leaves_what_an_export_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "pairs")
    fit(["--config", str(write_config(tmp_path, 30)), "--listening.count=1"])
    losses = logged(tmp_path / "run", "train/loss")
    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    net, content = checkpoint.load_restorer(tmp_path / "run" / "last.pt")
    assert (content["step"], net.config.exits) == (30, (1, 2))
    whole, _ = checkpoint.load_restorer(tmp_path / "run" / "last.ckpt")
    for pruned, complete in zip(net.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(pruned, complete, rtol=0, atol=0)
    lines = capsys.readouterr().out
    assert "music_s_per_s" in lines
    assert "valid step 30" in lines
    assert {path.name for path in (tmp_path / "run" / "clips").iterdir()} == {
        "0.png", "0_clean.wav", "0_damaged.wav", "0_restored.wav",
    }  # fmt: skip


def test_a_run_broken_off_by_a_signal_goes_on_with_the_losses_of_an_unbroken_one(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    adversary = {"critics_from_step": 1, "heard_from_step": 2, "ramp_steps": 2}
    config = write_config(tmp_path, 9, critic=CRITIC, adversary=adversary)
    fit(["--config", str(config), "--run", str(tmp_path / "unbroken")])
    run_until(config, 4, tmp_path / "broken")
    assert len(logged(tmp_path / "broken", "train/loss")) == 4
    assert len(logged(tmp_path / "broken", "valid/band_db")) == 1
    fit(["--config", str(config), "--run", str(tmp_path / "broken")])
    for name, n_values in {"train/loss": 9, "train/critic": 8, "train/feature": 7, "learning_rate": 9}.items():
        wanted = logged(tmp_path / "unbroken", name)
        assert len(wanted) == n_values
        assert logged(tmp_path / "broken", name) == wanted
    ours, wanted = (checkpoint.load(tmp_path / run / "last.pt")["averaged"] for run in ("broken", "unbroken"))
    for name, tensor in wanted.items():
        torch.testing.assert_close(ours[name], tensor, rtol=0, atol=0)


def test_a_pruned_checkpoint_begins_a_new_run(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    config = write_config(tmp_path, 3)
    fit(["--config", str(config)])
    start = tmp_path / "run" / "last.pt"
    again = FitCli(["--config", str(config), "--run", str(tmp_path / "next"), "--model.generator.start", str(start)])
    assert again.model.steps == 0
    for ours, wanted in zip(
        again.model.generator.net.parameters(), checkpoint.load_restorer(start)[0].parameters(), strict=True
    ):
        torch.testing.assert_close(ours, wanted, rtol=0, atol=0)


def test_a_run_stops_early_where_nothing_gets_better(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    still = {"learning_rate": 0.0, "betas": [0.9, 0.98]}
    config = write_config(tmp_path, 50, generator_optimizer=still)
    fit(["--config", str(config), "--trainer.val_check_interval=2", "--early_stop.patience=2"])
    assert len(logged(tmp_path / "run", "train/loss")) == 6


def test_a_run_by_time_ends_in_order(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    by_time = ["--trainer.max_time=00:00:00:01", "--trainer.val_check_interval=00:00:00:01"]
    fit(["--config", str(write_config(tmp_path, -1)), *by_time])
    rates = logged(tmp_path / "run", "learning_rate")
    assert len(rates) == checkpoint.load(tmp_path / "run" / "last.pt")["step"]
    assert (tmp_path / "run" / "best.pt").exists()


def test_the_published_net_trains_with_half_the_digits_and_leaves_a_checkpoint_of_its_own_kind(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    generator = {
        "class_path": "training.fitting.generators.PublishedGenerator",
        "init_args": {"width": 16, "n_layers": 1},
    }
    published = {"snr": 0, "band": 0, "bin": 0, "magnitude": 0, "multi_magnitude": 1}
    config = write_config(tmp_path, 2, generator=generator, critic=CRITIC, weights=published)
    fit(["--config", str(config), "--trainer.precision=bf16-mixed"])
    assert all(map(bool, logged(tmp_path / "run", "train/multi_magnitude")))
    assert isinstance(restoration.load_restoration(tmp_path / "run" / "last.pt"), restoration.ChunkedRestoration)
    teaching = write_config(tmp_path, 1, teacher={"checkpoint": str(tmp_path / "run" / "last.pt")})
    fit(["--config", str(teaching), "--run", str(tmp_path / "taught")])
    assert logged(tmp_path / "taught", "train/teacher")
    kept = checkpoint.load_run(tmp_path / "taught" / "last.ckpt")["state_dict"]
    assert not any("BN" in name for name in kept)


def test_flush_to_zero_is_set_before_anything_is_built(tmp_path: Path) -> None:
    torch.set_flush_denormal(False)
    try:
        assert torch.tensor([1e-40]).mul(1.0) != 0
        FitCli(["--config", str(write_config(tmp_path, 1))])
        assert torch.tensor([1e-40]).mul(1.0) == 0
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=none.yaml"], "File does not exist: .*none.yaml"),
        (["--data.pairs=nowhere"], r"folder must hold pairs \(\*.npy\), found none in nowhere/train"),
        (["--model.generator.config.width=wide"], "config.width: Expected a <class 'int'>. Got value: wide"),
        (["--model.generator.config.fine_groups=3"], "fine_groups must be 1 to 2, got 3"),
        (["--model.weights.band=-1"], "weights must not be negative"),
        (["--model.wieghts.band=1"], "unrecognized arguments: --model.wieghts.band=1"),
        (["--model.adversary.critics_from_step=5"], "heard_from_step must be at least critics_from_step"),
        (["--model.generator.start=none.pt"], "none.pt: can't be read: No such file"),
        (["--model.teacher.checkpoint=config.yaml"], "config.yaml: is no checkpoint"),
        (["--trainer.max_epochs=3"], "crops have no end"),
        (
            ["--trainer.devices=2", "--trainer.val_check_interval=00:01:00:00"],
            "give trainer.val_check_interval in steps",
        ),
        (["--trainer.precision=16-mixed"], "trainer.precision must be 32-true or bf16-mixed, got 16-mixed"),
        (["--trainer.gradient_clip_val=1"], "use model.gradient_clip"),
    ],
)
def test_a_wrong_configuration_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message) as raised:
        fit(["--config", str(write_config(tmp_path, 1)), *arguments])
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_a_run_with_another_net_or_critic_is_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs")
    config = str(write_config(tmp_path, 1))
    fit(["--config", config])
    with pytest.raises(ValueError, match=r"last.ckpt holds another net: width is 16 there and 24 in the configuration"):
        fit(["--config", config, "--model.generator.config.width=24"])
    with pytest.raises(ValueError, match=r"last.ckpt holds other critics than the configuration"):
        fit(["--config", config, "--model.critic=training.nets.critics.MultiResolutionCritic"])
    start = tmp_path / "run" / "last.pt"
    with pytest.raises(ValueError, match="holds another net: dilations is"):
        fit(["--config", config, f"--model.generator.start={start}", "--model.generator.config.dilations=[1,1]"])
    (tmp_path / "run" / "last.ckpt").write_bytes(start.read_bytes())
    with pytest.raises(ValueError, match="is no checkpoint of a run"):
        fit(["--config", config])
