"""Versions of a model: folders that are never overwritten, and a pointer to the active.

``<own models>/versions/<name>/<number>-<hash>/`` holds card, weights and record of one;
``active.json`` beside them names the active one. Without that file, or where it names
what is not there, the model as it was bundled or added is active.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue

from napari_segreview.core.lock import Lock, TakenError
from napari_segreview.core.protocols import VersionRow
from napari_segreview.engine.models import (
    ACTIVE_FILE,
    BASE,
    Pointer,
    active_id,
    base_models,
    home_of,
    read_record,
    version_folders,
)
from src_models.card import CARD_FILE, WEIGHTS_FILE, Record, read_card
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORD_FILE = "version.json"
FILES = (CARD_FILE, WEIGHTS_FILE, RECORD_FILE)
UNFINISHED = ".new-"
SPARE = 2  # times the size of a version
PATIENCE = 10.0  # seconds
LARGEST = 2**31  # bytes of one file in an archive; weights are some megabytes
Standing = Literal["accepted", "rejected", "provisional"]


class Number(Record):
    """One number of the gate: of a structure, or of all ("", Dice: what was gained).

    `active` and `candidate` are means over the locked cases; `low` to `high` is the
    bootstrap interval of their difference.
    """

    structure: str
    metric: str
    active: float
    candidate: float
    low: float
    high: float


class VersionRecord(Record):
    """Where a version comes from and what was found.

    Attributes
    ----------
    parent : str
        SHA-256 of the weights it was trained from.
    cases, earlier : tuple of str
        Ids of the cases (patients, where known) it learnt from, and of those that its
        ancestors did; never pixels, never names.
    standing, reasons, numbers : str, tuple of str, tuple of Number
        The gate's decision, its words and what they rest on.
    tuning : JSON object
        How it was trained.
    """

    schema_version: Literal[1] = 1
    parent: str
    cases: tuple[str, ...]
    earlier: tuple[str, ...] = ()
    standing: Standing
    reasons: tuple[str, ...]
    numbers: tuple[Number, ...] = ()
    tuning: dict[str, JsonValue] = Field(default_factory=dict)
    made: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Version:
    """One version: its id, its folder, its record (None for the base)."""

    id: str
    folder: Path
    record: VersionRecord | None
    active: bool


def versions(name: str) -> tuple[Version, ...]:
    """The base first, then as they were made.

    Raises
    ------
    InputError
        If there is no such model.
    """
    chosen = active_id(name)
    found = [Version(BASE, _base(name), None, chosen == BASE)]
    for folder in version_folders(name):
        record = read_record(VersionRecord, folder / RECORD_FILE)
        if record is not None:
            found.append(Version(folder.name, folder, record, chosen == folder.name))
    return tuple(found)


def listed(name: str) -> tuple[VersionRow, ...]:
    """The versions in words; none if there is no such model."""
    if name not in base_models():
        return ()
    rows = []
    for one in versions(name):
        record = one.record
        rows.append(
            VersionRow(
                id=one.id,
                title="as it came"
                if record is None
                else f"{one.id}, {record.made[:10]}",
                standing=record.standing if record else "accepted",
                reasons=record.reasons if record else (),
                active=one.active,
            )
        )
    return tuple(rows)


def version_folder(name: str, version: str) -> Path:
    """Where one is, whether it may become active or not; raises InputError if nowhere."""
    return _find(name, version).folder


def learnt_from(folder: Path) -> frozenset[str]:
    """Ids of all cases that the version in a folder, or an ancestor, has learnt from."""
    record = read_record(VersionRecord, folder / RECORD_FILE)
    return frozenset((*record.cases, *record.earlier)) if record else frozenset()


def add(name: str, folder: Path, record: VersionRecord) -> str:
    """Keep a candidate as a new version, not active; returns its id.

    Raises
    ------
    InputError
        If the folder is no model, or its weights are not those of its card.
    """
    from src_models.weights import check_weights  # wakes torch

    check_weights(folder, read_card(folder))

    def copy(to: Path) -> None:
        for file in (CARD_FILE, WEIGHTS_FILE):
            shutil.copyfile(folder / file, to / file)

    return put(name, copy, record)


def put(name: str, write: Callable[[Path], object], record: VersionRecord) -> str:
    """Keep what `write` puts into a folder, card and weights, as a new version.

    It is there whole, or not at all; what an earlier one left when its program was
    killed is removed.

    Raises
    ------
    InputError
        If there is no such model, or it is no model that was written.
    OSError
        If it cannot be written.
    """
    _base(name)
    with (
        _writing(name) as home,
        tempfile.TemporaryDirectory(dir=home, prefix=UNFINISHED) as fresh,
    ):
        whole = Path(fresh) / "version"
        whole.mkdir()
        write(whole)
        (whole / RECORD_FILE).write_text(
            record.model_dump_json(indent=2), encoding="utf-8"
        )
        number = 1 + max(
            (int(one.name[:4]) for one in version_folders(name)), default=0
        )
        made = f"{number:04d}-{read_card(whole).sha256[:8]}"
        os.replace(whole, home / made)
    return made


def activate(name: str, version: str) -> None:
    """Make a version, or `BASE`, the active one.

    Raises
    ------
    InputError
        If there is no such version, it was rejected or is provisional, or its weights
        are not those of its card.
    """
    from src_models.weights import check_weights  # wakes torch

    found = _find(name, version)
    if found.record is not None and found.record.standing != "accepted":
        raise InputError(
            f"{name} {version} is {found.record.standing} ("
            f"{'; '.join(found.record.reasons)}) and cannot become the active model"
        )
    check_weights(found.folder, read_card(found.folder))
    with _writing(name) as home:
        fresh = home / (UNFINISHED + ACTIVE_FILE)
        fresh.write_text(Pointer(version=version).model_dump_json(), encoding="utf-8")
        os.replace(fresh, home / ACTIVE_FILE)


def export(name: str, version: str, archive: Path) -> None:
    """Write one version as a zip that `take` reads.

    Raises
    ------
    InputError
        If there is no such version, it is the base, which every copy has, or there is
        no such folder.
    """
    found = _find(name, version)
    if found.record is None:
        raise InputError(f"{name}: the base version need not be exported")
    if not archive.absolute().parent.is_dir():
        raise InputError(f"{archive}: there is no such folder; choose another")
    fresh = archive.with_name(archive.name + ".new")
    try:
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in FILES:
                packed.write(found.folder / file, file)
        os.replace(fresh, archive)
    finally:
        fresh.unlink(missing_ok=True)


def take(name: str, archive: Path) -> str:
    """Keep the version in a zip, not active; returns its id.

    Nothing but the three known files is read, each from the archive's top.

    Raises
    ------
    InputError
        If the archive is damaged, holds anything else, or the weights do not fit.
    """
    try:
        with (
            zipfile.ZipFile(archive) as packed,
            tempfile.TemporaryDirectory() as fresh,
        ):
            held = {one.filename: one.file_size for one in packed.infolist()}
            if set(held) != set(FILES) or max(held.values()) > LARGEST:
                raise InputError(
                    f"{archive}: {', '.join(FILES)} and nothing else are wanted, got "
                    f"{', '.join(sorted(held)) or 'nothing'}"
                )
            for file in FILES:
                with packed.open(file) as source, (Path(fresh) / file).open("wb") as to:
                    shutil.copyfileobj(source, to)
            record = read_record(VersionRecord, Path(fresh) / RECORD_FILE)
            if record is None:
                raise InputError(
                    f"{archive}: {RECORD_FILE} is damaged; export it again"
                )
            return add(name, Path(fresh), record)
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise InputError(f"{archive}: not a whole zip file ({error})") from None


def check_room(name: str, size: int) -> None:
    """Look, before the work, whether a version of that many bytes could be kept.

    Raises
    ------
    InputError
        If the disk is too full.
    OSError
        If the folder cannot be written.
    """
    with _writing(name) as home:
        free = shutil.disk_usage(home).free
    if free < SPARE * size:
        raise InputError(
            f"{home} has room for {free / 2**20:.1f} MB, a version needs "
            f"{SPARE * size / 2**20:.1f} MB; make room and try again"
        )


@contextmanager
def _writing(name: str) -> Iterator[Path]:
    """The home of a model's versions, while nobody else writes there."""
    home = home_of(name)
    home.mkdir(parents=True, exist_ok=True)
    lock = _lock(home)
    try:
        for left in home.glob(f"{UNFINISHED}*"):  # by a program that was killed
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield home
    finally:
        lock.release()


def _lock(home: Path) -> Lock:
    """Waits for another program, which is done in a moment."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return Lock(home)
        except TakenError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _find(name: str, version: str) -> Version:
    known = versions(name)
    for one in known:
        if one.id == version:
            return one
    ids = ", ".join(one.id for one in known)
    raise InputError(f"{name} has no version {version!r}; there are {ids}")


def _base(name: str) -> Path:
    known = base_models()
    if name not in known:
        raise InputError(f"no model {name!r}; there are {', '.join(known)}")
    return known[name]
