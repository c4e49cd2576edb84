"""A Labels layer and its keeper: what napari paints is kept, what is undone is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Labels

from napari_segreview.core.case import CaseFacts
from napari_segreview.core.cases import Cases
from napari_segreview.layers.conversion import to_label_map
from napari_segreview.layers.shelf import NapariShelf
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segreview.core.keeper import Keeper

SHAPE = (6, 20, 30)


class Bench:
    """A viewer with one layer that is kept."""

    def __init__(self, root: Path, data: Any = None) -> None:
        self.viewer = ViewerModel()
        self.shelf = NapariShelf(self.viewer)
        data = np.zeros(SHAPE, np.uint8) if data is None else data
        self.layer = Labels(data, name="working", scale=(2.0, 1.0, 1.0)[-data.ndim :])
        self.viewer.add_layer(self.layer)
        self.key = str(self.layer.unique_id)
        self.cases = Cases(root)
        self.outgrown = 0
        labels = to_label_map(self.layer)
        self.keeper: Keeper = self.cases.begin(CaseFacts.of(labels), labels.data)
        self.shelf.bind(self.key, self.keeper, self._outgrow)

    def _outgrow(self) -> None:
        self.outgrown += 1

    @property
    def tools(self) -> list[str]:
        """Of all edits, oldest first; they are undone to see them, and done again."""
        found = []
        while (edit := self.keeper.undo()) is not None:
            found.append(edit.tool)
        while self.keeper.redo() is not None:
            pass
        return found[::-1]

    def check(self) -> None:
        """The journal tells what the layer shows."""
        assert np.array_equal(self.keeper.labels, np.asarray(self.layer.data))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_each_tool_is_one_edit(bench: Bench) -> None:
    layer = bench.layer
    layer.brush_size, layer.selected_label = 5, 2
    layer.mode = "paint"
    with layer.block_history():  # as napari's mouse does, from press to release
        for x in (3, 8, 13):
            layer.paint((2, 10, x), 2)
    layer.mode = "erase"
    layer.paint((2, 10, 3), 0)
    layer.mode = "fill"
    layer.fill((4, 0, 0), 1)
    layer.mode = "polygon"
    layer.paint_polygon([[3, 2, 2], [3, 2, 9], [3, 9, 9]], 2)
    layer.mode = "pan_zoom"
    layer.data_setitem(np.nonzero(layer.data == 1), 3)
    bench.check()
    assert bench.tools == ["brush", "eraser", "fill", "polygon", "program"]


def test_undo_and_redo_are_ours_and_have_no_limit(bench: Bench) -> None:
    """napari's own history ends after 100 steps."""
    layer = bench.layer
    states = [layer.data.copy()]
    layer.brush_size = 1
    for number in range(130):
        layer.paint((number % 6, number % 20, number % 30), 1 + number % 7)
        states.append(layer.data.copy())
    for state in states[-2::-1]:
        layer.undo()
        assert np.array_equal(layer.data, state)
    layer.undo()  # nothing left: nothing happens
    for state in states[1:]:
        layer.redo()
        assert np.array_equal(layer.data, state)
    layer.redo()
    bench.check()


def test_the_keys_of_napari_do_it(bench: Bench) -> None:
    from napari.layers.labels._labels_key_bindings import redo, undo

    bench.layer.paint((1, 5, 5), 2)
    painted = bench.layer.data.copy()
    undo(bench.layer)
    assert not bench.layer.data.any()
    redo(bench.layer)
    assert np.array_equal(bench.layer.data, painted)
    bench.check()


def test_undo_goes_to_the_slice_it_changes(bench: Bench) -> None:
    bench.viewer.dims.set_point(0, 2.0)  # slice 1, 2 mm apart
    bench.layer.paint((1, 5, 5), 2)
    bench.viewer.dims.set_point(0, 8.0)
    bench.layer.undo()
    assert bench.viewer.dims.point[0] == 2.0
    bench.viewer.dims.set_point(0, 10.0)
    bench.layer.redo()
    assert bench.viewer.dims.point[0] == 2.0


def test_undo_does_not_move_a_view_that_shows_it(bench: Bench) -> None:
    bench.layer.n_edit_dimensions = 3
    bench.layer.brush_size = 9
    bench.layer.paint((2, 10, 10), 1)
    bench.viewer.dims.set_point(0, 6.0)
    bench.layer.undo()
    assert bench.viewer.dims.point[0] == 6.0


def test_a_new_array_is_compared(bench: Bench) -> None:
    layer = bench.layer
    layer.paint((1, 5, 5), 2)
    before = layer.data.copy()
    new = before.copy()
    new[0, 0, 0], new[5, 19, 29] = 7, 8
    layer.data = new
    bench.check()
    layer.undo()
    assert np.array_equal(layer.data, before)
    assert layer.data is new
    layer.undo()
    assert not layer.data.any()
    bench.check()


