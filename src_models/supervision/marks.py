"""Marks that stand for masks: what they must hold, and drawing them from masks.

In labels −1 is "not looked at". Drawn marks are for comparing with whole masks: strokes
along the middle of each structure and round it, or one dot on each object.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.graph import route_through_array

from src_models.data.splits import Split
from src_models.errors import InputError
from src_models.training.taught import check_all, ready

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from src_models.data.cases import Case
    from src_models.supervision.options import Marks
    from src_models.training.config import Recipe

Labels = npt.NDArray[Any]
UNKNOWN = -1
BAND = (2.0, 0.12)  # background strokes: voxels away, up to this share of the side
DEEP = 0.7  # of an object's greatest depth; dots lie at least so deep
STROKE = 3.0  # depth from which on a stroke is three pixels wide


def with_marks(
    recipe: Recipe,
    cases: Split,
    options: Marks,
    how: Callable[..., Any],
    *,
    background: bool = True,
    everywhere: bool = False,
) -> Split:
    """The split with marks on the training side, checked; unmarked cases are left out.

    `background`, `everywhere`: as of `check_marks`.

    Raises
    ------
    InputError
        If cases do not fit the recipe, or nothing can be learnt from the marks.
    """
    train = cases.train
    if options.draw:
        check_all(recipe, cases)
        train = tuple(drawn(case, how, slices=options.slices) for case in train)
    check_marks(train, background=background, everywhere=everywhere)
    marked = Split(marked_only(train), cases.validation, cases.locked)
    check_all(recipe, marked)
    return marked


def check_marks(
    cases: Sequence[Case], *, background: bool = True, everywhere: bool = False
) -> None:
    """Refuse marks that nothing can be learnt from.

    `background`: whether the method needs marks of it. `everywhere`: whether every voxel
    may have one, as outside and inside boxes.

    Raises
    ------
    InputError
        If nothing is marked at all, no structure is, or background is not; or if every
        voxel is.
    """
    values = {int(one) for case in cases for one in np.unique(case.labels)}
    if values <= {UNKNOWN}:
        raise InputError(
            f"nothing is marked in the labels of the {len(cases)} training images: every "
            "voxel is unknown (−1). Paint a few strokes on each image, or look whether "
            "data.values sends the strokes' values to labels"
        )
    if not any(value > 0 for value in values):
        raise InputError(
            f"no structure is marked in the {len(cases)} training images, background "
            "alone is; paint a stroke on each structure too"
        )
    if not everywhere and UNKNOWN not in values:
        raise InputError(
            f"every voxel of the {len(cases)} training images is labelled, so these are no "
            "marks: all that nobody looked at counts as background. Map it to −1, e.g. "
            'data.values = { "0" = -1, "9" = 0 } where 9 is painted on background; to '
            "learn from whole masks, leave out the method"
        )
    if background and 0 not in values:
        raise InputError(
            f"background is marked in none of the {len(cases)} training images; paint it "
            "with a label of its own and map that to 0, e.g. data.values = "
            '{ "0" = -1, "9" = 0 } where 0 was not looked at and 9 is background'
        )


def marked_only(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases of which anything is known."""
    return tuple(case for case in cases if (case.labels != UNKNOWN).any())


def ready_marks(recipe: Recipe, cases: Sequence[Case]) -> list[Case]:
    """The cases as the net sees them, but those whose marks are lost on its grid.

    Raises
    ------
    InputError
        If all are.
    """
    seen = list(marked_only(ready(cases, recipe)))
    if not any((case.labels > 0).any() for case in seen):
        raise InputError(
            f"{recipe.name}: on the grid of the net, {recipe.spacing} mm, no mark of a "
            "structure is left; paint wider ones, or give a finer spacing"
        )
    return seen


def drawn(case: Case, how: Callable[..., Labels], **options: Any) -> Case:
    """The case with drawn marks in place of its labels; each name gives the same ones."""
    seed = hashlib.sha256(case.name.encode()).digest()[:8]
    random = np.random.default_rng(int.from_bytes(seed, "big"))
    return replace(case, labels=how(case.labels, random, **options))


def scribbles(labels_S: Labels, random: np.random.Generator, slices: int) -> Labels:
    """(*S) int16: a stroke in each piece of each structure, in background two.

    One of these runs near the structures, the other further away. Volumes are marked in
    some planes of their first axis.
    """
    return _by_planes(labels_S, random, slices, _scribble_plane)


