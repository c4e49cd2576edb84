"""Letters at the edges of the view, in any plane, by where voxels really lie."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_segreview.core.geometry import Grid
from napari_segreview.core.geometry_notes import NO_ORIENTATION
from napari_segreview.core.scan import Scan
from napari_segreview.layers.compass import PLACES, Compass
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.scans import read_one

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (6, 8, 10)
GRIDS = {  # columns: where x, y, z of the file run to, in mm to left, back, head
    "as DICOM": np.diag([0.5, 1, 3, 1]),
    "as NIfTI": np.diag([-0.5, -1, 3, 1]),
    "feet last": np.diag([-0.5, 1, -3, 1]),
    "coronal": np.array([[1, 0, 0, 0], [0, 0, 2, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]]),
    "sagittal": np.array([[0, 0, 3, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]]),
}


def shown(viewer: ViewerModel) -> tuple[str, ...]:
    """The letters on the left, on the right, above, below; "" where none is seen."""
    overlays = [viewer.canvas.overlays[f"segreview_{place}"] for place in PLACES]
    assert [overlay.position for overlay in overlays] == list(PLACES)
    assert [overlay.visible for overlay in overlays] == [bool(o.text) for o in overlays]
    return tuple(overlay.text for overlay in overlays)


def scan(affine: np.ndarray, *lead: int) -> Scan:
    return Scan(
        data=np.zeros((*lead, *SHAPE), np.uint8),
        grid=Grid(SHAPE, affine),
        name="scan",
        has_time=bool(lead),
    )


@pytest.fixture
def viewer() -> ViewerModel:
    made = ViewerModel()
    Compass(made)
    return made


def by_place(viewer: ViewerModel, grid: Grid) -> tuple[str, ...]:
    """The same from two voxels each: which one is farther to the side of a letter."""
    layer = viewer.layers[0]
    found = []
    for axis in reversed(viewer.dims.displayed):  # across, then down
        here = np.array(viewer.dims.point, float)
        ends = []
        for step in (-1.0, 1.0):
            here[axis] += step
            ends.append(grid.to_world(np.array(layer.world_to_data(here))))
            here[axis] -= step
        apart = ends[1] - ends[0]
        row = int(np.abs(apart).argmax())
        letters = ("RL", "AP", "IS")[row]
        found += [*(letters if apart[row] > 0 else letters[::-1])]
    return tuple(found)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (0, 2, 1)])
def test_letters_by_where_voxels_lie(
    viewer: ViewerModel, name: str, order: tuple[int, ...]
) -> None:
    one = scan(GRIDS[name])
    NapariShelf(viewer).add(one)
    viewer.dims.order = order
    assert shown(viewer) == by_place(viewer, one.grid)


def test_an_axial_slice_hangs_as_radiologists_hang_it(viewer: ViewerModel) -> None:
    NapariShelf(viewer).add(scan(GRIDS["as NIfTI"]))
    assert shown(viewer) == ("R", "L", "A", "P")
    viewer.scene.camera.orientation2d = ("up", "left")
    assert shown(viewer) == ("L", "R", "P", "A")


def test_oblique_slices_have_two_letters(viewer: ViewerModel) -> None:
    a, b = np.cos(np.radians(30)), np.sin(np.radians(30))
    turned = np.array([[a, -b, 0, 0], [b, a, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    NapariShelf(viewer).add(scan(turned))
    assert shown(viewer) == ("RA", "LP", "AL", "PR")


def test_no_letters_where_they_would_say_nothing(viewer: ViewerModel) -> None:
    shelf, nothing = NapariShelf(viewer), ("",) * 4
    assert shown(viewer) == nothing
    flat = Grid.from_spacing((8, 10), (1.0, 1.0), "px")
    shelf.add(Scan(data=np.zeros((8, 10), np.uint8), grid=flat, name="photograph"))
    assert shown(viewer) == nothing
    shelf.add(replace(scan(GRIDS["as DICOM"]), warnings=(NO_ORIENTATION,)))
    assert shown(viewer) == nothing
    shelf.add(scan(GRIDS["as DICOM"]))
    assert shown(viewer) == ("R", "L", "A", "P")
    viewer.dims.ndisplay = 3
    assert shown(viewer) == nothing


def test_layers_that_are_hidden_moved_or_gone(viewer: ViewerModel) -> None:
    shelf = NapariShelf(viewer)
    shelf.add(scan(GRIDS["sagittal"]))
    shelf.add(scan(GRIDS["as DICOM"]))
    below, above = viewer.layers
    assert shown(viewer) == ("R", "L", "A", "P")
    above.visible = False
    assert shown(viewer) == ("A", "P", "S", "I")
    above.visible = True
    above.rotate = (0, 0, 20)  # by hand: it is no longer where its file says
    assert shown(viewer) == ("A", "P", "S", "I")
    viewer.layers.remove(below)
    assert shown(viewer) == ("",) * 4


def test_time_is_no_side(viewer: ViewerModel) -> None:
    NapariShelf(viewer).add(scan(GRIDS["as DICOM"], 4))
    assert shown(viewer) == ("R", "L", "A", "P")
    viewer.dims.order = (1, 2, 0, 3)
    assert shown(viewer) == ("",) * 4


def test_real_scans(viewer: ViewerModel, data_dir: Path) -> None:
    """Axial slices of head and neck: nose above, the patient's right on the left."""
    path = sorted((data_dir / "ct_headneck_openkbp" / "images").glob("*.nii.gz"))[0]
    one = read_one(path)
    NapariShelf(viewer).add(one)
    axis = "xyz"[::-1].index(
        "xyz"[[c in "IS" for c in one.grid.orientation].index(True)]
    )
    viewer.dims.order = (axis, *(a for a in range(3) if a != axis))
    assert shown(viewer) == by_place(viewer, one.grid)
    assert set(shown(viewer)[:2]) == {"R", "L"}
