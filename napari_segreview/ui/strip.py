"""A strip of bars, one a slice, as high as its Dice; a click chooses a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QMouseEvent, QPaintEvent

HEIGHT = 48
PLAIN, CHOSEN, FRAME = QColor(86, 180, 233), QColor(230, 120, 0), QColor(128, 128, 128)
LEAST = 1.5  # pixels: a bar of height 0 is there to be seen, unlike no bar


class Strip(QWidget):
    """Draws values in 0..1, None as a gap; calls `chosen` with the place clicked."""

    def __init__(self, chosen: Callable[[int], None]) -> None:
        super().__init__()
        self._chosen = chosen
        self._values: tuple[float | None, ...] = ()
        self._at = -1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_values(self, values: tuple[float | None, ...], at: int) -> None:
        """Draw these, the one at `at` marked; −1 marks none."""
        if (values, at) != (self._values, self._at):
            self._values, self._at = values, at
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        return QSize(200, HEIGHT)

    def paintEvent(self, _: QPaintEvent | None) -> None:  # noqa: N802  Qt's name
        painter = QPainter(self)
        painter.setPen(FRAME)
        painter.drawLine(0, self.height() - 1, self.width(), self.height() - 1)
        count = max(1, len(self._values))
        step, room = self.width() / count, self.height() - 2
        for place, value in enumerate(self._values):
            if value is None and place != self._at:
                continue
            high = max(LEAST, (value or 0.0) * room)
            bar = QRectF(place * step, room - high, max(1.0, step - (step > 3)), high)
            if place == self._at:
                full = QRectF(bar.left(), 0, max(2.0, bar.width()), room)
                painter.fillRect(full, QColor(230, 120, 0, 70))
            painter.fillRect(bar, CHOSEN if place == self._at else PLAIN)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is not None and self._values:
            self._chosen(self._place(event))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is None or not self._values:
            return
        place = self._place(event)
        value = self._values[place]
        said = "nothing drawn" if value is None else f"Dice {value:.3f}"
        point = event.globalPosition().toPoint()
        QToolTip.showText(point, f"slice {place}: {said}", self)

    def _place(self, event: QMouseEvent) -> int:
        share = event.position().x() / max(1, self.width())
        return min(len(self._values) - 1, max(0, int(share * len(self._values))))
