"""The errors through a real window: compare, go there by table, key and strip."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel
from scipy import ndimage

from napari_segreview._widgets import session_of
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.ui.strip import CHOSEN, PLAIN, Strip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.gui

SPACE = Grid.from_spacing((12, 40, 40), (3.0, 1.0, 1.0))


@pytest.fixture
def errors(make_napari_viewer: Callable[[], Any], qtbot: Any) -> tuple[Any, Any, Any]:
    """(viewer, dock, session) with a comparison that has three wrong slices."""
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-segreview", "Compare")
    session = session_of(viewer)
    shelf = NapariShelf(viewer)
    truth = np.zeros(SPACE.shape, np.uint8)
    truth[2:10, 5:15, 5:15] = 1
    truth[2:10, 20:30, 5:15] = 2
    guess = truth.copy()
    guess[4, 5:15, 5:15] = 0
    guess[7, 20:26, 5:15] = 0
    guess[8, 20:22, 5:15] = 0
    table = LabelTable.of({1: "liver", 2: "spleen"})
    shelf.add(Scan(data=truth.astype(np.int16), grid=SPACE, name="abdomen"))
    for data, name in ((truth, "observer 1"), (guess, "model")):
        shelf.add(LabelMap(data=data, grid=SPACE, table=table, name=name))
    panel = dock.panels["Errors"]
    assert not panel.next.isEnabled()
    hint = panel.findChild(QLabel, "errors")
    assert hint.text() == "Compare two Labels layers first."
    qtbot.mouseClick(dock.panels["Compare"].run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.state.report is not None, timeout=20_000)
    return viewer, dock, session


def seen(viewer: Any) -> int:
    """The slice of the model's labels on show; the slider counts from the head."""
    at = viewer.layers["model"].world_to_data(viewer.dims.point)
    return round(float(at[0]))


def texts(panel: Any) -> list[list[str]]:
    table = panel.table
    return [
        [table.item(row, at).text() for at in range(table.columnCount())]
        for row in range(table.rowCount())
    ]


def test_the_worst_slices_lead_there(errors: Any, qtbot: Any) -> None:
    viewer, dock, session = errors
    assert viewer.canvas.overlays["segreview_middle_left"].text == "R"  # of the patient
    panel = dock.panels["Errors"]
    rows = texts(panel)
    assert [row[:3] for row in rows] == [
        ["liver", "4", "0.000"],
        ["spleen", "7", "0.571"],
        ["spleen", "8", "0.889"],
    ]
    assert rows[0][3:] == ["0.3", "3.0"]
    assert panel.table.horizontalHeader().length() <= panel.table.viewport().width()
    qtbot.mouseClick(panel.next, Qt.MouseButton.LeftButton)
    assert seen(viewer) == 4
    item = panel.table.item(1, 0)
    panel.table.cellClicked.emit(item.row(), 0)
    assert seen(viewer) == 7
    assert panel.table.selectedItems()[0].row() == 1
    caption = panel.findChild(QLabel, "strip")
    assert caption.text() == "Dice per slice: spleen, slice 7"
    session.reviewing.next_worst()
    assert seen(viewer) == 8


def test_sorted_otherwise_a_row_still_leads_to_its_own_slice(errors: Any) -> None:
    viewer, dock, _ = errors
    table = dock.panels["Errors"].table
    table.sortItems(2, Qt.SortOrder.DescendingOrder)  # by Dice, the best first
    table.cellClicked.emit(0, 0)
    assert seen(viewer) == 8
    assert table.selectedItems()[0].row() == 0


def test_the_key_w_over_the_image(errors: Any) -> None:
    viewer, _, session = errors
    (then,) = (v for k, v in viewer.keymap.items() if str(k) == "W")
    then(viewer)
    assert (session.state.spot, seen(viewer)) == (0, 4)


def test_the_strip_leads_to_the_slice_that_is_clicked(errors: Any, qtbot: Any) -> None:
    viewer, dock, _ = errors
    strip = dock.panels["Errors"].strip
    strip.resize(240, 48)
    for slice_, wanted in ((7, 7), (4, 4), (1, 4)):  # nothing wrong in slice 1
        place = QPoint(slice_ * 20 + 10, 20)
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=place)
        assert seen(viewer) == wanted


