"""Many cases through a real window: choose folders, score, open the worst, report."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QFileDialog, QLabel, QTableWidget

from napari_segreview import _cohort, _scorer
from napari_segreview._widgets import session_of
from napari_segreview.core.charts import ROW, box_chart
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.scans import write_labels
from napari_segreview.ui.picture import Picture
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

pytestmark = pytest.mark.gui

SPACE = Grid.from_spacing((6, 24, 24), (3.0, 1.0, 1.0))
TABLE = LabelTable.of({1: "liver", 2: "spleen"})


def write(path: Path, missed: int) -> None:
    """Two structures; rows of the liver are missed in slice 3."""
    data = np.zeros(SPACE.shape, np.uint8)
    data[1:5, 2:12, 2:12] = 1
    data[1:5, 14:20, 2:12] = 2
    data[3, 2 : 2 + missed] = 0
    path.parent.mkdir(exist_ok=True)
    write_labels(LabelMap(data=data, grid=SPACE, table=TABLE, name=path.stem), path)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for at, case in enumerate("abcd"):
        write(tmp_path / "truth" / f"{case}.nii.gz", 0)
        write(tmp_path / "net" / f"{case}.nii.gz", 1 + 2 * at)
        write(tmp_path / "other" / f"{case}.nii.gz", 2 * at)
        write(tmp_path / "images" / f"{case}.nii.gz", 0)  # any picture will do
    (tmp_path / "net" / "a.nii.gz").write_bytes(b"no volume")
    return tmp_path


@pytest.fixture
def window(
    make_napari_viewer: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Any, Any, Any]:
    """(viewer, panel, session) in which nothing was scored before."""
    monkeypatch.setattr(_scorer, "own_folder", lambda: tmp_path / "own" / "cohorts")
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-segreview", "Cohort")
    return viewer, dock.panels["Cohort"], session_of(viewer)


def press(qtbot: Any, button: Any) -> None:
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def type_in(qtbot: Any, row: Any, path: Path) -> None:
    qtbot.keyClicks(row.line, str(path))
    qtbot.keyClick(row.line, Qt.Key.Key_Return)


def scored(window: Any, qtbot: Any, folders: Path) -> None:
    _, panel, session = window
    for part in ("predictions", "references", "second"):
        name = {"predictions": "net", "references": "truth", "second": "other"}[part]
        type_in(qtbot, panel.paths[part], folders / name)
    press(qtbot, panel.run)
    qtbot.waitUntil(lambda: session.state.cohort.sums is not None, timeout=30_000)


def names(table: QTableWidget) -> list[str]:
    return [table.item(row, 0).text() for row in range(table.rowCount())]


def hint(panel: Any) -> str:
    label = panel.findChild(QLabel, "cohort")
    assert isinstance(label, QLabel)
    return label.text()


def test_from_folders_to_the_worst_slice(
    window: Any, qtbot: Any, folders: Path
) -> None:
    viewer, panel, session = window
    mine = NapariShelf(viewer).add(
        Scan(data=np.zeros(SPACE.shape, np.int16), grid=SPACE, name="mine")
    )
    assert not panel.run.isEnabled()
    assert hint(panel) == panel.run.toolTip()
    scored(window, qtbot, folders)
    assert names(panel.cases) == ["a", "d", "c", "b"]  # no score, then the worst
    assert "damaged" in panel.cases.item(0, 1).toolTip()
    assert hint(panel) == "4 cases, 1 without a score (the table says why)."
    assert names(panel.structures) == ["liver", "spleen"]
    assert names(panel.compared) == ["liver", "spleen", "mean of all"]
    assert panel.compared.item(0, 2).text() != ""
    assert panel.boxes.isVisibleTo(panel)
    assert "liver · 1: Dice" in panel.boxes.accessibleName()
    item = panel.cases.item(1, 0)
    panel.cases.setCurrentItem(item)
    panel.cases.cellDoubleClicked.emit(item.row(), 0)
    qtbot.waitUntil(lambda: session.state.report is not None, timeout=30_000)
    qtbot.waitUntil(lambda: session.state.spot == 0, timeout=10_000)
    assert session.state.said == "Error 1 of 1: liver, slice 3"
    shown = {layer.name for layer in viewer.layers if layer.visible}
    assert shown == {"d · reference", "d · prediction"}
    assert any(ref.key == mine.key for ref in session.state.images)  # hidden, not gone
    at = viewer.layers["d · prediction"].world_to_data(viewer.dims.point)
    assert round(float(at[0])) == 3


def test_by_the_keyboard_alone(window: Any, qtbot: Any, folders: Path) -> None:
    """Enter opens the row; Tab leaves the table."""
    viewer, panel, session = window
    type_in(qtbot, panel.paths["images"], folders / "images")
    scored(window, qtbot, folders)
    panel.cases.setFocus()
    panel.cases.selectRow(3)
    qtbot.keyClick(panel.cases, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: session.state.report is not None, timeout=30_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=10_000)
    assert [layer.name for layer in viewer.layers] == [
        "b",
        "b · reference",
        "b · second model",
        "b · prediction",
    ]
    assert session.state.scan.name == "b"
    assert panel.open.isEnabled()
    assert not panel.cases.tabKeyNavigation()
    assert all(row.line.toolTip() for row in panel.paths.values())
    for part in (panel.tolerance, panel.resample, panel.run, panel.open, panel.page):
        assert part.toolTip()


def test_stopped_and_gone_on_with(
    window: Any, qtbot: Any, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, panel, session = window
    done: list[str] = []
    true = _cohort.answering

    def slow(task: _cohort.Task) -> Generator[Any, None, Any]:
        done.append(task.files.case)
        while task.files.case == "c" and done.count("c") == 1:
            time.sleep(0.02)
            yield Progress(0, 1, "slow")
        return (yield from true(task))

    monkeypatch.setattr(_cohort, "answering", slow)
    for part, name in (("predictions", "net"), ("references", "truth")):
        type_in(qtbot, panel.paths[part], folders / name)
    press(qtbot, panel.run)
    qtbot.waitUntil(lambda: len(session.state.cohort.scores) == 2, timeout=30_000)
    assert names(panel.cases) == ["a", "b"]  # what is finished is on show already
    assert not panel.run.isEnabled()
    assert not panel.paths["predictions"].isEnabled()
    session.cancel()
    qtbot.waitUntil(lambda: session.state.running is None, timeout=10_000)
    assert hint(panel).startswith("Stopped: 2 of 4 cases are finished.")
    assert not panel.page.isEnabled()
    press(qtbot, panel.run)
    qtbot.waitUntil(lambda: session.state.cohort.sums is not None, timeout=30_000)
    assert done == ["a", "b", "c", "a", "c", "d"]  # b was kept; a is bad again
    assert len(names(panel.cases)) == 4


def test_a_list_names_all_files(
    window: Any, qtbot: Any, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, panel, session = window
    table = folders / "pairs.csv"
    table.write_text(
        "case,prediction,reference,image\n"
        "one,net/b.nii.gz,truth/b.nii.gz,images/b.nii.gz\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(table), ""))
    press(qtbot, panel.paths["predictions"].file)
    assert panel.paths["predictions"].line.text() == str(table)
    assert not panel.paths["references"].isEnabled()
    press(qtbot, panel.run)
    qtbot.waitUntil(lambda: session.state.cohort.sums is not None, timeout=30_000)
    assert hint(panel) == "1 cases; 1 with an image."


def test_folders_chosen_dropped_and_taken_back(
    window: Any, qtbot: Any, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, panel, session = window
    net, truth = folders / "net", folders / "truth"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(net))
    press(qtbot, panel.paths["predictions"].folder)
    assert session.state.cohort.wish.predictions == net
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(truth))])
    panel.paths["references"].line.dropEvent(
        QDropEvent(
            QPointF(5, 5),
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )
    assert session.state.cohort.wish.references == truth
    assert panel.paths["references"].line.text() == str(truth)
    panel.paths["references"].line.clear()
    assert session.state.cohort.wish.references is None


def test_no_pairs_is_said(window: Any, qtbot: Any, folders: Path) -> None:
    _, panel, session = window
    (folders / "empty").mkdir()
    type_in(qtbot, panel.paths["predictions"], folders / "net")
    type_in(qtbot, panel.paths["references"], folders / "empty")
    press(qtbot, panel.run)
    assert "no file name in common" in session.state.fault


def test_the_report_from_the_window(
    window: Any, qtbot: Any, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, panel, session = window
    scored(window, qtbot, folders)
    path = folders / "page.html"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    press(qtbot, panel.page)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    assert session.state.said == f"Wrote the report to {path}."
    assert "Second against first model" in path.read_text(encoding="utf-8")
    table = path.with_suffix(".csv")
    assert "\ncase 1," in table.read_text(encoding="utf-8")  # names may tell patients
    panel.names.click()
    press(qtbot, panel.page)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    assert "case 1" not in table.read_text(encoding="utf-8")


def test_a_chart_is_as_wide_as_its_room(qtbot: Any) -> None:
    picture = Picture(ROW)
    qtbot.addWidget(picture)
    picture.show_chart(partial(box_chart, {"liver": (0.8, 0.9, 0.95)}, "Dice"))
    for wide in (300, 500):
        picture.resize(wide, picture.height())
        image = picture.grab().toImage()
        assert (image.width(), image.height()) == (wide, ROW + 20)
        assert image.pixelColor(2, 2).name() == "#ffffff"
        orange = [
            x
            for x in range(wide)
            if any(_is_orange(image.pixelColor(x, y)) for y in range(ROW))
        ]
        names = min(150, wide * 2 // 5)
        median = names + 0.9 * (wide - names - 8)
        assert any(abs(x - median) < 2 for x in orange)
        assert min(orange) > wide / 2  # where the Dice are high


def _is_orange(colour: Any) -> bool:
    return bool(colour.red() - colour.blue() > 120)
