"""Edits of a label array that know their way back, and the history of them.

An edit holds what it changed and nothing else: boxes of at most `TILE` along an axis,
each as tight as its changed voxels allow. So a stroke costs what the stroke covers,
whatever the size of the volume.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Labels = npt.NDArray[np.integer]
Box = tuple[slice, ...]
Tool = Literal[
    "brush", "fill", "eraser", "polygon", "click", "model", "propagate", "program"
]


class Readable(Protocol):
    """Labels that can be read box by box."""

    def __getitem__(self, box: Box, /) -> Any: ...


TILE = 64  # voxels along an axis
_SIZE = struct.Struct("<I")


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One box of a label array, before and after; both have the shape of the box."""

    box: Box
    before: Labels = field(repr=False)
    after: Labels = field(repr=False)

    def inverse(self) -> Change:
        return Change(self.box, self.after, self.before)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Edit:
    """One step of the user: what one undo takes back.

    Attributes
    ----------
    changes : tuple of Change
        In boxes that do not overlap; empty if nothing changed.
    tool : str
        What made it, one of `Tool`.
    label : int
        The value that was painted; 0 where it has no one value.
    time : float
        Seconds since 1970.
    """

    changes: tuple[Change, ...]
    tool: str = "program"
    label: int = 0
    time: float = 0.0

    @property
    def box(self) -> Box:
        """The smallest box round all changes; () if there are none."""
        return hull(change.box for change in self.changes)

    def inverse(self) -> Edit:
        """The edit that takes this one back."""
        changes = tuple(change.inverse() for change in self.changes)
        return Edit(changes=changes, tool=self.tool, label=self.label, time=self.time)

    def apply(self, labels: Labels) -> None:
        """Write it into an array, in place.

        Raises
        ------
        InputError
            If a box does not lie inside the array; nothing is written then.
        """
        for change in self.changes:
            if not _inside(change.box, labels.shape):
                raise InputError(
                    f"an edit of the box {in_words(change.box)} does not fit labels of "
                    f"shape {labels.shape}: they belong to another scan"
                )
        for change in self.changes:
            labels[change.box] = change.after

    def to_bytes(self) -> bytes:
        """Compressed: the length of a JSON head, the head, the zipped voxels."""
        parts = [change.before for change in self.changes]
        parts += [change.after for change in self.changes]
        head = {
            "tool": self.tool,
            "label": int(self.label),
            "time": self.time,
            "dtype": parts[0].dtype.str if parts else "|u1",
            "boxes": [
                [[int(side.start), int(side.stop)] for side in change.box]
                for change in self.changes
            ],
        }
        text = json.dumps(head, separators=(",", ":")).encode()
        squeeze = zlib.compressobj(1)
        voxels = [squeeze.compress(np.ascontiguousarray(part).data) for part in parts]
        return b"".join((_SIZE.pack(len(text)), text, *voxels, squeeze.flush()))

    @classmethod
    def from_bytes(cls, packed: bytes) -> Edit:
        """The inverse of `to_bytes`.

        Raises
        ------
        InputError
            If the bytes are no edit.
        """
        try:
            return cls._from_bytes(packed)
        except (ValueError, KeyError, TypeError, struct.error, zlib.error) as error:
            raise InputError(
                f"an edit cannot be read ({error}): the file is damaged"
            ) from None

    @classmethod
    def _from_bytes(cls, packed: bytes) -> Edit:
        (size,) = _SIZE.unpack_from(packed)
        head: dict[str, Any] = json.loads(packed[_SIZE.size : _SIZE.size + size])
        dtype = np.dtype(head["dtype"])
        if dtype.kind not in "iu":
            raise ValueError(f"labels of type {dtype}")
        boxes = [tuple(slice(int(a), int(b)) for a, b in box) for box in head["boxes"]]
        if not all(0 <= side.start < side.stop for box in boxes for side in box):
            raise ValueError("a box without voxels")
        shapes = [tuple(side.stop - side.start for side in box) for box in boxes]
        counts = [math.prod(shape) for shape in shapes]
        total = 2 * sum(counts) * dtype.itemsize
        raw = zlib.decompressobj().decompress(packed[_SIZE.size + size :], total + 1)
        if len(raw) != total:
            raise ValueError(f"{total} bytes of voxels were announced")
        flat = np.frombuffer(raw, dtype)
        pieces = np.split(flat, np.cumsum([*counts, *counts])[:-1]) if boxes else []
        parts = [p.reshape(s) for p, s in zip(pieces, shapes * 2, strict=True)]
        n = len(boxes)
        rows = zip(boxes, parts[:n], parts[n:], strict=True)
        return cls(
            changes=tuple(Change(*row) for row in rows),
            tool=str(head["tool"]),
            label=int(head["label"]),
            time=float(head["time"]),
        )


