"""What one mark of each tool finds: a point, a scribble, a box, a lasso.

    python benchmarks/click_tools.py --data FOLDER [--side locked] [--most 8]

On the structures that `segreview bench click` clicks on. The point and the scribble are
those of its simulated user. The box touches the structure; the loose one goes beyond each
side by up to 8 % of the longer one. The lasso runs round the structure at 6 % of that.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

from napari_segreview._click_bench import held_out
from src_models.data.click_simulation import next_click, next_stroke
from src_models.interactive import click_predictor
from src_models.interactive.prompt_maps import Region, box
from src_models.training.click_bench import iou
from src_models.training.click_bench_targets import scored_targets
from src_models.training.click_config import read_click_recipe

if TYPE_CHECKING:
    import numpy.typing as npt

    from src_models.interactive.prompt_maps import Prompt

    Mask = npt.NDArray[np.bool_]

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "click" / "2d.toml"
LOOSE, ROUND = 0.08, 0.06  # shares of the longer side


def marks(truth: Mask, random: np.random.Generator) -> dict[str, Prompt | None]:
    """One mark of each tool on a structure."""
    nothing = np.zeros_like(truth)
    rows, columns = np.flatnonzero(truth.any(1)), np.flatnonzero(truth.any(0))
    rim = np.array([rows[0], columns[0], rows[-1], columns[-1]], float)
    longest = 1 + max(rim[2] - rim[0], rim[3] - rim[1])
    out = random.uniform(0, LOOSE * longest, 4) * (-1, -1, 1, 1)
    return {
        "point": next_click(truth, nothing),
        "scribble": next_stroke(truth, nothing, random),
        "box": box(*rim.tolist()),
        "loose box": box(*(rim + out).tolist()),
        "lasso": lasso(truth, max(1.5, ROUND * longest)),
    }


def lasso(truth: Mask, away: float) -> Region:
    """A curve round the largest piece, so many pixels away."""
    beyond = int(away) + 2
    wide = ndimage.distance_transform_edt(~np.pad(truth, beyond)) < away
    curve = max(find_contours(wide.astype(float), 0.5), key=len) - beyond
    return Region(tuple(map(tuple, approximate_polygon(curve, 1).tolist())))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--cache", type=Path, default=Path("runs/click-bench"))
    options.add_argument("--side", default="locked")
    options.add_argument("--most", type=int, default=8, help="targets of a set")
    given = options.parse_args()
    plan = read_click_recipe(RECIPE)
    planes = held_out(plan, given.data, given.cache, given.side)
    predictor = click_predictor()
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number, target in enumerate(scored_targets(planes, given.most)):
        predictor.set_image(target.image)
        random = np.random.default_rng(number)
        for tool, mark in marks(target.truth, random).items():
            if mark is not None:
                mask = predictor.answer([mark])
                found[target.set][tool].append(iou(target.truth, mask))
    means = {
        name: {k: np.mean(v) for k, v in one.items()} for name, one in found.items()
    }
    tools = list(next(iter(means.values())))
    every = list(means.values())
    means["mean of sets"] = {k: np.mean([one[k] for one in every]) for k in tools}
    print("| set | " + " | ".join(tools) + " |")
    print("|---" * (1 + len(tools)) + "|")
    for name, one in means.items():
        print(f"| {name} | " + " | ".join(f"{one[k]:.2f}" for k in tools) + " |")


if __name__ == "__main__":
    main()
