"""The window's verbs for names and codes of labels. They say, never raise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from napari_segreview.core.errors import in_one_line
from napari_segreview.core.table import Cell, Table
from src_models.errors import InputError
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_segreview.core.host import Host
    from napari_segreview.core.labels import Label, LabelMap, LabelTable
    from napari_segreview.core.protocols import Shelf
    from napari_segreview.core.scan import Scan


FEW = 5  # labels that a line names


class LabelFiles(Protocol):
    """Tables of other programs, and DICOM-SEG."""

    def read_table(self, path: Path) -> LabelTable:
        """Raises InputError."""
        ...

    def write_seg(
        self, labels: LabelMap, scan: Scan, path: Path, *, deidentified: bool
    ) -> Generator[Progress, None, tuple[str, ...]]:
        """Write on the series the scan came from; returns what was left out.

        Raises InputError.
        """
        ...


class Naming:
    """Choose labels, load their names and codes, write them as DICOM-SEG."""

    def __init__(self, host: Host, shelf: Shelf, files: LabelFiles | None) -> None:
        self._host, self._shelf, self._files = host, shelf, files

    def choose(self, key: str) -> None:
        """Whose names are looked at."""
        self._host.put(named=key)

    def chosen(self) -> str:
        """The labels that were chosen; else those that are corrected; else the last."""
        state = self._host.state
        keys = [ref.key for ref in state.labels]
        wishes = (state.named, state.work.layer, *keys[-1:])
        return next((key for key in wishes if key in keys), "")

    def rows(self) -> tuple[Label, ...]:
        """The labels that have a name."""
        try:
            key = self.chosen()
            return tuple(self._shelf.table(key).values()) if key else ()
        except InputError:  # just closed
            return ()

    def load(self, path: Path) -> None:
        """Give the labels that occur the names, colours and codes of a table."""
        files, key = self._idle()
        if files is None or not key:
            return
        try:
            table, labels = files.read_table(path), self._shelf.label_map(key)
        except (InputError, OSError) as error:
            self._host.say(fault=in_one_line(error))
            return

        def steps() -> Generator[Progress, None, list[int]]:
            yield Progress(0, 1, path.name)
            return [int(value) for value in np.unique(labels.data) if value]

        def then(values: list[int]) -> None:
            known = [table[value] for value in values if value in table]
            for row in known:
                self._shelf.name_label(key, row)
            bare = len(values) - len(known)
            left = f"; {bare} that occur are not in it" if bare else ""
            self._host.settle(said=f"{path.name} named {len(known)} labels{left}.")

        self._host.start("names", labels.name, steps(), then)

    def export(self, path: Path, *, deidentified: bool) -> None:
        """Write the labels as a DICOM-SEG on the series that the scan came from."""
        files, key = self._idle()
        scan = self._host.state.scan
        if files is None or not key:
            return
        try:
            if scan is None:
                raise InputError(
                    "a DICOM-SEG belongs to a series of images: choose the scan that the "
                    "labels were drawn on first"
                )
            labels = self._shelf.label_map(key)
        except InputError as error:
            self._host.say(fault=str(error))
            return

        def then(notes: tuple[str, ...]) -> None:
            more = "".join(f" {note[:1].upper()}{note[1:]}." for note in notes)
            self._host.settle(said=f"Wrote {labels.name} to {path}.{more}")

        steps = files.write_seg(labels, scan, path, deidentified=deidentified)
        self._host.start("export", labels.name, steps, then)

    def _idle(self) -> tuple[LabelFiles | None, str]:
        if self._host.state.running is not None:
            return None, ""
        return self._files, self.chosen()


def label_table(rows: tuple[Label, ...]) -> Table:
    """A row a label, with its code."""
    return Table(
        headers=("Value", "Name", "Code"),
        hovers=(
            "In the voxels",
            "The structure",
            "What it is, for other programs: SNOMED CT as a rule. Without one it cannot "
            "be written as DICOM-SEG; nothing is guessed",
        ),
        rows=tuple(
            (
                Cell(str(row.value), float(row.value)),
                Cell(row.name, row.name),
                _code(row),
            )
            for row in rows
        ),
    )


def uncoded(rows: tuple[Label, ...]) -> str:
    """Which labels have no code, in a line; "" if all have."""
    bare = [row.name for row in rows if row.coding is None]
    if not bare:
        return ""
    more = f" and {len(bare) - FEW} more" if len(bare) > FEW else ""
    return (
        f"Without a code: {', '.join(bare[:FEW])}{more}. A DICOM-SEG needs one for each "
        "label that occurs: load a table that has them."
    )


def _code(row: Label) -> Cell:
    if row.coding is None:
        return Cell("–", "", "No code")
    kind, category = row.coding.type, row.coding.category
    of = f"; {category.meaning}" if category else ""
    text = f"{kind.scheme} {kind.value}"
    return Cell(text, text, f"{kind.meaning}{of}")
