"""Clicking in a real window: the mouse on the image, the keys, the panel."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QInputDialog, QPushButton

from napari_segreview._plugin import ScanLibrary
from napari_segreview._widgets import ClickDock
from napari_segreview.core.cases import Cases
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.prompts import Box, Lasso, Plane, Point, Scribble
from napari_segreview.core.scan import Scan
from napari_segreview.core.session import Session
from napari_segreview.engine import LocalEngine
from napari_segreview.engine.click_volume import VolumeEngine
from napari_segreview.engine.clicks import ClickEngine
from napari_segreview.layers.pointer import Pointer
from napari_segreview.layers.preview import MARKS, OUTLINE
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.ui.dock import Dock
from napari_segreview.ui.runner import ThreadRunner
from src_models.interactive.predictor import obeyed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.gui

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


class Bright:
    """The bright pixels. Waits for `go` before it answers."""

    go = threading.Event()

    def set_image(self, image: Any) -> None:
        self.image = image if image.ndim == 2 else image[..., 0]

    def answer(self, prompts: Any, previous: Any = None) -> Any:
        assert self.go.wait(10)
        return obeyed(self.image > 100, prompts)


class BrightVolume:
    """The bright voxels, at once."""

    def set_volume(self, volume: Any, spacing: Any) -> None:
        self.volume = volume

    def answer(self, spots: Any, previous: Any = None) -> Any:
        return self.volume > 100


SCANS: dict[str, tuple[tuple[int, ...], tuple[float, ...], dict[str, bool]]] = {
    "2D colour": ((30, 40, 3), (1.0, 1.0), {"has_channels": True}),
    "2D over time": ((5, 30, 40), (1.0, 1.0), {"has_time": True}),
    "3D": ((10, 30, 40), (1.0, 1.0, 1.0), {}),
    "3D anisotropic": ((10, 30, 40), (4.0, 0.7, 1.3), {}),
    "3D over time": ((3, 10, 30, 40), (4.0, 1.0, 1.0), {"has_time": True}),
}


def scan_of(kind: str) -> Scan:
    """A bright block in the middle of everything."""
    shape, spacing, facts = SCANS[kind]
    data = np.zeros(shape, np.uint8)
    lead, n = int(facts.get("has_time", False)), len(spacing)
    sides = shape[lead : lead + n]
    data[(slice(None),) * lead + tuple(slice(s // 3, 2 * s // 3) for s in sides)] = 200
    return Scan(data=data, grid=Grid.from_spacing(sides, spacing), name=kind, **facts)


class Desk:
    """A window with a scan, journals in a folder, and a mouse."""

    def __init__(self, viewer: Any, root: Path, kind: str = "3D") -> None:
        self.viewer = viewer
        self.runners = [ThreadRunner(), ThreadRunner()]
        shelf = NapariShelf(viewer)
        self.session = Session(
            LocalEngine(ClickEngine(Bright, VolumeEngine(BrightVolume))),
            shelf,
            ScanLibrary(),
            self.runners[0],
            cases=Cases(root),
            ask=self.runners[1],
            thread="main",
        )
        shelf.on_change(self.session.layers_changed)
        self.pointer = Pointer(viewer, self.session)
        self.dock = Dock(self.session)
        viewer.window.add_dock_widget(self.dock, name="SegReview")
        viewer.window.resize(1000, 700)
        viewer.window._qt_window.show()
        self.scan = scan_of(kind)
        shelf.add(self.scan)
        self.shelf = shelf
        Bright.go.set()
        QApplication.processEvents()

    @property
    def image(self) -> Any:
        return self.viewer.layers[0]

    @property
    def panel(self) -> Any:
        return self.dock.panels["Click"]

    @property
    def clicks(self) -> Any:
        return self.session.state.clicks

    @property
    def canvas(self) -> Any:
        return self.viewer.window._qt_viewer.canvas

    def pixel(self, *at: float) -> QPoint:
        """Where a voxel (t, z, y, x) of the layer is on the canvas."""
        world = np.array(self.image.data_to_world(at))[list(self.viewer.dims.displayed)]
        ends = np.array([[0, 0], [100, 0], [0, 100]])
        seen = [self.canvas._map_canvas2world(end, self.canvas.view) for end in ends]
        seen = np.array(seen)[:, list(self.viewer.dims.displayed)]
        step = np.linalg.solve((seen[1:] - seen[0]).T, world - seen[0]) * 100
        return QPoint(*(round(v) for v in step.tolist()))

    def settled(self, *at: float) -> QPoint:
        """The same once the window is laid out and drawn."""
        before, now = None, self.pixel(*at)
        while before != now:
            QApplication.processEvents()
            before, now = now, self.pixel(*at)
        return now

    def click(self, *at: float, button: Any = LEFT, keys: Any = None) -> None:
        native, place = self.canvas.native, self.settled(*at)
        keys = keys or Qt.KeyboardModifier.NoModifier
        QTest.mouseMove(native, place)
        QTest.mouseClick(native, button, keys, place)
        QApplication.processEvents()

    def drag(self, *places: tuple[float, ...], button: Any = LEFT) -> None:
        native, pixels = self.canvas.native, [self.settled(*at) for at in places]
        none = Qt.KeyboardModifier.NoModifier
        QTest.mousePress(native, button, none, pixels[0])
        for pixel in pixels[1:]:
            QTest.mouseMove(native, pixel)
            QApplication.processEvents()
        QTest.mouseRelease(native, button, none, pixels[-1])
        QApplication.processEvents()

    def key(self, key: Any, keys: Any = None) -> None:
        none = Qt.KeyboardModifier.NoModifier
        QTest.keyClick(self.canvas.native, key, keys or none)
        QApplication.processEvents()


@pytest.fixture
def open_desk(
    make_napari_viewer: Callable[[], Any], tmp_path: Path
) -> Iterator[Callable[..., Desk]]:
    desks = []

    def make(kind: str = "3D") -> Desk:
        desks.append(Desk(make_napari_viewer(), tmp_path / "work", kind))
        return desks[-1]

    yield make
    Bright.go.set()
    for desk in desks:
        for runner in desk.runners:
            runner.close()
        desk.pointer.close()
        desk.session.correcting.close()


def answered(qtbot: Any, desk: Desk) -> None:
    qtbot.waitUntil(lambda: not desk.clicks.waiting, timeout=10_000)
    assert desk.session.state.fault == ""


def press(qtbot: Any, button: Any) -> None:
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, LEFT)


def line(desk: Desk) -> str:
    return str(desk.panel.line.text())


@pytest.mark.parametrize("kind", [kind for kind in SCANS if kind != "3D"])
def test_a_click_is_where_the_mouse_is(
    open_desk: Callable[..., Desk], qtbot: Any, kind: str
) -> None:
    """In each of the planes that napari can show of the scan."""
    desk = open_desk(kind)
    lead, n = int(desk.scan.has_time), desk.scan.grid.ndim
    middle = [side // 2 for side in desk.image.data.shape[: lead + n]]
    press(qtbot, desk.panel.tools["point"])
    orders = [range(lead + n)]
    if n == 3:
        rest = range(lead)
        orders += [(*rest, lead + 1, lead, lead + 2), (*rest, lead + 2, lead + 1, lead)]
    for order in orders:
        desk.viewer.dims.order = tuple(order)
        desk.viewer.reset_view()
        there = desk.image.data_to_world(middle)
        desk.viewer.dims.point = there
        camera = desk.viewer.scene.camera  # a voxel must be many pixels wide
        camera.center = (0, *(there[axis] for axis in desk.viewer.dims.displayed))
        camera.zoom *= 4
        QApplication.processEvents()
        desk.click(*middle)
        answered(qtbot, desk)
        prompt = desk.clicks.done[-1].prompt
        assert prompt.positive
        assert prompt.at == tuple(float(v) for v in middle[lead:])
        axis = None if n == 2 else order[lead] - lead
        index = 0 if axis is None else middle[lead + axis]
        assert prompt.plane == Plane(axis, index, middle[0] if lead else 0)
    bright = desk.scan.data[..., 0] if desk.scan.has_channels else desk.scan.data
    drawn = desk.viewer.layers[OUTLINE].data
    assert drawn.shape == bright.shape
    box = desk.clicks.done[-1].prompt.plane.box(desk.scan)
    assert np.array_equal(drawn[box] > 0, bright[box] > 0)
    assert len(desk.viewer.layers[MARKS].data) == len(orders)


def test_buttons_keys_and_drags(open_desk: Callable[..., Desk], qtbot: Any) -> None:
    desk = open_desk("3D")
    desk.viewer.dims.set_point(0, desk.image.data_to_world([5, 0, 0])[0])
    camera = desk.viewer.scene.camera.center
    desk.click(5, 15, 20)
    assert desk.clicks.done == ()  # the tool is off
    press(qtbot, desk.panel.tools["point"])
    desk.click(5, 15, 20)
    desk.click(5, 12, 15, button=RIGHT)
    desk.click(5, 12, 16, keys=CONTROL)
    # Qt tells the second of two quick clicks like this; napari would zoom.
    QTest.mouseDClick(desk.canvas.native, RIGHT, pos=desk.pixel(5, 11, 16))
    desk.key(Qt.Key.Key_T)
    desk.click(5, 12, 17)
    desk.click(5, 12, 18, button=RIGHT)
    desk.key(Qt.Key.Key_T)
    desk.key(Qt.Key.Key_S)
    desk.drag((5, 11, 14), (5, 11, 20), (5, 14, 20), button=RIGHT)
    desk.key(Qt.Key.Key_B)
    desk.drag((5, 20, 30), (5, 4, 5))
    desk.key(Qt.Key.Key_L)
    desk.drag((5, 3, 3), (5, 3, 30), (5, 25, 30), (5, 25, 3))
    answered(qtbot, desk)
    prompts = [step.prompt for step in desk.clicks.done]
    signs = [p.positive for p in prompts if isinstance(p, Point)]
    assert signs == [True, False, False, False, False, True]
    scribble, box, lasso = prompts[6:]
    assert isinstance(scribble, Scribble)
    assert not scribble.positive
    assert isinstance(box, Box)
    assert np.allclose((box.low, box.high), ((5, 4, 5), (5, 20, 30)), atol=0.6)
    assert isinstance(lasso, Lasso)
    assert len(lasso.corners) >= 4
    assert np.allclose(desk.viewer.scene.camera.center, camera)
    assert line(desk).startswith("9 marks · ")
    desk.key(Qt.Key.Key_Z, CONTROL)
    assert len(desk.clicks.done) == 8
    desk.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert len(desk.clicks.done) == 9
    desk.key(Qt.Key.Key_R)
    assert desk.clicks.done == ()
    assert OUTLINE not in desk.viewer.layers
    desk.key(Qt.Key.Key_Escape)
    assert not desk.clicks.on
    assert not any(button.isChecked() for button in desk.panel.tools.values())
    assert not desk.viewer.keymap


def test_the_keys_of_a_labels_layer_come_back(
    open_desk: Callable[..., Desk], qtbot: Any
) -> None:
    desk = open_desk("3D")
    own = desk.viewer.add_labels(np.zeros((10, 30, 40), np.uint8))
    own.mode = "paint"
    desk.session.clicking.choose_tool("point")
    assert own.mode == "pan_zoom"
    desk.key(Qt.Key.Key_P)  # the point tool, not napari's brush
    assert own.mode == "pan_zoom"
    own.mode = "erase"  # the user takes another tool: the click tool gives way
    desk.click(5, 15, 20)
    assert not desk.clicks.on
    assert desk.clicks.done == ()
    desk.key(Qt.Key.Key_P)
    assert own.mode == "paint"
    desk.viewer.layers.remove(own)
    assert desk.session.state.fault == ""


def test_accept_is_one_step_of_the_journal(
    open_desk: Callable[..., Desk], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_desk("3D anisotropic")
    table = LabelTable.of({1: "liver", 7: "vein"})
    labels = np.zeros((10, 30, 40), np.uint8)
    labels[5, 14:16] = 7
    ref = desk.shelf.add(
        LabelMap(data=labels, grid=desk.scan.grid, table=table, name="mine")
    )
    desk.session.correcting.choose(ref.key)
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("tumour", True))
    press(qtbot, desk.panel.new)
    assert desk.panel.label.currentText() == "8: tumour"
    press(qtbot, desk.panel.tools["point"])
    desk.viewer.dims.set_point(0, desk.image.data_to_world([5, 0, 0])[0])
    desk.click(5, 12, 20)
    answered(qtbot, desk)
    layer = desk.viewer.layers["mine"]
    before = layer.data.copy()
    desk.key(Qt.Key.Key_Return)
    assert "is tumour" in desk.session.state.said
    assert "stayed with other labels" in desk.session.state.said
    bright = desk.scan.data[5] > 0
    bright[14:16] = False
    assert np.array_equal(layer.data[5] == 8, bright)
    assert np.array_equal(layer.data == 7, before == 7)
    assert list(layer.features["name"]) == ["background", "liver", "vein", "tumour"]
    assert desk.session.state.work.line.startswith("saved ")
    layer.undo()
    assert np.array_equal(layer.data, before)
    layer.redo()
    assert (layer.data == 8).any()
    assert MARKS not in desk.viewer.layers


def test_without_labels_a_new_layer_is_made_and_kept(
    open_desk: Callable[..., Desk], qtbot: Any
) -> None:
    desk = open_desk("2D colour")
    press(qtbot, desk.panel.tools["point"])
    desk.click(15, 20)
    answered(qtbot, desk)
    press(qtbot, desk.panel.accept)
    layer = desk.viewer.layers["2D colour · clicks"]
    assert np.array_equal(layer.data > 0, desk.scan.data[..., 0] > 0)
    assert desk.session.state.work.layer == str(layer.unique_id)
    assert [one.name for one in desk.session.state.labels] == [layer.name]
    press(qtbot, desk.panel.mend)
    desk.click(11, 15, button=RIGHT)
    answered(qtbot, desk)
    press(qtbot, desk.panel.accept)
    assert layer.data[11, 15] == 0


def test_through_slices_is_seen_before_it_is_accepted(
    open_desk: Callable[..., Desk], qtbot: Any
) -> None:
    desk = open_desk("3D")
    assert not desk.panel.through.isEnabled()
    press(qtbot, desk.panel.tools["point"])
    desk.viewer.dims.set_point(0, desk.image.data_to_world([4, 0, 0])[0])
    desk.click(4, 15, 20)
    answered(qtbot, desk)
    press(qtbot, desk.panel.through)
    qtbot.waitUntil(lambda: desk.session.state.running is None, timeout=10_000)
    assert desk.session.state.said == "Found it in 2 more slices."
    shown = desk.viewer.layers[OUTLINE].data > 0
    assert np.array_equal(shown, desk.scan.data > 0)
    press(qtbot, desk.panel.undo)
    assert (desk.viewer.layers[OUTLINE].data > 0).any((1, 2)).sum() == 1
    press(qtbot, desk.panel.redo)
    press(qtbot, desk.panel.accept)
    layer = desk.viewer.layers["3D · clicks"]
    assert np.array_equal(layer.data > 0, desk.scan.data > 0)


@pytest.mark.parametrize("how", ["remove", "replace"])
def test_the_layer_goes_while_it_is_looked_at(
    open_desk: Callable[..., Desk], qtbot: Any, how: str
) -> None:
    desk = open_desk("3D")
    Bright.go.clear()
    press(qtbot, desk.panel.tools["point"])
    desk.click(5, 15, 20)
    assert "looking" in line(desk)
    assert desk.clicks.waiting
    if how == "remove":
        desk.viewer.layers.remove(desk.image)
    else:
        desk.image.data = np.zeros_like(desk.image.data)
    Bright.go.set()
    qtbot.waitUntil(lambda: not desk.clicks.waiting, timeout=10_000)
    assert desk.clicks.done == ()
    assert "dropped" in desk.session.state.said
    assert not [layer for layer in desk.viewer.layers if layer.name == OUTLINE]
    assert not desk.panel.accept.isEnabled()


def test_what_cannot_be_clicked_is_said(
    open_desk: Callable[..., Desk], qtbot: Any
) -> None:
    desk = open_desk("3D")
    desk.session.clicking.choose_tool("point")
    desk.click(5, -3, 20)
    assert desk.session.state.fault == "Click inside the image."
    desk.image.visible = False
    desk.click(5, 15, 20)
    assert "is hidden" in desk.session.state.fault
    desk.image.visible = True
    desk.session.clicking.choose_tool("box")
    desk.viewer.dims.ndisplay = 3
    QTest.mouseClick(desk.canvas.native, LEFT, pos=QPoint(200, 200))
    assert "2D view" in desk.session.state.fault
    desk.session.clicking.choose_tool("point")
    QTest.mouseClick(desk.canvas.native, LEFT, pos=QPoint(2, 2))
    assert "Nothing of the scan is seen there" in desk.session.state.fault
    assert desk.clicks.done == ()


@pytest.mark.parametrize("kind", ["3D", "3D anisotropic", "3D over time"])
def test_a_click_in_the_3d_view_marks_what_is_seen(
    open_desk: Callable[..., Desk], qtbot: Any, kind: str
) -> None:
    desk = open_desk(kind)
    desk.viewer.dims.ndisplay = 3
    if kind == "3D over time":
        desk.viewer.dims.set_point(0, 1)
    desk.viewer.reset_view()
    desk.session.clicking.choose_tool("point")
    QApplication.processEvents()
    middle = desk.canvas.native.rect().center()
    QTest.mouseClick(desk.canvas.native, LEFT, pos=middle)
    answered(qtbot, desk)
    (step,) = desk.clicks.done
    data = desk.scan.data[1] if kind == "3D over time" else desk.scan.data
    place = tuple(int(v) for v in step.prompt.places[0])
    assert data[place] == 200
    assert step.prompt.plane == Plane(0, place[0], int(kind == "3D over time"))
    assert place[0] in (3, 5)  # one of the block's two faces across the view
    QTest.mouseClick(desk.canvas.native, RIGHT, pos=middle)
    answered(qtbot, desk)
    assert [step.prompt.positive for step in desk.clicks.done] == [True, False]


def test_a_drag_in_the_3d_view_turns_the_scan(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("3D")
    desk.viewer.dims.ndisplay = 3
    desk.session.clicking.choose_tool("point")
    QApplication.processEvents()
    before, native = desk.viewer.scene.camera.angles, desk.canvas.native
    middle = native.rect().center()
    QTest.mousePress(native, LEFT, pos=middle)
    for step in range(1, 6):
        QTest.mouseMove(native, middle + QPoint(12 * step, 5 * step))
        QApplication.processEvents()
    QTest.mouseRelease(native, LEFT, pos=middle + QPoint(60, 25))
    QApplication.processEvents()
    assert desk.clicks.done == ()
    assert not np.allclose(desk.viewer.scene.camera.angles, before)


def test_a_box_and_a_lasso_want_a_drag(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("3D")
    for tool, said in (("box", "Drag a rectangle"), ("lasso", "Drag a closed curve")):
        desk.session.clicking.choose_tool(tool)
        desk.click(0, 15, 20)
        assert desk.session.state.fault.startswith(said)
    desk.session.clicking.choose_whole(True)
    desk.drag((0, 3, 3), (0, 3, 30), (0, 25, 30), (0, 25, 3))
    assert "turn “In 3D” off" in desk.session.state.fault
    assert desk.clicks.done == ()
    assert MARKS not in desk.viewer.layers


def test_marks_are_as_wide_on_the_screen_however_near(
    open_desk: Callable[..., Desk], qtbot: Any
) -> None:
    desk = open_desk("3D anisotropic")
    camera = desk.viewer.scene.camera
    camera.zoom = 1.0
    desk.session.clicking.choose_tool("point")
    desk.click(0, 15, 20)
    answered(qtbot, desk)
    marks, outline = desk.viewer.layers[MARKS], desk.viewer.layers[OUTLINE]
    size, width = float(marks.size[0]), outline.contour
    assert width > 1
    camera.zoom = 8.0
    assert np.allclose(marks.size, size / 8)
    assert outline.contour == 1
    camera.zoom = 1.0
    assert np.allclose(marks.size, size)
    assert outline.contour == width


def test_time_may_not_be_one_of_the_axes(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("2D over time")
    desk.session.clicking.choose_tool("point")
    desk.viewer.dims.order = (1, 0, 2)
    QTest.mouseClick(desk.canvas.native, LEFT, pos=QPoint(200, 200))
    assert desk.session.state.fault.startswith("Show two axes of the scan's space")


def test_undo_goes_to_the_slice_of_the_click(
    open_desk: Callable[..., Desk], qtbot: Any
) -> None:
    desk = open_desk("3D anisotropic")
    desk.session.clicking.choose_tool("point")
    for z in (4, 6):
        desk.viewer.dims.set_point(0, desk.image.data_to_world([z, 0, 0])[0])
        desk.click(z, 15, 20)
        answered(qtbot, desk)
    there = [desk.image.data_to_world([z, 0, 0])[0] for z in (4, 6)]
    desk.viewer.dims.set_point(0, there[0])
    press(qtbot, desk.panel.undo)
    assert desk.viewer.dims.point[0] == there[1]
    press(qtbot, desk.panel.undo)  # the first, with nothing left
    assert desk.viewer.dims.point[0] == there[0]


def test_the_user_deletes_the_outline(
    open_desk: Callable[..., Desk], qtbot: Any
) -> None:
    desk = open_desk("3D")
    desk.session.clicking.choose_tool("point")
    desk.click(5, 15, 20)
    answered(qtbot, desk)
    before = desk.viewer.layers[OUTLINE].data.copy()
    desk.viewer.layers.remove(OUTLINE)
    desk.viewer.layers.remove(MARKS)
    desk.click(5, 14, 21)
    answered(qtbot, desk)
    assert np.array_equal(desk.viewer.layers[OUTLINE].data, before)
    assert len(desk.viewer.layers[MARKS].data) == 2


def test_a_layer_turned_in_its_plane(
    open_desk: Callable[..., Desk], qtbot: Any
) -> None:
    """Another reader's affine: rotated by 30°, anisotropic, moved."""
    desk = open_desk("3D")
    turned = desk.viewer.add_image(
        scan_of("3D").data, scale=(2, 0.5, 1), rotate=30, translate=(3, 40, -20)
    )
    desk.session.choose_scan(str(turned.unique_id))
    desk.viewer.layers.remove(desk.image)
    assert desk.image is turned
    desk.viewer.reset_view()
    desk.viewer.dims.set_point(0, turned.data_to_world([5, 0, 0])[0])
    QApplication.processEvents()
    desk.session.clicking.choose_tool("point")
    desk.click(5, 12, 25)
    answered(qtbot, desk)
    assert desk.clicks.done[-1].prompt.at == (5.0, 12.0, 25.0)


