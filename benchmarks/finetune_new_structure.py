"""A model extended by one structure from 5 corrected cases: ultrasound, nerve then vessel.

    python benchmarks/finetune_new_structure.py --data FOLDER [--steps 800] [--write]

A compact 2D U-Net first learns nerves alone from 42 images of *us_nerve_usgra* in which
vessels count as background. Then it is extended by vessels, from 5 corrected images that
show both, once without and once with 10 of the first images as earlier cases, in which
nobody knew of vessels. Dice on 20 images that neither has seen, before and after. Images
are an eighth of their size. The set names no patients: images of one volunteer may be on
two sides. A JSON line a run; `--write` puts a table into docs/finetune.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from finetune_on_hippocampus import PAGE
from imageio import v3 as imageio

from src_models.card import LabelRow
from src_models.data.cases import Case
from src_models.data.splits import Split
from src_models.progress import drain
from src_models.training.cards import draft_card
from src_models.training.config import Recipe
from src_models.training.evaluate import case_dices
from src_models.training.extend import NEW_RATE, extend_head
from src_models.training.finetune import Tuning, finetune
from src_models.training.fit import fit

if TYPE_CHECKING:
    from torch import nn

    from src_models.card import TrainedCard

BEGIN = "<!-- made by benchmarks/finetune_new_structure.py -->\n"
END = "<!-- end of structure -->\n"
MEASURED, CORRECTED, VALIDATE, EARLIER = 20, 5, 5, 10
NERVE, VESSEL = 1, 2
THINNED = 8  # pixels of a side become one
PATCH, BATCH = 64, 4


def read(folder: Path) -> list[Case]:
    """All images, grey, thinned, in the order of a hash of their names."""
    cases = []
    for path in (folder / "us_nerve_usgra" / "images").iterdir():
        image = imageio.imread(path).astype(np.float32)
        image = image.mean(axis=-1) if image.ndim == 3 else image
        labels = imageio.imread(folder / "us_nerve_usgra" / "labels" / path.name)
        rows, columns = (side // THINNED * THINNED for side in image.shape)
        parts = image[:rows, :columns].reshape(
            rows // THINNED, THINNED, columns // THINNED, THINNED
        )
        cases.append(
            Case(
                name=path.stem,
                group=path.stem,
                image=parts.mean(axis=(1, 3))[None],
                labels=labels[:rows:THINNED, :columns:THINNED].astype(np.int16),
                spacing=(1.0, 1.0),
            )
        )
    return sorted(cases, key=lambda one: hashlib.sha256(one.name.encode()).hexdigest())


def nerves_only(case: Case) -> Case:
    """As by somebody who has never heard of vessels: they are background."""
    return replace(case, labels=np.where(case.labels == NERVE, 1, 0).astype(np.int16))


def earlier(case: Case) -> Case:
    """Shown again beside vessels: what was background may be one."""
    return replace(nerves_only(case), blank=True)


def recipe(epochs: int) -> Recipe:
    color = {NERVE: (0.9, 0.6, 0.0)}
    return Recipe.model_validate(
        {
            "name": "us-nerve",
            "about": {
                "title": "Nerve",
                "task": "Nerve",
                "wants": "2D ultrasound",
                "modalities": ["US"],
            },
            "data": {
                "folder": "us_nerve_usgra",
                "images": "images/*.png",
                "labels": "labels/{name}",
                "name": "usgra-seg",
                "licence": "CC BY 4.0",
                "credit": "T. Kandaouroff",
                "validation": 0.1,
                "locked": 0.3,
            },
            "net": {
                "system": "unet",
                "preset": "compact",
                "ndim": 2,
                "in_channels": 1,
                "classes": 2,
            },
            "labels": [{"value": NERVE, "name": "nerve", "color": color[NERVE]}],
            "intensity": {"kind": "zscore"},
            "tolerance": 2.0,
            "patches": {"size": [PATCH, PATCH], "batch": BATCH, "foreground": 0.7},
            "augment": {"mirror_axes": [1]},
            "train": {
                "epochs": epochs,
                "steps": 100,
                "learning_rate": 2e-3,
                "precision": "bf16-mixed",
                "ema": 0.98,
                "warmup": 20,
            },
        }
    )


def dices(net: nn.Module, card: TrainedCard, cases: list[Case]) -> list[float]:
    """Mean Dice of each structure of the card."""
    found = np.array(case_dices(net, card, cases, torch.device("cpu")))
    means = found.reshape(len(cases), len(card.labels)).mean(axis=0)
    return [round(float(one), 4) for one in means]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=8, help="Of the first model.")
    parser.add_argument("--steps", type=int, default=800, help="Of the extension.")
    parser.add_argument("--write", action="store_true", help="Into docs/finetune.md.")
    wish = parser.parse_args()
    cases = read(wish.data)
    measured, corrected = cases[:MEASURED], cases[MEASURED:][:CORRECTED]
    first = [nerves_only(case) for case in cases[MEASURED + CORRECTED :]]
    sides = Split(
        tuple(first[VALIDATE:]),
        tuple(first[:VALIDATE]),
        tuple(map(nerves_only, measured)),
    )
    plan = recipe(wish.epochs)
    with tempfile.TemporaryDirectory() as run:
        net = drain(fit(plan, sides, Path(run)))
    card = draft_card(plan, sides)
    row = {"run": "nerve alone", "nerve": dices(net, card, list(sides.locked))[0]}
    rows: list[dict[str, Any]] = [row]
    say(row)
    vessel = LabelRow(value=VESSEL, name="vessel", color=(0.8, 0.1, 0.1))
    grown, wider = extend_head(net, card, [vessel])
    for count in (0, EARLIER):
        tuned, began = deepcopy(grown), time.process_time()
        shown = [earlier(case) for case in cases[-count:]] if count else []
        steps = finetune(
            wider,
            tuned,
            corrected,
            Tuning(steps=wish.steps, batch=BATCH, learning_rate=NEW_RATE),
            replay=shown,
            before=net,
        )
        drain(steps)
        took = round(time.process_time() - began)
        nerve, found = dices(tuned, wider, measured)
        row = {
            "run": "and vessel",
            "earlier": count,
            "steps": wish.steps,
            "cpu_seconds": took,
            "nerve": nerve,
            "vessel": found,
        }
        rows.append(row)
        say(row)
    if wish.write:
        before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(before + begin + table(rows) + END + after, encoding="utf-8")


def say(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| model | earlier cases | steps | CPU s | Dice, nerve | Dice, vessel |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            row["run"],
            *(row.get(key, "–") for key in ("earlier", "steps", "cpu_seconds")),
        ]
        cells += [
            f"{row['nerve']:.3f}",
            f"{row['vessel']:.3f}" if "vessel" in row else "–",
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
