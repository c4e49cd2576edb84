"""Keeps one label array: its history in memory, its journal on disk."""

from __future__ import annotations

import errno
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_segreview.core.case import rows_of
from napari_segreview.core.edits import (
    Edit,
    History,
    Labels,
    edit_between,
    edit_from_nothing,
)
from napari_segreview.core.journal import Journal, Replayed, content, replay, stamp, why
from napari_segreview.core.lock import Lock, TakenError
from napari_segreview.core.records import Kind, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from napari_segreview.core.case import CaseFacts
    from napari_segreview.core.edits import Box, Readable
    from napari_segreview.core.labels import LabelTable
    from napari_segreview.core.reviews import Marks

FILE = "journal"
SLACK = 1 << 20  # bytes a journal may hold beyond twice its content


@dataclass(frozen=True, slots=True)
class Place:
    """A case's folder, and the lock that makes this window its only writer."""

    folder: Path
    lock: Lock


@dataclass(frozen=True, slots=True)
class Saving:
    """Whether the work is safe. `time`: when it last was, seconds since 1970."""

    time: float = 0.0
    fault: str = ""

    @property
    def line(self) -> str:
        """For the window: "saved 14:02:31", or what is wrong; "" before all work."""
        if self.fault:
            return f"NOT saved: {self.fault}. The work goes on in memory."
        if not self.time:
            return ""
        return f"saved {datetime.fromtimestamp(self.time):%H:%M:%S}"


