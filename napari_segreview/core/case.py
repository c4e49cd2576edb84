"""Whose labels a journal holds: the facts that are written beside them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_segreview.core.geometry import Grid, Unit
from napari_segreview.core.labels import Coding, Label, LabelMap, LabelTable
from napari_segreview.core.reviews import Mark  # noqa: TC001  pydantic reads it
from src_models.card import Record, parse
from src_models.errors import InputError

if TYPE_CHECKING:
    from napari_segreview.core.edits import Labels
    from napari_segreview.core.scan import Scan

Source = Literal["made", "chosen"]  # by a model here; by the user
READ_PLANES = 64  # of the first axis, at most


class ScanRef(Record):
    """A scan, by where it was and by what it is.

    Attributes
    ----------
    identity : str
        `identity` of its voxels and its grid: stays when the file is moved or renamed.
    path : str
        The file or folder it came from; "" if unknown.
    """

    name: str
    identity: str
    path: str = ""


class LabelRow(Record):
    """A row of the label table."""

    value: int
    name: str
    color: tuple[float, float, float]
    coding: Coding | None = None


class CaseFacts(Record):
    """What is needed to show the labels again where they lay, and what was checked."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    affine: tuple[tuple[float, ...], ...]
    unit: Unit = "mm"
    table: tuple[LabelRow, ...] = ()
    scan: ScanRef | None = None
    origin: Source = "chosen"
    marks: tuple[Mark, ...] = ()

    @classmethod
    def of(
        cls,
        labels: LabelMap,
        scan: ScanRef | None = None,
        origin: Source = "chosen",
    ) -> CaseFacts:
        """The facts of labels that are open."""
        return cls(
            name=labels.name,
            shape=labels.data.shape,
            dtype=labels.data.dtype.str,
            affine=tuple(tuple(map(float, line)) for line in labels.grid.affine),
            unit=labels.grid.unit,
            table=rows_of(labels.table),
            scan=scan,
            origin=origin,
        )

    @classmethod
    def from_bytes(cls, text: bytes, where: str) -> CaseFacts:
        """Read the JSON of `to_bytes`.

        Raises
        ------
        InputError
            Naming `where`, if it is none, or the type is no whole number.
        """
        try:
            facts = parse(cls, json.loads(text), where)
            kind = np.dtype(facts.dtype).kind
        except (ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{where}: {error}") from None
        if kind not in "iu" or 0 in facts.shape:
            raise InputError(f"{where}: no labels of type {facts.dtype}, {facts.shape}")
        return facts

    def to_bytes(self) -> bytes:
        return self.model_dump_json().encode()

    def label_map(self, data: Labels) -> LabelMap:
        """The labels as a map on their grid."""
        affine = np.array(self.affine)
        n = len(affine) - 1
        return LabelMap(
            data=data.view(f"u{data.dtype.itemsize}"),
            grid=Grid(self.shape[len(self.shape) - n :], affine, self.unit),
            table=LabelTable(
                tuple(
                    Label(row.value, row.name, row.color, row.coding)
                    for row in self.table
                )
            ),
            name=self.name,
        )


def rows_of(table: LabelTable) -> tuple[LabelRow, ...]:
    """A label table as it is written."""
    return tuple(
        LabelRow(value=row.value, name=row.name, color=row.color, coding=row.coding)
        for row in table.values()
    )


def scan_ref(scan: Scan) -> ScanRef:
    """What is written of a scan that is open."""
    return ScanRef(
        name=scan.name,
        identity=identity(scan),
        path=str(scan.source.resolve()) if scan.source else "",
    )


def identity(scan: Scan) -> str:
    """A hash of where a scan lies and of its voxels, 32 hex digits.

    Of a long scan `READ_PLANES` planes are read, spread evenly along the first axis.
    """
    data = scan.data
    digest = hashlib.blake2b(digest_size=16)
    facts = [
        [*data.shape],
        data.dtype.str,
        (np.round(scan.grid.affine, 4) + 0.0).tolist(),
    ]
    digest.update(json.dumps(facts).encode())
    step = -(-data.shape[0] // READ_PLANES)
    for plane in range(0, data.shape[0], step):
        digest.update(np.ascontiguousarray(data[plane]).data)
    return digest.hexdigest()


def case_key(name: str, facts: CaseFacts) -> str:
    """The name of a case's folder: tells nothing of the patient, stays the same.

    Parameters
    ----------
    name : str
        Of the labels layer when its correction began.
    """
    of = facts.scan.identity if facts.scan else repr((facts.shape, facts.affine))
    return hashlib.blake2b(f"{of}\n{name}".encode(), digest_size=16).hexdigest()
