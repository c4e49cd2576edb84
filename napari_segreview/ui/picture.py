"""A chart in the window: the drawing that pages show too, as wide as there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QByteArray, QSize, Qt
from qtpy.QtGui import QPainter
from qtpy.QtSvg import QSvgRenderer
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtGui import QMouseEvent, QPaintEvent, QResizeEvent

LEAST = 240  # pixels across, before anything is laid out


class Picture(QWidget):
    """An SVG chart on white, as its colours want; on hover each row in words.

    Parameters
    ----------
    row : int
        Height of a row of the chart, in pixels.
    """

    def __init__(self, row: int) -> None:
        super().__init__()
        self._row = row
        self._draw: Callable[[int], str] | None = None
        self._words: tuple[str, ...] = ()
        self._svg = QSvgRenderer()
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_chart(
        self, draw: Callable[[int], str] | None, words: Sequence[str] = ()
    ) -> None:
        """Show what `draw` makes of a width in pixels; None takes no room."""
        self._draw, self._words = draw, tuple(words)
        self.setAccessibleName("\n".join(words))
        self.setVisible(draw is not None)
        self._fit()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        return QSize(LEAST, self._svg.defaultSize().height())

    def resizeEvent(self, _: QResizeEvent | None) -> None:  # noqa: N802  Qt's name
        self._fit()

    def paintEvent(self, _: QPaintEvent | None) -> None:  # noqa: N802  Qt's name
        if self._draw is None:
            return
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.white)
        self._svg.render(painter)
        painter.end()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is None:
            return
        at = int(event.position().y()) // self._row
        said = self._words[at] if at < len(self._words) else ""
        QToolTip.showText(event.globalPosition().toPoint(), said, self)

    def _fit(self) -> None:
        if self._draw is not None:
            drawn = self._draw(max(LEAST, self.width()))
            self._svg.load(QByteArray(drawn.encode()))
            self.setFixedHeight(self._svg.defaultSize().height())
        self.update()
