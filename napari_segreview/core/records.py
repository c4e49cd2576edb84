"""The journal's file format: a header, then checksummed records.

::

    file    magic (8 bytes), schema version (u32)
    record  kind (u8), number (u32), length of the payload (u64), BLAKE2b-128 of the
            payload, CRC-32 of the 29 bytes before; then the payload

Little-endian. Records are numbered from 0 without a gap. The head has a checksum of its
own so that a record that was being written when the machine stopped (its head is sound,
its payload short) can be told from a damaged one.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import BinaryIO

MAGIC = b"SEGREVJ\n"
VERSION = 1
_FILE = struct.Struct("<8sI")
_HEAD = struct.Struct("<BIQ16s")
_CRC = struct.Struct("<I")
HEAD_BYTES = _HEAD.size + _CRC.size

Ending = Literal["whole", "torn", "damaged"]


class Kind(IntEnum):
    """What a record says."""

    FACTS = 1  # JSON: whose labels these are; the last one counts
    BASE = 2  # an edit from nothing: the labels as they were at the start
    EDIT = 3
    UNDO = 4  # no payload
    REDO = 5  # no payload


@dataclass(frozen=True, slots=True)
class Record:
    """One fact of the journal."""

    kind: Kind
    payload: bytes = b""

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return HEAD_BYTES + len(self.payload)


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read of a file.

    Attributes
    ----------
    end : int
        The first byte that was not understood; the file's length if all was.
    ending : {"whole", "torn", "damaged"}
        "torn": the last record was being written when the program was stopped.
        "damaged": bytes were changed; what follows them is not read.
    """

    records: tuple[Record, ...]
    end: int
    ending: Ending


MIGRATIONS: Mapping[int, Callable[[tuple[Record, ...]], tuple[Record, ...]]] = (
    MappingProxyType({})
)  # version → how its records become those of the next one


def header() -> bytes:
    """The first bytes of a file."""
    return _FILE.pack(MAGIC, VERSION)


def frames(records: Iterable[Record], first: int) -> bytes:
    """Records as bytes, numbered from `first`."""
    parts = []
    for number, record in enumerate(records, first):
        digest = _digest(record.payload)
        head = _HEAD.pack(record.kind, number, len(record.payload), digest)
        parts += [head, _CRC.pack(zlib.crc32(head)), record.payload]
    return b"".join(parts)


def read(path: Path, only: Kind | None = None) -> Reading:
    """All records up to the first that is torn or damaged.

    Parameters
    ----------
    only : Kind, optional
        Read the payloads of this kind alone: the others' are empty, and not checked.

    Raises
    ------
    InputError
        If it is no journal, or one of a newer version.
    OSError
        If it cannot be read.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(_FILE.size)
        if len(first) < _FILE.size or not first.startswith(MAGIC):
            raise InputError(
                f"{path} is not a journal of SegReview, or its start is lost"
            )
        version = _version(_FILE.unpack(first)[1], path)
        records: list[Record] = []
        end = _FILE.size
        ending: Ending = "whole"
        while ending == "whole" and end < length:
            record, ending = _next(file, len(records), length - end, only)
            if record is not None:
                records.append(record)
                end = file.tell()
    found = tuple(records)
    for old in range(version, VERSION):
        found = MIGRATIONS[old](found)
    return Reading(found, end, ending)


def _version(found: int, path: Path) -> int:
    if found > VERSION:
        raise InputError(
            f"{path} was written by a newer SegReview (journal version {found}; this one "
            f"reads up to {VERSION}): update SegReview; the file is not changed"
        )
    if found < VERSION and found not in MIGRATIONS:
        raise InputError(f"{path} has the unknown journal version {found}")
    return found


def _next(
    file: BinaryIO, number: int, left: int, only: Kind | None
) -> tuple[Record | None, Ending]:
    """One record from where the file stands, `left` bytes before its end."""
    if left < HEAD_BYTES:
        return None, "torn"
    head = file.read(HEAD_BYTES)
    kind, found, length, digest = _HEAD.unpack_from(head)
    (crc,) = _CRC.unpack_from(head, _HEAD.size)
    if (
        crc != zlib.crc32(head[: _HEAD.size])
        or found != number
        or kind not in set(Kind)
    ):
        return None, "damaged"
    if length > left - HEAD_BYTES:
        return None, "torn"
    if only is not None and kind != only:
        file.seek(length, 1)
        return Record(Kind(kind)), "whole"
    payload = file.read(length)
    if _digest(payload) != digest:
        return None, "damaged"
    return Record(Kind(kind), payload), "whole"


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()
