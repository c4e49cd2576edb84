"""Readers against each other; consensus; the two observers of a real data set."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.protocols import Wish
from napari_segreview.core.readers import spread
from napari_segreview.engine import LocalEngine
from napari_segreview.engine.readers import consensus, matched, study
from napari_segreview.scans import read_labels, read_one
from src_models.card import bundled, read_card
from src_models.errors import InputError
from src_models.progress import drain

if TYPE_CHECKING:
    from pathlib import Path

GRID = Grid.from_spacing((40, 40), (1.0, 1.0))


def disc(radius: float, value: int = 1, **changes: Any) -> LabelMap:
    y, x = np.ogrid[:40, :40]
    data = (((y - 20) ** 2 + (x - 20) ** 2) < radius**2).astype(np.uint8) * value
    return LabelMap(**{"data": data, "grid": GRID, "name": f"r{radius}", **changes})


def test_every_pair_of_every_case() -> None:
    people = {"a": disc(8), "b": disc(9), "c": disc(10)}
    found = drain(study({"1": lambda: people, "2": lambda: people}, model="c"))
    assert found.readers == ("a", "b", "c")
    assert len(found.pairs) == 3 * 2
    first = found.pairs[0]
    assert (first.case, first.first, first.second) == ("1", "a", "b")
    assert first.volume_first == people["a"].data.sum()
    assert (found.unit, found.volume_unit) == ("mm", "mm²")
    assert len(spread(found)) == 1


def test_names_and_numbers_that_differ_between_readers() -> None:
    one = disc(8, 3, table=LabelTable.of({3: "cup", 4: "rim"}))
    two = disc(8, 1, table=LabelTable.of({1: "Cup", 2: "halo"}))
    three = disc(8, 2, table=LabelTable.of({2: "cup", 1: "spot"}))
    found = matched({"one": one, "two": two, "three": three})
    assert [one.data.max() for one in found.values()] == [3, 3, 3]
    names = [row.name for row in found["two"].table.rows]
    assert len(set(names)) == len(names)
    report = drain(study({"1": lambda: {"one": one, "two": two, "three": three}}))
    cups = [row for row in report.pairs if row.structure == "cup"]
    assert [row.dice for row in cups] == [1, 1, 1]


def test_consensus() -> None:
    maps = {"a": disc(6), "b": disc(8), "c": disc(10)}
    found = drain(consensus(maps))
    assert (found.majority.data == disc(8).data).all()
    assert np.unique(found.disagreement) == pytest.approx([0, 1 / 3])
    assert (found.disagreement > 0).sum() == disc(10).data.sum() - disc(6).data.sum()


@pytest.mark.parametrize(
    ("maps", "says"),
    [
        ({"a": disc(5)}, "two or more readers"),
        (
            {"a": disc(5), "b": disc(5, grid=Grid.from_spacing((40, 40), (2.0, 1.0)))},
            "different grids .spacing 1×1 against 2×1 mm",
        ),
    ],
)
def test_what_cannot_be_compared(maps: dict[str, LabelMap], says: str) -> None:
    with pytest.raises(InputError, match=says):
        drain(study({"case": lambda: maps}))
    with pytest.raises(InputError, match=says):
        drain(consensus(maps))


def test_no_label_in_any_case() -> None:
    empty = disc(0)
    with pytest.raises(InputError, match="no label in any case"):
        drain(study({"1": lambda: {"a": empty, "b": empty}}))


def test_a_reader_who_drew_nothing() -> None:
    found = drain(study({"1": lambda: {"a": disc(5), "b": disc(0)}}))
    assert found.pairs[0].dice == 0
    assert found.pairs[0].volume_second == 0


def test_two_observers_of_retinal_vessels(data_dir: Path) -> None:
    folder = data_dir / "retina_chasedb1"

    def read(name: str) -> dict[str, LabelMap]:
        first = read_labels(folder / "labels" / f"{name}.png")
        second = read_labels(folder / "labels_observer2" / f"{name}.png")
        return {"observer 1": first, "observer 2": second}

    locked = ("Image_04L", "Image_04R", "Image_09L", "Image_09R")
    found = drain(study({name: partial(read, name) for name in locked}))
    dice = [one.dice for one in found.pairs]
    assert len(dice) == 4
    # By hand, without this package's scores.
    maps = read(locked[0])
    a, b = (one.data > 0 for one in maps.values())
    assert dice[0] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
    assert 0.65 < np.mean(dice) < 0.85


@pytest.mark.slow
def test_the_bundled_model_lies_within_the_spread(data_dir: Path) -> None:
    """The figures of the user guide: photographs that the model has never seen."""
    folder = data_dir / "retina_chasedb1"
    engine, name = LocalEngine(), "retina-vessels-unet2d"
    wish = Wish(model=name, device="cpu")

    def read(case: str) -> dict[str, LabelMap]:
        scan = read_one(folder / "images" / f"{case}.jpg")
        people = {
            key: read_labels(folder / place / f"{case}.png")
            for key, place in (("one", "labels"), ("two", "labels_observer2"))
        }
        return {**people, "model": drain(engine.segment(scan, wish)).labels}

    locked = read_card(bundled()[name]).data.locked
    cases = {case: partial(read, case) for case in locked}
    (found,) = spread(drain(study(cases, model="model")))
    assert (found.cases, found.within) == (4, True)
    assert found.among == pytest.approx(0.776, abs=1e-3)
    assert found.model == pytest.approx(0.803, abs=3e-3)  # as precision goes
