"""Tiny training runs for tests: pairs of noise, a net of a few weights, and what a run left."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import yaml

CRITIC = {
    "class_path": "training.nets.critics.MultiResolutionCritic",
    "init_args": {"window_lengths": [64, 256], "widths": [4, 4]},
}


def write_pairs(folder: Path) -> Path:
    """Noise whose highs were cut by a moving average, one pair for training and one for validation."""
    random = np.random.default_rng(0)
    for split in ("train", "valid"):
        (folder / split).mkdir(parents=True)
        clean = random.standard_normal((30_000, 2)) * 3000
        damaged = np.stack([np.convolve(side, np.ones(8) / 8, "same") for side in clean.T], 1)
        pair = np.stack([clean, damaged]).clip(-32_768, 32_767).astype(np.int16)
        np.save(folder / split / "song__noise__0__mp3-32.npy", pair)
    return folder


def write_config(folder: Path, max_steps: int, **model: Any) -> Path:
    """A causal net of two layers with a lighter tier; fields of `model` come on top."""
    sizes = {
        "framing": {"hop_length": 64, "analysis_length": 256},
        "band_groups": [[8, 8], [4, 16]],
        "width": 16,
        "dilations": [1, 2],
        "exits": [1, 2],
        "recent_taps": 9,
    }
    config = {
        "run": str(folder / "run"),
        "threads": 1,
        "model": {
            "generator": {
                "class_path": "training.fitting.generators.CausalGenerator",
                "init_args": {"config": sizes},
            },
            "schedule": {"class_path": "training.fitting.schedule.Cosine", "init_args": {"warmup_steps": 3}},
            "generator_optimizer": {"learning_rate": 5e-3, "betas": [0.9, 0.98]},
            **model,
        },
        "data": {
            "pairs": str(folder / "pairs"),
            "crops": {"samples": 3200, "batch": 2, "clean_share": 0, "quietest_db": 0, "mute_share": 0},
            "valid_samples": 12_800,
            "valid_count": 1,
        },
        "trainer": {"accelerator": "cpu", "max_steps": max_steps, "val_check_interval": 1000, "precision": "32-true"},
        "lines": {"every_steps": 1},
        "listening": {"count": 0},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def logged(run: Path, name: str) -> list[float]:
    """Every value of one figure in the order of the steps, over all parts of a run."""
    values = []
    for log in sorted(run.glob("logs/version_*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1])):
        with log.open() as lines:
            values += [float(row[name]) for row in csv.DictReader(lines) if row.get(name)]
    return values
