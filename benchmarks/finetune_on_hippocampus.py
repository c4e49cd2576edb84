"""A scanner the model has not seen: the bundled hippocampus model on inverted contrast.

    python benchmarks/finetune_on_hippocampus.py --data FOLDER [--seconds 150]

Cases are those locked when the model was made: it has never seen one of them. In the
order of a hash, the first 8 are only measured on, the last 5 are corrected. Prints a JSON
line for each number of corrected cases, and one before any.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_segreview._training import read_cases
from src_models.card import bundled
from src_models.progress import drain
from src_models.training.config import read_recipe
from src_models.training.evaluate import case_dices
from src_models.training.finetune import Tuning, finetune
from src_models.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from src_models.card import TrainedCard
    from src_models.data.cases import Case

ROOT = Path(__file__).resolve().parents[1]
NAME = "hippocampus-unet3d"
MEASURED, CORRECTED = 8, 5


def inverted(case: Case) -> Case:
    return replace(case, image=case.image.max() - case.image)


def swapped(case: Case) -> Case:
    """A corruption: the two structures swapped and moved by 6 voxels."""
    return replace(case, labels=np.roll((3 - case.labels) % 3, 6, axis=1))


def mean_dice(net: nn.Module, card: TrainedCard, cases: Sequence[Case]) -> float:
    return round(float(np.mean(case_dices(net, card, cases, torch.device("cpu")))), 4)


def never_seen(data: Path, card: TrainedCard) -> list[Case]:
    cases = read_cases(read_recipe(ROOT / "recipes" / f"{NAME}.toml"), data)
    found = [case for case in cases if case.name in card.data.locked]
    return sorted(found, key=lambda one: hashlib.sha256(one.name.encode()).hexdigest())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--corrected", type=int, nargs="*", default=[1, 3, 5])
    parser.add_argument(
        "--replay", type=int, default=0, help="Earlier cases, of the original contrast."
    )
    parser.add_argument("--share", type=float, default=0.25, help="Of the replay.")
    parser.add_argument("--corrupt", action="store_true", help="Spoil the corrections.")
    wish = parser.parse_args()
    net, card = load_model(bundled()[NAME])
    cases = never_seen(wish.data, card)
    measured = cases[:MEASURED]
    sides = {
        "inverted": [inverted(case) for case in measured],
        "original": measured,
    }
    say({"corrected": 0, **{k: mean_dice(net, card, v) for k, v in sides.items()}})
    for count in wish.corrected:
        taught = [inverted(case) for case in cases[-CORRECTED:][:count]]
        if wish.corrupt:
            taught = [swapped(case) for case in taught]
        tuned, began = deepcopy(net), time.monotonic()
        cpu = time.process_time()
        tuning = Tuning(budget_seconds=wish.seconds, replay=wish.share)
        last: dict[str, Any] = {}
        earlier = cases[MEASURED:-CORRECTED][: wish.replay]
        steps = finetune(card, tuned, taught, tuning, replay=earlier)

        def follow(steps: Any = steps, last: dict[str, Any] = last) -> Any:
            for event in steps:
                last["step"] = event.note
                last["held"] = round(getattr(event, "best", last.get("held", 0)), 4)
                yield event

        drain(follow())
        took = {
            "seconds": round(time.monotonic() - began),
            "cpu_seconds": round(time.process_time() - cpu),
        }
        found = {k: mean_dice(tuned, card, v) for k, v in sides.items()}
        say(
            {
                "corrected": count,
                "corrupt": wish.corrupt,
                "replay": wish.replay,
                **found,
                **took,
                **last,
            }
        )


def say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
