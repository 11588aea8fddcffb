"""The configurations in the repository build what they say."""

from pathlib import Path

import pytest
import yaml

from tests import ROOT
from tests.doubles.fit_runs import write_config, write_pairs
from training.fitting.fit_cli import FitCli, fit
from training.fitting.generators import CausalGenerator, PublishedGenerator
from training.fitting.schedule import Staircase
from training.nets.checkpoint import load_restorer

CONFIGS = ROOT / "training" / "configs"
ON_THIS_MACHINE = ["--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.strategy=auto", "--threads=1"]


def build(name: str, tmp_path: Path, *arguments: str) -> FitCli:
    config = ["--config", str(CONFIGS / name), "--run", str(tmp_path / "run"), "--data.pairs", str(tmp_path)]
    return FitCli([*config, *ON_THIS_MACHINE, *arguments])


@pytest.mark.parametrize("name", ["causal.yaml", "causal_critics.yaml", "causal_gpu.yaml"])
def test_a_causal_configuration_builds_a_causal_net(name: str, tmp_path: Path) -> None:
    module = build(name, tmp_path).model
    assert isinstance(module.generator, CausalGenerator)
    assert bool(module.critic) == (name != "causal.yaml")


@pytest.mark.parametrize("name", ["causal.yaml", "causal_critics.yaml"])
def test_a_configuration_for_one_cpu_goes_on_from_the_first_generation(name: str, tmp_path: Path) -> None:
    first = CONFIGS.parent / "checkpoints" / "first_generation.pt"
    generator = build(name, tmp_path, f"--model.generator.start={first}").model.generator
    assert isinstance(generator, CausalGenerator)
    assert generator.n_tiers == 2
    learnt = load_restorer(first)[0].state_dict()
    assert all(weights.equal(learnt[key]) for key, weights in generator.net.state_dict().items())


def test_the_published_recipe_has_the_published_numbers(tmp_path: Path) -> None:
    run = build("published.yaml", tmp_path)
    module = run.model
    assert isinstance(module.generator, PublishedGenerator)
    assert sum(weights.numel() for weights in module.generator.parameters()) == 16_539_308
    assert sum(weights.numel() for weights in module.critic.parameters()) == 2_771_503
    assert module.loss.weights.multi_magnitude == module.adversary.weight == module.adversary.feature_weight == 1
    assert module.adversary.kind == "least_squares"
    assert isinstance(module.schedule, Staircase)
    assert run.datamodule.crops.samples == 3 * 44_100
    generator, critic = module.configure_optimizers()
    assert (generator.defaults["lr"], critic.defaults["lr"], critic.defaults["betas"]) == (1e-3, 1e-4, (0.5, 0.99))
    written = yaml.safe_load((CONFIGS / "published.yaml").read_text())
    assert written["trainer"]["devices"] * written["data"]["crops"]["batch"] == 8
    assert written["trainer"]["val_check_interval"] * 8 == 40_000


def test_distillation_asks_for_a_teacher_and_takes_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"apollo.bin: can't be read: No such file"):
        build("distillation.yaml", tmp_path)
    write_pairs(tmp_path / "pairs")
    generator = "--model.generator=training.fitting.generators.PublishedGenerator"
    small = [generator, "--model.generator.width=16", "--model.generator.n_layers=1"]
    causal = yaml.safe_load(write_config(tmp_path, 1).read_text())
    del causal["model"]
    config = tmp_path / "published.yaml"
    config.write_text(yaml.safe_dump(causal))
    fit(["--config", str(config), *small])
    taught = build("distillation.yaml", tmp_path, f"--model.teacher.checkpoint={tmp_path / 'run' / 'last.pt'}")
    assert len(taught.model._teachers) == 1