def test_what_was_written_behind_its_back(bench: Bench) -> None:
    bench.layer.data[3, 4:6, 7] = 9
    bench.layer.data = bench.layer.data
    bench.check()
    assert len(bench.tools) == 1
    bench.layer.data[3, 8, 8] = 9
    bench.shelf.release(bench.key)
    bench.check()


@pytest.mark.parametrize(
    "new", [np.zeros((6, 20, 31), np.uint8), np.zeros(SHAPE, np.uint16)]
)
def test_an_array_of_another_kind_is_another_case(bench: Bench, new: Any) -> None:
    bench.layer.paint((1, 5, 5), 2)
    bench.layer.data = new
    assert bench.outgrown == 1
    assert bench.keeper.labels.any()  # what was done to the old one stays
    bench.shelf.release(bench.key)
    assert bench.keeper.labels.shape == SHAPE


def test_after_release_the_layer_is_naparis_again(bench: Bench) -> None:
    layer = bench.layer
    layer.mode = "paint"
    layer.paint((1, 5, 5), 2)
    painted = layer.data.copy()
    bench.shelf.release(bench.key)
    layer.undo()  # nothing stale comes back
    assert np.array_equal(layer.data, painted)
    layer.paint((2, 5, 5), 1)
    layer.undo()
    assert np.array_equal(layer.data, painted)
    assert layer.mode == "paint"
    assert np.array_equal(bench.keeper.labels, painted)


def test_a_program_writes_as_one_edit(bench: Bench) -> None:
    edits = bench.shelf._edits[bench.key]
    edits.write((slice(1, 3), slice(0, 5), slice(0, 5)), 4, "click", 4)
    assert (bench.layer.data == 4).sum() == 50
    bench.check()
    assert bench.tools == ["click"]
    bench.layer.undo()
    assert not bench.layer.data.any()


def test_a_frozen_layer_cannot_be_painted(bench: Bench) -> None:
    bench.shelf.release(bench.key)
    bench.shelf.freeze(bench.key)
    bench.layer.mode = "paint"
    assert bench.layer.mode == "pan_zoom"


def test_labels_at_several_resolutions_are_refused(tmp_path: Path) -> None:
    viewer = ViewerModel()
    layer = Labels([np.zeros((8, 8), int), np.zeros((4, 4), int)], multiscale=True)
    viewer.add_layer(layer)
    shelf = NapariShelf(viewer)
    with pytest.raises(InputError, match="several resolutions"):
        shelf.bind(str(layer.unique_id), Bench(tmp_path).keeper, lambda: None)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int32, np.uint16, np.uint64])
def test_any_type_of_labels(dtype: Any, tmp_path: Path) -> None:
    bench = Bench(tmp_path, np.zeros((9, 9), dtype))
    bench.layer.paint((4, 4), 1)
    painted = bench.layer.data.copy()
    bench.check()
    bench.layer.undo()
    assert not bench.layer.data.any()
    bench.layer.redo()
    assert np.array_equal(bench.layer.data, painted)


orders = st.permutations(range(3))
moves = st.lists(
    st.tuples(
        st.sampled_from(["brush", "ball", "fill", "polygon", "undo", "redo"]),
        st.tuples(*[st.integers(0, n - 1) for n in SHAPE]),
        st.integers(0, 3),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(orders, moves)
def test_in_any_plane_the_journal_tells_what_is_shown(
    tmp_path_factory: pytest.TempPathFactory,
    order: list[int],
    steps: list[tuple[str, tuple[int, int, int], int]],
) -> None:
    """Against plain copies of the array, whatever is painted in whatever axis order."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    layer, viewer = bench.layer, bench.viewer
    viewer.dims.order = tuple(order)
    states, at = [layer.data.copy()], 0
    for what, where, value in steps:
        viewer.dims.point = layer.data_to_world(where)
        layer.n_edit_dimensions = 3 if what == "ball" else 2
        layer.brush_size = 7
        if what in ("brush", "ball"):
            layer.paint(where, value)
        elif what == "fill":
            layer.fill(where, value)
        elif what == "polygon":
            flat, *_ = order
            ends = np.array([where] * 3)
            ends[1, order[1]] = ends[2, order[2]] = 0
            assert (ends[:, flat] == where[flat]).all()
            layer.paint_polygon(ends, value)
        else:
            (layer.undo if what == "undo" else layer.redo)()
            at += -1 if what == "undo" else 1
            at = min(max(at, 0), len(states) - 1)
        if what not in ("undo", "redo") and not np.array_equal(layer.data, states[at]):
            states[at + 1 :] = [layer.data.copy()]
            at += 1
        assert np.array_equal(layer.data, states[at])
        bench.check()
    bench.shelf.release(bench.key)
    bench.keeper.close()
