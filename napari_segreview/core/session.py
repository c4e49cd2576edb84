"""The one object that changes. No Qt, no napari, no torch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from psygnal import Signal

from napari_segreview.core.clicking import Clicking
from napari_segreview.core.correcting import Correcting
from napari_segreview.core.detecting import Detecting
from napari_segreview.core.doubting import Doubting
from napari_segreview.core.errors import in_one_line
from napari_segreview.core.fitting import Fitting
from napari_segreview.core.improving import Improving
from napari_segreview.core.jobs import Job
from napari_segreview.core.keeping import Keeping
from napari_segreview.core.naming import Naming
from napari_segreview.core.protocols import Segmentation, Wish
from napari_segreview.core.reviewing import Reviewing
from napari_segreview.core.scoring import Scoring
from napari_segreview.core.state import JobKind, Running, State, view
from napari_segreview.core.versioning import Versioning
from src_models.errors import InputError
from src_models.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segreview.core.cases import Cases
    from napari_segreview.core.clicks import Clicks
    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.naming import LabelFiles
    from napari_segreview.core.protocols import Engine, LayerRef, Library, Shelf
    from napari_segreview.core.reviews import Marks
    from napari_segreview.core.scan import Scan
    from napari_segreview.core.scoring import Scorer
    from napari_segreview.core.work import Work

Submit = Callable[[Job[Any]], None]
log = logging.getLogger(__name__)


class Session:
    """What the user is doing, and the verbs that change it.

    Widgets call verbs and listen to `changed`; they hold no truth of their own.

    Parameters
    ----------
    engine, shelf, library : Engine, Shelf, Library
        Models; open layers; where scans come from.
    submit : callable
        Runs a job: on a thread in the window, at once in a test.
    cases : Cases, optional
        Where labels that are corrected have their journals; none are kept without.
    scorer : Scorer, optional
        Finds and scores the files of many cases; none are without.
    files : LabelFiles, optional
        Label tables and DICOM-SEG; none are without.
    ask : callable, optional
        Runs the search for what was clicked; `submit` if not given.
    thread : {"main", None}
        Where answers are taken: the main thread in the window.
    clock : callable
        Seconds, monotonic.
    """

    changed = Signal(object, object)  # old State, new State

    def __init__(
        self,
        engine: Engine,
        shelf: Shelf,
        library: Library,
        submit: Submit,
        *,
        cases: Cases | None = None,
        scorer: Scorer | None = None,
        files: LabelFiles | None = None,
        ask: Submit | None = None,
        thread: Literal["main"] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._shelf, self._library = engine, shelf, library
        self._submit = submit
        self._thread: Any = thread
        self._clock = clock
        self._job: Job[Any] | None = None
        devices = engine.devices()
        self._state = State(
            offers=engine.offers(None),
            samples=tuple(library.samples().items()),
            devices=devices,
            device=devices[0].key,
        )
        self.reviewing = Reviewing(
            engine,
            shelf,
            state=lambda: self._state,
            become=self._become,
            start=self.start,
            settle=self.settle,
            say=self.say,
            take_up=self.correct,
        )
        self.clicking = Clicking(self, engine, shelf, ask or submit, thread)
        self.clicking.changed.connect(self._clicks_changed)
        self._keeping = Keeping(shelf, cases)
        self._keeping.changed.connect(self._work_changed)
        self._work_changed(self._keeping.work)
        self.correcting = Correcting(self._keeping, self)
        self.improving = Improving(self, engine, shelf, self.start, self.settle)
        self.detecting = Detecting(self, engine, shelf)
        self.scoring = Scoring(self, shelf, scorer)
        self.fitting = Fitting(self, shelf)
        self.naming = Naming(self, shelf, files)
        self.versioning = Versioning(self, engine, shelf, self.start, self.settle)
        self.doubting = Doubting(self, engine, shelf, self.start, self.settle)
        self.layers_changed()

    @property
    def state(self) -> State:
        return self._state

    # ── what the user chooses ──────────────────────────────────────────────────

    def layers_changed(self) -> None:
        """Layers came, went, or were renamed: keep the choices that still stand."""
        images, labels = self._shelf.images(), self._shelf.label_layers()
        state = replace(self._state, images=images, labels=labels)
        keys = [ref.key for ref in labels]
        prediction = state.prediction if state.prediction in keys else ""
        reference = state.reference if state.reference in keys else ""
        left = [key for key in keys if key not in (prediction, reference)]
        reference = reference or (left.pop(0) if left else "")
        prediction = prediction or (left.pop() if left else "")
        pair = (prediction, reference)
        if pair != (state.prediction, state.reference):
            state = replace(state, report=None)
        self._become(replace(state, prediction=prediction, reference=reference))
        self._keeping.layers_changed(labels)
        if state.scan_key not in [ref.key for ref in images]:
            self.choose_scan(images[-1].key if images else "")

    def choose_scan(self, key: str) -> None:
        """Take up an image layer; "" takes up none. Models are looked at for it."""
        state = self._with_scan(key)
        chosen = next((one for one in state.offers if one.name == state.model), None)
        fitting = [one for one in state.offers if not one.reason]
        if state.scan is not None and fitting and (chosen is None or chosen.reason):
            state = _with_model(state, fitting[0].name)
        self._become(state)
        self.clicking.scan_changed()

    def _with_scan(self, key: str) -> State:
        """The state with the layer as it is by now; the model is not changed."""
        state = replace(self._state, scan_key=key, scan=None, scan_fault="")
        if key:
            try:
                state = replace(state, scan=self._shelf.scan(key))
            except InputError as error:
                state = replace(state, scan_fault=str(error))
        return replace(state, offers=self._engine.offers(state.scan))

    def choose_model(self, name: str) -> None:
        if name != self._state.model:
            self._become(_with_model(self._state, name))

    def add_model(self, folder: Path) -> None:
        """Keep a trained model from a folder, and choose it if it fits the scan."""
        try:
            name = self._engine.add_model(folder)
            offers = self._engine.offers(self._state.scan)
        except (InputError, OSError) as error:
            self.say(fault=in_one_line(error))
            return
        added = next(one for one in offers if one.name == name)
        state = replace(self._state, offers=offers, fault="")
        if state.scan is not None and not added.reason:
            state = _with_model(state, name)
        self._become(replace(state, said=f"Added the model {added.title}."))

    def choose_device(self, key: str) -> None:
        self._become(replace(self._state, device=key))

    def choose_mirror(self, wanted: bool) -> None:
        self._become(replace(self._state, mirror=wanted))

    def choose_pair(self, prediction: str, reference: str) -> None:
        self._become(
            replace(
                self._state, prediction=prediction, reference=reference, report=None
            )
        )

    def choose_tolerance(self, tolerance: float) -> None:
        """The distance, in mm or px, up to which surfaces count as the same."""
        self._become(replace(self._state, tolerance=tolerance, report=None, study=None))

    # ── long work, one at a time ───────────────────────────────────────────────

    def open(
        self, paths: Sequence[Path], after: Callable[[], None] = lambda: None
    ) -> None:
        """Read files or DICOM folders; each scan becomes a layer. Then do `after`."""

        def steps() -> Generator[Progress, None, list[Scan | LabelMap]]:
            found: list[Scan | LabelMap] = []
            for number, path in enumerate(paths):
                yield Progress(number, len(paths), path.name)
                found += self._library.read(path)
            return found

        self._open(", ".join(path.name for path in paths), steps(), after)

    def open_sample(self, key: str) -> None:
        """Open a sample that comes with the program."""

        def steps() -> Generator[Progress, None, list[Scan | LabelMap]]:
            yield Progress(0, 1, key)
            return list(self._library.sample(key))

        self._open(dict(self._state.samples).get(key, key), steps())

    def _open(
        self,
        what: str,
        steps: Generator[Progress, None, list[Scan | LabelMap]],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        if self._state.running is not None:
            return

        def then(found: list[Scan | LabelMap]) -> None:
            refs = [self._shelf.add(item) for item in found]
            self.settle(said=f"Opened {what}.")
            images = {ref.key for ref in self._shelf.images()}
            if fresh := [ref.key for ref in refs if ref.key in images]:
                self.choose_scan(fresh[-1])
            after()

        self.start("open", what, steps, then)

    def segment(self) -> None:
        """Run the chosen model on the chosen scan; its labels become a new layer."""
        if self._state.running is None:
            self._become(self._with_scan(self._state.scan_key))
        state, shown = self._state, view(self._state)
        if not shown.may_segment or state.scan is None or shown.offer is None:
            return
        wish = Wish(
            model=state.model,
            device=state.device,
            mirror=state.mirror and shown.may_mirror,
        )
        key, scan = state.scan_key, state.scan

        def then(answer: Segmentation) -> None:
            ref = self._shelf.show(answer.labels, key)
            self.reviewing.made(ref.key, wish.model)
            self._keeping.take(ref.key, scan, "made")
            self.settle(said=answer.said)
            self._take_as_prediction(ref)

        self.start("segment", scan.name, self._engine.segment(scan, wish), then)

    def compare(self) -> None:
        """Score the prediction against the reference."""
        self.reviewing.compare()

    def save_report(self, path: Path) -> None:
        """Write the scores on show as CSV."""
        if self._state.report is None:
            return
        try:
            self._state.report.to_csv(path)
        except InputError as error:
            self.say(fault=str(error))
        else:
            self.say(said=f"Saved the scores to {path}.")

    def cancel(self) -> None:
        """Stop the job under way after its present step."""
        if self._job is not None and self._state.running is not None:
            self._job.cancel()
            self._become(
                replace(
                    self._state, running=replace(self._state.running, stopping=True)
                )
            )

    # ── answers ────────────────────────────────────────────────────────────────

    def start(
        self,
        kind: JobKind,
        what: str,
        steps: Generator[Progress, None, Any],
        then: Callable[[Any], None],
    ) -> None:
        job = self._job = Job(steps)
        now = self._clock()
        self._become(
            replace(
                self._state,
                running=Running(kind=kind, what=what, started=now, now=now),
                said="",
                fault="",
            )
        )

        def take(answer: Any) -> None:
            try:
                then(answer)
            except Exception as error:
                if not isinstance(error, (InputError, OSError)):
                    log.exception("an answer could not be shown")
                self._failed(error)

        connect: dict[str, Any] = {"thread": self._thread}
        job.progressed.connect(self._progressed, **connect)
        job.finished.connect(take, **connect)
        job.cancelled.connect(lambda: self.settle(said="Stopped."), **connect)
        job.failed.connect(self._failed, **connect)
        self._submit(job)

    def _progressed(self, progress: Progress) -> None:
        self.improving.hear(progress)
        self.scoring.hear(progress)
        running = self._state.running
        if running is None or running.stopping:
            return
        self._become(
            replace(
                self._state,
                running=replace(
                    running,
                    now=self._clock(),
                    done=progress.done,
                    total=progress.total,
                    note=progress.note,
                ),
            )
        )

    def _failed(self, error: Exception) -> None:
        self.settle(fault=in_one_line(error))

    def settle(self, *, said: str = "", fault: str = "") -> None:
        """The job is over."""
        self._job = None
        self._become(replace(self._state, running=None, said=said, fault=fault))

    def _work_changed(self, work: Work) -> None:
        other = work.layer != self._state.work.layer
        self._become(replace(self._state, work=work))
        if other:
            self.clicking.labels_changed()

    def _clicks_changed(self, clicks: Clicks) -> None:
        self._become(replace(self._state, clicks=clicks))

    def keep_marks(self, key: str, marks: Marks) -> None:
        self._keeping.mark(key, marks)

    def put(self, **parts: Any) -> None:
        """Parts of the state that the verbs beside this class look after."""
        self._become(replace(self._state, **parts))

    def say(self, *, said: str = "", fault: str = "") -> None:
        """Tell the user what was done, or what went wrong."""
        self._become(replace(self._state, said=said, fault=fault))

    def correct(self, key: str) -> None:
        """Keep the changes of a Labels layer from now on."""
        self.correcting.choose(key)

    def _take_as_prediction(self, ref: LayerRef) -> None:
        """Offer the new labels for comparison."""
        reference = self._state.reference
        if reference == ref.key:
            others = [one.key for one in self._state.labels if one.key != ref.key]
            reference = others[0] if others else ""
        self.choose_pair(ref.key, reference)

    def _become(self, new: State) -> None:
        old, self._state = self._state, new
        if new != old:
            self.changed.emit(old, new)


def _with_model(state: State, name: str) -> State:
    """Another model, run as its card says until the user says otherwise."""
    mirror = any(one.mirror for one in state.offers if one.name == name)
    return replace(state, model=name, mirror=mirror)
