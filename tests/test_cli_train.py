"""Training from a recipe: to its end, on from where it stopped, and not on bad data."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_segreview import _training_view, cli
from napari_segreview._training import read_cases
from src_models.card import read_card
from src_models.training.config import read_recipe
from src_models.training.curves import Epoch

if TYPE_CHECKING:
    from collections.abc import Generator

CASES = 12
RECIPE = """
name = "squares"

[about]
title = "Squares"
task = "Bright squares"
wants = "2D grey"
modalities = []

[data]
folder = "set"
images = "images/*.png"
labels = "labels/{stem}.png"
group = "(case\\\\d+)"
values = { 255 = 1 }
name = "made up"
licence = "CC0"
credit = "nobody"
validation = 0.3
locked = 0.3

[net]
system = "unet"
ndim = 2
in_channels = 1
classes = 2

[[labels]]
value = 1
name = "square"
color = [1.0, 0.0, 0.0]

[intensity]
kind = "zscore"

[patches]
size = [16, 16]
batch = 2

[train]
epochs = 2
steps = 3
warmup = 1
learning_rate = 1e-3
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for side in ("images", "labels"):
        (tmp_path / "set" / side).mkdir(parents=True)
    for number in range(CASES):
        y, x = random.integers(1, 8, 2)
        labels = np.zeros((16, 18), np.uint8)
        labels[y : y + 7, x : x + 7] = 255
        image = np.uint8(labels * 0.5 + random.integers(0, 60, labels.shape))
        Image.fromarray(image).save(f"set/images/case{number:02d}.png")
        Image.fromarray(labels).save(f"set/labels/case{number:02d}.png")
    path = tmp_path / "squares.toml"
    path.write_text(RECIPE)
    return path