class Keeper:
    """The one writer of one label array's journal.

    Its own copy of the labels is what the journal tells, bit for bit; what differs from
    it elsewhere is not saved yet.

    Parameters
    ----------
    replayed : Replayed
        Where the work stands.
    find_place : callable
        Gives the folder to write in; called again after a fault, when there is none.

    Signals
    -------
    saved : float
        All edits are on disk; the time, seconds since 1970.
    fault : str
        They are not, and why. Work goes on; the next edit tries again.
    """

    saved = Signal(float)
    fault = Signal(str)

    def __init__(
        self,
        replayed: Replayed,
        find_place: Callable[[], Place],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._facts, self._base = replayed.facts, replayed.base
        self._labels, self._history = replayed.labels, replayed.history
        self.said = replayed.said
        self._find_place, self._clock = find_place, clock
        self._place: Place | None = None
        self._journal: Journal | None = None
        self._waiting: list[Record] = []
        self._state = Saving()

    # ── begin, resume, close ───────────────────────────────────────────────────

    @classmethod
    def begin(
        cls,
        facts: CaseFacts,
        labels: Labels,
        find_place: Callable[[], Place],
        *,
        clock: Callable[[], float] = time.time,
    ) -> Keeper:
        """Start a journal with the labels as they are.

        Raises
        ------
        TakenError
            If another window corrects them. (A disk that cannot be written raises
            nothing: see `state`.)
        """
        base = edit_from_nothing(labels, clock())
        copy = np.zeros(facts.shape, facts.dtype)  # untouched pages take no memory
        base.apply(copy)
        replayed = Replayed(facts, base.to_bytes(), copy, History())
        return cls.adopt(replayed, find_place, clock=clock)

    @classmethod
    def adopt(
        cls,
        replayed: Replayed,
        find_place: Callable[[], Place],
        *,
        clock: Callable[[], float] = time.time,
    ) -> Keeper:
        """Start a journal of its own for work that was read elsewhere.

        Raises
        ------
        TakenError
            As `begin`.
        """
        keeper = cls(replayed, find_place, clock=clock)
        with suppress(OSError):  # `_write` tries again, and tells
            keeper._place = find_place()
        keeper._write()
        return keeper

    @classmethod
    def resume(
        cls,
        place: Place,
        find_place: Callable[[], Place],
        *,
        clock: Callable[[], float] = time.time,
    ) -> Keeper:
        """Go on where a journal ends; what was wrong with it is in `said`.

        Raises
        ------
        InputError, OSError
            If the journal cannot be read; the lock is released then.
        """
        path = place.folder / FILE
        try:
            replayed = replay(path)
        except Exception:
            place.lock.release()
            raise
        keeper = cls(replayed, find_place, clock=clock)
        try:
            if replayed.ending == "damaged":
                shutil.copy2(path, path.with_name(f"{FILE}.damaged-{stamp()}"))
            keeper._journal = Journal(path, replayed.count, replayed.end)
            keeper._journal.append([])
        except OSError as error:  # readable all the same; another place is sought
            keeper._leave()
            place.lock.release()
            keeper._tell(why(error, place.folder))
        else:
            keeper._place = place
            keeper._tell()
        return keeper

    def close(self) -> None:
        """End the work; a journal without a single edit is removed.

        What is not saved is tried once more.
        """
        if self._state.fault:
            self._write()
        folder = self._place.folder if self._place else None
        self._leave()
        if folder is not None and not self._history.packed:
            shutil.rmtree(folder, ignore_errors=True)

    # ── the work ───────────────────────────────────────────────────────────────

    @property
    def state(self) -> Saving:
        return self._state

    @property
    def facts(self) -> CaseFacts:
        return self._facts

    @property
    def labels(self) -> Labels:
        """The labels as the journal tells them; not to be written to."""
        view = self._labels.view()
        view.setflags(write=False)
        return view

    def content(self) -> list[Record]:
        """All of it, as the records of a journal."""
        return content(self._facts, self._base, self._history)

    def note(
        self,
        labels: Readable,
        boxes: Iterable[Box] | None = None,
        *,
        tool: str = "program",
        label: int = 0,
    ) -> Edit:
        """Save what differs in `labels` (in the boxes, if given) as one edit."""
        edit = edit_between(
            self._labels, labels, boxes, tool=tool, label=label, time=self._clock()
        )
        self.take(edit)
        return edit

    def take(self, edit: Edit) -> None:
        """Save an edit; `saved` or `fault` follows before it returns. Empty: nothing."""
        if not edit.changes:
            return
        edit.apply(self._labels)
        packed = edit.to_bytes()
        self._history.do(packed)
        self._write(Record(Kind.EDIT, packed))

    def undo(self) -> Edit | None:
        """Take the last edit back; returns what to apply elsewhere, None if nothing."""
        return self._step(self._history.undo(), Kind.UNDO)

    def redo(self) -> Edit | None:
        """Do again what was undone last; as `undo`."""
        return self._step(self._history.redo(), Kind.REDO)

    def rename(self, name: str) -> None:
        """The layer has another name now."""
        self._describe(name=name)

    def relabel(self, table: LabelTable) -> None:
        """The labels have other names, colours or codes now."""
        self._describe(table=rows_of(table))

    def mark(self, marks: Marks) -> None:
        """Other parts of the labels are checked by now."""
        self._describe(marks=marks)

    def _describe(self, **facts: object) -> None:
        known = self._facts.model_copy(update=facts)
        if known != self._facts:
            self._facts = known
            self._write(Record(Kind.FACTS, known.to_bytes()))

    def _step(self, edit: Edit | None, kind: Kind) -> Edit | None:
        if edit is not None:
            edit.apply(self._labels)
            self._write(Record(kind))
        return edit

    # ── the disk ───────────────────────────────────────────────────────────────

    def _write(self, *records: Record) -> None:
        """Bring all that waits to the disk, and tell."""
        self._waiting += records
        try:
            self._append()
        except TakenError as error:
            self._tell(str(error))
        except OSError as error:
            folder = self._place.folder if self._place else None
            self._tell(why(error, folder or error.filename))
        else:
            self._waiting.clear()
            self._tell()

    def _append(self) -> None:
        if self._journal is not None:
            try:
                self._journal.append(self._waiting)
            except OSError as error:
                if error.errno != errno.ENOENT:  # the folder was deleted: begin another
                    raise
                self._leave()
            else:
                self._compact(self._journal)
                return
        if self._place is None:
            self._place = self._find_place()
        self._journal = Journal.create(self._place.folder / FILE, self.content())

    def _compact(self, journal: Journal) -> None:
        """Write the file anew once most of it is detours."""
        if journal.end <= SLACK:
            return
        records = self.content()
        if journal.end > 2 * sum(record.size for record in records) + SLACK:
            self._journal = None
            self._journal = journal.renew(records)

    def _leave(self) -> None:
        if self._journal is not None:
            self._journal.close()
        if self._place is not None:
            self._place.lock.release()
        self._journal = self._place = None

    def _tell(self, fault: str = "") -> None:
        if fault:
            self._state = Saving(self._state.time, fault)
            self.fault.emit(fault)
        else:
            self._state = Saving(self._clock())
            self.saved.emit(self._state.time)
