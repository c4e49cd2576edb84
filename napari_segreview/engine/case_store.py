"""Corrected cases, kept for training and for judging. Nothing in them names a patient.

``<own models>/cases/<id>/`` holds image, labels and what was checked (safetensors) beside
the facts (JSON). On which side a patient is, learnt from or locked, is decided once and
never changes: by a hash, but that the first one is learnt from.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from napari_segreview.core.case import LabelRow, identity
from napari_segreview.core.geometry import Grid, Unit
from napari_segreview.core.labels import Label, LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.engine.models import own_folder, read_record
from src_models.card import Record
from src_models.data.splits import side_of
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    import numpy.typing as npt

FACTS_FILE = "case.json"
LOCKED = 0.3  # share of patients
SALT = "corrected"
SHOWN = 2**31  # bytes of earlier cases that are shown again
Side = Literal["train", "locked"]


class CaseFacts(Record):
    """What is known of a kept case.

    Attributes
    ----------
    models : tuple of str
        Those that were improved, or judged, on it: label 1 of one model is not label 1
        of another.
    voxels : str
        The file that goes with it.
    known : int or None
        As of `Corrected`.
    """

    schema_version: Literal[1] = 1
    id: str
    group: str
    models: tuple[str, ...]
    side: Side
    voxels: str
    affine: tuple[tuple[float, ...], ...]
    unit: Unit
    has_time: bool
    has_channels: bool
    modality: str
    table: tuple[LabelRow, ...]
    known: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """A scan, its labels on the same grid, and where these were checked.

    Attributes
    ----------
    id, group : str
        Hashes: of the scan; of the patient or study, where it is known, else of the scan.
    checked : bool array
        Of the labels' shape.
    known : int or None
        Values from here on did not exist when it was checked: what is background there
        may be one of them. None: all that there are existed.
    """

    id: str
    group: str
    scan: Scan
    labels: LabelMap
    checked: npt.NDArray[np.bool_]
    known: int | None = None


def corrected(
    scan: Scan,
    labels: LabelMap,
    checked: npt.NDArray[np.bool_],
    patient: str | None = None,
) -> Corrected:
    """Put the three together.

    Parameters
    ----------
    patient : str, optional
        Any id of patient or study, instead of what the scan says; only its hash is kept.

    Raises
    ------
    InputError
        If they do not lie on one grid.
    """
    apart = scan.grid.difference(labels.grid)
    if apart or scan.has_time != labels.has_time or labels.data.shape != checked.shape:
        raise InputError(
            f"{labels.name} does not lie on the grid of {scan.name} "
            f"({apart or 'frames differ'}); choose the scan that it was drawn on"
        )
    own = identity(scan)
    group = scan.subject or own
    if patient:
        group = hashlib.blake2b(patient.encode(), digest_size=16).hexdigest()
    return Corrected(own, group, scan, labels, checked)


def folder() -> Path:
    """Where kept cases are."""
    return own_folder() / "cases"


def keep(case: Corrected, model: str) -> Side:
    """Keep a case for a model, in place of an earlier state of it; returns its side.

    Raises
    ------
    OSError
        If it cannot be written; an earlier state is not changed then.
    """
    home = folder() / case.id
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    side = decide_side(case.group, model)
    before = read_record(CaseFacts, home / FACTS_FILE)
    names = tuple(sorted({model, *(before.models if before else ())}))
    tensors = {
        "image": _plain(case.scan.data),
        "labels": _plain(case.labels.data),
        "checked": _plain(case.checked),
    }
    digest = hashlib.sha256(tensors["labels"].tobytes() + tensors["checked"].tobytes())
    name = f"voxels-{digest.hexdigest()[:16]}.safetensors"
    fresh = home / (name + ".new")
    try:
        save_file(tensors, fresh)
        os.replace(fresh, home / name)
        fresh.write_text(
            _facts(case, side, names, name).model_dump_json(), encoding="utf-8"
        )
        os.replace(fresh, home / FACTS_FILE)
    except SafetensorError as error:  # its own word for a full disk
        raise OSError(
            f"{home} was not saved: {error}; make room and try again"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)
    for old in home.iterdir():  # the earlier state; what a killed program left
        if old.name not in (name, FACTS_FILE):
            old.unlink()
    return side


def kept(side: Side, model: str) -> tuple[str, ...]:
    """Ids of a model's cases on a side, sorted."""
    found = (one for one in _all() if one.side == side and model in one.models)
    return tuple(sorted(one.id for one in found))