def points(labels_S: Labels, random: np.random.Generator, slices: int) -> Labels:
    """(*S) int16: one dot, three voxels wide, deep in each piece of each structure.

    `slices` is not read: a click is on an object, not on a plane.
    """
    del slices
    found = np.full(labels_S.shape, UNKNOWN, np.int16)
    for value in np.unique(labels_S[labels_S > 0]):
        for piece in _pieces(labels_S == value):
            depth = ndimage.distance_transform_edt(np.pad(piece, 1))
            depth = depth[(slice(1, -1),) * piece.ndim]
            places = np.argwhere(depth >= DEEP * depth.max())
            dot = np.zeros(piece.shape, bool)
            dot[tuple(places[random.integers(len(places))])] = True
            found[ndimage.binary_dilation(dot) & piece] = value
    return found


def boxes(labels_S: Labels, random: np.random.Generator, slices: int) -> Labels:
    """(*S) int16: the bounding box of each piece of each structure, filled; 0 outside.

    Where boxes overlap the smaller one is on top. Nothing is drawn at random.
    """
    del random, slices
    found = np.zeros(labels_S.shape, np.int16)
    placed = [
        (int(np.prod([side.stop - side.start for side in box])), box, value)
        for value in np.unique(labels_S[labels_S > 0])
        for piece in _pieces(labels_S == value)
        for box in ndimage.find_objects(piece.astype(np.uint8))
    ]
    for _, box, value in sorted(placed, key=lambda one: -one[0]):
        found[box] = value
    return found


def _by_planes(
    labels_S: Labels,
    random: np.random.Generator,
    slices: int,
    draw: Callable[[Labels, Labels, np.random.Generator], None],
) -> Labels:
    found = np.full(labels_S.shape, UNKNOWN, np.int16)
    if labels_S.ndim == 2:
        draw(labels_S, found, random)
        return found
    held = (labels_S > 0).any(axis=tuple(range(1, labels_S.ndim)))
    planes = np.flatnonzero(held)
    if not len(planes):
        planes = np.arange(len(labels_S))
    # Evenly through the structure, as someone who pages through it would stop.
    at = (np.arange(slices) + random.uniform(0.2, 0.8)) / slices * len(planes)
    for plane in np.unique(planes[at.astype(int)]):
        draw(labels_S[plane], found[plane], random)
    return found


def _scribble_plane(
    labels_YX: Labels, into: Labels, random: np.random.Generator
) -> None:
    structure = labels_YX > 0
    for value in np.unique(labels_YX[structure]):
        for piece in _pieces(labels_YX == value):
            into[_stroke(piece, random) & piece] = value
    nothing = labels_YX == 0
    away = np.full(labels_YX.shape, np.inf)
    if structure.any():
        away = ndimage.distance_transform_edt(~structure)
    near, share = BAND
    far = max(2 * near + 2, share * max(labels_YX.shape))
    for part in (nothing & (away >= near) & (away <= far), nothing & (away > far)):
        pieces = _pieces(part)
        if pieces:
            largest = max(pieces, key=np.count_nonzero)
            into[_stroke(largest, random) & largest] = 0


def _pieces(mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.bool_]]:
    parts, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    return [parts == number for number in range(1, count + 1)]


def _stroke(
    piece: npt.NDArray[np.bool_], random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """A line from one end of a piece to another, along its middle."""
    depth = ndimage.distance_transform_edt(np.pad(piece, 1))[1:-1, 1:-1]
    core = np.argwhere(piece & (depth >= 0.5 * depth.max()))
    places = core if len(core) > 1 else np.argwhere(piece)
    start = places[random.integers(len(places))]
    for _ in range(2):
        start, end = _farthest(places, start), start
    cost = np.where(piece, 1 / np.maximum(depth, 0.5) ** 2, -1)
    path, _ = route_through_array(cost, tuple(start), tuple(end), fully_connected=True)
    line = np.zeros(piece.shape, bool)
    line[tuple(np.transpose(path))] = True
    wide: npt.NDArray[np.bool_] = ndimage.binary_dilation(line)
    return wide if depth.max() >= STROKE else line


def _farthest(places: npt.NDArray[Any], start: npt.NDArray[Any]) -> npt.NDArray[Any]:
    away = np.square(places - start).sum(1)
    found: npt.NDArray[Any] = places[int(away.argmax())]
    return found
