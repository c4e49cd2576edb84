"""Scores of five organs in a large volume: this package against MONAI.

    python benchmarks/metrics_vs_monai.py [--only own|monai]

prints one line of JSON: CPU seconds of one thread (best of three for our own, a single
run for MONAI), memory beyond the two volumes, and how far the values lie apart. Each
library runs in a process of its own, after a warm-up on a corner. Linux only (/proc).

The case is made from a seed: 512×512×200 voxels of 0.8×0.8×2.5 mm, five ellipsoids of
92 000 to 1 220 000 voxels; the prediction has a wavy surface, is moved by up to a voxel
and has a false island for each organ, about 200 mm away.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Labels = npt.NDArray[np.uint8]
Scores = dict[str, list[float]]

SHAPE = (200, 512, 512)
SPACING = (2.5, 0.8, 0.8)
TOLERANCE = 2.0
ORGANS = {  # value: centre (z, y, x), voxels
    1: ((95, 250, 150), 1_220_000),
    2: ((60, 180, 330), 104_000),
    3: ((62, 330, 330), 92_000),
    4: ((140, 260, 370), 271_000),
    5: ((150, 400, 200), 161_000),
}
AWAY, ISLAND = (15, 0, 250), 300  # voxels
KEYS = ("dice", "iou", "hd95", "assd", "nsd")


def made() -> tuple[Labels, Labels]:
    """Prediction and reference (z, y, x)."""
    random = np.random.default_rng(7)
    prediction, reference = np.zeros((2, *SHAPE), np.uint8)
    for value, (centre, voxels) in ORGANS.items():
        draw(reference, value, centre, voxels)
        moved = tuple(np.add(centre, random.integers(-1, 2, 3)))
        draw(prediction, value, moved, voxels, wave=0.08, phase=random.uniform(0, 6, 3))
        island = tuple(np.add(centre, AWAY) % SHAPE)
        draw(prediction, value, island, ISLAND)
    return prediction, reference


def draw(
    labels: Labels,
    value: int,
    centre: tuple[int, ...],
    voxels: int,
    *,
    wave: float = 0.0,
    phase: Sequence[float] = (0, 0, 0),
) -> None:
    """Set an ellipsoid, its radius waving by a share of itself."""
    radius = (voxels * np.prod(SPACING) * 3 / 4 / np.pi) ** (1 / 3)
    radii = radius * np.array([1.0, 1.25, 0.8])
    reach = np.ceil(radii * (1 + wave) / SPACING).astype(int)
    start = np.maximum(np.subtract(centre, reach), 0)
    stop = np.minimum(np.add(centre, reach) + 1, SHAPE)
    box = tuple(map(slice, start, stop))
    axes = zip(np.ogrid[box], centre, SPACING, strict=True)
    z, y, x = ((index - middle) * step for index, middle, step in axes)
    a, b, c = phase
    waves = (np.sin(z / 6 + a) + np.sin(y / 6 + b) + np.sin(x / 6 + c)) / 3
    inside = (z / radii[0]) ** 2 + (y / radii[1]) ** 2 + (x / radii[2]) ** 2
    labels[box][inside <= (1 + wave * waves) ** 2] = value


def own(prediction: Labels, reference: Labels) -> Scores:
    from src_models.metrics import score_all

    report = score_all(prediction, reference, spacing=SPACING, tolerance=TOLERANCE)
    return {key: [getattr(row, key) for row in report.rows] for key in KEYS}


def monai(prediction: Labels, reference: Labels) -> Scores:
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_iou,
        compute_surface_dice,
    )
    from monai.metrics.meandice import compute_dice

    torch.set_num_threads(1)
    pair = [
        torch.from_numpy(np.stack([labels == value for value in ORGANS])[None])
        for labels in (prediction, reference)
    ]
    every = {"include_background": True}
    space = every | {"spacing": SPACING}
    limits = [TOLERANCE] * len(ORGANS)
    found = (
        compute_dice(*pair, **every),
        compute_iou(*pair, **every),
        compute_hausdorff_distance(*pair, percentile=95, **space),
        compute_average_surface_distance(*pair, symmetric=True, **space),
        compute_surface_dice(*pair, limits, **space),
    )
    return dict(zip(KEYS, (scores[0].tolist() for scores in found), strict=True))


LIBRARIES = {"own": (own, 3), "monai": (monai, 1)}  # times to run


def memory(field: str) -> float:
    """MB of this process: VmRSS now, VmHWM at its highest."""
    line = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(field)
    )
    return int(line.split()[1]) / 1024


def measure(library: str, folder: Path) -> dict[str, object]:
    prediction, reference = (np.load(folder / f"{n}.npy") for n in ("a", "b"))
    score, times = LIBRARIES[library]
    corner = np.s_[:40, 100:260, 100:260]
    some = prediction[corner].copy()
    some[0, 0, :5] = range(1, 6)  # MONAI warns of empty labels
    score(some, some)
    before, seconds = memory("VmRSS"), []
    for _ in range(times):
        start = time.process_time()
        values = score(prediction, reference)
        seconds.append(time.process_time() - start)
    return {
        "cpu_s": round(min(seconds), 3),
        "extra_mb": round(memory("VmHWM") - before),
        "values": values,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=LIBRARIES)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(measure(options.only, options.inside)))
        return
    one_thread = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    with tempfile.TemporaryDirectory() as folder:
        for name, labels in zip("ab", made(), strict=True):
            np.save(Path(folder) / f"{name}.npy", labels)
        found = {}
        for library in [options.only] if options.only else LIBRARIES:
            command = [sys.executable, __file__, "--only", library, "--inside", folder]
            text = subprocess.check_output(command, env=os.environ | one_thread)
            found[library] = json.loads(text.splitlines()[-1])
    print(json.dumps({"case": "512x512x200, 5 labels, 0.8x0.8x2.5 mm"} | told(found)))


def told(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What was measured; with both libraries, also how they compare."""
    values = {library: facts.pop("values") for library, facts in found.items()}
    if len(found) < len(LIBRARIES):
        return found
    apart = {
        key: float(np.abs(np.subtract(values["own"][key], values["monai"][key])).max())
        for key in KEYS
    }
    ratio = round(found["monai"]["cpu_s"] / found["own"]["cpu_s"], 1)
    return found | {"times_as_fast": ratio, "largest_difference": apart}


if __name__ == "__main__":
    main()
