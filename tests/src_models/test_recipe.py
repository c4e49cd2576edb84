"""Recipes and schedule: what they say, and what a wrong one is told."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from src_models.errors import InputError
from src_models.training.config import Schedule, read_recipe
from src_models.training.schedule import (
    factor_of,
    plateau,
    poly,
    since_best,
    warm_cosine,
)

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
TOML = """
name = "x"
[about]
title = "X"
task = "x"
wants = "x"
modalities = []
[data]
folder = "x"
images = "x"
labels = "x"
values = { 255 = 1 }
name = "x"
licence = "x"
credit = "x"
validation = 0.2
locked = 0.2
[net]
system = "unet"
ndim = 2
in_channels = 1
classes = 2
[[labels]]
value = 1
name = "x"
color = [0, 0, 0]
[intensity]
kind = "zscore"
[patches]
size = [16, 16]
batch = 1
[augment]
mirror_axes = [0, 1]
[train]
epochs = 1
steps = 1
learning_rate = 1e-3
"""


class TestRecipe:
    @pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
    def test_those_that_come_with_the_project(self, path: Path) -> None:
        recipe = read_recipe(path)
        assert recipe.name == path.stem
        assert len(recipe.labels) == recipe.net.classes - 1

    def test_the_example_is_right(self, tmp_path: Path) -> None:
        (tmp_path / "r.toml").write_text(TOML)
        assert read_recipe(tmp_path / "r.toml").train.loss == "dice + ce"

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            (
                "epochs = 1",
                "epoch = 1\nepochs = 1",
                "no key 'train.epoch'; did you mean",
            ),
            ("[about]", "[abuot]", "no key 'abuot'; did you mean 'about'?"),
            ("epochs = 1", "epoch = 1", "no key 'train.epoch'; did you mean 'epochs'?"),
            (
                "color =",
                "colour = 1\ncolor =",
                "no key 'labels.0.colour'; did you mean",
            ),
            ("epochs = 1", "epochs = 0", "train.epochs: Input should be greater"),
            ("epochs = 1", "", "train.epochs: Field required"),
            ("ndim = 2", "ndim = 4", "net.ndim: Input should be 2 or 3, got 4"),
            ("size = [16, 16]", "size = [16]", "patches.size needs 2 sides, got 1"),
            (
                "size = [16, 16]",
                "size = [16, 0]",
                "patches.size.1: Input should be gre",
            ),
            (
                'name = "x"\n[about',
                'name = "x"\nspacing = [1]\n[about',
                "spacing needs 2",
            ),
            ('name = "x"\n[about', 'name = "x"\nspacing = [1, 0]\n[about', "spacing.1"),
            (
                "value = 1",
                "value = 2",
                "labels must have the values [1], in that order",
            ),
            ("classes = 2", "classes = 3", "labels must have the values [1, 2]"),
            ("255 = 1", "255 = 2", "data.values must map to 0 … 1, got {'255': 2}"),
            ("255 = 1", "255 = -2", "or to -1 where nothing is known"),
            (
                "values = { 255 = 1 }",
                "values = { 255 = 1 }\ninstances = true",
                "data.instances needs net.classes = 2 and no data.values, got 2 and",
            ),
            (
                "values = { 255 = 1 }",
                "values = { 255 = 1 }\ngroup = '(case'",
                "data.group: Value error, not a regular expression",
            ),
            (
                "values = { 255 = 1 }",
                "values = { 255 = 1 }\ngroup = 'case'",
                "data.group needs brackets round what names the patient",
            ),
            ("axes = [0, 1]", "axes = [2]", "mirror_axes must be in 0 … 1, got [2]"),
            (
                'name = "x"\n[about',
                'name = "x"\nbinarise = "otso"\n[about',
                "binarise: Input should be 'likeliest' or 'otsu'",
            ),
            ("locked = 0.2", "locked = 0.6", "data.locked: Input should be less"),
            (
                "validation = 0.2\nlocked = 0.2",
                "validation = 0.45\nlocked = 0.45",
                "too few cases for training",
            ),
            ("[net]", "[net", "not a TOML file"),
            (
                'system = "unet"',
                'system = "unett"',
                "net: no model 'unett'; did you mean",
            ),
            (
                'system = "unet"',
                'system = "unet"\noptions = { width = 3 }',
                "net: U-Net has no option 'width'; there are widths",
            ),
            ("epochs = 1", "epochs = 1\npatient = 3", "did you mean 'patience'?"),
            (
                "epochs = 1",
                'epochs = 1\noptimizer = "adam"',
                "train.optimizer: Input sh",
            ),
            (
                "epochs = 1",
                'epochs = 1\nschedule = "cosin"',
                "train.schedule: Input sho",
            ),
            ("epochs = 1", "epochs = 1\naccumulate = 0", "train.accumulate: Input sho"),
            ("epochs = 1", "epochs = 1\nseed = -1", "train.seed: Input should be gr"),
            ("batch = 1", "batch = 1\nclass_balanced = true", "mean 'class_balance'?"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, old: str, new: str, says: str, tmp_path: Path
    ) -> None:
        assert TOML.count(old) == 1
        path = tmp_path / "r.toml"
        path.write_text(TOML.replace(old, new))
        with pytest.raises(InputError) as caught:
            read_recipe(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_no_file_and_no_text(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be read"):
            read_recipe(tmp_path / "r.toml")
        (tmp_path / "r.toml").write_bytes(b"\xff\xfe")
        with pytest.raises(InputError, match="not a TOML file"):
            read_recipe(tmp_path / "r.toml")


def plan(**changed: object) -> Schedule:
    given = {"epochs": 4, "steps": 5, "learning_rate": 1.0, "warmup": 4, **changed}
    return Schedule.model_validate(given)


class TestSchedule:
    def test_a_recipe_may_choose(self) -> None:
        steps = range(20)
        cosine = [factor_of(plan(), i, []) for i in steps]
        assert cosine == [warm_cosine(i, total=20, warmup=4) for i in steps]
        rise = [0.2, 0.4, 0.6, 0.8]
        chosen = plan(schedule="poly", power=2.0)
        falls = [(1 - i / 16) ** 2 for i in range(16)]
        assert [factor_of(chosen, i, []) for i in steps] == pytest.approx(rise + falls)
        chosen = plan(schedule="plateau", plateau=2, plateau_factor=0.5)
        scores = [0.5, 0.4, 0.5]
        assert [factor_of(chosen, i, scores) for i in steps] == rise + [0.5] * 16

    def test_poly_by_hand(self) -> None:
        assert poly(0, total=10, warmup=0) == 1
        assert poly(5, total=10, warmup=0, power=0.9) == pytest.approx(0.5**0.9)
        assert poly(10, total=10, warmup=0) == poly(99, total=10, warmup=0) == 1e-3

    @pytest.mark.parametrize(
        ("scores", "drops"),
        [
            ([], 0),
            ([0.5, 0.6, 0.7], 0),
            ([0.5, 0.5, 0.5], 1),  # as good is no gain
            ([0.5, 0.4, 0.6, 0.4], 0),
            ([0.5, 0.4, 0.4, 0.4, 0.4], 2),
            ([0.5, 0.4, 0.4, 0.6, 0.4, 0.4], 2),
        ],
    )
    def test_plateau_by_hand(self, scores: list[float], drops: int) -> None:
        assert plateau(scores, patience=2, factor=0.5) == 0.5**drops

    def test_a_plateau_ends_somewhere(self) -> None:
        assert plateau([0.0] * 500, patience=1, factor=0.1) == 1e-3

    @pytest.mark.parametrize(
        ("scores", "wanted"),
        [([], 0), ([0.1], 0), ([0.1, 0.3, 0.2], 1), ([0.3, 0.3, 0.1], 2)],
    )
    def test_epochs_since_the_best(self, scores: list[float], wanted: int) -> None:
        assert since_best(scores) == wanted

    def test_by_hand(self) -> None:
        factor = [warm_cosine(i, total=12, warmup=4) for i in range(13)]
        assert factor[:4] == [0.2, 0.4, 0.6, 0.8]
        assert factor[4] == 1
        assert factor[8] == pytest.approx(0.5)
        assert factor[6] == pytest.approx(0.5 * (1 + math.sqrt(0.5)))
        assert factor[12] == 1e-3

    @pytest.mark.parametrize("warmup", [0, 5, 50])
    def test_never_off_never_above_one(self, warmup: int) -> None:
        factors = [warm_cosine(i, total=20, warmup=warmup) for i in range(40)]
        assert all(0 < factor <= 1 for factor in factors)
