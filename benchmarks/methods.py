"""Each way of training beside its baseline: a real run of its recipe, on cases not seen.

    python benchmarks/methods.py train RUN… --data FOLDER [--runs runs/methods]
    python benchmarks/methods.py collect [--runs runs/methods]

`train` makes the runs that are named, or all; those that are finished are left alone, an
interrupted one goes on. `collect` reads the finished ones, refuses any that was not made
by the recipe as it is now, and renews their rows in benchmarks/methods.json, from which
`python scripts/models_table.py` writes the tables of docs/methods.md.

Three runs belong to a recipe: RECIPE is the method; RECIPE-without the same with the
options that take its idea away, where the method trains no baseline itself;
RECIPE-masks the recipe without a method, which learns from all masks.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src_models.metrics.interval import bootstrap
from src_models.training.config import MethodSpec, Recipe, read_recipe
from src_models.training.methods import options_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).resolve().parents[1]
RECIPES, FOUND = ROOT / "recipes" / "methods", ROOT / "benchmarks" / "methods.json"
WITHOUT, MASKS = "-without", "-masks"
CUT_3D = "hippocampus-distance-map"  # the masks of the hippocampus, learnt plainly


@dataclass(frozen=True, slots=True)
class Comparison:
    """A recipe and what it is compared with.

    Attributes
    ----------
    beside : str
        The baseline, in words.
    without : mapping, optional
        Options that take the method's idea away; None: it trains its baseline itself, or
        `masks` is the baseline.
    masks : str
        The recipe whose run without a method shows what all masks give.
    masks_beside : bool
        Whether that run is the baseline.
    """

    recipe: str
    beside: str
    without: Mapping[str, Any] | None = None
    masks: str = ""
    masks_beside: bool = False


COMPARISONS = (
    Comparison("hippocampus-luc", "no critic"),
    Comparison("retina-vgan", "no critic"),
    Comparison("smear-segan", "no critics"),
    Comparison(
        "hippocampus-asdnet", "the labelled patients, no second net", masks=CUT_3D
    ),
    Comparison("hippocampus-projective", "no critics"),
    Comparison("cine-pig-sparse", "a U-Net, frame by frame"),
    Comparison("cine-sunnybrook-sparse", "a U-Net, frame by frame"),
    Comparison("cine-pig-fcslstm", "a U-Net, frame by frame"),
    Comparison("hippocampus-scu", "SCU-Net without BiCLSTM"),
    Comparison(
        "hippocampus-scribbles", "the strokes alone", {"regulariser": "none"}, CUT_3D
    ),
    Comparison(
        "hippocampus-scribble-rounds", "what was spread once", {"rounds": 1}, CUT_3D
    ),
    Comparison("nuclei-points", "no prior", {"objectness": 0}, "nuclei-points"),
    Comparison("hippocampus-boxes", "boxes as masks", {"rounds": 1}, CUT_3D),
    Comparison("hippocampus-sizes", "the strokes alone", {"weight": 0}, CUT_3D),
    Comparison(
        "hippocampus-mean-teacher", "the labelled patients alone", {"weight": 0}, CUT_3D
    ),
    Comparison("nuclei-dcan", "DCAN's regions alone", None, "nuclei-dcan", True),
    Comparison(CUT_3D, "masks alone", None, CUT_3D, True),
    Comparison("nuclei-ynet", "masks alone", None, "nuclei-ynet", True),
    Comparison("hippocampus-random-contrasts", "real images", None, CUT_3D, True),
    Comparison(
        "hippocampus-learned-transforms",
        "the atlas, ordinary changes",
        {"learn_from": "atlas"},
        CUT_3D,
    ),
)


def runs() -> dict[str, Recipe]:
    """Each run's name and the recipe that makes it."""
    found = {}
    for one in COMPARISONS:
        recipe = found[one.recipe] = read_recipe(RECIPES / f"{one.recipe}.toml")
        if one.without is not None:
            found[one.recipe + WITHOUT] = with_options(recipe, one.without)
        if one.masks:
            plain = read_recipe(RECIPES / f"{one.masks}.toml")
            found[one.masks + MASKS] = plain.model_copy(update={"method": None})
    return found


def with_options(recipe: Recipe, changed: Mapping[str, Any]) -> Recipe:
    assert recipe.method is not None
    options = {**recipe.method.options, **changed}
    method = MethodSpec(name=recipe.method.name, options=options)
    return recipe.model_copy(update={"method": method})