def train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], recipe: Path
) -> tuple[int, str, str]:
    arguments = ["train", recipe, "--data", ".", "--device", "cpu", "-o", "model"]
    monkeypatch.setattr(sys, "argv", ["segreview", *map(os.fspath, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


def epochs(err: str) -> list[str]:
    return [line.split()[1] for line in err.splitlines() if line.startswith("epoch ")]


def test_train_stopped_and_taken_up_again(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from src_models.training import run as training

    whole = training.train

    def stopped(*args: object, **options: object) -> Generator[object, None, None]:
        for step in whole(*args, **options):  # type: ignore[arg-type]
            yield step
            if isinstance(step, Epoch):
                raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", stopped)
    status, _, err = train(monkeypatch, capsys, recipe)
    assert status == 130
    assert epochs(err) == ["1/2"]
    assert "stopped before the output was written" in err
    assert not Path("model").exists()

    monkeypatch.setattr(training, "train", whole)
    status, out, err = train(monkeypatch, capsys, recipe)
    assert status == 0
    assert epochs(err) == ["2/2"]  # the first is not done again
    assert "Wrote model" in out

    card = read_card(Path("model"))
    sides = (card.data.train, card.data.validation, card.data.locked)
    assert sorted(name for side in sides for name in side) == [
        f"case{number:02d}" for number in range(CASES)
    ]
    table = csv.DictReader(Path("model/locked.csv").read_text().splitlines())
    rows = list(table)
    assert tuple(row["case"] for row in rows) == card.data.locked
    dice = np.mean([float(row["dice"]) for row in rows])
    assert card.locked.mean_dice == pytest.approx(dice, abs=1e-4)
    history = Path("runs/squares/history.csv").read_text().splitlines()
    assert len(history) == 3  # a header and two epochs


def test_cases_as_training_sees_them(recipe: Path) -> None:
    cases = list(read_cases(read_recipe(recipe), Path()))
    assert [case.name for case in cases] == [f"case{n:02d}" for n in range(CASES)]
    one = cases[3]
    stored = np.asarray(Image.open("set/labels/case03.png"))
    assert np.array_equal(one.labels, stored // 255)
    assert np.array_equal(one.image[0], np.asarray(Image.open("set/images/case03.png")))
    assert (one.group, one.spacing) == ("case03", (1.0, 1.0))


def test_what_an_annotator_leaves(recipe: Path) -> None:
    """A labels layer with strokes: 1 the square, 2 background, 0 not looked at."""
    strokes = np.zeros((16, 18), np.uint8)
    strokes[3, 2:7], strokes[12, :] = 1, 2
    Image.fromarray(strokes).save("set/labels/case03.png")
    for number in set(range(CASES)) - {3}:
        Path(f"set/images/case{number:02d}.png").unlink()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("set/more_case50.png")
    text = RECIPE.replace("255 = 1", "0 = -1, 1 = 1, 2 = 0")
    text = text.replace('name = "made', 'unlabelled = "more_*.png"\nname = "made')
    recipe.write_text(text.replace("(case", ".*(case"))
    marked, bare = read_cases(read_recipe(recipe), Path())
    wanted = np.select([strokes == 1, strokes == 2], [1, 0], -1)
    assert np.array_equal(marked.labels, wanted)
    assert (bare.name, bare.group) == ("more_case50", "case50")
    assert bare.labels.shape == (9, 9)
    assert (bare.labels == -1).all()


def test_from_strokes_to_a_mask(
    recipe: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Labels layers with strokes train a model that is used as any other."""
    for path in Path("set/labels").glob("*.png"):
        mask = np.asarray(Image.open(path)) > 0
        strokes = np.zeros(mask.shape, np.uint8)
        strokes[::4] = np.where(mask, 1, 2)[::4]
        Image.fromarray(strokes).save(path)
    text = RECIPE.replace("255 = 1", "0 = -1, 1 = 1, 2 = 0")
    recipe.write_text(text + '\n[method]\nname = "scribbles"\n')
    status, out, err = train(monkeypatch, capsys, recipe)
    assert status == 0, err
    card = read_card(Path("model"))
    assert card.recipe["method"]["name"] == "scribbles"
    assert card.locked.known == 4 / 16  # every fourth row is painted
    assert "of the 25 % of voxels that are marked" in " ".join(out.split())
    assert "segreview models --add model" in " ".join(out.split())
    arguments = ["predict", "set/images/case00.png", "-m", "model", "-o", "mask.png"]
    monkeypatch.setattr(sys, "argv", ["segreview", *arguments, "--device", "cpu"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert np.asarray(Image.open("mask.png")).shape == (16, 18)

    shutil.rmtree("runs")
    for values, says in (
        ("0 = -1, 1 = 1", "the value 2, which the recipe does not name"),
        ("1 = 1, 2 = 0", "images is labelled, so these are no marks"),
    ):
        recipe.write_text(recipe.read_text().replace("0 = -1, 1 = 1, 2 = 0", values))
        status, _, err = train(monkeypatch, capsys, recipe)
        assert status == 1
        assert says in err
        recipe.write_text(text + '\n[method]\nname = "scribbles"\n')
    for path in Path("set/labels").glob("*.png"):
        Image.fromarray(np.zeros((16, 18), np.uint8)).save(path)
    status, _, err = train(monkeypatch, capsys, recipe)
    assert status == 1
    assert "nothing is known in the labels of any of the 12 cases" in err


def test_objects_and_grey_where_colour_is_read(recipe: Path) -> None:
    stored = np.asarray(Image.open("set/labels/case03.png"))
    objects = np.uint16(stored // 255)
    objects[:, 9:] *= 300
    Image.fromarray(objects).save("set/labels/case03.png")
    text = RECIPE.replace("values = { 255 = 1 }", "instances = true")
    recipe.write_text(text.replace("in_channels = 1", "in_channels = 3"))
    case = list(read_cases(read_recipe(recipe), Path()))[3]
    assert case.image.shape == (3, 16, 18)
    assert (case.image == case.image[0]).all()
    assert np.array_equal(case.labels, objects > 0)
    assert case.instances is not None
    assert np.array_equal(case.instances, objects)


def test_volumes_are_turned_as_the_recipe_says(recipe: Path) -> None:
    image = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    labels = np.uint8(image > 0)  # stored x, y, z
    for side, data in (("images", image), ("labels", labels)):
        volume = nib.Nifti1Image(data, np.diag([-1, 2, 3, 1]))  # x runs to the left
        volume.to_filename(f"set/{side}/case00.nii")
    text = RECIPE.replace(".png", ".nii").replace("ndim = 2", "ndim = 3")
    text = text.replace("[16, 16]", "[8, 8, 8]").replace("255 = 1", "1 = 1")
    recipe.write_text(text.replace("[about]", 'orientation = "RAS"\n[about]'))
    (case,) = read_cases(read_recipe(recipe), Path())
    assert np.array_equal(case.image[0], image[::-1].transpose(2, 1, 0))
    assert np.array_equal(case.labels, labels[::-1].transpose(2, 1, 0))
    assert case.spacing == (3.0, 2.0, 1.0)


def other_size() -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("set/labels/case03.png")


def other_value() -> None:
    Image.fromarray(np.full((16, 18), 7, np.uint8)).save("set/labels/case03.png")


def colour() -> None:
    Image.fromarray(np.zeros((16, 18, 3), np.uint8)).save("set/images/case03.png")


def not_a_number() -> None:
    image = np.full((16, 18), np.nan, np.float32)
    tifffile.imwrite("set/images/case03.tif", image)
    Path("set/images/case03.png").unlink()


def frames() -> None:
    image = np.zeros((2, 16, 18), np.uint8)
    tifffile.imwrite("set/images/case03.tif", image, metadata={"axes": "TYX"})
    Path("set/images/case03.png").unlink()


def deep() -> None:
    for side in ("images", "labels"):
        image = np.zeros((2, 16, 18), np.uint8)
        path = f"set/{side}/case03.tif"
        tifffile.imwrite(path, image, metadata={"axes": "ZYX"})
    Path("set/images/case03.png").unlink()


@pytest.mark.parametrize(
    ("spoil", "change", "words"),
    [
        (other_size, ("", ""), ["case03.png", "different grids", "16×18 against 9×9"]),
        (other_value, ("", ""), ["case03.png", "value 7", "[0, 1]", "data.values"]),
        (colour, ("", ""), ["case03.png has 3 channel(s)"]),
        (not_a_number, ("*.png", "*"), ["case03.tif: 288 of 288 voxels"]),
        (frames, ("*.png", "*"), ["case03.tif is 2D with frames"]),
        (
            deep,
            (
                '*.png"\nlabels = "labels/{stem}.png',
                '*.tif"\nlabels = "labels/{stem}.tif',
            ),
            ["case03.tif is 3D, the recipe's net learns from single 2D images"],
        ),
        (
            lambda: None,
            ('name = "squares"', 'name = "squares"\nspacing = [1.0, 1.0]'),
            ["case00.png has no voxel size in mm"],
        ),
        (
            lambda: Path("set/labels/case03.png").unlink(),
            ("", ""),
            ["case03.png has no labels: data.labels says labels/case03.png", "in set."],
        ),
        (
            lambda: None,
            ('name = "made', 'unlabelled = "more/*.png"\nname = "made'),
            ["no unlabelled images more/*.png in set", "or leave out data.unlabelled"],
        ),
        (lambda: None, ("*.png", "*.nii"), ["no images images/*.nii in set", "--data"]),
        (lambda: None, ("(case", "(scan"), ["case00.png", "data.group"]),
        (lambda: None, ("warmup = 1", "warm_up = 1"), ["did you mean 'warmup'"]),
        (lambda: None, ("locked = 0.3", "locked = 1e-9"), ["falls on the side locked"]),
    ],
    ids=[
        "grid",
        "value",
        "channels",
        "NaN",
        "frames",
        "3D",
        "no spacing",
        "no labels",
        "nothing unlabelled",
        "no images",
        "group",
        "recipe",
        "split",
    ],
)
def test_what_cannot_be_learnt_from_is_said_in_one_line(
    recipe: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: object,
    change: tuple[str, str],
    words: list[str],
) -> None:
    spoil()  # type: ignore[operator]
    recipe.write_text(RECIPE.replace(*change) if change[0] else RECIPE)
    status, out, err = train(monkeypatch, capsys, recipe)
    assert (status, err.count("\n"), out) == (1, 1, "")
    for word in words:
        assert word in err
    assert not Path("model").exists()


def test_the_view_ends_with_the_card() -> None:
    def steps() -> Generator[object, None, str]:
        yield Epoch(1, 1, 0.5, 0.25, 0.25, 3.0)
        return "card"

    assert _training_view.follow_training(steps(), cli.err) == "card"  # type: ignore[arg-type]
