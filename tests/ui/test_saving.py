"""Correcting in a real window: the mouse paints, the disk has it, Ctrl+Z takes it back."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel, QPushButton

from napari_segreview import _widgets
from napari_segreview._plugin import ScanLibrary
from napari_segreview._widgets import session_of
from napari_segreview.core.cases import Cases
from napari_segreview.core.geometry import Grid
from napari_segreview.core.journal import replay
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.core.session import Session
from napari_segreview.engine import LocalEngine
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.ui.dock import Dock
from napari_segreview.ui.runner import ThreadRunner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.gui

GRID = Grid.from_spacing((12, 40, 50), (3.0, 1.0, 1.0))
LEFT = Qt.MouseButton.LeftButton


class Desk:
    """A window with a scan and labels on it, journals in a folder."""

    def __init__(self, viewer: Any, root: Path, *, empty: bool = False) -> None:
        self.viewer = viewer
        shelf = NapariShelf(viewer)
        self.session = Session(
            LocalEngine(), shelf, ScanLibrary(), ThreadRunner(), cases=Cases(root)
        )
        shelf.on_change(self.session.layers_changed)
        self.dock = Dock(self.session)
        viewer.window.add_dock_widget(self.dock, name="SegReview")
        viewer.window.resize(1200, 900)
        if not empty:
            data = np.random.default_rng(0).random(GRID.shape, np.float32)
            shelf.add(Scan(data=data, grid=GRID, name="head.nii", modality="MR"))
            labels = np.zeros(GRID.shape, np.uint8)
            table = LabelTable.of({1: "brain", 2: "tumour"})
            shelf.add(LabelMap(data=labels, grid=GRID, table=table, name="by hand"))

    @property
    def layer(self) -> Any:
        return self.viewer.layers[-1]

    @property
    def line(self) -> str:
        label = self.dock.work.findChild(QLabel, "saving")
        assert isinstance(label, QLabel)
        return label.text()

    def choose(self, name: str) -> None:
        box = self.dock.work.labels
        box.setCurrentText(name)
        box.activated.emit(box.currentIndex())

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press, move, release; from and to in shares of the canvas (x, y)."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        ends = [
            QPoint(int(canvas.width() * x), int(canvas.height() * y))
            for x, y in (start, end)
        ]
        QTest.mousePress(canvas, LEFT, pos=ends[0])
        for share in np.linspace(0, 1, 8):
            QTest.mouseMove(canvas, ends[0] + (ends[1] - ends[0]) * float(share))
        QTest.mouseRelease(canvas, LEFT, pos=ends[1])

    def key(self, key: Qt.Key, modifier: Any) -> None:
        QTest.keyClick(self.viewer.window._qt_viewer.canvas.native, key, modifier)


@pytest.fixture
def desk(make_napari_viewer: Callable[..., Any], tmp_path: Path) -> Desk:
    return Desk(make_napari_viewer(show=True), tmp_path / "work")


CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_strokes_in_any_plane_are_on_the_disk(
    desk: Desk, order: tuple[int, ...], tmp_path: Path
) -> None:
    """Each drag is one step; the journal agrees with the layer after each."""
    desk.choose("by hand")
    layer = desk.layer
    desk.viewer.layers.selection.active = layer
    desk.viewer.dims.order = order
    desk.viewer.reset_view()
    layer.mode = "paint"
    layer.brush_size, layer.selected_label = 4, 2
    states = [layer.data.copy()]
    (path,) = tmp_path.glob("work/*/journal")
    for start, end in (((0.45, 0.5), (0.55, 0.5)), ((0.5, 0.45), (0.5, 0.55))):
        desk.drag(start, end)
        states.append(layer.data.copy())
        assert np.array_equal(replay(path).labels, layer.data)
    assert [(state == 2).any() for state in states] == [False, True, True]
    assert not np.array_equal(states[1], states[2])
    hidden = order[0]
    axes = tuple(axis for axis in range(3) if axis != hidden)
    assert (layer.data == 2).any(axis=axes).sum() == 1  # one slice
    assert desk.line.startswith("saved ")
    assert len(replay(path).history.packed) == 2

    desk.viewer.dims.set_point(hidden, desk.viewer.dims.range[hidden].start)
    desk.key(Qt.Key.Key_Z, CTRL)
    assert np.array_equal(layer.data, states[1])
    painted = int(np.flatnonzero((layer.data == 2).any(axis=axes))[0])
    shown = layer.world_to_data(desk.viewer.dims.point)[hidden]
    assert round(shown) == painted  # it went where the change is
    desk.key(Qt.Key.Key_Z, CTRL)
    assert np.array_equal(layer.data, states[0])
    desk.key(Qt.Key.Key_Z, CTRL | SHIFT)
    assert np.array_equal(layer.data, states[1])
    assert np.array_equal(replay(path).labels, layer.data)


def test_work_is_offered_back_in_the_next_window(
    desk: Desk, make_napari_viewer: Callable[..., Any], qtbot: Any, tmp_path: Path
) -> None:
    desk.choose("by hand")
    layer = desk.layer
    layer.paint((5, 20, 20), 1)
    layer.paint((7, 10, 10), 2)
    before = layer.data.copy()
    for keeper in desk.session._keeping.keepers():
        keeper._leave()  # as if it had been killed
    later = Desk(make_napari_viewer(), tmp_path / "work", empty=True)
    rows = later.dock.work.rows
    text = rows.findChild(QLabel, "leftover")
    assert text.text().startswith("Unsaved work on head.nii, ")
    qtbot.mouseClick(rows.findChild(QPushButton, "restore"), LEFT)
    assert later.layer.name == "by hand"
    assert np.array_equal(later.layer.data, before)
    assert list(later.layer.features["name"])[1:] == ["brain", "tumour"]
    assert np.allclose(later.layer.scale, (3, 1, 1))
    assert later.dock.work.labels.currentText() == "by hand"
    later.layer.undo()
    later.layer.undo()
    assert not later.layer.data.any()
    assert rows.findChild(QPushButton, "restore") is None or not rows.isVisibleTo(
        later.dock
    )
    later.session.correcting.close()


def test_discard_in_the_dock(
    desk: Desk, make_napari_viewer: Callable[..., Any], qtbot: Any, tmp_path: Path
) -> None:
    desk.choose("by hand")
    desk.layer.paint((5, 20, 20), 1)
    desk.viewer.layers.remove(desk.layer)  # by mistake, say
    rows = desk.dock.work.rows
    qtbot.mouseClick(rows.findChild(QPushButton, "discard"), LEFT)
    assert not rows.isVisibleTo(desk.dock)
    assert len(list((tmp_path / "work" / "trash").iterdir())) == 1


def test_a_second_window_cannot_paint(
    desk: Desk, make_napari_viewer: Callable[..., Any], tmp_path: Path
) -> None:
    desk.choose("by hand")
    other = Desk(make_napari_viewer(), tmp_path / "work")
    other.choose("by hand")
    assert other.line.startswith("⚠ read-only: open in another window")
    assert not other.layer.editable
    assert desk.layer.editable


def test_a_project_by_its_buttons(
    desk: Desk,
    make_napari_viewer: Callable[..., Any],
    qtbot: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk.choose("by hand")
    desk.layer.paint((5, 20, 20), 1)
    path = str(tmp_path / "case.segreview")
    for ask in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, ask, lambda *_: (path, ""))
    qtbot.mouseClick(desk.dock.work.save, LEFT)
    other = Desk(make_napari_viewer(), tmp_path / "elsewhere", empty=True)
    qtbot.mouseClick(other.dock.work.open, LEFT)
    assert np.array_equal(other.layer.data, desk.layer.data)
    assert other.session.state.said == "Opened case.segreview."
    other.session.correcting.close()


def test_a_layer_of_another_size_is_another_case(desk: Desk, tmp_path: Path) -> None:
    desk.choose("by hand")
    desk.layer.paint((5, 20, 20), 1)
    desk.layer.data = np.zeros((4, 40, 50), np.uint8)
    desk.layer.paint((1, 20, 20), 1)
    desk.layer.undo()
    desk.layer.undo()
    assert not desk.layer.data.any()
    assert len(list((tmp_path / "work").glob("*/journal"))) == 2


def test_the_plugin_keeps_what_is_open_when_its_window_closes(
    make_napari_viewer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the widget as napari makes it, and the journals where they are by default."""
    viewer = make_napari_viewer()
    viewer.window.add_plugin_dock_widget("napari-segreview", "SegReview")
    session, shelf = session_of(viewer), NapariShelf(viewer)
    data = np.zeros(GRID.shape, np.uint8)
    shelf.add(Scan(data=data, grid=GRID, name="closing.nii"))
    session.correcting.choose(shelf.add(LabelMap(data=data.copy(), grid=GRID)).key)
    viewer.layers[-1].paint((5, 20, 20), 1)
    told: list[str] = []
    monkeypatch.setattr(_widgets, "show_warning", told.append)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        viewer.layers[-1].paint((6, 20, 20), 2)
    (warning,) = told
    assert warning.startswith("NOT saved: the disk is full")
    painted = viewer.layers[-1].data.copy()
    viewer.close()
    QApplication.processEvents()
    (left,) = (
        one for one in Cases().recoverable() if one.title.find("closing.nii") > 0
    )
    keeper = Cases().resume(left.key)
    assert np.array_equal(keeper.labels, painted)
    keeper.close()


def refuse(*_: Any) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")