def train(name: str, data: Path, run: Path) -> None:
    from rich.console import Console

    from napari_segreview._training import read_cases
    from napari_segreview._training_view import follow_training
    from src_models.training.run import train as training

    recipe = runs()[name]
    steps = training(recipe, list(read_cases(recipe, data)), run=run, out=run / "model")
    follow_training(steps, Console(width=100))


def finished(run: Path) -> bool:
    return (run / "model" / "summary.csv").is_file()


def differences(made_by: Recipe, wanted: Recipe) -> list[str]:
    """Fields in which two recipes differ, options of the method with their defaults."""
    one, other = _flat(made_by), _flat(wanted)
    return sorted(key for key in one | other if one.get(key) != other.get(key))


def _flat(recipe: Recipe) -> dict[str, Any]:
    held = recipe.model_dump(mode="json", exclude={"about"})
    if recipe.method is not None:
        held["method"]["options"] = options_of(recipe.method).model_dump(mode="json")

    def below(path: str, value: Any) -> Iterable[tuple[str, Any]]:
        if isinstance(value, dict) and value:
            for key, deeper in value.items():
                yield from below(f"{path}.{key}" if path else key, deeper)
        else:
            yield path, value

    return dict(below("", held))


def checked(folder: Path, name: str) -> dict[str, Any]:
    """The card of a finished run, made by what the recipe says today."""
    card: dict[str, Any] = json.loads((folder / name / "model" / "card.json").read_text())
    wrong = differences(Recipe.model_validate(card["recipe"]), runs()[name])
    if wrong:
        raise SystemExit(f"{folder / name}: not made by its recipe: {', '.join(wrong)}")
    return card


def dices(table: Path) -> dict[str, float]:
    """Each case and its Dice, the mean of its structures."""
    found: dict[str, list[float]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["case"]].append(float(row["dice"]))
    return {case: sum(values) / len(values) for case, values in found.items()}


def collect(one: Comparison, folder: Path) -> dict[str, Any]:
    """The row of a comparison."""
    recipe, card = runs()[one.recipe], checked(folder, one.recipe)
    assert recipe.method is not None
    model = folder / one.recipe / "model"
    other = model / "locked-baseline.csv"
    if one.without is not None or one.masks_beside:
        name = one.masks + MASKS if one.masks_beside else one.recipe + WITHOUT
        checked(folder, name)
        other = folder / name / "model" / "locked.csv"
    mine, theirs = dices(model / "locked.csv"), dices(other)
    gain = bootstrap([mine[case] - theirs[case] for case in mine])
    row: dict[str, Any] = {
        "method": recipe.method.name,
        "recipe": one.recipe,
        "set": recipe.data.folder,
        "cases": gain.cases,
        "epochs": recipe.train.epochs,
        "steps": recipe.train.steps,
        "dice": round(sum(mine.values()) / len(mine), 4),
        "beside": one.beside,
        "without": round(sum(theirs.values()) / len(theirs), 4),
        "gain": [round(value, 4) for value in (gain.mean, gain.low, gain.high)],
    }
    if one.masks and not one.masks_beside:
        all_masks = checked(folder, one.masks + MASKS)
        row["masks"] = all_masks["locked"]["mean_dice"]
    if card["net"].get("system") and (model / "roughness.csv").is_file():
        row["roughness"] = roughness(model / "roughness.csv")
    return row


def roughness(table: Path) -> dict[str, float]:
    """By whom → mean over the structures."""
    found: dict[str, list[float]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["by"]].append(float(row["mean"]))
    return {by: round(sum(values) / len(values), 4) for by, values in found.items()}


def belonging(one: Comparison) -> list[str]:
    """All runs that a row needs."""
    names = [one.recipe]
    names += [one.recipe + WITHOUT] * (one.without is not None)
    return names + [one.masks + MASKS] * bool(one.masks)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "collect"))
    parser.add_argument("names", nargs="*", metavar="RUN", help=", ".join(runs()))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--runs", type=Path, default=Path("runs/methods"))
    wish = parser.parse_args()
    if unknown := set(wish.names) - set(runs()):
        parser.error(f"no such run: {', '.join(sorted(unknown))}")
    if wish.what == "train":
        for name in wish.names or runs():
            if not finished(wish.runs / name):
                train(name, wish.data, wish.runs / name)
        return
    kept = json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.exists() else []
    rows = {row["recipe"]: row for row in kept}
    for one in COMPARISONS:
        if all(finished(wish.runs / name) for name in belonging(one)):
            rows[one.recipe] = collect(one, wish.runs)
    ordered = [rows[one.recipe] for one in COMPARISONS if one.recipe in rows]
    FOUND.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
