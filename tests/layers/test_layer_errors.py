"""Layers of errors, and the way to a voxel, in a viewer without a window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.protocols import Doubts
from napari_segreview.core.review import ErrorMaps
from napari_segreview.core.scan import Scan
from napari_segreview.layers.shelf import NapariShelf
from src_models.errors import InputError

# Runs right to left, back to front, at an offset: as files do.
GRID = Grid(
    (6, 8, 10),
    np.array([[-0.5, 0, 0, 30], [0, -1, 0, -7], [0, 0, 3, 4], [0, 0, 0, 1.0]]),
)


def label_map(name: str, *lead: int) -> LabelMap:
    data = np.zeros((*lead, *GRID.shape), np.uint8)
    data[..., 2, 3, 4] = 1
    return LabelMap(data=data, grid=GRID, table=LabelTable.of({1: "cup"}), name=name)


def maps(*lead: int) -> ErrorMaps:
    false, missed = (
        label_map("false positive", *lead),
        label_map("false negative", *lead),
    )
    surface = np.full(false.data.shape, np.nan, np.float32)
    surface[..., 2, 3, 4] = -3.0
    return ErrorMaps(false, missed, surface, 4.0)


@pytest.fixture
def shelf() -> NapariShelf:
    return NapariShelf(ViewerModel())


def viewer_of(shelf: NapariShelf) -> Any:
    return shelf._viewer


def test_they_lie_on_the_labels_and_are_not_offered(shelf: NapariShelf) -> None:
    shelf.add(Scan(data=np.zeros(GRID.shape, np.uint8), grid=GRID, name="scan"))
    ref = shelf.add(label_map("model"))
    shelf.show_errors(maps(), ref.key)
    layers = viewer_of(shelf).layers
    assert [layer.name for layer in layers[2:]] == [
        "false positive",
        "false negative",
        "surface distance −4 to +4 mm",
    ]
    at = (2, 3, 4)
    assert all(
        np.allclose(layer.data_to_world(at), layers["model"].data_to_world(at))
        for layer in layers
    )
    assert [one.name for one in shelf.label_layers()] == ["model"]
    assert [one.name for one in shelf.images()] == ["scan"]
    assert not layers["false positive"].editable
    assert tuple(layers[-1].contrast_limits) == (-4, 4)


def test_doubts_lie_on_their_scan_and_take_the_place_of_earlier(
    shelf: NapariShelf,
) -> None:
    scan = shelf.add(Scan(data=np.zeros(GRID.shape, np.uint8), grid=GRID, name="scan"))
    voxels = np.zeros(GRID.shape, np.float32)
    voxels[2, 3, 4], voxels[0, 0, 0] = 0.6, 0.001
    shelf.show_errors(maps(), scan.key)
    painted = viewer_of(shelf).layers["false positive"]
    viewer_of(shelf).layers.selection.active = painted
    for _ in range(2):
        shelf.show_doubts({scan.key: Doubts((), voxels), "closed": Doubts((), voxels)})
    layers = viewer_of(shelf).layers
    assert len(layers) == 5
    assert layers.selection.active is painted
    doubt = layers["uncertainty of scan, nats"]
    at = (2, 3, 4)
    assert np.allclose(doubt.data_to_world(at), layers["scan"].data_to_world(at))
    assert np.argwhere(np.isfinite(doubt.data)).tolist() == [[*at]]
    assert [one.name for one in shelf.images()] == ["scan"]
    shelf.show_errors(maps(), scan.key)  # leaves them
    assert doubt in layers
    shelf.look(scan.key, 5)
    assert layers["scan"].world_to_data(viewer_of(shelf).dims.point)[0] == 5


def test_too_little_and_too_much_have_the_colours_of_missed_and_false() -> None:
    shelf = NapariShelf(ViewerModel())
    shelf.show_errors(maps(), "closed meanwhile")
    surface = viewer_of(shelf).layers[-1]
    low, middle, high = surface.colormap.map(np.array([0.0, 0.5, 1.0]))
    assert low[2] > low[0]  # blue
    assert high[0] > high[2]  # red
    assert middle[:3].min() > 0.95
    assert surface.colormap.map(np.array([np.nan]))[0, 3] == 0  # seen through


def test_the_next_errors_take_their_place(shelf: NapariShelf) -> None:
    ref = shelf.add(label_map("model"))
    for limit in (4.0, 6.0):
        shelf.show_errors(replace(maps(), limit=limit), ref.key)
    names = [layer.name for layer in viewer_of(shelf).layers]
    assert len(names) == 4
    assert names[-1] == "surface distance −6 to +6 mm"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_going_to_a_voxel_in_any_plane(
    shelf: NapariShelf, order: tuple[int, ...]
) -> None:
    ref = shelf.add(label_map("model"))
    viewer = viewer_of(shelf)
    viewer.dims.order = order
    shelf.go_to(ref.key, (5, 6, 7))
    world = viewer.layers[0].data_to_world((5, 6, 7))
    hidden, *shown = order
    assert viewer.dims.point[hidden] == pytest.approx(world[hidden])
    assert viewer.scene.camera.center[1:] == pytest.approx(
        [world[axis] for axis in shown]
    )


def test_going_to_a_voxel_in_3d(shelf: NapariShelf) -> None:
    ref = shelf.add(label_map("model"))
    viewer = viewer_of(shelf)
    viewer.dims.ndisplay = 3
    shelf.go_to(ref.key, (5, 6, 7))
    world = viewer.layers[0].data_to_world((5, 6, 7))
    assert viewer.scene.camera.center == pytest.approx(tuple(world))


def test_going_to_a_frame_and_beside_a_sequence(shelf: NapariShelf) -> None:
    film = shelf.add(label_map("film", 4))
    shelf.go_to(film.key, (3, 5, 6, 7))
    viewer = viewer_of(shelf)
    assert viewer.dims.point[0] == 3
    still = shelf.add(label_map("still"))  # without time, in a viewer that has it
    shelf.go_to(still.key, (1, 1, 1))
    assert viewer.dims.point[0] == 3


def test_the_layer_is_gone(shelf: NapariShelf) -> None:
    with pytest.raises(InputError, match="was closed"):
        shelf.go_to("none", (0, 0, 0))


def test_the_key(shelf: NapariShelf) -> None:
    pressed: list[int] = []
    shelf.on_key("W", lambda: pressed.append(1))
    viewer = viewer_of(shelf)
    (then,) = (v for k, v in viewer.keymap.items() if str(k) == "W")
    then(viewer)
    assert pressed == [1]


def test_a_users_layer_of_the_same_name_stays(shelf: NapariShelf) -> None:
    ref = shelf.add(label_map("model"))
    own = Labels(np.zeros(GRID.shape, np.uint8), name="false positive")
    viewer_of(shelf).add_layer(own)
    shelf.show_errors(maps(), ref.key)
    shelf.show_errors(maps(), ref.key)
    assert own in viewer_of(shelf).layers
