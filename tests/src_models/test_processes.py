"""Two processes (CPU, gloo) learn what one learns with batches twice as large."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from two_processes import run

from src_models.training.checkpoint import BEST

HERE = Path(__file__).parent
CHOICES: dict[str, dict[str, Any]] = {
    "a loss of single voxels": {"loss": "ce"},
    "two batches a step": {"loss": "ce", "accumulate": 2},
    "a loss of the whole batch": {"loss": "dice + ce", "sync_loss": True},
}
# Adam and clipping would hide gradients of a wrong size. Rounding grows about fivefold a
# step (in float64 the curves agree to 1e-15), so there are few.
PLAN = {"optimizer": "sgd", "learning_rate": 0.02, "clip": 1e6, "steps": 3, "epochs": 1}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes for each choice."""
    folder = tmp_path_factory.mktemp("two")
    wishes = {
        name: {
            "devices": 2,
            "batch": 2 // train.get("accumulate", 1),
            "train": {**PLAN, **train},
        }
        for name, train in CHOICES.items()
    }
    ended = subprocess.run(
        [sys.executable, HERE / "two_processes.py", folder, json.dumps(wishes)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of this process, with the batch of two, for each loss."""
    folder = tmp_path_factory.mktemp("one")
    for loss in ("ce", "dice + ce"):
        run(folder / loss, devices=1, batch=4, train={**PLAN, "loss": loss})
    return folder


def losses(folder: Path) -> list[float]:
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", CHOICES)
def test_the_curve_is_that_of_one_process(name: str, one: Path, two: Path) -> None:
    found, wanted = losses(two / name), losses(one / CHOICES[name]["loss"])
    assert found == pytest.approx(wanted, rel=5e-5)


def weights(folder: Path) -> torch.Tensor:
    state = load_file(folder / "state-1.safetensors")
    return torch.cat([v.ravel() for k, v in state.items() if k.startswith("net/")])


def test_so_are_the_weights(one: Path, two: Path) -> None:
    found, wanted, other = (
        weights(two / "a loss of the whole batch"),
        weights(one / "dice + ce"),
        weights(one / "ce"),
    )
    assert (found - wanted).norm() < 0.05 * (other - wanted).norm()


def test_one_process_writes(two: Path) -> None:
    for name in CHOICES:
        assert sorted(path.name for path in (two / name).iterdir()) == [
            BEST,
            "history.csv",
            "settings.json",
            "state-1.safetensors",
            "state.json",
        ]
        settings = json.loads((two / name / "settings.json").read_text())
        assert settings["processes"] == 2
