"""A scanner the model has not seen: the bundled hippocampus model on another contrast.

    python benchmarks/finetune_on_hippocampus.py --data FOLDER [--shift inverted gamma]
        [--corrected 1 3 5] [--steps 300] [--log runs/finetune.jsonl] [--write]

Cases are those locked when the model was made: it has never seen one of them. In the
order of a hash, the first 8 are only measured on, the last 5 are corrected; of the others
10 are earlier cases of the original contrast, shown again. A JSON line for each run is
added to the log; what stands there is not run again. `--write` puts the table into
docs/finetune.md. Time is CPU seconds of this process, so that other work on the machine
does not change it.
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
from src_models.progress import Curve
from src_models.training.config import read_recipe
from src_models.training.evaluate import case_dices
from src_models.training.finetune import Tuning, finetune
from src_models.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from src_models.card import TrainedCard
    from src_models.data.cases import Case

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "finetune.md"
BEGIN = "<!-- made by benchmarks/finetune_on_hippocampus.py -->\n"
END = "<!-- end of it -->\n"
NAME = "hippocampus-unet3d"
MEASURED, CORRECTED = 8, 5
GAMMA = 5.0

Row = dict[str, Any]


def inverted(case: Case) -> Case:
    return replace(case, image=case.image.max() - case.image)


def gamma(case: Case) -> Case:
    """Grey values, from the least to the greatest, to the power `GAMMA`."""
    low, high = float(case.image.min()), float(case.image.max())
    share = (case.image.astype(np.float32) - low) / (high - low)
    return replace(case, image=share**GAMMA * (high - low) + low)


SHIFTS: dict[str, Callable[[Case], Case]] = {"inverted": inverted, "gamma": gamma}


def mean_dice(net: nn.Module, card: TrainedCard, cases: Sequence[Case]) -> float:
    return round(float(np.mean(case_dices(net, card, cases, torch.device("cpu")))), 4)


def never_seen(data: Path, card: TrainedCard) -> list[Case]:
    cases = read_cases(read_recipe(ROOT / "recipes" / f"{NAME}.toml"), data)
    found = [case for case in cases if case.name in card.data.locked]
    return sorted(found, key=lambda one: hashlib.sha256(one.name.encode()).hexdigest())


def key_of(shift: str, corrected: int, wish: argparse.Namespace) -> Row:
    """What tells one run from another; the model itself is the run of 0 cases."""
    how = {"replay": wish.replay, "share": wish.share, "remember": wish.remember}
    what = {"shift": shift, "corrected": corrected}
    return what | (how | {"steps": wish.steps} if corrected else {})


def measure(net: nn.Module, card: TrainedCard, cases: Sequence[Case], key: Row) -> Row:
    """Fine-tune as the key says, then the Dice on both contrasts of untouched cases."""
    shift, took = SHIFTS[key["shift"]], {}
    if key["corrected"]:
        net, began = deepcopy(net), time.process_time()
        taught = [shift(case) for case in cases[-CORRECTED:][: key["corrected"]]]
        earlier = cases[MEASURED:-CORRECTED][: key["replay"]]
        tuning = Tuning(
            steps=key["steps"], replay=key["share"], remember=key["remember"]
        )
        for event in finetune(card, net, taught, tuning, replay=earlier):
            if isinstance(event, Curve):
                took["held"] = round(event.best, 4)
        took["cpu_seconds"] = round(time.process_time() - began)
    held = cases[:MEASURED]
    found = {
        "shifted": mean_dice(net, card, [shift(case) for case in held]),
        "original": mean_dice(net, card, held),
    }
    return {**key, **found, **took}


def table(rows: Sequence[Row]) -> str:
    """A line for each run, those of one contrast together."""
    lines = [
        "| contrast | corrected | earlier cases | steps | CPU s | Dice, that contrast "
        "| recovered | Dice, original contrast | lost, points |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    before = {row["shift"]: row for row in rows if not row["corrected"]}
    for row in sorted(
        rows, key=lambda r: (r["shift"] == "gamma", r["corrected"], r.get("steps", 0))
    ):
        first = before[row["shift"]]
        names = {"inverted": "inverted", "gamma": f"gamma {GAMMA:g}"}
        cells = [names[row["shift"]], row["corrected"]]
        if row["corrected"]:
            lost = first["original"] - first["shifted"]
            cells += [row["replay"], row["steps"], row["cpu_seconds"]]
            cells += [f"{row['shifted']:.3f}"]
            cells += [f"{100 * (row['shifted'] - first['shifted']) / lost:.0f} %"]
            cells += [f"{row['original']:.3f}"]
            cells += [f"{100 * (first['original'] - row['original']):.1f}"]
        else:
            cells += ["–", "–", "–", f"{row['shifted']:.3f}", "–"]
            cells += [f"{row['original']:.3f}", "–"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--shift", nargs="*", choices=SHIFTS, default=[*SHIFTS])
    parser.add_argument("--corrected", type=int, nargs="*", default=[1, 3, 5])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--replay", type=int, default=10, help="Earlier cases.")
    parser.add_argument("--share", type=float, default=Tuning().replay)
    parser.add_argument("--remember", type=float, default=Tuning().remember)
    parser.add_argument("--log", type=Path, default=Path("runs/finetune.jsonl"))
    parser.add_argument("--write", action="store_true", help="Into docs/finetune.md.")
    wish = parser.parse_args()
    net, card = load_model(bundled()[NAME])
    cases = never_seen(wish.data, card)
    wish.log.parent.mkdir(parents=True, exist_ok=True)
    said = wish.log.read_text(encoding="utf-8") if wish.log.exists() else ""
    rows = [json.loads(line) for line in said.splitlines()]
    for shift in wish.shift:
        for corrected in (0, *wish.corrected):
            key = key_of(shift, corrected, wish)
            if any(key.items() <= row.items() for row in rows):
                continue
            rows.append(measure(net, card, cases, key))
            with wish.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(rows[-1]) + "\n")
            sys.stdout.write(json.dumps(rows[-1]) + "\n")
            sys.stdout.flush()
    if wish.write:
        before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(before + begin + table(rows) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
