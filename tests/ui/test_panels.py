"""The panels through a real viewer: press, wait, look."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel
from superqt import QCollapsible
from tiny_model import save_tiny

from napari_segreview._plugin import ScanLibrary
from napari_segreview._widgets import CompareDock, MainDock, SegmentDock, session_of
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.protocols import Segmentation
from napari_segreview.core.scan import Scan
from napari_segreview.core.session import Session
from napari_segreview.core.settings import SettingsFile
from napari_segreview.engine import LocalEngine
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.scans import SAMPLES, read_labels
from napari_segreview.ui.dock import Dock
from napari_segreview.ui.runner import ThreadRunner
from src_models.catalog import CARDS
from src_models.catalog.methods import METHODS
from src_models.errors import InputError
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from napari_segreview.core.protocols import Wish

pytestmark = pytest.mark.gui


def fundus(side: int = 200) -> Scan:
    """The middle of the fundus photograph."""
    whole = SAMPLES["retina"]().scan
    cut = slice(600, 600 + side)
    return Scan(
        data=whole.data[cut, cut],
        grid=Grid.from_spacing((side, side), (1.0, 1.0), "px"),
        name="fundus",
        has_channels=True,
        modality="OP",
    )


class SlowEngine(LocalEngine):
    """Windows of 20 ms that never end by themselves; remembers being cleaned up."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.closed = threading.Event()
        self.fault = fault

    def segment(
        self, scan: Scan, wish: Wish
    ) -> Generator[Progress, None, Segmentation]:
        try:
            for done in range(1, 100_000):
                time.sleep(0.02)
                yield Progress(done, 100_000, f"window {done} of 100000")
                if self.fault is not None and done == 3:
                    raise self.fault
        finally:
            self.closed.set()
        raise AssertionError("it was never stopped")


@pytest.fixture
def open_dock(
    make_napari_viewer: Callable[[], Any],
) -> Iterator[Callable[..., tuple[Any, Dock, Session]]]:
    """(viewer, dock, session) with an engine of one's own."""
    runners = []

    def make(engine: LocalEngine) -> tuple[Any, Dock, Session]:
        viewer = make_napari_viewer()
        shelf, runner = NapariShelf(viewer), ThreadRunner()
        runners.append(runner)
        session = Session(engine, shelf, ScanLibrary(), runner, thread="main")
        shelf.on_change(session.layers_changed)
        dock = Dock(session)
        viewer.window.add_dock_widget(dock, name="SegReview")
        return viewer, dock, session

    yield make
    for runner in runners:
        runner.close()


def status(dock: Dock) -> str:
    label = dock.jobs.findChild(QLabel, "status")
    assert isinstance(label, QLabel)
    return label.text()


def press(qtbot: Any, button: Any) -> None:
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_segment_a_photograph_and_compare(
    make_napari_viewer: Callable[[], Any], qtbot: Any, tmp_path: Path
) -> None:
    """The main path with the bundled model: labels, names, scores, files."""
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-segreview", "SegReview")
    session = session_of(viewer)
    NapariShelf(viewer).add(fundus())
    segment, compare = dock.panels["Segment"], dock.panels["Compare"]
    assert session.state.model == "retina-vessels-unet2d"  # the one that fits
    press(qtbot, segment.run)
    assert dock.jobs.cancel.isEnabled()
    qtbot.waitUntil(lambda: session.state.running is None, timeout=60_000)

    assert session.state.fault == ""
    assert status(dock).startswith("Retinal vessels: done in")
    image, labels = viewer.layers
    assert labels.data.shape == image.data.shape[:2]
    assert list(labels.features["name"]) == ["background", "vessel"]
    assert 0.02 < (labels.data > 0).mean() < 0.4

    drawn = labels.data.copy()
    drawn[:100] = 0
    viewer.add_labels(drawn, name="drawn by hand")
    assert session.state.reference != session.state.prediction
    press(qtbot, compare.run)
    qtbot.waitUntil(lambda: session.state.report is not None, timeout=20_000)
    assert compare.table.item(0, 0).text() in ("vessel", "label 1")
    assert 0.3 < float(compare.table.item(0, 1).text()) < 1

    viewer.layers.selection = {labels}
    saved = viewer.layers.save(
        str(tmp_path / "mask.png"), selected=True, plugin="napari-segreview"
    )
    assert saved
    assert (read_labels(tmp_path / "mask.png").data == labels.data).all()


