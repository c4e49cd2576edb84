"""Where a prediction is worst: structures × slices, sorted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_segreview.core.table import Cell, Table

if TYPE_CHECKING:
    import numpy.typing as npt

    from src_models.metrics import SliceScores

Order = Literal["volume", "dice", "distance"]
ORDERS: dict[Order, str] = {
    "volume": "false volume",
    "dice": "lowest Dice",
    "distance": "surface distance",
}
MOST = 200  # rows; nobody visits more


@dataclass(frozen=True, slots=True)
class ErrorSpot:
    """One structure in one slice, and the voxel where it is worst.

    Attributes
    ----------
    row : int
        Of the label in `SliceScores`.
    frame, slice : int
        In the order of the array, from 0.
    dice, false_volume, farthest : float
        As in `SliceScores`.
    index : tuple of int
        The voxel, (t,) (z,) y, x of the label array.
    """

    row: int
    name: str
    frame: int
    slice: int
    dice: float
    false_volume: float
    farthest: float
    index: tuple[int, ...]


def worst(slices: SliceScores, order: Order = "volume") -> tuple[ErrorSpot, ...]:
    """The worst first, at most `MOST`; slices without a wrong voxel are left out."""
    false, dice = slices.false_volume, slices.dice
    keys = {"volume": -false, "dice": dice, "distance": -slices.farthest}
    places = np.argwhere(false > 0)
    at = tuple(places.T)
    # Ties, as between slices that are missed whole, go by the false volume.
    ranks = np.lexsort((-false[at], keys[order][at]))[:MOST]
    return tuple(_spot(slices, false, dice, *places[rank]) for rank in ranks)


def _spot(
    slices: SliceScores,
    false: npt.NDArray[np.float64],
    dice: npt.NDArray[np.float64],
    row: int,
    frame: int,
    slice_: int,
) -> ErrorSpot:
    at = row, frame, slice_
    inside = tuple(int(side) for side in slices.spots[at])
    return ErrorSpot(
        row=int(row),
        name=slices.names[row],
        frame=int(frame),
        slice=int(slice_),
        dice=float(dice[at]),
        false_volume=float(false[at]),
        farthest=float(slices.farthest[at]),
        index=(int(frame), *inside) if slices.has_time else inside,
    )


def table_of_errors(spots: tuple[ErrorSpot, ...], slices: SliceScores) -> Table:
    """A row a spot; keys are its place in `spots`."""
    return Table(
        headers=(
            "Label",
            "Slice",
            "Dice",
            f"False\n{slices.volume_unit}",
            f"Max\n{slices.unit}",
        ),
        hovers=(
            "The structure",
            "In the order of the file, from 0; the slider counts the other way where the "
            "file's slices run from the feet to the head",
            "Of this slice alone. One side empty: 0.",
            "Predicted wrongly plus missed, in this slice",
            "Largest distance of this slice's surface voxels, of either side, to the "
            "other side's surface. One side empty everywhere: the image's diagonal.",
        ),
        rows=tuple(_cells(spot, slices) for spot in spots),
        keys=tuple(str(at) for at in range(len(spots))),
    )


def _cells(spot: ErrorSpot, slices: SliceScores) -> tuple[Cell, ...]:
    count = slices.dice.shape[2]
    place = where(spot, slices)
    return (
        Cell(spot.name, spot.name, f"{spot.name}, {place}" if place else spot.name),
        Cell(
            place.removeprefix("slice ") or "–", float(spot.frame * count + spot.slice)
        ),
        Cell(f"{spot.dice:.3f}", spot.dice),
        Cell(amount(spot.false_volume), spot.false_volume),
        Cell(f"{spot.farthest:.1f}", spot.farthest),
    )


def amount(volume: float) -> str:
    """Three digits, and all those before the point."""
    return f"{volume:.0f}" if volume >= 100 else f"{volume:.3g}"


def where(spot: ErrorSpot, slices: SliceScores) -> str:
    """E.g. "slice 12", "frame 3 · slice 12"; "" for a single image."""
    parts = []
    if slices.has_time:
        parts.append(f"frame {spot.frame}")
    if slices.axis is not None:
        parts.append(f"slice {spot.slice}")
    return " · ".join(parts)


def strip(slices: SliceScores, row: int | None = None) -> tuple[float | None, ...]:
    """Dice of each slice in turn, frame after frame; None where nothing is drawn.

    Of one label, or of all pooled: 2 TP / (predicted + referenced).
    """
    rows = slice(None) if row is None else slice(row, row + 1)
    agreed = 2 * slices.tp[rows].sum(0).ravel()
    whole = (slices.predicted + slices.referenced)[rows].sum(0).ravel()
    return tuple(
        float(a / w) if w else None for a, w in zip(agreed, whole, strict=True)
    )
