"""Two label maps in, their objects out, one by one. Wakes no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segreview.core.objects import (
    Kind,
    ObjectReport,
    ObjectWish,
    Thing,
    in_order,
)
from napari_segreview.engine.pairing import Pairing, paired_up
from src_models.metrics import detect, objects
from src_models.metrics.boxes import Box, label_boxes, union
from src_models.metrics.columns import VOLUME_UNITS
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from napari_segreview.core.labels import LabelMap
    from src_models.metrics import Detection

Numbers = npt.NDArray[np.integer[Any]]
Spots = dict[int, tuple[float, tuple[int, ...]]]  # object → voxels, one near the middle


def find_objects(
    prediction: LabelMap,
    reference: LabelMap,
    wish: ObjectWish,
    *,
    resample: bool = False,
) -> Generator[Progress, None, ObjectReport]:
    """Match the objects of each structure; of a sequence, those of each frame.

    Raises
    ------
    InputError
        As `evaluate.compare`; or if the threshold is outside [0, 1).
    """
    pair = yield from paired_up(prediction, reference, resample=resample)
    mine, theirs = pair.prediction.data, pair.reference.data
    grid, has_time = pair.reference.grid, pair.reference.has_time
    unit, per_unit = VOLUME_UNITS[grid.unit, grid.ndim]
    voxel = (grid.voxel_volume if grid.unit == "mm" else 1.0) / per_unit
    found: dict[str, Detection] = {}
    things: list[Thing] = []
    structures = list(_structures(pair, wish))
    for at, (name, value, box) in enumerate(structures):
        if name in found:  # two labels of one name
            name = f"{name} ({value})"
        yield Progress(at, len(structures), name)
        ours, others = (
            _numbered(one[box] if value is None else one[box] == value, wish, has_time)
            for one in (mine, theirs)
        )
        found[name] = detect(ours, others, rule=wish.rule, threshold=wish.threshold)
        sides = _spots(ours, box), _spots(others, box)
        things += _things(name, found[name], sides, voxel)
    return ObjectReport(
        wish=wish,
        found=found,
        things=tuple(sorted(things, key=in_order)),
        volume_unit=unit,
        has_time=has_time,
        notes=pair.notes,
    )


def _structures(
    pair: Pairing, wish: ObjectWish
) -> Iterator[tuple[str, int | None, Box]]:
    """Name, label and box of each structure; None: all labels, each an object."""
    mine, theirs = pair.prediction.data, pair.reference.data
    if wish.are == "labels":
        yield "all labels", None, tuple(slice(0, side) for side in theirs.shape)
        return
    ours, others = label_boxes(mine), label_boxes(theirs)
    for value in sorted(ours.keys() | others.keys()):
        boxes = [held[value] for held in (ours, others) if value in held]
        yield pair.names.get(value, f"label {value}"), value, union(*boxes)


def _numbered(data: npt.NDArray[Any], wish: ObjectWish, has_time: bool) -> Numbers:
    """A number an object, 0 for the rest; those of other frames are others."""
    last, out = 0, np.zeros(data.shape, np.int64)
    for frame, numbered in zip(
        *(_frames(a, has_time) for a in (data, out)), strict=True
    ):
        own = objects(frame > 0) if wish.are == "parts" else frame
        np.copyto(numbered, own.astype(np.int64) + last, where=own > 0)
        last = max(last, int(numbered.max(initial=0)))
    return out


def _frames(data: npt.NDArray[Any], has_time: bool) -> npt.NDArray[Any]:
    """(t, …), a view."""
    return data if has_time else data[None]


def _spots(numbered: Numbers, box: Box) -> Spots:
    """Each object: how many voxels, and the one nearest to its middle."""
    from scipy import ndimage

    values, places = np.unique(numbered, return_inverse=True)
    if values.size and values[0] == 0:
        values = values[1:]
    else:
        places = places + 1  # 0 is left for what is no object
    places = places.reshape(numbered.shape)
    spots = {}
    for place, (value, own_box) in enumerate(
        zip(values, ndimage.find_objects(places), strict=True), 1
    ):
        own = np.argwhere(places[own_box] == place)
        index = own[np.square(own - own.mean(0)).sum(1).argmin()]
        starts = zip(index, own_box, box, strict=True)
        at = tuple(int(i) + near.start + far.start for i, near, far in starts)
        spots[int(value)] = float(len(own)), at
    return spots


def _things(
    name: str, found: Detection, sides: tuple[Spots, Spots], voxel: float
) -> Iterator[Thing]:
    """What is found once, with both volumes; what is missed or false with its own."""
    mine, theirs = sides

    def thing(kind: Kind, ours: int, others: int, iou: float = 0.0) -> Thing:
        size, place = mine.get(ours, (0.0, ()))
        other_size, other_place = theirs.get(others, (0.0, ()))
        return Thing(
            structure=name,
            kind=kind,
            iou=iou,
            volume_prediction=size * voxel,
            volume_reference=other_size * voxel,
            index=other_place or place,
        )

    for match in found.matches:
        yield thing("found", match.prediction, match.reference, match.iou)
    for value in found.missed:
        yield thing("missed", 0, value)
    for value in found.false:
        yield thing("false", value, 0)
