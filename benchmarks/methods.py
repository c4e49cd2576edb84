"""Each way of training beside its baseline: a real run of its recipe, on cases not seen.

    python benchmarks/methods.py train RUN… --data FOLDER [--runs runs/methods]
    python benchmarks/methods.py collect [--runs runs/methods]

`train` makes the runs that are named, or all; those that are finished are left alone, an
interrupted one goes on. `collect` reads the finished ones, refuses any that was not made
by the recipe as it is now, and renews their rows in benchmarks/methods.json, from which
`python scripts/models_table.py` writes the tables of docs/methods.md. A gain is the mean
over the locked cases of the difference of both nets' Dice, with its bootstrap interval.

Three runs belong to a recipe: RECIPE is the method; RECIPE-without the same with the
options that take its idea away, where the method trains no baseline itself;
RECIPE-masks the recipe without a method, which learns from all masks.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from src_models.metrics.interval import bootstrap
from src_models.training.config import Recipe, read_recipe
from src_models.training.method_spec import MethodSpec, options_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from src_models.data.cases import Case

ROOT = Path(__file__).resolve().parents[1]
RECIPES, FOUND = ROOT / "recipes" / "methods", ROOT / "benchmarks" / "methods.json"
WITHOUT, MASKS = "-without", "-masks"
OBJECTS = "objects.csv"
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
    of : str
        The recipe whose options these are, if another.
    shares : str
        The recipe whose run has trained the same baseline beside its method.
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
    of: str = ""
    shares: str = ""


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
        "hippocampus-scribble-rounds",
        "the strokes alone",
        {"regulariser": "none", "slices": 6},
        CUT_3D,
        of="hippocampus-scribbles",
    ),
    Comparison("nuclei-points", "no prior", {"objectness": 0}, "nuclei-points"),
    Comparison("hippocampus-boxes", "boxes as masks", {"rounds": 1}, CUT_3D),
    Comparison("hippocampus-sizes", "the strokes alone", {"weight": 0}, CUT_3D),
    Comparison(
        "hippocampus-mean-teacher",
        "the labelled patients alone",
        masks=CUT_3D,
        shares="hippocampus-asdnet",
    ),
    Comparison("nuclei-dcan", "DCAN's regions alone", None, "nuclei-dcan", True),
    Comparison(CUT_3D, "masks alone", None, CUT_3D, True),
    Comparison("nuclei-ynet", "masks alone", None, "nuclei-points", True),
    Comparison(
        "hippocampus-random-contrasts",
        "real images",
        None,
        "hippocampus-random-contrasts",
        True,
    ),
    Comparison(
        "hippocampus-learned-transforms",
        "the atlas, ordinary changes",
        {"learn_from": "atlas"},
        CUT_3D,
    ),
    Comparison("nuclei-synseg", "the labelled modality's images as they are"),
    Comparison(
        "hippocampus-shape-consistency",
        "the wanted contrast's labelled scans alone",
        masks="hippocampus-shape-consistency",
    ),
)


def runs() -> dict[str, Recipe]:
    """Each run's name and the recipe that makes it."""
    found = {}
    for one in COMPARISONS:
        found[one.recipe] = read_recipe(RECIPES / f"{one.recipe}.toml")
        if one.without is not None:
            source = read_recipe(RECIPES / f"{one.of or one.recipe}.toml")
            found[one.recipe + WITHOUT] = with_options(source, one.without)
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
    """The run, if it is not finished; then its objects, where the set knows them."""
    from rich.console import Console

    from napari_segreview._training import read_cases
    from napari_segreview._training_view import follow_training
    from src_models.training.run import train as training

    recipe = runs()[name]
    if finished(run) and ((run / OBJECTS).is_file() or not recipe.data.instances):
        return
    cases = list(read_cases(recipe, data))
    if not finished(run):
        steps = training(recipe, cases, run=run, out=run / "model")
        follow_training(steps, Console(width=100))
    if recipe.data.instances:
        write_objects(run, recipe, cases)


def write_objects(run: Path, recipe: Recipe, cases: Sequence[Case]) -> None:
    """F1 of the objects of each locked case: connected pieces whose IoU exceeds .5."""
    from src_models.inference import Options, predict
    from src_models.metrics.objects import detect, objects
    from src_models.progress import drain
    from src_models.weights import load_model

    net, card = load_model(run / "model")
    options = Options(device="cpu", mirror=recipe.mirror)
    with (run / OBJECTS).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["case", "f1"])
        for case in cases:
            if case.name in card.data.locked and case.instances is not None:
                image = case.image[None]
                steps = predict(net, card, image, spacing=case.spacing, options=options)
                found = detect(objects(drain(steps)[0] > 0), case.instances)
                table.writerow([case.name, f"{found.recognition:.4f}"])


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

    def below(path: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict) and value:
            for key, deeper in value.items():
                yield from below(f"{path}.{key}" if path else key, deeper)
        else:
            yield path, value

    return dict(below("", held))