def test_cancel_takes_effect_within_a_second_and_the_window_lives(
    open_dock: Callable[..., Any], qtbot: Any
) -> None:
    engine = SlowEngine()
    viewer, dock, session = open_dock(engine)
    NapariShelf(viewer).add(fundus())
    beats: list[float] = []
    pulse = QTimer()
    pulse.timeout.connect(lambda: beats.append(time.monotonic()))
    pulse.start(20)
    press(qtbot, dock.panels["Segment"].run)
    qtbot.waitUntil(lambda: "left" in status(dock), timeout=10_000)
    assert not dock.panels["Segment"].run.isEnabled()  # one at a time
    began = time.monotonic()
    press(qtbot, dock.jobs.cancel)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=5_000)
    assert time.monotonic() - began < 1.0
    pulse.stop()
    assert status(dock) == "Stopped."
    assert engine.closed.is_set()
    assert len(viewer.layers) == 1
    assert max(np.diff(beats)) < 1.0  # the window answered all the time


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (InputError("wanted this, got that; do so"), "⚠ wanted this, got that; do so"),
        (RuntimeError("mat1 and mat2 shapes"), "⚠ Something went wrong in the program"),
    ],
)
def test_a_fault_is_one_line_and_the_next_run_may_start(
    open_dock: Callable[..., Any], qtbot: Any, fault: Exception, said: str
) -> None:
    viewer, dock, session = open_dock(SlowEngine(fault))
    NapariShelf(viewer).add(fundus())
    press(qtbot, dock.panels["Segment"].run)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=10_000)
    assert status(dock).startswith(said)
    assert dock.panels["Segment"].run.isEnabled()


def test_the_scan_is_closed_while_it_is_segmented(
    open_dock: Callable[..., Any], qtbot: Any
) -> None:
    viewer, dock, session = open_dock(SlowEngine())
    NapariShelf(viewer).add(fundus())
    press(qtbot, dock.panels["Segment"].run)
    viewer.layers.clear()
    assert session.state.scan is None
    press(qtbot, dock.jobs.cancel)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=5_000)
    assert status(dock) == "Stopped."


def test_a_model_that_does_not_fit_says_why_before_it_runs(
    open_dock: Callable[..., Any],
) -> None:
    viewer, dock, session = open_dock(LocalEngine())
    panel = dock.panels["Segment"]
    assert panel.run.toolTip() == "Open a scan first."
    NapariShelf(viewer).add(
        Scan(
            data=np.zeros((8, 9, 10), np.int16),
            grid=Grid.from_spacing((8, 9, 10), (2.5, 1.0, 1.0)),
            name="chest",
            modality="CT",
        )
    )
    session.choose_model("hippocampus-unet3d")
    assert not panel.run.isEnabled()
    assert panel.run.toolTip() == "Hippocampus reads 3D MR; this layer is 3D CT."
    note = panel.findChild(QLabel, "note")
    assert note.text() == panel.run.toolTip()


def test_choices_follow_the_layers(open_dock: Callable[..., Any]) -> None:
    viewer, dock, session = open_dock(LocalEngine())
    assert dock.scan.try_sample.isVisibleTo(dock)
    shelf = NapariShelf(viewer)
    shelf.add(fundus())
    assert not dock.scan.try_sample.isVisibleTo(dock)
    viewer.layers[0].name = "left eye"
    assert dock.scan.layer.currentText() == "left eye"
    facts = dock.scan.findChild(QLabel, "facts")
    assert facts.text() == "200×200 · colour · fundus photograph"
    viewer.layers.clear()
    assert dock.scan.try_sample.isVisibleTo(dock)
    assert session.state.scan is None


