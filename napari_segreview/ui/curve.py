"""A small curve of two lines: the loss, and the Dice on the parts kept back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QSize, Qt
from qtpy.QtGui import QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QPaintEvent

    from src_models.progress import Point

HEIGHT, MARGIN = 90, 16


class Curve(QWidget):
    """The Dice as a full line, from 0 to 1; the loss dashed, from 0 to its highest."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._points: tuple[Point, ...] = ()

    def show_points(self, points: Sequence[Point]) -> None:
        """Draw them; without any the curve takes no room."""
        self._points = tuple(points)
        self.setVisible(bool(self._points))
        if self._points:
            last = self._points[-1]
            words = (
                f"Dice {last.dice:.3f} on the parts kept back after {last.step} steps"
            )
            self.setToolTip(words)
            self.setAccessibleName(words)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        return QSize(300, HEIGHT)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802  Qt's name
        """Axes in the text's colour, so that both themes show them."""
        if not self._points:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(self.foregroundRole())
        losses = [point.loss for point in self._points]
        top = max((loss for loss in losses if loss == loss), default=1.0) or 1.0
        painter.setPen(QPen(ink, 2.0))
        painter.drawPolyline(self._line([point.dice for point in self._points]))
        painter.setPen(QPen(ink, 1.0, Qt.PenStyle.DashLine))
        painter.drawPolyline(self._line([loss / top for loss in losses]))
        last = self._points[-1]
        painter.drawText(4, MARGIN - 4, f"— Dice {last.dice:.3f}   - - loss")
        painter.end()

    def _line(self, values: Sequence[float]) -> QPolygonF:
        """Values in 0..1, evenly spaced over the width; what is no number is left out."""
        step = (self.width() - 8) / max(1, len(values) - 1)
        high = self.height() - MARGIN - 4
        return QPolygonF(
            [
                QPointF(4 + at * step, MARGIN + high * (1 - value))
                for at, value in enumerate(values)
                if value == value
            ]
        )
