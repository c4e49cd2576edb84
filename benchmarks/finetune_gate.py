"""The gate on real cases: honest corrections of a new contrast pass, spoiled ones do not.

    python benchmarks/finetune_gate.py --data FOLDER [--seconds 120]

The bundled hippocampus model; 5 cases are corrected, 8 locked, none of which it has ever
seen. Versions go into a temporary folder. A JSON line a run.
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
from typing import TYPE_CHECKING

import numpy as np
from finetune_on_hippocampus import CORRECTED, MEASURED, NAME

from napari_segreview._cli_improve import marks_of, read_pair
from napari_segreview.engine.finetune import Lessons, improve
from napari_segreview.engine.models import VARIABLE, active_id, models
from src_models.card import WEIGHTS_FILE, bundled, read_card
from src_models.progress import drain
from src_models.training.finetune import Tuning
from src_models.weights import sha256_of

if TYPE_CHECKING:
    from napari_segreview.engine.case_store import Corrected


def inverted(one: Corrected) -> Corrected:
    data = one.scan.data
    return replace(one, scan=replace(one.scan, data=data.max() - data))


def spoiled(one: Corrected) -> Corrected:
    """Structures swapped and moved by 6 voxels."""
    data = np.roll((3 - one.labels.data) % 3, 6, axis=1)
    return replace(one, labels=replace(one.labels, data=data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=120)
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
    fresh, locked = cases[-CORRECTED:], cases[:MEASURED]
    runs = {
        "spoiled labels, the contrast it knows": ([*map(spoiled, fresh)], locked),
        "inverted contrast": ([*map(inverted, fresh)], [*map(inverted, locked)]),
    }
    tuning = Tuning(budget_seconds=wish.seconds)
    for title, (taught, judges) in runs.items():
        with tempfile.TemporaryDirectory() as own:
            os.environ[VARIABLE] = own
            before = sha256_of(models()[NAME] / WEIGHTS_FILE)
            lessons = Lessons(fresh=tuple(taught), locked=tuple(judges))
            found = drain(improve(NAME, lessons, tuning))
            line = {
                "run": title,
                "standing": found.standing,
                "reasons": found.reasons,
                "active": active_id(NAME),
                "same_bytes": sha256_of(models()[NAME] / WEIGHTS_FILE) == before,
            }
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
