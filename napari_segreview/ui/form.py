"""Small pieces that all panels are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qtpy.QtCore import QObject

    from napari_segreview.core.session import Session
    from napari_segreview.core.settings import SettingsFile
    from napari_segreview.core.state import State

GAP = 6


def wrapped_label(name: str = "") -> QLabel:
    """Text that breaks into lines instead of widening the dock, and can be copied."""
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.MinimumExpanding)
    return label


def say(label: QLabel, text: str) -> None:
    """Show the text; an empty label takes no room."""
    label.setText(text)
    label.setVisible(bool(text))


def combo(tip: str) -> QComboBox:
    """A choice that may be narrower than its longest entry."""
    box = QComboBox()
    box.setToolTip(tip)
    box.setMinimumContentsLength(8)
    box.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box


def fill(box: QComboBox, entries: Iterable[tuple[object, str]], chosen: object) -> None:
    """Show (key, text) entries with one chosen; tells nobody."""
    with QSignalBlocker(box):
        box.clear()
        for key, text in entries:
            box.addItem(text, key)
        box.setCurrentIndex(box.findData(chosen))


def tolerance_box(chosen: Callable[[float], None]) -> QDoubleSpinBox:
    """How near to each other surfaces count as the same."""
    box = QDoubleSpinBox()
    box.setRange(0.1, 100.0)
    box.setSingleStep(0.5)
    box.setDecimals(1)
    box.setKeyboardTracking(False)
    box.setToolTip("Surfaces closer than this count as the same (for the NSD)")
    box.valueChanged.connect(chosen)
    return box


def resample_box(chosen: Callable[[bool], None]) -> QCheckBox:
    """Whether labels on another grid are brought onto the reference's."""
    box = QCheckBox("Resample where grids differ")
    box.setToolTip(
        "Bring a prediction on another grid onto the reference's. Its surface moves by "
        "up to half a voxel: off, such a pair is refused"
    )
    box.toggled.connect(chosen)
    return box


def form() -> QFormLayout:
    """Rows of label and widget, widgets as wide as the dock."""
    layout = QFormLayout()
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(GAP)
    return layout


def column(parent: QWidget | None = None) -> QVBoxLayout:
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(GAP)
    return layout


def section(title: str, content: QWidget, settings: SettingsFile) -> QCollapsible:
    """A part of the dock that folds; as it was left the last time, open at first."""
    fold = _Fold(title, expandedIcon="▾", collapsedIcon="▸")
    fold.setDuration(0)
    frame = fold.layout()
    if frame is not None:
        frame.setContentsMargins(0, 0, 0, 0)
    fold.addWidget(content)
    if title not in settings.settings.folded:
        fold.expand(animate=False)
    fold.toggled.connect(lambda is_open: settings.fold(title, not is_open))
    return fold


class _Fold(QCollapsible):
    """Grows with its panel: superqt looks at the size it got, not at what it wants."""

    def eventFilter(  # noqa: N802  Qt's name
        self, watched: QObject | None, event: QEvent | None
    ) -> bool:
        if watched is None or event is None:
            return False
        if event.type() == QEvent.Type.LayoutRequest and self.isExpanded():
            content = self.content()
            content.setMaximumHeight(content.sizeHint().height() + GAP)
        done: bool = super().eventFilter(watched, event)
        return done


class Panel(QWidget):
    """A part of the window. It holds no truth: it draws the session's state.

    Subclasses build their widgets in ``__init__``, then call `follow`.
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._unfollow: Callable[[], None] | None = None

    def follow(self) -> None:
        """Draw the state now and whenever it changes, until the widget is destroyed."""
        changed = self.session.changed
        slot = changed.connect(lambda _, new: self.draw(new))
        self.destroyed.connect(lambda: changed.disconnect(slot, missing_ok=True))
        self.draw(self.session.state)

    def draw(self, state: State) -> None:
        """Show the state."""
        raise NotImplementedError(f"{type(self).__name__} must say how it is drawn")
