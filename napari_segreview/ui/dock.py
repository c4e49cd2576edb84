"""The dock: panels one below the other, the job bar at the foot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QWidget

from napari_segreview.core.settings import SettingsFile
from napari_segreview.ui.click_panel import ClickPanel
from napari_segreview.ui.cohort_panel import CohortPanel
from napari_segreview.ui.compare_panel import ComparePanel
from napari_segreview.ui.error_panel import ErrorPanel
from napari_segreview.ui.form import column, section
from napari_segreview.ui.improve_panel import ImprovePanel
from napari_segreview.ui.job_bar import JobBar
from napari_segreview.ui.models_panel import ModelsPanel
from napari_segreview.ui.names_panel import NamesPanel
from napari_segreview.ui.objects_panel import ObjectsPanel
from napari_segreview.ui.readers_panel import ReadersPanel
from napari_segreview.ui.scan_panel import ScanPanel
from napari_segreview.ui.segment_panel import SegmentPanel
from napari_segreview.ui.work_panel import WorkPanel

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segreview.core.session import Session

PANELS: dict[str, Callable[[Session], QWidget]] = {
    "Segment": SegmentPanel,
    "Click": ClickPanel,
    "Compare": ComparePanel,
    "Errors": ErrorPanel,
    "Objects": ObjectsPanel,
    "Readers": ReadersPanel,
    "Names": NamesPanel,
    "Improve": ImprovePanel,
}
ALONE: dict[str, Callable[[Session], QWidget]] = {
    "Cohort": CohortPanel,
    "Models": ModelsPanel,
}
WIDTH = 380


class _Scroll(QScrollArea):
    """Never narrower than what is inside, so that nothing is cut off on the right."""

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's name
        inside, bar = self.widget(), self.verticalScrollBar()
        if inside is None or bar is None:
            return super().minimumSizeHint()
        wide = inside.minimumSizeHint().width() + bar.sizeHint().width()
        return QSize(wide, super().minimumSizeHint().height())


class Dock(QWidget):
    """The scan, some panels, the job bar. Scrolls when the window is short.

    Parameters
    ----------
    titles : tuple of str
        Keys of `PANELS`, or one of `ALONE`, which need no scan. One alone does not fold.
    settings : SettingsFile, optional
        Remembers which sections are folded.
    """

    def __init__(
        self,
        session: Session,
        titles: tuple[str, ...] = tuple(PANELS),
        settings: SettingsFile | None = None,
    ) -> None:
        super().__init__()
        settings = settings or SettingsFile()
        self.scan = ScanPanel(session)
        self.work = WorkPanel(session)
        self.panels = {title: (PANELS | ALONE)[title](session) for title in titles}
        self.jobs = JobBar(session)
        inside = QWidget()
        parts = column(inside)
        parts.addWidget(self.scan)
        parts.addWidget(self.work)
        for part in (self.scan, self.work):
            part.setVisible(not set(titles) <= set(ALONE))
        for title, panel in self.panels.items():
            folds = len(titles) > 1
            parts.addWidget(section(title, panel, settings) if folds else panel)
        parts.addStretch(1)
        scroll = _Scroll()
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = column(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(scroll, stretch=1)
        layout.addWidget(self.jobs)

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        return QSize(WIDTH, 640)
