"""From files of a set to the cache, the split, a short run and an exported net."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from napari_segreview._click_bench import bench_click, score_rows, table
from napari_segreview._click_training import (
    export_click,
    prepare,
    side_of_entry,
    split,
    train_click,
)
from src_models.data.click_cache import open_entry, read_index
from src_models.errors import InputError
from src_models.interactive.weights import load_click_net
from src_models.training.click_bench import Line
from src_models.training.click_config import read_click_recipe

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = """
name = "tiny"
[split]
salt = "s"
validation = 0.0
locked = 0.4
[net]
widths = [8, 16]
depth = [1, 1]
attention = 1
[samples]
size = 32
[train]
batch = 2
cycles = [2]
judged = 8
[[sets]]
folder = "cine"
images = "images/*.nii.gz"
labels = "labels/{stem}.nii.gz"
licence = "CC0"
credit = "nobody"
[[sets]]
folder = "cells"
images = "images/*.png"
labels = "labels/{group}.png"
group = "(c\\\\d)"
instances = true
licence = "CC0"
credit = "nobody"
[[unseen]]
folder = "cells"
images = "images/*.png"
labels = "labels/{group}.png"
group = "(c\\\\d)"
licence = "none"
credit = "nobody"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "r.toml").write_text(RECIPE)
    for name in ("cine", "cells"):
        for part in ("images", "labels"):
            (tmp_path / name / part).mkdir(parents=True)
    cine = np.zeros((30, 32, 3, 2), np.int16)  # x y z t
    cine[8:20, 9:22, 1, 1] = 1
    for case in ("a", "b"):
        for part, data in (("images", cine * 90), ("labels", cine)):
            image = nib.Nifti1Image(data, np.diag([1.5, 1.5, 8.0, 1.0]))
            image.header.set_xyzt_units("mm", "sec")
            image.to_filename(tmp_path / "cine" / part / f"{case}.nii.gz")
    cells = np.zeros((40, 44), np.uint8)
    cells[4:16, 5:20], cells[20:34, 22:38] = 1, 2
    for case in range(4):
        image = Image.fromarray(np.repeat((cells * 70)[..., None], 3, 2))
        image.save(tmp_path / "cells" / "images" / f"c{case}.png")
        Image.fromarray(cells).save(tmp_path / "cells" / "labels" / f"c{case}.png")
    return tmp_path


def test_only_labelled_frames_are_kept(home: Path) -> None:
    recipe = read_click_recipe(home / "r.toml")
    entries = list(prepare(recipe, home, home / "cache"))
    assert entries == read_index(home / "cache")
    assert [entry.name for entry in entries] == [
        "cine-a-1",
        "cine-b-1",
        *(f"cells-c{n}-0" for n in range(4)),
    ]
    assert entries[0].spacing == (8, 1.5, 1.5)
    assert [entry.group for entry in entries] == ["a", "b", "c0", "c1", "c2", "c3"]
    sides = split(entries, recipe.split, home / "cache", ["cine", "cells"])
    volume = next(
        one for one in (*sides.train, *sides.locked) if one.entry.set == "cine"
    )
    assert volume.image.shape == (3, 32, 30, 1)
    assert list(volume.slices) == [0]  # 8 mm beside 1.5 mm is no picture
    held = [one.entry for one in (*sides.train, *sides.validation, *sides.locked)]
    assert sorted(entry.name for entry in held) == sorted(e.name for e in entries)
    for one in sides.locked:
        assert side_of_entry(one.entry, recipe.split) == "locked"


def test_pieces_are_objects(home: Path) -> None:
    text = RECIPE.replace("instances = true", "pieces = true")
    walled = np.zeros((40, 44), np.uint8)
    walled[4:34, 4:40] = 1
    walled[range(4, 34), range(6, 36)] = 0  # a wall of one diagonal
    walled[4:10, 34:] = 2
    Image.fromarray(walled).save(home / "cells" / "labels" / "c0.png")
    (home / "r.toml").write_text(text)
    entries = list(prepare(read_click_recipe(home / "r.toml"), home, home / "cache"))
    (first,) = (entry for entry in entries if entry.name == "cells-c0-0")
    assert first.instances
    labels = np.asarray(open_entry(home / "cache", first).labels)[0]
    kinds = [set(np.unique(walled[labels == n])) for n in np.unique(labels)]
    assert kinds == [{0}, {1}, {2}, {1}] or kinds == [{0}, {1}, {1}, {2}]


def test_train_export_and_bench(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    recipe, run = home / "r.toml", home / "run"
    train_click(recipe, data=home, run=run, without="cine")
    assert "done" in capsys.readouterr().out
    plan_cache = run / "cache"
    assert {entry.set for entry in read_index(plan_cache)} == {"cells"}
    export_click(recipe, run, plan_cache, home / "net", without="cine")
    _, card = load_click_net(home / "net")
    assert card.steps == 2
    assert [one.name for one in card.sets] == ["cells"]
    assert not set(card.sets[0].train) & set(card.sets[0].locked)
    out = home / "trials.jsonl"
    bench_click(
        recipe,
        home,
        home / "bench",
        model=home / "net",
        sets="cells",
        most=2,
        output=out,
        card=True,
    )
    _, card = load_click_net(home / "net")
    assert [one.name for one in card.seen] == ["cells"]
    assert card.seen[0].targets == 2
    assert score_rows(card)[0].startswith("| cells | seen | 2 |")
    assert not card.unseen
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["set"] for row in rows} == {"cells"}
    assert "mean of sets" in capsys.readouterr().out


def test_a_run_that_is_not_there(home: Path) -> None:
    list(prepare(read_click_recipe(home / "r.toml"), home, home / "cache"))
    with pytest.raises(InputError, match="no saved state"):
        export_click(home / "r.toml", home / "run", home / "cache", home / "net")


def test_labels_of_another_grid(home: Path) -> None:
    small = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))
    small.to_filename(home / "cine" / "labels" / "a.nii.gz")
    with pytest.raises(InputError, match="different grids"):
        list(prepare(read_click_recipe(home / "r.toml"), home, home / "cache"))


def test_no_images(home: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        list(prepare(read_click_recipe(home / "r.toml"), home / "cine", home / "cache"))


def test_the_table() -> None:
    line = Line("s", 3, (2.5, 4), (0, 1 / 3), (0.5, 0.6, 0.7, 0.8), 0.1, (0.05, 0.1))
    assert table([line])[2] == (
        "| s | 3 | 2.5 / 4.0 | 0 % / 33 % | 0.50 0.60 0.70 0.80 | 0.10 | 50 / 100 |"
    )
