"""A rectangle dragged once over the labels, in a viewer without a window."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap
from napari_segreview.layers.shelf import NapariShelf
from src_models.errors import InputError

SHAPE = (4, 8, 10)
# Runs right to left, back to front: as files do.
GRID = Grid(
    SHAPE, np.array([[-0.5, 0, 0, 30], [0, -1, 0, -7], [0, 0, 3, 4], [0, 0, 0, 1.0]])
)


class Desk:
    """A viewer with labels, a mouse that drags between two voxels."""

    def __init__(self, *lead: int) -> None:
        self.viewer = ViewerModel()
        self.naparis = list(self.viewer.mouse_drag_callbacks)
        self.shelf = NapariShelf(self.viewer)
        data = np.zeros((*lead, *SHAPE), np.uint8)
        labels = LabelMap(data=data, grid=GRID)
        self.key = self.shelf.add(labels).key
        self.layer = self.viewer.layers[0]
        self.taken: list[Any] = []

    def ask(self) -> None:
        self.shelf.drag_box(self.key, self.taken.append)

    def waiting(self) -> list[Any]:
        held = self.viewer.mouse_drag_callbacks
        return [one for one in held if one not in self.naparis]

    def drag(self, start: tuple[int, ...], *ways: tuple[int, ...]) -> None:
        """From voxel to voxel, in data coordinates of the layer."""
        self.viewer.dims.set_point(
            list(self.viewer.dims.not_displayed),
            [
                self.layer.data_to_world(start)[a]
                for a in self.viewer.dims.not_displayed
            ],
        )
        event = SimpleNamespace(
            button=1,
            type="mouse_press",
            handled=False,
            position=self.layer.data_to_world(start),
            dims_displayed=list(self.viewer.dims.displayed),
        )
        for callback in self.waiting():
            steps = callback(self.viewer, event)
            next(steps, None)
            for at in ways:
                event.type, event.position = (
                    "mouse_move",
                    self.layer.data_to_world(at),
                )
                next(steps, None)
            event.type = "mouse_release"
            next(steps, None)


def test_the_voxels_between_are_taken_both_ends_included() -> None:
    desk = Desk()
    desk.layer.mode = "paint"
    desk.ask()
    assert str(desk.layer.mode) == "pan_zoom"  # or the drag would paint
    desk.drag((2, 6, 7), (2, 4, 4), (2, 3, 5))
    assert desk.taken == [((slice(2, 3), slice(3, 7), slice(5, 8)), None)]
    assert str(desk.layer.mode) == "paint"
    assert len(desk.viewer.layers) == 1
    desk.drag((1, 1, 1), (1, 2, 2))  # nobody waits any more
    assert len(desk.taken) == 1


def test_beyond_the_rim_it_is_cut() -> None:
    desk = Desk()
    desk.ask()
    desk.drag((0, 5, 5), (0, 40, -9))
    assert desk.taken == [((slice(0, 1), slice(5, 8), slice(0, 6)), None)]


def test_a_frame_is_told_and_another_plane_is_seen() -> None:
    desk = Desk(3)
    desk.viewer.dims.order = (0, 2, 1, 3)
    desk.ask()
    desk.drag((1, 0, 6, 2), (1, 3, 6, 4))
    assert desk.taken == [((slice(0, 4), slice(6, 7), slice(2, 5)), 1)]


def test_asked_twice_the_first_wish_is_dropped() -> None:
    desk, first = Desk(), list[Any]()
    desk.shelf.drag_box(desk.key, first.append)
    desk.ask()
    desk.drag((1, 1, 1), (1, 2, 2))
    assert len(desk.taken) == 1
    assert not first


def test_in_3d_it_says_what_to_do() -> None:
    desk = Desk()
    desk.viewer.dims.ndisplay = 3
    with pytest.raises(InputError, match="2D view"):
        desk.ask()
    assert not desk.waiting()