def shown_again(
    model: str, without: Container[str], limit: int = SHOWN
) -> tuple[str, ...]:
    """Ids of a model's cases to learn from, the latest first, that fit into memory.

    Parameters
    ----------
    without : container of str
        Ids that are left out.
    limit : int
        Bytes of all their voxels; the first one is taken whatever it is.
    """
    found: list[str] = []
    paths = [folder() / one / FACTS_FILE for one in kept("train", model)]
    for path in sorted(paths, key=lambda one: -one.stat().st_mtime):
        case = path.parent.name
        if case in without:
            continue
        limit -= sum(one.stat().st_size for one in path.parent.glob("*.safetensors"))
        if limit < 0 and found:
            break
        found.append(case)
    return tuple(found)


def load(case_id: str) -> Corrected:
    """A kept case.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    home = folder() / case_id
    facts = read_record(CaseFacts, home / FACTS_FILE)
    if facts is None:
        raise InputError(f"{home}: the kept case is damaged; delete the folder")
    try:
        tensors = load_file(home / facts.voxels)
        labels, image = tensors["labels"], tensors["image"]
        checked = tensors["checked"]
    except (OSError, SafetensorError, LookupError) as error:
        raise InputError(
            f"{home}: the kept case is damaged ({error}); delete the folder"
        ) from None
    affine = np.array(facts.affine)
    ndim = len(affine) - 1
    grid = Grid(labels.shape[-ndim:], affine, facts.unit)
    rows = (Label(row.value, row.name, row.color) for row in facts.table)
    scan = Scan(
        data=image,
        grid=grid,
        name=facts.id[:8],
        has_time=facts.has_time,
        has_channels=facts.has_channels,
        modality=facts.modality,
    )
    table = LabelTable(tuple(rows))
    held = LabelMap(data=labels, grid=grid, table=table, name=scan.name)
    return Corrected(facts.id, facts.group, scan, held, checked, facts.known)


def decide_side(group: str, model: str) -> Side:
    """The side that a patient was put on; of a new one, the one that it will be.

    One side for all models; a model's first patient, if new, is learnt from.
    """
    known = _all()
    for one in known:
        if one.group == group:
            return one.side
    if not any(one.side == "train" and model in one.models for one in known):
        return "train"
    side = side_of(group, salt=SALT, validation=0, locked=LOCKED)
    return "locked" if side == "locked" else "train"


def _all() -> list[CaseFacts]:
    found = (
        read_record(CaseFacts, path)
        for path in sorted(folder().glob(f"*/{FACTS_FILE}"))
    )
    return [one for one in found if one is not None]


def _facts(
    case: Corrected, side: Side, names: tuple[str, ...], voxels: str
) -> CaseFacts:
    scan = case.scan
    return CaseFacts(
        id=case.id,
        group=case.group,
        models=names,
        side=side,
        voxels=voxels,
        affine=tuple(tuple(map(float, line)) for line in scan.grid.affine),
        unit=scan.grid.unit,
        has_time=scan.has_time,
        has_channels=scan.has_channels,
        modality=scan.modality,
        table=tuple(
            LabelRow(value=row.value, name=row.name, color=row.color)
            for row in case.labels.table.values()
        ),
        known=case.known,
    )


def _plain(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """In one piece and in this machine's byte order, as safetensors takes it."""
    native = array.dtype.newbyteorder("=")
    return np.ascontiguousarray(array, dtype=native)
