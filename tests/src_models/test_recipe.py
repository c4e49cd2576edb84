"""Recipes and schedule: what they say, and what a wrong one is told."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from src_models.errors import InputError
from src_models.training.config import read_recipe
from src_models.training.schedule import warm_cosine

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
            ("axes = [0, 1]", "axes = [2]", "mirror_axes must be in 0 … 1, got [2]"),
            ("locked = 0.2", "locked = 0.6", "data.locked: Input should be less"),
            (
                "validation = 0.2\nlocked = 0.2",
                "validation = 0.45\nlocked = 0.45",
                "too few cases for training",
            ),
            ("[net]", "[net", "not a TOML file"),
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


class TestSchedule:
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
