"""The window's verbs for improving a model on what was checked. They say, never raise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from napari_segreview.core.improve import in_words, most_doubtful, verdict_of
from napari_segreview.core.protocols import TuneWish, Wish
from napari_segreview.core.reviews import Mark, Marks, Review, checked_mask, toggled
from src_models.card import parse
from src_models.errors import InputError
from src_models.progress import Curve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from psygnal import SignalInstance

    from napari_segreview.core.improve import Improve
    from napari_segreview.core.protocols import Engine, Improved, Segmentation, Shelf
    from napari_segreview.core.state import State
    from src_models.progress import Progress


class Host(Protocol):
    """What is needed of the session."""

    @property
    def changed(self) -> SignalInstance: ...

    @property
    def state(self) -> State: ...

    def say(self, *, said: str = "", fault: str = "") -> None: ...

    def improved(self, improve: Improve) -> None: ...

    def choose_scan(self, key: str) -> None: ...


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

    def mark_box(self, low: Sequence[int], high: Sequence[int]) -> None:
        """Mark a region as right: its first voxel, and the one after its last."""
        mark = Mark(kind="box", low=tuple(low), high=tuple(high))
        self._on_labels(lambda key: self._mark(key, mark))

    def reviews(self) -> tuple[dict[str, Any], ...]:
        """What a project keeps of it."""
        names = {ref.key: ref.name for ref in self._host.state.labels}
        return tuple(
            Review(labels=names[key], marks=marks).model_dump(mode="json")
            for key, marks in self._improve.marks
            if key in names and marks
        )

    def take_reviews(self, reviews: Sequence[Mapping[str, Any]]) -> None:
        """Take over the marks of a project whose labels are open by now."""
        keys = {ref.name: ref.key for ref in self._host.state.labels}
        for one in reviews:
            review = parse(Review, dict(one), "project")
            if review.labels in keys:
                self._put(keys[review.labels], review.marks)

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

    # ── versions ───────────────────────────────────────────────────────────────

    def activate(self, version: str) -> None:
        """Make an accepted version, or the base, the active one."""
        state = self._host.state
        try:
            self._engine.activate(state.model, version)
        except (InputError, OSError) as error:
            self._host.say(fault=str(error))
            return
        self._list_versions()
        self._host.choose_scan(state.scan_key)
        self._host.say(said=f"{version} is now the active version.")

    def try_version(self, version: str) -> None:
        """Run a version on this scan, whatever its standing; the active one stays."""
        state = self._host.state
        if state.running is not None or state.scan is None:
            return
        try:
            wish = self._engine.version_wish(state.model, version, state.device)
        except InputError as error:
            self._host.say(fault=str(error))
            return

        def then(answer: Segmentation) -> None:
            self._shelf.show(answer.labels, state.scan_key)
            self._settle(said=answer.said)

        steps = self._engine.segment(state.scan, wish)
        self._start("segment", state.scan.name, steps, then)

    # ── next to correct ────────────────────────────────────────────────────────

    def go_next(self) -> None:
        """Show the plane in which a correction would teach most; look for it if need be."""

        def verb(key: str) -> None:
            state = self._host.state
            if state.running is not None:
                return
            if self._improve.queue:
                self._go(key)
                return
            if state.scan is None or not state.model:
                raise InputError("open a scan and choose a model first")
            wish = Wish(model=state.model, device=state.device)

            def then(doubts: tuple[float, ...]) -> None:
                self._become(queue=most_doubtful(doubts, self._checked(key)))
                self._settle(said=f"{len(self._improve.queue)} planes to look at.")
                self._go(key)

            self._start(
                "doubt", state.scan.name, self._engine.doubts(state.scan, wish), then
            )

        self._on_labels(verb)

    def _go(self, key: str) -> None:
        if self._improve.queue:
            plane, *rest = self._improve.queue
            self._become(queue=tuple(rest))
            self._shelf.look(key, plane)

    def _checked(self, key: str) -> set[int]:
        marks = self._improve.marks_of(key)
        return {one.index for one in marks if one.kind == "slice" and not one.axis}

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

    def _list_versions(self) -> None:
        self._become(versions=self._engine.versions(self._host.state.model))

    def _on_changed(self, old: State, new: State) -> None:
        if new.work.layer != old.work.layer:
            self._say_checked()
        if (new.model, new.scan_key) != (old.model, old.scan_key):
            self._become(queue=())
        was = old.running
        over = was is not None and was.kind == "improve" and new.running is None
        if new.model != old.model or over:
            self._list_versions()

    def _become(self, **changes: Any) -> None:
        self._host.improved(replace(self._improve, **changes))