def test_a_sample_is_opened_from_the_dock(
    open_dock: Callable[..., Any], qtbot: Any
) -> None:
    viewer, dock, session = open_dock(LocalEngine())
    action = next(
        one for one in dock.scan.try_sample.menu().actions() if one.data() == "phantom"
    )
    action.trigger()
    qtbot.waitUntil(lambda: session.state.running is None, timeout=20_000)
    assert status(dock) == "Opened Phantom (3D, truth known)."
    assert next(layer.name for layer in viewer.layers) == "phantom"
    assert len(viewer.layers) == 2  # with its labels


def test_the_table_sorts_by_number_and_explains_itself(
    open_dock: Callable[..., Any], qtbot: Any
) -> None:
    viewer, dock, session = open_dock(LocalEngine())
    shelf = NapariShelf(viewer)
    space = Grid.from_spacing((10, 40, 40), (3.0, 1.0, 1.0))
    table = LabelTable.of({1: "liver", 2: "spleen", 3: "kidney"})
    truth = np.zeros(space.shape, np.uint8)
    truth[2:8, 5:15, 5:15] = 1
    truth[2:8, 20:30, 5:15] = 2
    guess = np.roll(truth, 2, axis=1)
    for data, name in ((truth, "observer 1"), (guess, "model")):
        shelf.add(LabelMap(data=data, grid=space, table=table, name=name))
    panel = dock.panels["Compare"]
    press(qtbot, panel.run)
    qtbot.waitUntil(lambda: session.state.report is not None, timeout=20_000)
    names = [panel.table.item(row, 0).text() for row in range(panel.table.rowCount())]
    assert set(names) == {"liver", "spleen", "kidney", "mean"}
    kidney = names.index("kidney")
    assert panel.table.item(kidney, 1).text() == "(1.000)"  # by rule: both are empty
    assert "By rule" in panel.table.item(kidney, 1).toolTip()
    header = panel.table.horizontalHeaderItem(3)
    assert header.text() == "HD95 (mm)"
    assert "percentile" in header.toolTip()
    panel.table.sortItems(1, Qt.SortOrder.DescendingOrder)
    numbers = [
        float(panel.table.item(row, 1).text().strip("()")) for row in range(len(names))
    ]
    assert numbers == sorted(numbers, reverse=True)
    panel.tolerance.setValue(5.0)
    assert session.state.report is None  # old numbers do not stay under a new tolerance
    assert not panel.table.isVisibleTo(panel)


@pytest.mark.parametrize("kind", [SegmentDock, CompareDock, MainDock])
def test_each_widget_stands_alone_and_shares_the_session(
    make_napari_viewer: Callable[[], Any], kind: type[Dock]
) -> None:
    viewer = make_napari_viewer()
    dock = kind(viewer)
    viewer.window.add_dock_widget(dock)
    assert dock.scan.session is session_of(viewer)
    assert dock.sizeHint().width() <= 420


def test_a_closed_dock_no_longer_listens(
    open_dock: Callable[..., Any], qtbot: Any
) -> None:
    viewer, dock, session = open_dock(LocalEngine())
    listening = len(session.changed)
    runner = ThreadRunner()
    bare = Session(LocalEngine(), NapariShelf(viewer), ScanLibrary(), runner)
    runner.close()
    viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    qtbot.waitUntil(lambda: len(session.changed) < listening, timeout=5_000)
    NapariShelf(viewer).add(fundus())  # draws nothing, breaks nothing
    QApplication.processEvents()
    assert len(session.changed) == len(bare.changed)  # its own verbs


