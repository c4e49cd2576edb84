"""A project: one file that takes the work elsewhere.

A zip of ``project.json`` (what it is of, prompts, reviews), and for each label layer its
journal, with all that can be undone, and its labels as they are (``.npy``), which other
programs can read and which the journal must agree with.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import JsonValue  # noqa: TC002  pydantic reads it

from napari_segreview.core.case import CaseFacts  # noqa: TC001  pydantic reads it
from napari_segreview.core.journal import Replayed, replay
from napari_segreview.core.records import frames, header
from src_models.card import Record, parse
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_segreview.core.keeper import Keeper

VERSION = 1
MANIFEST = "project.json"
MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = MappingProxyType(
    {}
)  # version → how its manifest becomes that of the next one

DAMAGED = (  # what zipfile raises at a damaged file
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    EOFError,
    RuntimeError,  # an unknown compression, a password
)


class Project(Record):
    """The manifest.

    Attributes
    ----------
    labels : tuple of CaseFacts
        Each names its scan: where it was, and what it is. Number n has the files
        ``labels/n.journal`` and ``labels/n.npy``.
    prompts : tuple of JSON objects
        The object that was being clicked, with its answers.
    reviews : tuple of JSON objects
        What was checked; a copy, for other programs, of what the journals tell.
    """

    schema_version: int = VERSION
    labels: tuple[CaseFacts, ...] = ()
    prompts: tuple[dict[str, JsonValue], ...] = ()
    reviews: tuple[dict[str, JsonValue], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class OpenedProject:
    """A project that was read: its manifest, and what each journal tells."""

    manifest: Project
    labels: tuple[Replayed, ...]


def save_project(
    path: Path,
    keepers: Sequence[Keeper],
    *,
    prompts: Sequence[dict[str, JsonValue]] = (),
    reviews: Sequence[dict[str, JsonValue]] = (),
) -> None:
    """Write a project; an earlier file stays until the new one is whole.

    Raises
    ------
    OSError
        If it cannot be written; the earlier file is not changed then.
    """
    manifest = Project(
        labels=tuple(keeper.facts for keeper in keepers),
        prompts=tuple(prompts),
        reviews=tuple(reviews),
    )
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as store:
                store.writestr(MANIFEST, manifest.model_dump_json(indent=2))
                for number, keeper in enumerate(keepers):
                    journal, voxels = _names(number)
                    store.writestr(journal, header() + frames(keeper.content(), 0))
                    with store.open(voxels, "w", force_zip64=True) as entry:
                        np.lib.format.write_array(
                            entry, np.asarray(keeper.labels), allow_pickle=False
                        )
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def open_project(path: Path) -> OpenedProject:
    """Read a project and check it: each journal must lead to the labels beside it.

    Raises
    ------
    InputError
        If it is none, is of a newer version, or is damaged.
    OSError
        If it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as store:
            manifest = _manifest(store, path)
            found = [
                _labels(store, number, facts, path)
                for number, facts in enumerate(manifest.labels)
            ]
    except DAMAGED as error:
        raise InputError(
            f"{path} is not a project of SegReview, or is damaged: {error}"
        ) from None
    return OpenedProject(manifest, tuple(found))


def _manifest(store: zipfile.ZipFile, path: Path) -> Project:
    try:
        values = json.loads(store.read(MANIFEST))
        version = int(values["schema_version"])
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: {MANIFEST} cannot be read: {error}") from None
    if version > VERSION:
        raise InputError(
            f"{path} was written by a newer SegReview (project version {version}; this "
            f"one reads up to {VERSION}): update SegReview"
        )
    for old in range(version, VERSION):
        if old not in MIGRATIONS:
            raise InputError(f"{path} has the unknown project version {version}")
        values = MIGRATIONS[old](values)
    return parse(Project, values, f"{path}: {MANIFEST}")


def _labels(
    store: zipfile.ZipFile, number: int, facts: CaseFacts, path: Path
) -> Replayed:
    journal, voxels = _names(number)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "journal"
        copy.write_bytes(store.read(journal))
        try:
            replayed = replay(copy)
        except InputError as error:
            words = str(error).replace(str(copy), f"{path}: {journal}")
            raise InputError(words) from None
    try:
        data = np.lib.format.read_array(
            io.BytesIO(store.read(voxels)), allow_pickle=False
        )
    except ValueError as error:
        raise InputError(f"{path}: {voxels} cannot be read: {error}") from None
    if (
        replayed.said
        or replayed.facts != facts
        or data.dtype != replayed.labels.dtype
        or not np.array_equal(data, replayed.labels)
    ):
        raise InputError(
            f"{path} is damaged: the journal and the labels of {facts.name} differ"
        )
    return replayed


def _names(number: int) -> tuple[str, str]:
    return f"labels/{number}.journal", f"labels/{number}.npy"