def test_the_panel_by_itself_fits_and_explains_itself(
    make_napari_viewer: Callable[[], Any],
) -> None:
    viewer = make_napari_viewer()
    dock = ClickDock(viewer)
    viewer.window.add_dock_widget(dock)
    panel = dock.panels["Click"]
    assert panel.minimumSizeHint().width() <= 360
    buttons = panel.findChildren(QPushButton)
    assert len(buttons) == 13
    for button in buttons:
        assert button.toolTip()
        assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert not panel.tools["point"].isEnabled()  # no scan is open


def test_thousands_of_labels_in_the_list(
    open_desk: Callable[..., Desk], qtbot: Any
) -> None:
    desk = open_desk("2D colour")
    names = {value: f"nucleus {value}" for value in range(1, 3001)}
    labels = np.arange(1200, dtype=np.uint16).reshape(30, 40)
    ref = desk.shelf.add(
        LabelMap(
            data=labels, grid=desk.scan.grid, table=LabelTable.of(names), name="nuclei"
        )
    )
    desk.session.correcting.choose(ref.key)
    assert desk.panel.label.count() == 3000
    desk.session.clicking.choose_label(2999)
    assert desk.panel.label.currentText() == "2999: nucleus 2999"
    press(qtbot, desk.panel.tools["point"])
    desk.click(15, 20)
    answered(qtbot, desk)
    press(qtbot, desk.panel.accept)
    assert "stayed with other labels" in desk.session.state.said
    assert np.array_equal(desk.viewer.layers["nuclei"].data, labels)
