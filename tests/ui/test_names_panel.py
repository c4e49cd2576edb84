"""Names, codes and DICOM-SEG through a real window, on a real series."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QLabel

from napari_segreview._widgets import session_of
from napari_segreview.core.labels import LabelMap
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.scans import read_labels, read_one

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.gui


@pytest.fixture
def opened(
    make_napari_viewer: Callable[[], Any], data_dir: Path
) -> tuple[Any, Any, LabelMap]:
    """(panel, session, the labels drawn on a CT of three slices)."""
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-segreview", "Names")
    scan = read_one(data_dir / "dicom_seg_dcmqi" / "images")
    data = np.zeros(scan.grid.shape, np.uint8)
    data[0, 100:200, 100:200], data[:, 300:320, 300:320] = 5, 2
    labels = LabelMap(data=data, grid=scan.grid, name="by hand")
    shelf = NapariShelf(viewer)
    shelf.add(scan)
    shelf.add(labels)
    return dock.panels["Names"], session_of(viewer), labels


def press(qtbot: Any, button: Any) -> None:
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def hint(panel: Any) -> str:
    label = panel.findChild(QLabel, "names")
    assert isinstance(label, QLabel)
    return label.text()


def asked(monkeypatch: pytest.MonkeyPatch, verb: str, path: Path) -> None:
    monkeypatch.setattr(QFileDialog, verb, lambda *_: (str(path), ""))


def test_from_a_table_to_dicom(
    opened: Any, qtbot: Any, tmp_path: Path, data_dir: Path, monkeypatch: Any
) -> None:
    panel, session, labels = opened
    assert hint(panel) == "The labels have no names."
    asked(monkeypatch, "getSaveFileName", tmp_path / "seg.dcm")
    press(qtbot, panel.save)
    qtbot.waitUntil(lambda: bool(session.state.fault), timeout=30_000)
    assert "no code says what label 2" in session.state.fault  # never a default organ

    table = tmp_path / "names.json"
    table.write_text(json.dumps({"5": "liver", "2": "my lesion", "9": "spleen"}))
    asked(monkeypatch, "getOpenFileName", table)
    press(qtbot, panel.load)
    qtbot.waitUntil(lambda: panel.table.rowCount() == 2, timeout=20_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    assert session.state.said == "names.json named 2 labels."
    texts = {
        panel.table.item(row, 1).text(): panel.table.item(row, 2) for row in (0, 1)
    }
    assert texts["liver"].text().startswith("SCT ")
    assert "Liver" in texts["liver"].toolTip()
    assert texts["my lesion"].text() == "–"
    assert hint(panel).startswith("Without a code: my lesion.")

    kind = {
        "type": ["SCT", "108369006", "Neoplasm"],
        "category": ["SCT", "49755003", "Morphologically Altered Structure"],
    }
    row = {"value": 2, "name": "Tumour", "color": [1, 0, 0], "coding": kind}
    table.write_text(json.dumps({"labels": [row]}))
    press(qtbot, panel.load)
    qtbot.waitUntil(lambda: hint(panel) == "", timeout=20_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    assert "1 that occur are not in it" in session.state.said

    press(qtbot, panel.save)
    qtbot.waitUntil(lambda: (tmp_path / "seg.dcm").exists(), timeout=60_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    assert session.state.said.startswith("Wrote by hand to")
    back = read_labels(tmp_path / "seg.dcm", data_dir / "dicom_seg_dcmqi" / "images")
    np.testing.assert_array_equal(back.data, labels.data)
    assert {row.name for row in back.table.values()} == {"liver", "Tumour"}
    named = pydicom.dcmread(tmp_path / "seg.dcm")
    assert str(named.PatientID)

    panel.deidentified.click()
    asked(monkeypatch, "getSaveFileName", tmp_path / "bare.dcm")
    press(qtbot, panel.save)
    qtbot.waitUntil(lambda: (tmp_path / "bare.dcm").exists(), timeout=60_000)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    bare = pydicom.dcmread(tmp_path / "bare.dcm")
    assert not bare.PatientID
    assert bare.StudyInstanceUID != named.StudyInstanceUID


def test_a_scan_that_is_no_dicom(
    make_napari_viewer: Callable[[], Any], qtbot: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-segreview", "Names")
    panel, session = dock.panels["Names"], session_of(viewer)
    assert not panel.save.isEnabled()
    viewer.add_labels(np.ones((4, 5, 6), np.uint8), name="by hand")
    asked(monkeypatch, "getSaveFileName", tmp_path / "seg.dcm")
    press(qtbot, panel.save)
    assert "choose the scan" in session.state.fault
    viewer.add_image(np.ones((4, 5, 6), np.uint8), name="scan")
    press(qtbot, panel.save)
    qtbot.waitUntil(lambda: "not known" in session.state.fault, timeout=20_000)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_is_none(
    opened: Any, qtbot: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    panel, session, _ = opened
    (tmp_path / "names.txt").write_text("nothing of the kind")
    asked(monkeypatch, "getOpenFileName", tmp_path / "names.txt")
    press(qtbot, panel.load)
    assert session.state.fault.startswith("names.txt: line 1 is no label")
    assert panel.table.rowCount() == 0
