"""The gate on real cases: honest corrections of a new contrast pass, spoiled ones do not.

    python benchmarks/finetune_gate.py --data FOLDER [--steps 120] [--write]

The bundled hippocampus model; 5 cases are corrected, 8 locked, none of which it has ever
seen. Versions go into a temporary folder. A JSON line a run; `--write` puts a table into
docs/finetune.md. Fails if a spoiled run became active or any byte of the active model
changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from finetune_on_hippocampus import CORRECTED, MEASURED, NAME, PAGE

from napari_segreview._cli_improve import marks_of, read_pair
from napari_segreview.engine.finetune import Lessons, improve
from napari_segreview.engine.models import BASE, VARIABLE, active_id, models
from src_models.card import bundled, read_card
from src_models.progress import drain
from src_models.training.finetune import Tuning

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segreview.engine.case_store import Corrected

BEGIN, END = "<!-- made by benchmarks/finetune_gate.py -->\n", "<!-- end of gate -->\n"
BY = 6  # voxels


def inverted(one: Corrected) -> Corrected:
    data = one.scan.data
    return replace(one, scan=replace(one.scan, data=data.max() - data))


def relabelled(one: Corrected, data: Any) -> Corrected:
    return replace(one, labels=replace(one.labels, data=data))


def shifted(one: Corrected) -> Corrected:
    """As if drawn on another scan: moved by 6 voxels."""
    return relabelled(one, np.roll(one.labels.data, BY, axis=1))


def swapped(one: Corrected) -> Corrected:
    """The two structures by each other's name."""
    return relabelled(one, (3 - one.labels.data) % 3)


def same(one: Corrected) -> Corrected:
    return one


# what is done to the corrections, to the locked cases; whether it may pass
RUNS: dict[
    str,
    tuple[Callable[[Corrected], Corrected], Callable[[Corrected], Corrected], bool],
] = {
    f"labels moved by {BY} voxels": (shifted, same, False),
    "structures swapped": (swapped, same, False),
    "inverted contrast, honest labels": (inverted, inverted, True),
}


def files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def one_run(
    title: str, fresh: list[Corrected], locked: list[Corrected], steps: int
) -> Any:
    spoil, of_locked, honest = RUNS[title]
    with tempfile.TemporaryDirectory() as own:
        os.environ[VARIABLE] = own
        active = models()[NAME]
        before = files(active)
        lessons = Lessons(
            fresh=tuple(map(spoil, fresh)), locked=tuple(map(of_locked, locked))
        )
        found = drain(improve(NAME, lessons, Tuning(steps=steps)))
        untouched = files(active) == before
        if not untouched or ((active_id(NAME) != BASE) and not honest):
            raise SystemExit(f"{title}: the active model did not stay: {found}")
        return {
            "run": title,
            "decision": found.standing,
            "active": "the candidate" if active_id(NAME) != BASE else "as before",
            "same_bytes": untouched,
            "reasons": found.reasons,
        }


def table(rows: list[Any]) -> str:
    lines = [
        "| corrections | decision | active then | bytes of the earlier one | why |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        kept = "the same" if row["same_bytes"] else "**changed**"
        cells = [row["run"], row["decision"], row["active"], kept]
        lines.append("| " + " | ".join([*cells, "; ".join(row["reasons"])]) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--write", action="store_true", help="Into docs/finetune.md.")
    wish = parser.parse_args()
    names = sorted(
        read_card(bundled()[NAME]).data.locked,
        key=lambda name: hashlib.sha256(name.encode()).hexdigest(),
    )
    folder = wish.data / "mri_hippocampus"
    cases = [
        read_pair(
            f"{folder / 'images' / name}.nii.gz={folder / 'labels' / name}.nii.gz",
            marks_of(""),
        )
        for name in names
    ]
    rows = []
    for title in RUNS:
        rows.append(one_run(title, cases[-CORRECTED:], cases[:MEASURED], wish.steps))
        sys.stdout.write(json.dumps(rows[-1], ensure_ascii=False) + "\n")
        sys.stdout.flush()
    if wish.write:
        before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(before + begin + table(rows) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