def test_another_order_and_another_tolerance(errors: Any) -> None:
    _, dock, session = errors
    panel = dock.panels["Errors"]
    panel.order.setCurrentIndex(panel.order.findData("distance"))
    panel.order.activated.emit(panel.order.currentIndex())
    assert session.state.worst_by == "distance"
    far = [float(row[4]) for row in texts(panel)]
    assert far == sorted(far, reverse=True)
    session.choose_tolerance(4.0)
    assert not panel.table.isVisibleTo(panel)
    assert not panel.next.isEnabled()


def test_sent_to_correction(errors: Any, qtbot: Any) -> None:
    """The brush of the structure that is wrong, on the prediction, where it is wrong."""
    viewer, dock, session = errors
    panel = dock.panels["Errors"]
    qtbot.mouseClick(panel.next, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(panel.next, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(panel.correct, Qt.MouseButton.LeftButton)
    layer = viewer.layers["model"]
    assert viewer.layers.selection.active is layer
    assert (layer.selected_label, str(layer.mode)) == (2, "paint")
    assert session.state.work.layer == session.state.prediction
    assert session.state.work.line.startswith("saved")
    assert seen(viewer) == 7


def test_another_grid_is_refused_or_resampled(errors: Any, qtbot: Any) -> None:
    viewer, dock, session = errors
    compare = dock.panels["Compare"]
    coarse = Grid.from_spacing((12, 20, 20), (3.0, 2.0, 2.0))
    data = viewer.layers["observer 1"].data[:, ::2, ::2].copy()
    table = LabelTable.of({1: "liver", 2: "spleen"})
    other = NapariShelf(viewer).add(
        LabelMap(data=data, grid=coarse, table=table, name="coarse")
    )
    session.choose_pair(other.key, session.state.reference)
    qtbot.mouseClick(compare.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(session.state.fault), timeout=20_000)
    assert "different grids" in session.state.fault
    compare.resample.click()
    qtbot.mouseClick(compare.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.state.report is not None, timeout=20_000)
    hint = compare.findChild(QLabel, "hint")
    assert hint.text().startswith("⚠ coarse was resampled onto the grid of observer 1")
    assert 0.85 < session.state.report.rows[0].dice < 1
    session.reviewing.next_worst()
    assert session.state.fault == ""


def test_500_labels(errors: Any, qtbot: Any) -> None:
    """Drawn while the window lives: no long stretch of its thread's own work."""
    viewer, dock, session = errors
    data = np.zeros(SPACE.shape, np.uint16)
    at = np.arange(500)
    data[1 + 2 * (at // 100), 4 * (at // 10 % 10) + 1, 4 * (at % 10) + 1] = at + 1
    data = ndimage.grey_dilation(data, size=(2, 3, 3))
    table = LabelTable.of({int(v): f"structure {v}" for v in at + 1})
    shelf = NapariShelf(viewer)
    pair = [
        shelf.add(LabelMap(data=one, grid=SPACE, table=table, name=name)).key
        for one, name in ((np.roll(data, 1, 2), "many"), (data, "by hand"))
    ]
    session.choose_pair(*pair)
    turns = [time.thread_time()]
    beat = QTimer()
    beat.timeout.connect(lambda: turns.append(time.thread_time()))
    beat.start(0)
    qtbot.mouseClick(dock.panels["Compare"].run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.state.report is not None, timeout=60_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    session.reviewing.next_worst()
    qtbot.mouseClick(dock.panels["Errors"].layers, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=60_000)
    beat.stop()
    assert dock.panels["Compare"].table.rowCount() == 501  # the mean is the last
    assert viewer.layers["false positive"].data.max() == 500
    assert max(np.diff(turns)) < 2.0  # seconds


def test_the_layers_of_errors(errors: Any, qtbot: Any) -> None:
    viewer, dock, session = errors
    qtbot.mouseClick(dock.panels["Errors"].layers, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(viewer.layers) == 6, timeout=20_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    missed = viewer.layers["false negative"]
    assert (missed.data[4, 5:15, 5:15] == 1).all()
    assert len(session.state.labels) == 2
    assert session.state.report is not None  # looking changes nothing


def test_the_report_from_the_window(
    errors: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, dock, session = errors
    path = tmp_path / "report.html"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    qtbot.mouseClick(dock.panels["Compare"].page, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: path.exists(), timeout=20_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    assert session.state.said == f"Wrote the report to {path}."
    assert "data:image/png" in path.read_text(encoding="utf-8")
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "no" / "r.html"), "")
    )
    qtbot.mouseClick(dock.panels["Compare"].page, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(session.state.fault), timeout=20_000)
    assert "no such folder" in session.state.fault


def test_a_section_grows_with_its_table(errors: Any) -> None:
    _, dock, _ = errors
    compare = dock.panels["Compare"]
    QApplication.processEvents()
    assert compare.height() >= compare.sizeHint().height()


def test_bars_of_a_strip(qtbot: Any) -> None:
    strip = Strip(lambda _: None)
    qtbot.addWidget(strip)
    strip.resize(100, 50)
    strip.show_values((1.0, 0.5, None, 0.0), 1)
    image = strip.grab().toImage()

    def share(place: int, colour: Any) -> int:
        rows = range(image.height())
        at = place * 25 + 8
        return sum(image.pixelColor(at, y).rgb() == colour.rgb() for y in rows)

    assert share(0, PLAIN) >= 46
    assert 20 <= share(1, CHOSEN) <= 26
    assert share(2, PLAIN) == 0
    assert 1 <= share(3, PLAIN) <= 2  # a Dice of 0 is not nothing


def test_objects(errors: Any, qtbot: Any) -> None:
    """A missed and a false one: by the mouse, by the keyboard, by the centre."""
    viewer, dock, session = errors
    panel = dock.panels["Objects"]
    model = viewer.layers["model"]
    model.data[:, 20:30] = 0  # no spleen is left
    model.data[11, 35:38, 35:38] = 1
    qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.state.objects is not None, timeout=20_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    things = panel.things
    rows = [[things.item(row, at).text() for at in (0, 1)] for row in range(4)]
    assert rows == [
        ["missed", "spleen"],
        ["false", "liver"],
        ["false", "liver"],
        ["found", "liver"],
    ]
    panel.things.selectRow(2)
    panel.things.setFocus()
    qtbot.keyClick(panel.things, Qt.Key.Key_Return)
    assert seen(viewer) == 11
    panel.things.selectRow(0)
    panel.things.cellClicked.emit(0, 0)
    assert seen(viewer) in (5, 6)
    assert session.state.said == "Object 1 of 4: spleen, missed"
    panel.rule.setCurrentIndex(panel.rule.findData("centre"))
    panel.rule.activated.emit(1)
    assert session.state.objects is None
    assert not panel.things.isVisibleTo(panel)
    assert not panel.threshold.isEnabled()


def test_readers(errors: Any, qtbot: Any) -> None:
    viewer, dock, session = errors
    panel = dock.panels["Readers"]
    assert not panel.run.isEnabled()
    third = viewer.layers["model"].data.copy()
    third[5, 5:9, 5:15] = 0
    NapariShelf(viewer).add(
        LabelMap(data=third, grid=SPACE, table=LabelTable.of({1: "liver"}), name="net")
    )
    for row in range(3):
        panel.layers.item(row).setCheckState(Qt.CheckState.Checked)
    assert panel.run.isEnabled()
    panel.model.setCurrentIndex(panel.model.findText("net"))
    panel.model.activated.emit(3)
    qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.state.study is not None, timeout=20_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    assert panel.pairs.rowCount() == 6  # three pairs, two structures
    assert panel.spread.isVisibleTo(panel)
    assert "Williams" in panel.rule.text()
    assert panel.model.currentText() == "net"
    assert panel.plot.count() == 3
    assert panel.plot.currentText().startswith("Volumes: observer 1 − model, all")
    panel.plot.setCurrentIndex(2)
    panel.plot.activated.emit(2)
    assert panel.chart.isVisibleTo(panel)
    assert panel.chart.accessibleName().startswith("model − net, all structures: bias")
    before = len(viewer.layers)
    qtbot.mouseClick(panel.consensus, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(viewer.layers) == before + 3, timeout=20_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    names = [ref.name for ref in session.state.labels]
    assert names[-2:] == ["majority", "STAPLE"]  # to work with, unlike the disagreement
    assert "disagreement" in viewer.layers[-1].name
