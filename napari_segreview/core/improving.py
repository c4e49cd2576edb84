"""The window's verbs for improving a model on what was checked. They say, never raise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from napari_segreview.core.improve import in_words, verdict_of
from napari_segreview.core.protocols import TuneWish
from napari_segreview.core.reviews import (
    Mark,
    Marks,
    Review,
    box_mark,
    checked_mask,
    toggled,
)
from src_models.errors import InputError
from src_models.progress import Curve

if TYPE_CHECKING:
    from collections.abc import Callable

    from psygnal import SignalInstance

    from napari_segreview.core.clicking import Clicking
    from napari_segreview.core.improve import Improve
    from napari_segreview.core.protocols import Engine, Improved, Shelf
    from napari_segreview.core.state import State
    from src_models.progress import Progress


class Host(Protocol):
    """What is needed of the session."""

    @property
    def changed(self) -> SignalInstance: ...

    @property
    def state(self) -> State: ...

    def say(self, *, said: str = "", fault: str = "") -> None: ...

    def put(self, **parts: Any) -> None: ...

    @property
    def clicking(self) -> Clicking: ...

    def choose_scan(self, key: str) -> None: ...

    def keep_marks(self, key: str, marks: Marks) -> None: ...


class Improving:
    """Mark what is right, train on it, see the verdict, choose a version.

    Parameters
    ----------
    start, settle : callable
        The session's: run a job; say that it is over.
    """

    def __init__(
        self,
        host: Host,
        engine: Engine,
        shelf: Shelf,
        start: Callable[..., None],
        settle: Callable[..., None],
    ) -> None:
        self._host, self._engine, self._shelf = host, engine, shelf
        self._start, self._settle = start, settle
        host.changed.connect(self._on_changed)

    # ── what was checked ───────────────────────────────────────────────────────

    def mark_slice(self) -> None:
        """Mark the slice that is looked at as right, or take its mark back."""

        def verb(key: str) -> None:
            if self._shelf.label_map(key).grid.ndim == 2:
                frame = None
                if self._shelf.label_map(key).has_time:
                    frame = self._shelf.plane(key)[2]
                self._mark(key, Mark(kind="scan", frame=frame))
                return
            axis, index, frame = self._shelf.plane(key)
            self._mark(key, Mark(axis=axis, index=index, frame=frame))

        self._on_labels(verb)

    def mark_scan(self) -> None:
        """Mark all of the labels as right, or take that back."""
        self._on_labels(lambda key: self._mark(key, Mark(kind="scan")))

    def mark_region(self) -> None:
        """Let the user drag a rectangle in the slice that is looked at: that is right."""

        def verb(key: str) -> None:
            self._host.clicking.leave()
            self._shelf.drag_box(key, lambda box: self._mark(key, box_mark(*box)))
            self._host.say(said="Drag a rectangle round what is right in this slice.")

        self._on_labels(verb)

    def take_back(self) -> None:
        """Take the latest mark back."""

        def verb(key: str) -> None:
            marks = self._improve.marks_of(key)
            if not marks:
                raise InputError("nothing is marked in these labels")
            self._put(key, marks[:-1])

        self._on_labels(verb)

    def take_marks(self, key: str, marks: Marks) -> None:
        """Labels that were restored have these marks."""
        self._put(key, marks)

    def reviews(self) -> tuple[dict[str, Any], ...]:
        """What a project keeps of it."""
        names = {ref.key: ref.name for ref in self._host.state.labels}
        return tuple(
            Review(labels=names[key], marks=marks).model_dump(mode="json")
            for key, marks in self._improve.marks
            if key in names and marks
        )

    # ── learn ──────────────────────────────────────────────────────────────────

    def choose_budget(self, minutes: float) -> None:
        self._become(budget_minutes=minutes)

    def choose_loss(self, loss: str) -> None:
        self._become(loss=loss)

    def improve(self) -> None:
        """Train the chosen model on what was checked; the gate decides what follows."""

        def verb(key: str) -> None:
            state, improve = self._host.state, self._improve
            if state.running is not None:
                return
            if state.scan is None or not state.model:
                raise InputError("open a scan and choose the model to improve first")
            labels = self._shelf.label_map(key)
            labels = replace(labels, data=labels.data.copy())  # painted on meanwhile
            mask = checked_mask(
                improve.marks_of(key), labels.data.shape, has_time=labels.has_time
            )
            wish = TuneWish(
                model=state.model,
                device=state.device,
                budget_seconds=60 * improve.budget_minutes,
                loss=improve.loss,
            )
            self._become(points=(), verdict="")
            steps = self._engine.improve(state.scan, labels, mask, wish)
            self._start("improve", state.scan.name, steps, self._then_improved)

        self._on_labels(verb)

    def hear(self, progress: Progress) -> None:
        """A run tells how far it is."""
        if isinstance(progress, Curve) and progress.points != self._improve.points:
            self._become(points=progress.points)

    def _then_improved(self, improved: Improved) -> None:
        self._settle(said=verdict_of(improved).splitlines()[0])
        self._become(verdict=verdict_of(improved))
        self._host.choose_scan(
            self._host.state.scan_key
        )  # another version may be active

    # ── within ─────────────────────────────────────────────────────────────────

    @property
    def _improve(self) -> Improve:
        return self._host.state.improve

    def _on_labels(self, verb: Callable[[str], None]) -> None:
        """Do it with the labels that are corrected; say what is wrong if it is."""
        key = self._host.state.work.layer
        try:
            if not key:
                raise InputError("choose the labels that you correct first")
            verb(key)
        except InputError as error:
            self._host.say(fault=str(error))

    def _mark(self, key: str, mark: Mark) -> None:
        self._put(key, toggled(self._improve.marks_of(key), mark))

    def _put(self, key: str, marks: Marks) -> None:
        self._host.keep_marks(key, marks)
        held = {**dict(self._improve.marks), key: marks}
        self._become(marks=tuple(held.items()))
        self._say_checked()

    def _say_checked(self) -> None:
        key = self._host.state.work.layer
        try:
            labels = self._shelf.label_map(key) if key else None
        except InputError:  # just closed
            labels = None
        marks = self._improve.marks_of(key)
        self._become(said=in_words(marks, labels) if labels else "")

    def _on_changed(self, old: State, new: State) -> None:
        if new.work.layer != old.work.layer:
            self._say_checked()

    def _become(self, **changes: Any) -> None:
        self._host.put(improve=replace(self._improve, **changes))
