"""What a scan says of itself, and what label values mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import (
    PALETTE,
    Label,
    LabelMap,
    LabelTable,
    default_color,
)
from napari_segreview.core.scan import Scan, check_finite
from src_models.errors import InputError

FLAT = Grid.from_spacing((4, 5), (0.5, 0.25))
PIXELS = Grid.from_spacing((4, 5), (1.0, 1.0), "px")
VOLUME = Grid.from_spacing((3, 4, 5), (2.5, 1.0, 0.976))


def scan(grid: Grid, *, lead: tuple[int, ...] = (), last: tuple[int, ...] = ()) -> Any:
    return {"data": np.zeros((*lead, *grid.shape, *last)), "grid": grid, "name": "s"}


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        (scan(VOLUME) | {"modality": "CT"}, "5×4×3 · 0.976×1×2.5 mm · CT"),
        (scan(PIXELS, last=(3,)) | {"has_channels": True}, "5×4 · colour"),
        (
            scan(PIXELS, last=(2,)) | {"has_channels": True, "modality": "SM"},
            "5×4 · 2 channels · microscopy",
        ),
        (scan(FLAT, lead=(7,)) | {"has_time": True}, "5×4 × 7 frames · 0.25×0.5 mm"),
        (scan(FLAT) | {"modality": "XA"}, "5×4 · 0.25×0.5 mm · XA"),
    ],
    ids=["volume", "colour", "channels", "frames", "unknown modality"],
)
def test_facts_in_one_line(given: dict[str, Any], facts: str) -> None:
    assert Scan(**given).facts() == facts


def test_frames_and_channels() -> None:
    cine = Scan(**scan(FLAT, lead=(7,), last=(3,)), has_time=True, has_channels=True)
    assert (cine.frames, cine.channels) == (7, 3)
    plain = Scan(**scan(FLAT))
    assert (plain.frames, plain.channels) == (1, 1)


def test_an_array_that_does_not_fit_its_grid() -> None:
    with pytest.raises(
        InputError, match=r"\(4, 5\) does not fit a grid of \(3, 4, 5\)"
    ):
        Scan(data=np.zeros((4, 5)), grid=VOLUME, name="s")
    with pytest.raises(InputError, match="does not fit"):
        Scan(data=np.zeros((4, 5, 3)), grid=PIXELS, name="s")  # channels not said


@pytest.mark.parametrize("shape", [(0, 5), (4, 0)])
def test_an_empty_image(shape: tuple[int, int]) -> None:
    grid = Grid.from_spacing(shape, (1.0, 1.0))
    with pytest.raises(InputError, match=r"thin\.png: the image is empty, shape"):
        Scan(data=np.zeros(shape), grid=grid, name="thin.png")


def test_an_empty_sequence() -> None:
    with pytest.raises(InputError, match="empty"):
        Scan(data=np.zeros((0, 4, 5)), grid=FLAT, name="s", has_time=True)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.complex64])
def test_voxels_that_are_no_numbers_are_counted(kind: type) -> None:
    data = np.zeros((3, 4, 5), kind)
    data[0, 0, 0], data[2, 3, 4], data[2, 0, 0] = np.nan, np.inf, -np.inf
    with pytest.raises(InputError, match="s: 3 of 60 voxels are not numbers"):
        check_finite(data, "s")


@pytest.mark.parametrize("kind", [np.uint8, np.int16, bool, np.float32])
def test_finite_voxels_pass(kind: type) -> None:
    check_finite(np.ones((3, 4), kind), "s")


# ── labels ─────────────────────────────────────────────────────────────────────────


def test_a_table_is_a_mapping_in_order() -> None:
    table = LabelTable.of({3: "liver", 1: "spleen"})
    assert list(table) == [3, 1]
    assert len(table) == 2
    assert table[3] == Label(3, "liver", PALETTE[2])
    assert 2 not in table
    with pytest.raises(KeyError):
        table[2]


def test_values_without_a_row_have_a_name_and_a_colour() -> None:
    table = LabelTable((Label(2, "liver", (0.1, 0.2, 0.3)),))
    assert (table.name(2), table.color(2)) == ("liver", (0.1, 0.2, 0.3))
    assert (table.name(9), table.color(9)) == ("label 9", PALETTE[1])


def test_one_value_twice_is_refused() -> None:
    rows = (Label(1, "a", PALETTE[0]), Label(1, "b", PALETTE[1]))
    with pytest.raises(InputError, match="twice"):
        LabelTable(rows)


def test_house_colours_differ_and_repeat() -> None:
    colours = [default_color(value) for value in range(1, len(PALETTE) + 1)]
    assert len(set(colours)) == len(PALETTE)
    assert default_color(len(PALETTE) + 1) == colours[0]


@pytest.mark.parametrize("kind", [np.int16, np.float32, bool])
def test_labels_are_unsigned(kind: type) -> None:
    with pytest.raises(InputError, match="whole numbers ≥ 0, got the type"):
        LabelMap(data=np.zeros((4, 5), kind), grid=FLAT)


@pytest.mark.parametrize("shape", [(5, 4), (5,), (2, 2, 4, 5), (4, 5, 2)])
def test_labels_fit_their_grid(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="do not fit a grid"):
        LabelMap(data=np.zeros(shape, np.uint8), grid=FLAT)


def test_labels_may_have_time() -> None:
    assert LabelMap(data=np.zeros((2, 4, 5), np.uint8), grid=FLAT).has_time
    assert not LabelMap(data=np.zeros((4, 5), np.uint8), grid=FLAT).has_time
