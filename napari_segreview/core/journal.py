"""The journal of one label array: a file that only grows, on disk before one goes on."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core.case import CaseFacts
from napari_segreview.core.edits import Edit, History, Labels
from napari_segreview.core.errors import reason
from napari_segreview.core.records import (
    Ending,
    Kind,
    Record,
    frames,
    header,
    read,
)
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

HERE = {  # errno → what to say of a journal's folder
    errno.ENOENT: "the folder is gone",
    errno.EACCES: "you may not write there",
    errno.EPERM: "you may not write there",
}
SAID: dict[Ending, str] = {
    "whole": "",
    "torn": "The change that was being saved when the program stopped is left out.",
    "damaged": "The journal is damaged: what came after the damage is lost. A copy of the "
    "damaged file is kept beside it.",
}


class Journal:
    """An open journal file. `append` returns once the records are on the disk.

    Signals nothing, knows nothing of labels; see `Keeper`.
    """

    def __init__(self, path: Path, count: int, end: int) -> None:
        self._path = path
        self._count, self.end = count, end
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(path, flags)

    @classmethod
    def create(cls, path: Path, records: Sequence[Record]) -> Journal:
        """Write a file with these records; an earlier one stays until it is whole.

        Raises
        ------
        OSError
            If it cannot be written; nothing is changed then.
        """
        fresh = path.with_name(path.name + ".new")
        content = header() + frames(records, 0)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(fresh, flags, 0o600)
            try:
                _write(file, content)
                os.fsync(file)
            finally:
                os.close(file)
            os.replace(fresh, path)
            sync_folder(path.parent)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        return cls(path, len(records), len(content))

    def append(self, records: Sequence[Record]) -> None:
        """Add records and wait until the disk has them.

        What an earlier attempt left half written is cut off first.

        Raises
        ------
        OSError
            If they could not be written; the earlier records are still good.
        """
        now = os.fstat(self._file)
        if now.st_nlink == 0:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        if now.st_size != self.end:
            os.ftruncate(self._file, self.end)
        content = frames(records, self._count)
        os.lseek(self._file, self.end, os.SEEK_SET)
        _write(self._file, content)
        os.fsync(self._file)
        self.end += len(content)
        self._count += len(records)

    def renew(self, records: Sequence[Record]) -> Journal:
        """The same journal with these records only; the file as it is if that fails."""
        self.close()
        try:
            return Journal.create(self._path, records)
        except OSError as error:
            log.warning("%s is not compacted: %s", self._path, error)
            return Journal(self._path, self._count, self.end)

    def close(self) -> None:
        """Let the file go; closing twice is once."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """What a journal tells.

    Attributes
    ----------
    base : bytes
        The packed edit from nothing to the labels at the start.
    labels : array
        As they were after the last record.
    count, end, ending
        Records, and see `records.Reading`.
    """

    facts: CaseFacts
    base: bytes
    labels: Labels
    history: History
    count: int = 0
    end: int = 0
    ending: Ending = "whole"

    @property
    def said(self) -> str:
        """What was wrong with the file, in words; "" if nothing."""
        return SAID[self.ending]


def replay(path: Path) -> Replayed:
    """Read a journal and do again what it says.

    A torn last record is left out; at a damaged one it stops. Both are said. The file is
    not changed.

    Raises
    ------
    InputError
        If the file is none, is of a newer version, or its start is damaged.
    """
    reading = read(path)
    records = reading.records
    if [record.kind for record in records[:2]] != [Kind.FACTS, Kind.BASE]:
        raise InputError(f"{path}: the start of the journal is damaged")
    facts = CaseFacts.from_bytes(records[0].payload, str(path))
    labels = np.zeros(facts.shape, facts.dtype)
    history = History()
    Edit.from_bytes(records[1].payload).apply(labels)
    for record in records[2:]:
        if record.kind == Kind.FACTS:
            facts = CaseFacts.from_bytes(record.payload, str(path))
        elif record.kind == Kind.EDIT:
            history.do(record.payload)
            Edit.from_bytes(record.payload).apply(labels)
        else:
            step = history.undo() if record.kind == Kind.UNDO else history.redo()
            if step is not None:
                step.apply(labels)
    return Replayed(
        facts,
        records[1].payload,
        labels,
        history,
        len(records),
        reading.end,
        reading.ending,
    )


def summary(path: Path) -> tuple[CaseFacts, int]:
    """Whose labels a journal holds, and how many edits; reads no voxels.

    Raises
    ------
    InputError, OSError
        If it cannot be read.
    """
    records = read(path, only=Kind.FACTS).records
    facts = [record for record in records if record.kind == Kind.FACTS]
    if not facts:
        raise InputError(f"{path}: the start of the journal is damaged")
    edits = sum(record.kind == Kind.EDIT for record in records)
    return CaseFacts.from_bytes(facts[-1].payload, str(path)), edits


def content(facts: CaseFacts, base: bytes, history: History) -> list[Record]:
    """The fewest records that tell the same: no detours by undo and redo."""
    return [
        Record(Kind.FACTS, facts.to_bytes()),
        Record(Kind.BASE, base),
        *(Record(Kind.EDIT, packed) for packed in history.packed),
        *(Record(Kind.UNDO) for _ in range(history.undone)),
    ]


def why(error: OSError, folder: Path | str | None) -> str:
    """Why something could not be written there, and what to do."""
    said = HERE.get(error.errno or 0) or reason(error)
    return f"{said} ({folder})" if folder else said


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut (Windows does so by itself)."""
    if os.name == "nt":
        return
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def stamp() -> str:
    """Now, for a file name."""
    return datetime.now().strftime("%Y%m%d-%H%M%S-%f")


def _write(file: int, content: bytes) -> None:
    """All of it: one call may write less."""
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