def checked(folder: Path, name: str) -> dict[str, Any]:
    """The card of a finished run, made by what the recipe says today."""
    card: dict[str, Any] = json.loads(
        (folder / name / "model" / "card.json").read_text()
    )
    wrong = differences(Recipe.model_validate(card["recipe"]), runs()[name])
    if wrong:
        raise SystemExit(f"{folder / name}: not made by its recipe: {', '.join(wrong)}")
    return card


def means(table: Path, key: str, value: str) -> dict[str, float]:
    """What stands in the column `key` → the mean of its rows' `value`."""
    found: dict[str, list[float]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row[key]].append(float(row[value]))
    return {name: fmean(values) for name, values in found.items()}


def collect(one: Comparison, folder: Path) -> dict[str, Any]:
    """The row of a comparison."""
    recipe = runs()[one.recipe]
    assert recipe.method is not None
    for name in belonging(one):
        checked(folder, name)
    model = folder / one.recipe / "model"
    mine = means(model / "locked.csv", "case", "dice")
    theirs = means(baseline_table(one, folder), "case", "dice")
    gain = bootstrap([mine[case] - theirs[case] for case in mine])
    row: dict[str, Any] = {
        "method": recipe.method.name,
        "recipe": one.recipe,
        "digest": digest(RECIPES / f"{one.recipe}.toml"),
        "set": recipe.data.folder,
        "cases": gain.cases,
        "epochs": recipe.train.epochs,
        "steps": recipe.train.steps,
        "dice": short(fmean(mine.values())),
        "beside": one.beside,
        "without": short(fmean(theirs.values())),
        "gain": [short(value) for value in (gain.mean, gain.low, gain.high)],
    }
    name = one.masks + MASKS
    if one.masks and not one.masks_beside and finished(folder / name):
        checked(folder, name)
        table = folder / name / "model" / "locked.csv"
        row["masks"] = short(fmean(means(table, "case", "dice").values()))
    return row | {"also": list(also(one, folder))}


def baseline(one: Comparison) -> str:
    """The run that is compared with; "" where the method trains it itself."""
    if one.masks_beside:
        return one.masks + MASKS
    return one.shares if one.without is None else one.recipe + WITHOUT


def baseline_table(one: Comparison, folder: Path) -> Path:
    """Its scores, case by case."""
    if one.shares or not baseline(one):
        model = folder / (one.shares or one.recipe) / "model"
        return model / "locked-baseline.csv"
    return folder / baseline(one) / "model" / "locked.csv"


def also(one: Comparison, folder: Path) -> Iterator[dict[str, Any]]:
    """What else the method is for: the measure, by the method, without it, by hand."""
    run, beside = folder / one.recipe, folder / baseline(one)
    if (table := run / "model" / "roughness.csv").is_file():
        rough = means(table, "by", "mean")
        yield {
            "measure": "roughness of the volumes over time",
            "method": short(rough["model"]),
            "without": short(rough["baseline"]),
            "by hand": short(rough["manual"]) if "manual" in rough else None,
        }
    if (run / OBJECTS).is_file() and (beside / OBJECTS).is_file():
        found = [
            fmean(means(at / OBJECTS, "case", "f1").values()) for at in (run, beside)
        ]
        yield {
            "measure": "F1 of the objects",
            "method": short(found[0]),
            "without": short(found[1]),
            "by hand": None,
        }
    if (table := run / "model" / "locked-synthetic.csv").is_file():
        yield {
            "measure": "Dice of the net taught by made images alone",
            "method": short(fmean(means(table, "case", "dice").values())),
            "without": None,
            "by hand": None,
        }
    if (run / "diagnoses.csv").is_file():
        with (run / "diagnoses.csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["side"] == "locked"]
        right = [row["said"] == row["diagnosis"] for row in rows if row["diagnosis"]]
        yield {
            "measure": "share of right diagnoses",
            "method": short(fmean(right)),
            "without": None,
            "by hand": None,
        }


def short(value: float) -> float:
    return round(value, 4) + 0.0  # no −0.0


def digest(recipe: Path) -> str:
    """Of what a recipe says but for its words; results are of this recipe alone."""
    held = tomllib.loads(recipe.read_text(encoding="utf-8"))
    held.pop("about")
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:12]


def belonging(one: Comparison) -> list[str]:
    """The runs that a row needs."""
    return [one.recipe, *filter(None, [baseline(one)])]


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
