"""The panels as they look, held against pictures that someone has looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from golden_images import FOLDER, SHARE, apart, check_golden, font
from napari.components import ViewerModel
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QFont, QFontDatabase
from qtpy.QtWidgets import QApplication, QStyleFactory, QWidget

from napari_segreview import _scorer
from napari_segreview._plugin import ScanLibrary
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.core.session import Session
from napari_segreview.core.settings import SettingsFile
from napari_segreview.engine import LocalEngine
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.scans import write_labels
from napari_segreview.ui.dock import Dock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from golden_images import Picture

    Make = Callable[..., tuple[Dock, Session, NapariShelf]]

pytestmark = pytest.mark.gui

SPACE = Grid.from_spacing((12, 40, 40), (3.0, 1.0, 1.0))
NAMES = LabelTable.of({1: "liver", 2: "spleen"})


@pytest.fixture(autouse=True)
def plain_looks(qapp: QApplication) -> Iterator[None]:
    """Qt's own style, light, in a font that comes along; what was is put back."""
    before = qapp.style().objectName(), qapp.palette(), qapp.font()
    number = QFontDatabase.addApplicationFont(str(font()))
    own = QFont(QFontDatabase.applicationFontFamilies(number)[0])
    own.setPixelSize(12)
    style = QStyleFactory.create("Fusion")
    qapp.setStyle(style)
    qapp.setPalette(style.standardPalette())
    qapp.setFont(own)
    yield
    qapp.setStyle(QStyleFactory.create(before[0]))
    qapp.setPalette(before[1])
    qapp.setFont(before[2])


@pytest.fixture
def make(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A dock on layers without a window; its work is done at once."""
    monkeypatch.chdir(tmp_path)  # paths on show are short and the same everywhere
    monkeypatch.setattr(_scorer, "own_folder", lambda: tmp_path / "own" / "cohorts")

    def dock(*titles: str) -> tuple[Dock, Session, NapariShelf]:
        shelf = NapariShelf(ViewerModel())
        session = Session(
            LocalEngine(),
            shelf,
            ScanLibrary(),
            lambda job: job.run(),
            scorer=_scorer.FileScorer(),
        )
        shelf.on_change(session.layers_changed)
        made = Dock(session, titles, SettingsFile(tmp_path / "settings.json"))
        qtbot.addWidget(made)
        return made, session, shelf

    return dock


def labels(
    seed: int, name: str, misses: int = 0, slices: slice = slice(6, 7)
) -> LabelMap:
    """A liver and a spleen; some rows of the liver are missed, some voxels wrong."""
    data = np.zeros(SPACE.shape, np.uint8)
    data[2:10, 5:25, 5:15] = 1
    data[3:8, 28:36, 20:32] = 2
    data[slices, 5 : 5 + misses] = 0
    wrong = np.random.default_rng(seed).random(SPACE.shape) < 0.002 * bool(seed)
    data[wrong & (data > 0)] = 0
    return LabelMap(data=data, grid=SPACE, table=NAMES, name=name)


def grabbed(dock: QWidget, high: int, path: Path) -> Path:
    dock.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    dock.resize(400, high)
    dock.show()
    for _ in range(3):  # tables and charts ask for their room one after the other
        QApplication.processEvents()
    dock.grab().save(str(path))
    return path


def test_compare_errors_and_readers(make: Make, tmp_path: Path) -> None:
    dock, session, shelf = make("Compare", "Errors", "Readers")
    image = np.random.default_rng(0).integers(0, 200, SPACE.shape).astype(np.int16)
    shelf.add(Scan(data=image, grid=SPACE, name="abdomen", modality="CT"))
    for one in (
        labels(0, "observer 1"),
        labels(1, "observer 2", 3),
        labels(2, "model", 9),
    ):
        shelf.add(one)
    keys = {ref.name: ref.key for ref in session.state.labels}
    session.choose_pair(keys["model"], keys["observer 1"])
    session.compare()
    session.reviewing.next_worst()
    readers: Any = dock.panels["Readers"]
    for row in range(3):
        readers.layers.item(row).setCheckState(Qt.CheckState.Checked)
    readers.model.setCurrentIndex(readers.model.findText("model"))
    session.reviewing.compare_readers(list(keys.values()), keys["model"])
    assert session.state.fault == ""
    check_golden(grabbed(dock, 1750, tmp_path / "compare.png"), "panel-compare")


def test_cohort(make: Make, tmp_path: Path) -> None:
    dock, session, _ = make("Cohort")
    for at, case in enumerate(("a", "b", "c", "d", "e")):
        for folder, misses in (("truth", 0), ("net", 2 * at), ("other", 3 + at)):
            (tmp_path / folder).mkdir(exist_ok=True)
            one = labels(0, case, misses, slice(None))
            write_labels(one, tmp_path / folder / f"case-{case}.nii.gz")
    (tmp_path / "net" / "case-b.nii.gz").write_bytes(b"no volume")
    session.scoring.choose("predictions", Path("net"))
    session.scoring.choose("references", Path("truth"))
    session.scoring.choose("second", Path("other"))
    session.scoring.score()
    assert session.state.fault == ""
    panel: Any = dock.panels["Cohort"]
    panel.cases.selectRow(1)
    check_golden(grabbed(dock, 1200, tmp_path / "cohort.png"), "panel-cohort")


# ── that the comparison sees what it should, and no more ──────────────────────────


WORDS = {"panel-compare": slice(276, 300), "panel-cohort": slice(284, 304)}  # a line
every = pytest.mark.parametrize("name", WORDS)


def kept(name: str) -> Picture:
    return np.asarray(Image.open(FOLDER / f"{name}.png").convert("RGB"))


@every
def test_what_counts_as_the_same(name: str) -> None:
    wanted = kept(name)
    assert apart(wanted, wanted) == 0
    assert apart(wanted, np.roll(wanted, (2, 3), (0, 1))) <= SHARE
    noise = np.random.default_rng(0).integers(-15, 16, wanted.shape)
    assert apart(wanted, np.clip(wanted + noise, 0, 255).astype(np.uint8)) <= SHARE


@every
def test_what_does_not(name: str) -> None:
    wanted = kept(name)
    bare, shifted = wanted.copy(), wanted.copy()
    bare[WORDS[name]] = bare[WORDS[name].start, :1]
    shifted[200:] = np.roll(wanted, 24, 0)[200:]  # a row of widgets too much
    for other in (bare, shifted, 255 - wanted, wanted[:-40]):
        assert apart(wanted, other) > SHARE
        assert apart(other, wanted) > SHARE
