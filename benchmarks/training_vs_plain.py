"""The training engine beside a plain PyTorch loop: steps per second, in one run.

    python benchmarks/training_vs_plain.py [--steps 12] [--rounds 5] [--threads 1]

One JSON line. Both sides train the same 3D compact U-Net from the same seed, with the same
loss, optimizer and clipping, on volumes of noise with a ball. The engine draws, augments
and averages as in a real run; the plain loop is given ready-made patches and does nothing
else. Rounds alternate; `ratio` is the median of (engine / plain) over them. The first steps
of each round are not counted, as the engine's queue is full when it begins.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from src_models import create_model
from src_models.data.augment import augmentation
from src_models.data.cases import Case
from src_models.data.loader import draw_batch
from src_models.data.patches import PatchSampler
from src_models.data.splits import Split
from src_models.losses import loss_by_name
from src_models.training.config import Recipe, read_recipe
from src_models.training.curves import Epoch
from src_models.training.fit import fit

if TYPE_CHECKING:
    from collections.abc import Iterator

RECIPE = Path(__file__).parents[1] / "recipes" / "hippocampus-unet3d.toml"
SKIPPED = 3  # steps of each round


def balls(count: int) -> tuple[Case, ...]:
    """Volumes of noise with two half balls."""
    random = np.random.default_rng(0)
    z, y, x = np.indices((40, 56, 40)) - np.array([20, 28, 20]).reshape(3, 1, 1, 1)
    labels = ((z**2 + y**2 + x**2 < 100) * np.where(y < 0, 1, 2)).astype(np.uint8)
    return tuple(
        Case(
            f"ball{i}",
            f"ball{i}",
            (labels + random.normal(0, 0.5, labels.shape))[None].astype("f4"),
            labels,
            (1.0, 1.0, 1.0),
        )
        for i in range(count)
    )


def engine(recipe: Recipe, run: Path) -> Iterator[float]:
    """Steps per second of each round."""
    made = balls(5)
    began, counted = 0.0, recipe.train.steps - SKIPPED
    for event in fit(recipe, Split(made[:4], made[4:], made[4:]), run):
        if isinstance(event, Epoch):
            continue
        if event.done == SKIPPED:
            began = time.perf_counter()
        if event.done == event.total:
            yield counted / (time.perf_counter() - began)


def plain(recipe: Recipe) -> Iterator[float]:
    """The same, of a loop as short as can be."""
    plan, patches, device = recipe.train, recipe.patches, "cpu"
    if torch.cuda.is_available():
        device = "cuda"
    torch.manual_seed(plan.seed)
    net = create_model("unet", ndim=3, in_channels=1, classes=3).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=plan.learning_rate)
    loss_of = loss_by_name(plan.loss)
    sampler = PatchSampler(balls(4), patches.size, patches.foreground)
    augment, random = augmentation(recipe.augment, 3), np.random.default_rng(0)
    ready = [
        draw_batch(sampler, augment, patches.batch, random) for _ in range(plan.steps)
    ]
    half = plan.precision == "bf16-mixed"
    while True:
        began = 0.0
        for i, (images, labels) in enumerate(ready):
            if i == SKIPPED:
                began = time.perf_counter()
            with torch.autocast(device, torch.bfloat16, enabled=half):
                logits = net(images.to(device))
            loss = loss_of(logits.float(), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), plan.clip)
            optimizer.step()
            loss.item()
        yield (plan.steps - SKIPPED) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of the net")
    parser.add_argument("--workers", type=int, help="that make patches")
    parser.add_argument("--precision", default="32-true")
    wish = parser.parse_args()
    torch.set_num_threads(wish.threads)
    recipe = read_recipe(RECIPE)
    changed = {
        "epochs": wish.rounds,
        "steps": wish.steps,
        "workers": wish.workers,
        "precision": wish.precision,
    }
    train = recipe.train.model_copy(update=changed)
    recipe = recipe.model_copy(update={"train": train})
    with tempfile.TemporaryDirectory() as folder:
        pairs = list(zip(engine(recipe, Path(folder)), plain(recipe), strict=False))
    result = {
        "threads": wish.threads,
        "workers": wish.workers,
        "precision": wish.precision,
        "engine_steps_per_s": round(statistics.median(a for a, _ in pairs), 3),
        "plain_steps_per_s": round(statistics.median(b for _, b in pairs), 3),
        "ratio": round(statistics.median(a / b for a, b in pairs), 3),
        "ratios": [round(a / b, 3) for a, b in pairs],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