def edit_between(
    old: Labels,
    new: Readable,
    boxes: Iterable[Box] | None = None,
    *,
    tool: str = "program",
    label: int = 0,
    time: float = 0.0,
) -> Edit:
    """The edit that makes `old` into `new`; neither is kept or written to.

    Parameters
    ----------
    old : integer array
        The edit has its shape and type.
    new : array, or what gives an array for a box
    boxes : iterable of Box, optional
        Where changes may be, overlapping or not; the whole array if not given. Cost is by
        the tiles they touch.
    """
    shape = old.shape
    wanted = [tuple(slice(0, side) for side in shape)] if boxes is None else boxes
    found = []
    for tile in _tiles(wanted, shape):
        before, after = old[tile], np.asarray(new[tile])
        tight = _tight(before != after)
        if tight is not None:
            box = tuple(
                slice(outer.start + inner.start, outer.start + inner.stop)
                for outer, inner in zip(tile, tight, strict=True)
            )
            found.append(
                Change(box, before[tight].copy(), after[tight].astype(old.dtype))
            )
    return Edit(changes=tuple(found), tool=tool, label=label, time=time)


def edit_from_nothing(labels: Labels, time: float = 0.0) -> Edit:
    """The edit that makes background into `labels`: a whole array, stored sparsely."""
    nothing = np.broadcast_to(labels.dtype.type(0), labels.shape)
    return edit_between(nothing, labels, time=time)


class History:
    """What can be undone and redone, without limit.

    Edits are kept packed, as they are in the journal: a model's run over a large volume
    costs its compressed size.
    """

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._undone: list[bytes] = []

    @property
    def packed(self) -> tuple[bytes, ...]:
        """All edits, those undone too, in the order they were made."""
        return (*self._done, *reversed(self._undone))

    @property
    def undone(self) -> int:
        """How many of the last edits are undone."""
        return len(self._undone)

    def do(self, packed: bytes) -> None:
        """A new edit; what was undone before it cannot be redone any more."""
        self._done.append(packed)
        self._undone.clear()

    def undo(self) -> Edit | None:
        """The edit to apply so that the last one is undone; None if there is none."""
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return Edit.from_bytes(self._undone[-1]).inverse()

    def redo(self) -> Edit | None:
        """The edit to apply so that the last undo is undone; None if there is none."""
        if not self._undone:
            return None
        self._done.append(self._undone.pop())
        return Edit.from_bytes(self._done[-1])


def hull(boxes: Iterable[Box]) -> Box:
    """The smallest box round all boxes; () for none."""
    return tuple(
        slice(min(s.start for s in sides), max(s.stop for s in sides))
        for sides in zip(*boxes, strict=True)
    )


def in_words(box: Box) -> str:
    """E.g. "3:5, 0:64"."""
    return ", ".join(f"{side.start}:{side.stop}" for side in box)


def _tiles(boxes: Iterable[Box], shape: tuple[int, ...]) -> Iterator[Box]:
    """The parts of a fixed raster that the boxes touch, each once.

    A tile is as large as the boxes in it need, so a stroke in one slice stays flat.
    """
    touched: dict[tuple[int, ...], list[Box]] = {}
    for box in boxes:
        sides = [
            slice(*side.indices(n)[:2]) for side, n in zip(box, shape, strict=True)
        ]
        spans = [range(s.start // TILE, -(-s.stop // TILE)) for s in sides]
        for place in itertools.product(*spans):
            part = tuple(
                slice(max(s.start, at * TILE), min(s.stop, (at + 1) * TILE))
                for s, at in zip(sides, place, strict=True)
            )
            touched.setdefault(place, []).append(part)
    for place in sorted(touched):
        yield hull(touched[place])


def _tight(changed: npt.NDArray[np.bool_]) -> Box | None:
    """The smallest box round what is true; None if nothing is."""
    sides = []
    for axis in range(changed.ndim):
        others = tuple(other for other in range(changed.ndim) if other != axis)
        line = np.flatnonzero(changed.any(axis=others))
        if not line.size:
            return None
        sides.append(slice(int(line[0]), int(line[-1]) + 1))
    return tuple(sides)


def _inside(box: Box, shape: tuple[int, ...]) -> bool:
    return len(box) == len(shape) and all(
        0 <= side.start < side.stop <= n for side, n in zip(box, shape, strict=True)
    )
