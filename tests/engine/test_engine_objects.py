"""Objects one by one: by hand, on real lesions and nuclei, over frames, in a report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import ndimage

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.objects import (
    ObjectWish,
    object_facts,
    object_table,
    thing_table,
)
from napari_segreview.engine.case_report import write_case
from napari_segreview.engine.objects import find_objects
from napari_segreview.scans import read_labels
from src_models.errors import InputError
from src_models.progress import drain

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segreview.core.objects import ObjectReport

SPACE = Grid.from_spacing((4, 10, 12), (10.0, 1.0, 1.0))  # a voxel is 0.01 ml
FLAT = Grid.from_spacing((10, 12), (1.0, 1.0), "px")


def find(mine: LabelMap, theirs: LabelMap, **wish: Any) -> ObjectReport:
    return drain(find_objects(mine, theirs, ObjectWish(**wish)))


def label_map(data: np.ndarray, grid: Grid = SPACE, **names: int) -> LabelMap:
    table = LabelTable.of({value: name for name, value in names.items()})
    return LabelMap(data=data.astype(np.uint16), grid=grid, table=table, name="labels")


def pair() -> tuple[LabelMap, LabelMap]:
    """A lesion found, a large and a small one missed, a false one; a cyst found."""
    mine, theirs = np.zeros((2, *SPACE.shape))
    theirs[0:2, 0:3, 0:3] = mine[0:2, 0:3, 0:2] = 1  # 18 against 12 voxels
    theirs[2:4, 5:9, 0:4] = 1  # 32
    theirs[0, 9, 0] = 1  # 1, and it touches nothing
    mine[3, 0:2, 8:10] = 1  # 4
    mine[0, 6:8, 6:8] = theirs[0, 6:8, 6:8] = 2
    return tuple(label_map(one, lesion=1, cyst=2) for one in (mine, theirs))


def test_by_hand() -> None:
    report = find(*pair())
    lesion, cyst = report.found.values()
    assert list(report.found) == ["lesion", "cyst"]
    assert (len(lesion.matches), len(lesion.missed), len(lesion.false)) == (1, 2, 1)
    assert lesion.panoptic == pytest.approx((12 / 18) * 1 / 2.5)
    assert cyst.panoptic == 1
    told = [
        (one.structure, one.kind, one.volume_reference, one.volume_prediction)
        for one in report.things
    ]
    assert told == [
        ("lesion", "missed", pytest.approx(0.32), 0),
        ("lesion", "false", 0, pytest.approx(0.04)),
        ("lesion", "missed", pytest.approx(0.01), 0),
        ("lesion", "found", pytest.approx(0.18), pytest.approx(0.12)),
        ("cyst", "found", pytest.approx(0.04), pytest.approx(0.04)),
    ]
    assert report.volume_unit == "ml"
    rows = [[cell.text for cell in row] for row in object_table(report).rows]
    assert rows[0] == [
        "lesion", "3", "1", "2", "1", "0.333", "0.500", "0.400", "0.667", "0.267"
    ]  # fmt: skip
    assert [cell.text for cell in thing_table(report).rows[0]] == [
        "missed", "lesion", "–", "0.32", "–"
    ]  # fmt: skip
    assert all(thing_table(report).hovers)
    assert object_facts(report)["structures"]["lesion"]["missed"] == 2


def test_each_leads_to_a_voxel_of_its_own() -> None:
    mine, theirs = pair()
    for one in find(mine, theirs).things:
        value = {"lesion": 1, "cyst": 2}[one.structure]
        side = mine if one.kind == "false" else theirs
        assert side.data[one.index] == value
    ring = np.zeros(FLAT.shape)
    ring[1:8, 1:8] = 1
    ring[3:6, 3:6] = 0  # its middle is not a part of it
    (one,) = find(label_map(ring, FLAT), label_map(ring, FLAT)).things
    assert ring[one.index] == 1


def test_another_rule_and_threshold() -> None:
    mine, theirs = pair()
    assert len(find(mine, theirs, threshold=0.7).found["lesion"].matches) == 0
    assert len(find(mine, theirs, rule="centre").found["lesion"].matches) == 1
    with pytest.raises(InputError, match="threshold in"):
        find(mine, theirs, threshold=1.5)


def test_labels_as_objects() -> None:
    """Nuclei that touch are told apart by their numbers alone."""
    mine, theirs = np.zeros((2, *FLAT.shape))
    theirs[2:5, 2:5], theirs[2:5, 5:8] = 41, 7
    mine[2:5, 2:5], mine[2:5, 5:7], mine[8, 8] = 1, 2, 3
    maps = label_map(mine, FLAT), label_map(theirs, FLAT)
    (found,) = find(*maps, are="labels").found.values()
    assert [(m.prediction, m.reference) for m in found.matches] == [(2, 7), (1, 41)]
    assert (found.missed, found.false) == ((), (3,))


def test_objects_of_different_frames_are_different() -> None:
    data = np.zeros((3, *FLAT.shape))
    data[:2, 2:4, 2:4] = 5
    theirs = label_map(data, FLAT)
    mine = replace(theirs, data=theirs.data.copy())
    mine.data[1] = 0
    for are in ("parts", "labels"):
        report = find(mine, theirs, are=are)
        assert [one.kind for one in report.things] == ["missed", "found"]
        assert [one.index[0] for one in report.things] == [1, 0]


@pytest.mark.parametrize("are", ["parts", "labels"])
def test_empty_sides(are: str) -> None:
    some, none = pair()[1], label_map(np.zeros(SPACE.shape))
    assert find(none, none, are=are).things == ()
    missed = find(none, some, are=are)
    assert {one.kind for one in missed.things} == {"missed"}
    assert {one.kind for one in find(some, none, are=are).things} == {"false"}
    assert all(one.panoptic == 0 for one in missed.found.values())


def test_labels_matched_by_name() -> None:
    mine, theirs = pair()
    swapped = np.where(mine.data > 0, 3 - mine.data, 0)
    other = label_map(swapped, cyst=1, lesion=2)
    report = find(other, theirs)
    assert report.found["cyst"].panoptic == 1
    assert report.notes


def test_two_labels_of_one_name() -> None:
    data = np.zeros(FLAT.shape)
    data[0, 0], data[5, 5] = 1, 2
    same = replace(label_map(data, FLAT), table=LabelTable.of({1: "cell", 2: "cell"}))
    assert list(find(same, same).found) == ["cell", "cell (2)"]


def test_in_the_report(tmp_path: Path) -> None:
    mine, theirs = pair()
    steps = write_case(
        mine, theirs, None, tmp_path / "a.html", objects=find(mine, theirs)
    )
    text = drain(steps).read_text(encoding="utf-8")
    assert "matched by overlap (IoU) above 0.5" in text
    assert "Panoptic quality" in text
    plain = drain(write_case(mine, theirs, None, tmp_path / "b.html"))
    assert "Panoptic" not in plain.read_text(encoding="utf-8")


def test_real_lesions(data_dir: Path) -> None:
    """Their number is that of scipy; each third one is taken away."""
    path = sorted((data_dir / "ms_lesion_mri" / "labels").glob("*.nii.gz"))[0]
    truth = read_labels(path)
    numbered, count = ndimage.label(truth.data > 0, np.ones((3, 3, 3)))
    kept = np.where((numbered > 0) & (numbered % 3 > 0), truth.data, 0)
    report = find(replace(truth, data=kept), truth)
    (found,) = report.found.values()
    assert len(found.matches) + len(found.missed) == count
    assert len(found.missed) == count // 3
    assert found.quality == 1
    voxels = sum(one.volume_reference for one in report.things)
    assert voxels == pytest.approx(
        (truth.data > 0).sum() * truth.grid.voxel_volume / 1000
    )


def test_real_nuclei(data_dir: Path) -> None:
    path = sorted((data_dir / "nuclei_dsb2018" / "labels").iterdir())[0]
    truth = read_labels(path)
    (found,) = find(truth, truth, are="labels").found.values()
    assert len(found.matches) == len(np.unique(truth.data)) - 1
    assert found.panoptic == 1
