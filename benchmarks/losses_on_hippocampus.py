"""Each loss, the same net, seed and budget: validation Dice on the hippocampus set.

    python benchmarks/losses_on_hippocampus.py --data FOLDER [--steps 60] [--epochs 5]

A JSON line for each loss is added to runs/losses/results.jsonl; those that stand there
are not run again. At the end docs/losses.md gets the table between its two marks, and
docs/images/losses.svg is drawn. The locked cases are not looked at.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from napari_segreview._training import read_cases
from src_models.data.splits import Split, split_cases
from src_models.losses import LOSSES
from src_models.training.config import Recipe, read_recipe
from src_models.training.curves import Epoch
from src_models.training.fit import fit

ROOT = Path(__file__).resolve().parents[1]
PAGE, PLOT = ROOT / "docs" / "losses.md", ROOT / "docs" / "images" / "losses.svg"
BEGIN = "<!-- made by benchmarks/losses_on_hippocampus.py -->\n"
END = "<!-- end -->\n"
# With few epochs the boundary loss rises faster than its paper's .01 an epoch.
SUMS = ("dice + ce", "fall(step=.2)*generalised-dice + rise(step=.2)*boundary")
ALONE_IT_LEARNS_NOTHING = {"boundary"}


def expressions() -> tuple[str, ...]:
    return (*(name for name in LOSSES if name not in ALONE_IT_LEARNS_NOTHING), *SUMS)


def measure(recipe: Recipe, sides: Split, loss: str, run: Path) -> dict[str, Any]:
    """Validation Dice after each epoch."""
    plan = recipe.train.model_copy(update={"loss": loss})
    began, reached = time.monotonic(), []
    for event in fit(recipe.model_copy(update={"train": plan}), sides, run):
        if isinstance(event, Epoch):
            reached.append(round(event.dice, 4))
    shutil.rmtree(run)
    took = round(time.monotonic() - began)
    return {"loss": loss, "dice": reached, "seconds": took}


def table(rows: list[dict[str, Any]], said: str) -> str:
    lines = [
        said,
        "",
        "| loss | validation Dice | after the first epoch |",
        "|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: -row["dice"][-1]):
        lines.append(
            f"| `{row['loss']}` | {row['dice'][-1]:.3f} | {row['dice'][0]:.3f} |"
        )
    return "\n".join([*lines, "", f"![Dice by loss](images/{PLOT.name})", ""])


def plot(rows: list[dict[str, Any]]) -> str:
    """Bars from 0 to 1, the best first; the pale part was there after the first epoch."""
    rows = sorted(rows, key=lambda row: -row["dice"][-1])
    height, left, width = 22 * len(rows) + 10, 420, 300
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 70}" '
        f'height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{left + width + 70}" height="{height}" fill="white"/>',
    ]
    for at, row in enumerate(rows):
        y, first, last = 22 * at + 8, row["dice"][0], row["dice"][-1]
        parts += [
            f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{row["loss"]}</text>',
            f'<rect x="{left}" y="{y}" width="{width * last:.1f}" height="15" '
            'fill="#4477aa"/>',
            f'<rect x="{left}" y="{y}" width="{width * min(first, last):.1f}" '
            'height="15" fill="#aaccee"/>',
            f'<text x="{left + width * last + 6:.1f}" y="{y + 12}">{last:.3f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("runs/losses"))
    wish = parser.parse_args()
    recipe = read_recipe(ROOT / "recipes" / "hippocampus-unet3d.toml")
    changed = {"epochs": wish.epochs, "steps": wish.steps, "warmup": 20, "ema": 0.98}
    recipe = recipe.model_copy(
        update={"train": recipe.train.model_copy(update=changed), "mirror": False}
    )
    sides = split_cases(
        list(read_cases(recipe, wish.data)),
        salt=recipe.data.salt,
        validation=recipe.data.validation,
        locked=recipe.data.locked,
    )
    wish.out.mkdir(parents=True, exist_ok=True)
    log = wish.out / "results.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    rows = [json.loads(line) for line in lines]
    for loss in expressions():
        if loss not in {row["loss"] for row in rows}:
            rows.append(measure(recipe, sides, loss, wish.out / "run"))
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(json.dumps(rows[-1]), flush=True)
    said = (
        f"Compact 3D U-Net, {wish.epochs} epochs of {wish.steps} steps from the same "
        f"seed, {len(sides.train)} cases to learn from, {len(sides.validation)} to "
        "validate on (mean over cases and both structures). So short a run favours "
        "losses that learn fast."
    )
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + begin + table(rows, said) + END + after, encoding="utf-8")
    PLOT.write_text(plot(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