def test_a_layer_whose_pixels_were_replaced_is_segmented_as_it_is_now(
    open_dock: Callable[..., Any], qtbot: Any
) -> None:
    seen: list[Any] = []

    class Looks(LocalEngine):
        def segment(
            self, scan: Scan, wish: Wish
        ) -> Generator[Progress, None, Segmentation]:
            yield Progress(1, 1, "window 1 of 1")
            seen.append(scan.data)
            labels = np.zeros(scan.grid.shape, np.uint8)
            return Segmentation(LabelMap(data=labels, grid=scan.grid), "Done.")

    viewer, dock, session = open_dock(Looks())
    NapariShelf(viewer).add(fundus())
    fresh = np.zeros_like(viewer.layers[0].data)
    viewer.layers[0].data = fresh
    press(qtbot, dock.panels["Segment"].run)
    qtbot.waitUntil(lambda: session.state.running is None, timeout=10_000)
    assert seen[0] is fresh
    assert len(viewer.layers) == 2


def test_sections_stay_folded_the_next_time(
    open_dock: Callable[..., Any], tmp_path: Path
) -> None:
    _, _, session = open_dock(LocalEngine())
    path = tmp_path / "settings.json"
    first = Dock(session, settings=SettingsFile(path))
    fold = next(
        one for one in first.findChildren(QCollapsible) if one.text() == "Compare"
    )
    assert fold.isExpanded()
    fold.collapse(animate=False)
    again = Dock(session, settings=SettingsFile(path))
    open_now = {
        one.text(): one.isExpanded() for one in again.findChildren(QCollapsible)
    }
    assert open_now == {
        "Segment": True,
        "Click": True,
        "Compare": False,
        "Errors": True,
        "Objects": True,
        "Readers": True,
        "Names": True,
        "Improve": True,
        "Options": False,
    }
    for dock in (first, again):
        dock.deleteLater()


def test_the_models_panel(make_napari_viewer: Callable[[], Any], qtbot: Any) -> None:
    """Search, choose, read; no scan is asked for."""
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-segreview", "Models")
    panel = dock.panels["Models"]
    assert panel.table.rowCount() == len(CARDS)
    assert not dock.scan.isVisible()
    qtbot.keyClicks(panel.words, "tiramisu densenet")
    assert panel.table.rowCount() == 0
    assert panel.about.text() == "No system has all these words."
    panel.words.clear()
    qtbot.keyClicks(panel.words, "vnet")
    assert panel.table.rowCount() == 1
    assert panel.about.text().startswith("V-Net · Milletari")
    panel.words.clear()
    panel.table.sortItems(3)  # by published parameters
    panel.table.selectRow(panel.table.rowCount() - 1)
    counted = [card for card in CARDS.values() if card.published_parameters]
    largest = max(counted, key=lambda c: next(iter(c.published_parameters.values()))[2])
    assert panel.about.text().startswith(largest.title)
    panel.part.setCurrentIndex(1)
    assert panel.table.rowCount() == len(METHODS)
    qtbot.keyClicks(panel.words, "billot")
    assert panel.about.text().startswith("Images painted from labels (SynthSeg)")
    qtbot.keyClicks(panel.words, "x")
    assert panel.about.text() == "No way of training has all these words."


def test_adding_a_model_in_the_panel(
    make_napari_viewer: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SEGREVIEW_MODELS", str(tmp_path / "own"))
    folder = save_tiny(tmp_path / "trained", 2, 3, name="mine", title="My own")
    viewer = make_napari_viewer()
    viewer.window.add_plugin_dock_widget("napari-segreview", "SegReview")
    NapariShelf(viewer).add(fundus())
    _, dock = viewer.window.add_plugin_dock_widget("napari-segreview", "Models")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    dock.panels["Models"].add.click()
    assert session_of(viewer).state.model == "mine"
    assert status(dock) == "Added the model My own."
