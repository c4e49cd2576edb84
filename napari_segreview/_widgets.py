"""The widgets the manifest names, and how their parts are wired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.utils.notifications import show_error, show_warning

from napari_segreview._label_files import TableFiles
from napari_segreview._plugin import ScanLibrary
from napari_segreview._scorer import FileScorer
from napari_segreview.core.cases import Cases
from napari_segreview.core.session import Session
from napari_segreview.engine import LocalEngine
from napari_segreview.layers.compass import Compass
from napari_segreview.layers.pointer import Pointer
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.ui.dock import Dock
from napari_segreview.ui.runner import ThreadRunner

if TYPE_CHECKING:
    from napari_segreview.core.state import State

_sessions: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()


class MainDock(Dock):
    """The whole dock. napari passes its viewer by the parameter's name."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(session_of(napari_viewer))


class SegmentDock(Dock):
    """The Segment panel by itself."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(session_of(napari_viewer), ("Segment",))


class ClickDock(Dock):
    """The Click panel by itself."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(session_of(napari_viewer), ("Click",))


class CompareDock(Dock):
    """Compare, its errors, objects and the readers by themselves."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(
            session_of(napari_viewer), ("Compare", "Errors", "Objects", "Readers")
        )


class NamesDock(Dock):
    """Names and codes of labels, and DICOM-SEG, by themselves."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(session_of(napari_viewer), ("Names",))


class ImproveDock(Dock):
    """The Improve panel by itself."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(session_of(napari_viewer), ("Improve",))


class CohortDock(Dock):
    """Many cases scored at once."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(session_of(napari_viewer), ("Cohort",))


class ModelsDock(Dock):
    """The catalogue of systems."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(session_of(napari_viewer), ("Models",))


def session_of(viewer: Any) -> Session:
    """The one session of a viewer; all its panels share it. Made at the first call."""
    viewer = getattr(viewer, "__wrapped__", viewer)  # widgets get a proxy
    if viewer not in _sessions:
        _sessions[viewer] = _new_session(viewer)
    return _sessions[viewer]


def _new_session(viewer: Any) -> Session:
    shelf, runner, asker = NapariShelf(viewer), ThreadRunner(), ThreadRunner()
    session = Session(
        LocalEngine(),
        shelf,
        ScanLibrary(),
        runner,
        cases=Cases(),
        scorer=FileScorer(),
        files=TableFiles(),
        ask=asker,
        thread="main",
    )
    shelf.on_change(session.layers_changed)
    shelf.on_key("W", session.reviewing.next_worst)
    Compass(viewer)  # the viewer's events keep it
    Pointer(viewer, session)  # the viewer's mouse keeps it
    session.changed.connect(_notify)

    def close(_: object) -> None:
        runner.close()
        asker.close()
        session.correcting.close()

    viewer.window._qt_window.destroyed.connect(close)
    return session


def _notify(old: State, new: State) -> None:
    """A fault is also a napari notification: the dock may be hidden behind another."""
    if new.fault and new.fault != old.fault:
        show_error(new.fault)
    if new.work.is_fault and new.work.line != old.work.line:
        show_warning(new.work.line)
