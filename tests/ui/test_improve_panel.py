"""The Improve section: a mark, a run, a verdict, a list, with the window alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QPushButton, QToolButton
from tiny_model import save_tiny

from napari_segreview._widgets import session_of
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.engine import finetune
from napari_segreview.engine.models import VARIABLE, install
from napari_segreview.layers.shelf import NapariShelf
from src_models.progress import Point
from src_models.training.finetune import Tuning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPE = (6, 20, 20)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of one's own, runs of a few steps."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    install(save_tiny(tmp_path / "tiny", ndim=3, modalities=["CT"]))
    monkeypatch.setattr(finetune, "Tuning", lambda **_: Tuning(steps=2, checks=1))


def press(qtbot: Any, button: Any) -> None:
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.usefixtures("own")
def test_mark_improve_verdict(
    make_napari_viewer: Callable[[], Any],
    qtbot: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-segreview", "SegReview")
    session, panel = session_of(viewer), dock.panels["Improve"]
    assert not panel.run.isEnabled()
    shelf = NapariShelf(viewer)
    grid = Grid.from_spacing(SHAPE, (1.0, 1.0, 1.0))
    data = np.zeros(SHAPE, np.uint8)
    data[1:5, 6:14, 6:14] = 1
    noise = np.random.default_rng(0).normal(0, 1, SHAPE)
    image = (100 * data + 5 * noise).astype(np.float32)
    shelf.add(Scan(data=image, grid=grid, name="scan", modality="CT"))
    table = LabelTable.of({1: "blob"})
    key = shelf.add(LabelMap(data=data, grid=grid, table=table)).key
    session.choose_model("tiny")
    session.correcting.choose(key)

    shelf.look(key, 2)
    press(qtbot, panel.slice)
    assert session.state.improve.said == "1 of 6 slices checked"
    assert session.state.improve.marks_of(key)[0].index == 2
    press(qtbot, panel.run)
    assert dock.jobs.cancel.isEnabled()
    qtbot.waitUntil(lambda: session.state.running is None, timeout=60_000)
    assert not session.state.fault
    assert "provisional" in panel.verdict.text()
    assert panel.curve.isVisibleTo(panel)
    panel.curve.grab()  # draws without a fault

    def buttons() -> list[str]:
        return [one.text() for one in panel.versions.rows.findChildren(QPushButton)]

    qtbot.waitUntil(lambda: buttons() == ["Try here"])  # rows of before go later

    press(qtbot, panel.next)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=60_000)
    assert shelf.plane(key)[1] != 2
    assert len(session.state.improve.queue) == 4
    assert "uncertainty of scan, nats" in viewer.layers

    # The rest of a version: its menu, and out and in again by the dialogs.
    (more,) = panel.versions.rows.findChildren(QToolButton)
    actions = {one.text(): one for one in more.menu().actions()}
    assert list(actions) == ["Compare with the active one", "Export…"]
    archive = str(tmp_path / "one.zip")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (archive, ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (archive, ""))
    actions["Compare with the active one"].trigger()
    qtbot.waitUntil(lambda: session.state.running is None, timeout=60_000)
    assert "no locked cases yet" in session.state.fault
    actions["Export…"].trigger()
    assert "Saved 0001" in session.state.said
    press(qtbot, panel.versions.take)
    assert "Kept as 0002" in session.state.said
    qtbot.waitUntil(lambda: buttons() == ["Try here"] * 2)

    press(qtbot, panel.back)
    assert not session.state.improve.marks_of(key)
    press(qtbot, panel.region)
    assert "Drag a rectangle" in session.state.said


def test_marking_needs_one_slice_in_sight(
    make_napari_viewer: Callable[[], Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    session = session_of(viewer)
    shelf = NapariShelf(viewer)
    grid = Grid.from_spacing(SHAPE, (1.0, 1.0, 1.0))
    labels = LabelMap(data=np.zeros(SHAPE, np.uint8), grid=grid)
    session.correcting.choose(shelf.add(labels).key)
    viewer.dims.ndisplay = 3
    session.improving.mark_slice()
    assert "switch to the 2D view" in session.state.fault


def test_the_curve_leaves_out_what_is_no_number(qtbot: Any) -> None:
    from napari_segreview.ui.curve import Curve

    curve = Curve()
    qtbot.addWidget(curve)
    curve.show_points(())
    assert not curve.isVisibleTo(None)
    points = (Point(0, float("nan"), 0.1), Point(5, 0.8, 0.5))
    curve.show_points(points)
    assert "0.500" in curve.accessibleName()
    curve.resize(200, 90)
    curve.grab()
