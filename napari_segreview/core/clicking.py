"""The window's verbs for click-to-segment. They raise nothing: they say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from psygnal import Signal

from napari_segreview.core.asking import (
    answer_patch,
    answering,
    plane_mask,
    question_for,
    stacked,
    unanswered,
    warming,
)
from napari_segreview.core.click_labels import choosable, values_on
from napari_segreview.core.clicks import (
    NO_CLICKS,
    Clicks,
    Step,
    amount,
    blank_labels,
    drawn,
    edited_planes,
    patch_of,
    reach,
)
from napari_segreview.core.errors import in_one_line
from napari_segreview.core.host import Host
from napari_segreview.core.jobs import Job
from napari_segreview.core.labels import Label, LabelTable, default_color
from napari_segreview.core.prompts import IN_A_SLICE, Box, Lasso, fitted
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segreview.core.clicks import Kind, Mask, Tool
    from napari_segreview.core.prompts import Plane, Prompt
    from napari_segreview.core.protocols import Engine, Question, Shelf
    from napari_segreview.core.scan import Scan


class ClickHost(Host, Protocol):
    """The session, with what else is needed of it."""

    def correct(self, key: str) -> None: ...


class Clicking:
    """One object at a time: prompts in any slices, then into the labels.

    One answer is under way at most. Prompts that come meanwhile wait; then the newest is
    answered, with all those before it. The answer to a prompt that was undone, or for a
    layer that is gone or has other voxels, is dropped.

    Parameters
    ----------
    submit : callable
        Runs the search for an answer; another one than that of the long jobs.
    """

    changed = Signal(object)  # Clicks

    def __init__(
        self,
        host: ClickHost,
        engine: Engine,
        shelf: Shelf,
        submit: Callable[[Job[Any]], None],
        thread: Any,
    ) -> None:
        self._host, self._engine, self._shelf = host, engine, shelf
        self._submit, self._thread = submit, thread
        self._clicks = NO_CLICKS
        self._scan: Scan | None = None  # that the steps belong to
        self._key = ""  # of its layer
        self._made: Label | None = None  # new, and in no layer yet
        self._tickets = 0
        self._warm = False

    @property
    def clicks(self) -> Clicks:
        return self._clicks

    @property
    def scan(self) -> Scan | None:
        """The scan that is clicked on; None before the first prompt."""
        return self._scan

    # ── the tool ───────────────────────────────────────────────────────────────

    def choose_tool(self, tool: Tool) -> None:
        """Take a tool: from now on the mouse on the image marks."""
        if not self._warm:  # a fault will be told with the first answer
            self._warm = True
            self._submit(Job(warming(self._engine)))
        self._become(tool=tool, on=True, table=self._table())

    def leave(self) -> None:
        """Give the mouse back; what is open stays open."""
        self._become(on=False)

    def choose_sign(self, positive: bool) -> None:
        self._become(positive=positive)

    def flip(self) -> None:
        """From marking what belongs to marking what does not, and back."""
        self._become(positive=not self._clicks.positive)

    def choose_whole(self, wanted: bool) -> None:
        """Whether marks on a 3D scan speak of all of it, or of their slice."""
        self._become(whole=wanted)

    def choose_protect(self, wanted: bool) -> None:
        self._become(protect=wanted)

    # ── what it is ─────────────────────────────────────────────────────────────

    def choose_label(self, value: int) -> None:
        """The label that the object becomes."""
        if value < 1:
            self._host.say(fault=f"A label is a whole number from 1 on, not {value}.")
        else:
            self._become(label=int(value), table=self._table())

    def new_label(self, name: str = "") -> None:
        """The object becomes a label that there is not yet."""
        self._try(lambda: self._new_label(name))

    def _new_label(self, name: str) -> None:
        key, highest = self._host.state.work.layer, 0
        if key:
            highest = int(self._shelf.label_map(key).data.max(initial=0))
        value = 1 + max(highest, self._clicks.label if self._clicks.table else 0)
        value = max([value, *(one + 1 for one in self._clicks.table)])
        row = Label(value, name.strip() or f"label {value}", default_color(value))
        self._made = row
        self._become(label=value, table=self._table())

    def take_up(self, value: int) -> None:
        """An existing label becomes the object: clicks mend it, accepting puts it back."""
        self._try(lambda: self._take_up(value))

    def _take_up(self, value: int) -> None:
        if self._clicks.done:
            raise InputError("Accept or reset the object that is open first.")
        scan, key = self._scan_now(), self._fitting_layer()
        if not key:
            raise InputError("There are no labels on this scan to take up.")
        mask = np.asarray(self._shelf.label_map(key).data == value)
        if not mask.any():
            raise InputError(f"There is nothing of label {value} in these labels.")
        whole = tuple(slice(0, side) for side in mask.shape)
        step = self._new("taken", patch=patch_of(whole, mask, mask), label=value)
        self._scan, self._key = scan, self._host.state.scan_key
        self.choose_label(value)
        self._become(done=(step,), undone=())

    # ── prompts ────────────────────────────────────────────────────────────────

    def prompt(self, prompt: Prompt) -> None:
        """Mark something; the answer comes later."""
        self._try(lambda: self._prompt(prompt))

    def _prompt(self, prompt: Prompt) -> None:
        scan = self._scan_now()
        if self._clicks.whole and scan.grid.ndim == 3:
            if isinstance(prompt, (Box, Lasso)):
                raise InputError(IN_A_SLICE)
            prompt = replace(prompt, plane=replace(prompt.plane, axis=None, index=0))
        kept = fitted(prompt, scan)
        if kept is None:
            raise InputError("Click inside the image.")
        if self._scan is None or scan.data is not self._scan.data:
            self._drop()
            self._scan, self._key = scan, self._host.state.scan_key
        step = self._new("prompt", prompt=kept)
        self._become(done=(*self._clicks.done, step), undone=())
        self._ask()

    def undo(self) -> None:
        """Take the last step back, in whatever slice it was."""
        if self._clicks.done:
            *left, last = self._clicks.done
            self._host.say()  # what was said of it is no longer so
            self._become(done=tuple(left), undone=(*self._clicks.undone, last))
            self._ask()

    def redo(self) -> None:
        """Do again what was undone last."""
        if self._clicks.undone:
            *left, last = self._clicks.undone
            self._become(done=(*self._clicks.done, last), undone=tuple(left))
            self._ask()

    def reset(self) -> None:
        """Take all steps back; they can be redone one by one."""
        undone = (*self._clicks.undone, *reversed(self._clicks.done))
        self._host.say()
        self._become(done=(), undone=undone)

    def _ask(self) -> None:
        """Ask for what is not answered yet, unless an answer is under way."""
        step = unanswered(self._clicks.done)
        if self._clicks.waiting or step is None or self._scan is None:
            return
        question = question_for(self._scan, self._clicks.done, step)
        job: Job[Any] = Job(answering(self._engine, question))
        connect: dict[str, Any] = {"thread": self._thread}
        job.finished.connect(
            lambda mask: self._answered(step, question, mask), **connect
        )
        job.failed.connect(lambda error: self._unable(step, error), **connect)
        job.cancelled.connect(lambda: self._become(waiting=False), **connect)
        self._become(waiting=True)
        self._submit(job)

    def _answered(self, asked: Step, question: Question, mask: Mask) -> None:
        self._become(waiting=False)
        tickets = [step.ticket for step in self._clicks.done]
        if asked.ticket in tickets and self._still_there(question.scan):
            at, done = tickets.index(asked.ticket), self._clicks.done
            patch = answer_patch(question.scan, done[:at], asked, mask)
            new = replace(asked, patch=patch)
            self._become(done=(*done[:at], new, *done[at + 1 :]))
        self._ask()

    def _unable(self, asked: Step, error: Exception) -> None:
        """A prompt that cannot be answered is none; of one that was undone no word."""
        left = tuple(s for s in self._clicks.done if s.ticket != asked.ticket)
        known = left != self._clicks.done
        self._become(waiting=False, done=left)
        if known:
            self._host.say(fault=in_one_line(error))
        self._ask()

    def _still_there(self, scan: Scan) -> bool:
        """Whether the scan is open with the voxels that were looked at; says if not."""
        try:
            if self._scan is not None and self._scan_now().data is scan.data:
                return True
            said = "The layer has other voxels now: its clicks were dropped."
        except InputError as error:
            said = f"The clicks were dropped: {error}"
        self._drop()
        self._host.say(said=said)
        return False

    # ── slices ─────────────────────────────────────────────────────────────────

    def through(self) -> None:
        """Find the structure in the slices between and beyond those clicked."""
        self._try(self._through)

    def _through(self) -> None:
        scan, done = self._scan, self._clicks.done
        planes = edited_planes(done)
        if scan is None or not planes or self._clicks.waiting:
            raise InputError("Click the structure in at least one slice first.")
        if self._host.state.running is not None or not self._still_there(scan):
            return
        masks = {one: plane_mask(scan, done, one) for one in planes}

        def then(found: dict[Plane, Mask]) -> None:
            self._host.settle(said="It was found in no other slice.")
            if self._clicks.done != done:
                self._host.say(said="The clicks changed meanwhile: press it again.")
            elif self._still_there(scan) and found:
                step = self._new("through", patch=stacked(scan, done, found))
                self._become(done=(*done, step), undone=())
                self._host.say(said=f"Found it in {len(found)} more slices.")

        steps = self._engine.through(scan, masks)
        self._host.start("through", scan.name, steps, then)

    # ── into the labels ────────────────────────────────────────────────────────

    def accept(self) -> None:
        """Write the object into the labels that are corrected, as one step."""
        self._try(self._accept)

    def _accept(self) -> None:
        clicks, scan = self._clicks, self._scan
        box = reach(clicks.done)
        if scan is None or clicks.waiting or not box or not self._still_there(scan):
            return
        key = self._fitting_layer() or self._fresh_layer(scan)
        values = self._shelf.voxels(key, box)
        mask = drawn(clicks.done, box)
        wanted = int(mask.sum())
        if clicks.label > np.iinfo(values.dtype).max:
            raise InputError(
                f"These labels hold values up to {np.iinfo(values.dtype).max}, not "
                f"{clicks.label}: choose a lower label, or none under Correct for a new "
                "layer."
            )
        taken = values == clicks.taken if clicks.taken else np.zeros_like(mask)
        if clicks.protect:
            mask &= (values == 0) | (values == clicks.label) | taken
        values[taken & ~mask] = 0
        values[mask] = clicks.label
        self._shelf.write(key, box, values, "click", clicks.label)
        if clicks.label in clicks.table and clicks.label not in self._shelf.table(key):
            self._shelf.name_label(key, clicks.table[clicks.label])
        kept = wanted - int(mask.sum())
        if self._made is not None and self._made.value == clicks.label:
            self._made = None
        self._become(present=tuple(sorted({*clicks.present, clicks.label})))
        self._drop()
        said = (
            f"{amount(wanted - kept, scan.grid)} is {clicks.table.name(clicks.label)}."
        )
        if kept:
            said += f" {amount(kept, scan.grid)} stayed with other labels."
        self._host.say(said=said)

    def _fresh_layer(self, scan: Scan) -> str:
        """A new layer for the labels of the scan, kept from the start."""
        blank = blank_labels(scan, self._clicks)
        ref = self._shelf.show(blank, self._host.state.scan_key)
        self._host.correct(ref.key)
        return ref.key

    def _fitting_layer(self) -> str:
        """The labels that are corrected, if they lie on the scan; "" if not."""
        state = self._host.state
        key = state.work.layer
        return key if key and self._shelf.fits(key, state.scan_key) else ""

    # ── what happens around it ─────────────────────────────────────────────────

    def adopt(self, steps: tuple[Step, ...], label: int) -> None:
        """Go on with the steps of a project, on the chosen scan."""
        self._scan, self._key = self._scan_now(), self._host.state.scan_key
        self.choose_label(label)
        fresh = [replace(step, ticket=self._new(step.kind).ticket) for step in steps]
        self._become(done=tuple(fresh), undone=())

    def scan_changed(self) -> None:
        """Another scan was chosen, or the one that was clicked is closed."""
        if self._scan is not None and self._host.state.scan_key != self._key:
            had = bool(self._clicks.done)
            self._drop()
            if had:
                self._host.say(said="Another scan: the open clicks were dropped.")

    def labels_changed(self) -> None:
        """Other labels are corrected."""
        found = values_on(self._shelf, self._host.state.work.layer)
        self._become(table=self._table(), present=found)

    def _scan_now(self) -> Scan:
        """The chosen scan as it is by now."""
        key = self._host.state.scan_key
        if not key:
            raise InputError("Open a scan first.")
        return self._shelf.scan(key)

    def _table(self) -> LabelTable:
        return choosable(self._shelf, self._host.state.work.layer, self._made)

    def _new(self, kind: Kind, **facts: Any) -> Step:
        self._tickets += 1
        return Step(kind, self._tickets, **facts)

    def _drop(self) -> None:
        self._scan = None
        self._become(done=(), undone=())

    def _try(self, verb: Callable[[], None]) -> None:
        try:
            verb()
        except InputError as error:
            self._host.say(fault=str(error))

    def _become(self, **changes: Any) -> None:
        clicks = replace(self._clicks, **changes)
        if clicks != self._clicks:
            self._clicks = clicks
            self.changed.emit(clicks)
