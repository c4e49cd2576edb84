"""Labels written by a program: where they fit, one step of the journal, names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_segreview.core.case import CaseFacts
from napari_segreview.core.cases import Cases
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import Label, LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.core.terms import coding_of
from napari_segreview.layers.placing import DRAWING
from napari_segreview.layers.shelf import NapariShelf
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

GRID = Grid.from_spacing((4, 5, 6), (3.0, 1.0, 1.0))
BOX = (slice(1, 2), slice(0, 2), slice(0, 3))


@pytest.fixture
def shelf() -> NapariShelf:
    shelf = NapariShelf(ViewerModel())
    shelf.add(Scan(data=np.zeros(GRID.shape, np.int16), grid=GRID, name="scan"))
    table = LabelTable.of({1: "liver"})
    data = np.zeros(GRID.shape, np.uint8)
    shelf.add(LabelMap(data=data, grid=GRID, table=table, name="labels"))
    return shelf


def keys(shelf: NapariShelf) -> tuple[str, str]:
    return shelf.label_layers()[0].key, shelf.images()[0].key


def test_labels_fit_a_scan_of_the_same_shape_and_place(shelf: NapariShelf) -> None:
    labels, scan = keys(shelf)
    assert shelf.fits(labels, scan)
    assert not shelf.fits(labels, "gone")
    assert not shelf.fits("gone", scan)
    shelf._viewer.layers[1].translate = (0, 0, 7)
    assert not shelf.fits(labels, scan)


def test_labels_on_another_grid_are_told(shelf: NapariShelf) -> None:
    labels, scan = keys(shelf)
    assert shelf.mismatch(labels, scan) == ""
    assert shelf.mismatch(labels, "gone") == shelf.mismatch("gone", scan) == ""
    shelf._viewer.add_labels(np.zeros(GRID.shape, np.uint8), **_place(shelf))
    assert shelf.mismatch(shelf.label_layers()[-1].key, scan) == ""  # napari's own
    coarse = Grid.from_spacing((4, 3, 3), (3.0, 2.0, 2.0))
    turned = Grid(GRID.shape, np.diag([-1.0, 1, 3, 1]) + _last(0, 5.0))
    for grid, words in (
        (coarse, "other: the labels lie on another grid than the image (shape"),
        (turned, "other: the labels have the image's voxels, stored in another order"),
    ):
        data = np.zeros(grid.shape, np.uint8)
        added = shelf.add(LabelMap(data=data, grid=grid, name="other"))
        assert shelf.mismatch(added.key, scan).startswith(words)
        shelf._viewer.layers.remove("other")


def _place(shelf: NapariShelf) -> dict[str, object]:
    image = shelf._viewer.layers[0]
    return {key: getattr(image, key) for key in ("scale", "translate", "affine")}


def _last(row: int, value: float) -> np.ndarray:
    matrix = np.zeros((4, 4))
    matrix[row, 3] = value
    return matrix


def test_labels_fit_a_colour_photograph(shelf: NapariShelf) -> None:
    flat = Grid.from_spacing((5, 6), (1.0, 1.0), "px")
    data = np.zeros((5, 6, 3), np.uint8)
    image = shelf.add(Scan(data=data, grid=flat, name="eye", has_channels=True))
    mask = shelf.add(LabelMap(data=np.zeros((5, 6), np.uint8), grid=flat))
    assert shelf.fits(mask.key, image.key)
    assert not shelf.fits(keys(shelf)[0], image.key)


def test_what_is_written_is_kept_and_undone(shelf: NapariShelf, tmp_path: Path) -> None:
    key, _ = keys(shelf)
    labels = shelf.label_map(key)
    keeper = Cases(tmp_path).begin(CaseFacts.of(labels), labels.data)
    shelf.bind(key, keeper, lambda: None)
    shelf.write(key, BOX, np.full((1, 2, 3), 5, np.uint8), "click", 5)
    layer = shelf._viewer.layers[1]
    assert (layer.data == 5).sum() == 6
    assert np.array_equal(keeper.labels, layer.data)
    copied = shelf.voxels(key, BOX)
    copied[:] = 9
    assert (layer.data == 5).sum() == 6
    layer.undo()
    assert not layer.data.any()
    edit = keeper.redo()
    assert edit is not None
    assert (edit.tool, edit.label) == ("click", 5)
    keeper.close()


def test_what_is_written_is_seen(shelf: NapariShelf) -> None:
    key, _ = keys(shelf)
    layer = shelf._get(key, Labels)
    layer.visible = False
    shelf.write(key, BOX, np.ones((1, 2, 3), np.uint8), "click", 1)
    assert layer.visible


def test_a_read_only_layer_is_not_written_to(shelf: NapariShelf) -> None:
    key, _ = keys(shelf)
    shelf.freeze(key)
    with pytest.raises(InputError, match="read-only"):
        shelf.write(key, BOX, np.ones((1, 2, 3), np.uint8), "click", 1)
    assert not shelf.label_map(key).data.any()
    with pytest.raises(InputError, match="closed"):
        shelf.write("gone", BOX, np.ones((1, 2, 3), np.uint8), "click", 1)


def test_a_label_gets_its_name_and_keeps_the_others(shelf: NapariShelf) -> None:
    key, _ = keys(shelf)
    shelf.name_label(key, Label(4, "vein", (0.0, 0.5, 1.0)))
    table = shelf.table(key)
    assert [(row.value, row.name) for row in table.rows] == [(1, "liver"), (4, "vein")]
    assert table.color(4) == pytest.approx((0.0, 0.5, 1.0))


def test_names_and_codes_given_later_survive_a_crash(
    shelf: NapariShelf, tmp_path: Path
) -> None:
    key, _ = keys(shelf)
    labels = shelf.label_map(key)
    keeper = Cases(tmp_path).begin(CaseFacts.of(labels), labels.data)
    shelf.bind(key, keeper, lambda: None)
    shelf.write(key, BOX, np.full((1, 2, 3), 4, np.uint8), "click", 4)
    coding = coding_of("spleen")
    shelf.name_label(key, Label(4, "Milz", (0.0, 0.5, 1.0), coding))
    keeper._leave()  # killed
    (left,) = Cases(tmp_path).recoverable()
    assert left.facts is not None
    back = left.facts.label_map(labels.data).table
    assert (back[4].name, back[4].coding) == ("Milz", coding)
    assert back[1].coding is None


def test_what_is_only_drawn_is_no_labels_layer(shelf: NapariShelf) -> None:
    before = shelf.label_layers()
    drawing = Labels(np.zeros((4, 5, 6), np.uint8), metadata={DRAWING: True})
    shelf._viewer.add_layer(drawing)
    assert shelf.label_layers() == before
