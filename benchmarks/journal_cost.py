"""What it costs to keep every stroke: 200 of them on 512×512×400 labels.

    python benchmarks/journal_cost.py [--folder FOLDER]

prints one line of JSON: milliseconds a stroke with the wait for the disk (median, 95th
percentile, longest), the same for an undo, bytes of the journal that the strokes added,
and what the start cost: of empty labels, and of labels with an organ in them. A stroke is
a drag of 12 steps of a disc 20 voxels wide in one slice; the boxes are those of its steps,
as napari tells them. FOLDER should be on the disk that is to be measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_segreview.core.case import CaseFacts
from napari_segreview.core.cases import Cases
from napari_segreview.core.geometry import Grid
from napari_segreview.core.keeper import FILE
from napari_segreview.core.labels import LabelMap

SHAPE = (400, 512, 512)
STROKES, STEPS, RADIUS = 200, 12, 10


def ms(since: float) -> float:
    return 1000 * (time.perf_counter() - since)


def stroke(labels: np.ndarray, random: np.random.Generator) -> list[tuple[slice, ...]]:
    """Drag a disc; returns the boxes of its steps."""
    plane = int(random.integers(SHAPE[0]))
    at = random.integers(100, 412, 2).astype(float)
    way = random.normal(0, 6, 2)
    grid = np.hypot(*np.ogrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]) <= RADIUS
    value, boxes = int(random.integers(1, 8)), []
    for _ in range(STEPS):
        at = np.clip(at + way, RADIUS, 511 - RADIUS)
        y, x = (int(v) for v in at)
        box = (
            slice(plane, plane + 1),
            slice(y - RADIUS, y + RADIUS + 1),
            slice(x - RADIUS, x + RADIUS + 1),
        )
        labels[box][0][grid] = value
        boxes.append(box)
    return boxes


def organ(labels: np.ndarray) -> None:
    z, y, x = np.ogrid[:400, :512, :512]
    labels[
        ((z - 200) / 90) ** 2 + ((y - 256) / 130) ** 2 + ((x - 256) / 120) ** 2 < 1
    ] = 1


def run(folder: Path) -> dict[str, float]:
    random = np.random.default_rng(3)
    labels = np.zeros(SHAPE, np.uint8)
    grid = Grid.from_spacing(SHAPE, (1.0, 0.8, 0.8))
    facts = CaseFacts.of(LabelMap(data=labels, grid=grid, name="working"))
    cases = Cases(folder)
    began = time.perf_counter()
    cases.begin(facts, labels).close()
    start_empty = ms(began)
    organ(labels)
    began = time.perf_counter()
    keeper = cases.begin(facts, labels)
    start_organ = ms(began)
    (path,) = folder.glob(f"*/{FILE}")
    before = path.stat().st_size
    took = []
    for _ in range(STROKES):
        boxes = stroke(labels, random)
        began = time.perf_counter()
        keeper.note(labels, boxes, tool="brush")
        took.append(ms(began))
    added = path.stat().st_size - before
    backwards = []
    for _ in range(50):
        began = time.perf_counter()
        keeper.undo()
        backwards.append(ms(began))
    keeper.close()
    began = time.perf_counter()
    keeper = cases.resume(path.parent.name)
    resume = ms(began)
    keeper.close()
    return {
        "stroke_ms_median": round(statistics.median(took), 2),
        "stroke_ms_p95": round(float(np.percentile(took, 95)), 2),
        "stroke_ms_max": round(max(took), 2),
        "undo_ms_median": round(statistics.median(backwards), 2),
        "bytes_200_strokes": added,
        "bytes_start_organ": before,
        "start_empty_ms": round(start_empty, 1),
        "start_organ_ms": round(start_organ, 1),
        "resume_ms": round(resume, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=None)
    with tempfile.TemporaryDirectory(dir=parser.parse_args().folder) as place:
        print(json.dumps(run(Path(place))))
