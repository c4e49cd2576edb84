"""*Through slices* from one slice of a structure: how much of the whole it finds.

    python benchmarks/through_slices.py --data FOLDER [--side locked] [--most 3]

The slice of the largest area is clicked one to three times by the simulated user of the
bench, or taken from the manual labels ("given"); the other slices are left to the program.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_segreview._click_bench import held_out
from napari_segreview.core.geometry import Grid
from napari_segreview.core.prompts import Plane, Point
from napari_segreview.core.protocols import Question
from napari_segreview.core.scan import Scan
from napari_segreview.engine.clicks import ClickEngine
from napari_segreview.engine.through import through
from src_models.data.click_simulation import next_click
from src_models.progress import drain
from src_models.training.click_bench import iou
from src_models.training.click_bench_volumes import VolumeTarget, volume_targets
from src_models.training.click_config import read_click_recipe

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "click" / "3d.toml"
GIVEN = 0  # clicks


def clicked(engine: ClickEngine, scan: Scan, plane: Plane, truth: Mask, n: int) -> Mask:
    """The mask of one slice after `n` clicks."""
    mask, points = np.zeros_like(truth), []
    for _ in range(n):
        if (click := next_click(truth, mask)) is None:
            break
        at = (float(plane.index), float(click.y), float(click.x))
        points.append(Point(plane, at, click.positive))
        previous = mask if len(points) > 1 else None
        question = Question(
            scan=scan, plane=plane, prompts=tuple(points), previous=previous
        )
        mask = engine.answer(question)
    return mask


def trial(engine: ClickEngine, target: VolumeTarget, clicks: int) -> tuple[float, ...]:
    """IoU of all; share of its slices that are missed; false slices; seconds."""
    grid = Grid.from_spacing(target.volume.shape, target.spacing)
    scan = Scan(data=target.volume, grid=grid, name=target.case)
    middle = int(target.truth.sum((1, 2)).argmax())
    plane, mask = Plane(0, middle), target.truth[middle]
    if clicks != GIVEN:
        mask = clicked(engine, scan, plane, mask, clicks)
    began = time.perf_counter()
    slices = {plane: mask, **drain(through(engine, scan, {plane: mask}))}
    seconds = time.perf_counter() - began
    found = np.zeros_like(target.truth)
    for one, there in slices.items():
        found[one.index] = there
    own, other = (mask.any((1, 2)) for mask in (target.truth, found))
    missed, false = ((own & ~other).sum() / own.sum(), (other & ~own).sum() / own.sum())
    return iou(target.truth, found), float(missed), float(false), seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--cache", type=Path, default=Path("runs/click-bench"))
    options.add_argument("--side", default="locked")
    options.add_argument("--most", type=int, default=3, help="targets of a set")
    given = options.parse_args()
    plan = read_click_recipe(RECIPE)
    planes = held_out(plan, given.data, given.cache, given.side)
    targets = list(volume_targets(planes, given.most))
    engine = ClickEngine()
    print("| set | targets | clicks | IoU | slices missed | false slices | s |")
    print("|---|---|---|---|---|---|---|")
    for clicks in (1, 3, GIVEN):
        rows = defaultdict(list)
        for target in targets:
            rows[target.set].append(trial(engine, target, clicks))
        means = {name: np.mean(found, 0) for name, found in rows.items()}
        rows["mean of sets"] = targets
        means["mean of sets"] = np.mean(list(means.values()), 0)
        said = str(clicks) if clicks else "given"
        for name, (score, missed, false, seconds) in means.items():
            print(
                f"| {name} | {len(rows[name])} | {said} | {score:.2f} | {missed:.0%} | "
                f"{false:.0%} | {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
