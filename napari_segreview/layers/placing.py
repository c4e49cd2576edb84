"""Between the patient's space and napari's.

napari 0.9 cannot slice a layer whose affine swaps axes, and stops there; one that is
tilted is drawn askew. So a scan is shown in its own axes, at its own spacing, each axis
running to the patient's left, back and feet, as radiologists hang pictures. Scans whose
axes are parallel (the series of one examination) still lie where they belong to each
other. The true affine travels with the layer and is what files and models get.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segreview.core.geometry import Grid, Unit

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Layer

    from napari_segreview.core.geometry import Affine

KEY = "segreview"  # in a layer's metadata
DRAWING = "segreview-drawing"  # there too: what is only shown, no labels of anyone's
HANG = "LPI"  # where x, y, z run to on the screen: left, down, down
AXES = ("slice", "row", "column")  # what the sliders are called


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What a layer keeps of the scan it came from.

    `shown` is the transform the layer was given; if the user moves the layer by hand it
    is no longer where the grid says, but as far from there as it was moved.
    """

    grid: Grid
    has_time: bool
    shown: Affine
    modality: str = ""
    subject: str = ""
    frame_ms: float | None = None
    warnings: tuple[str, ...] = ()
    source: Path | None = None


def placement(grid: Grid, has_time: bool, frame_ms: float | None) -> dict[str, Any]:
    """`scale`, `translate`, `affine`, `units`, `axis_labels` of a layer, in array order."""
    letters = grid.orientation
    columns = grid.affine[:-1, :-1] / np.linalg.norm(grid.affine[:-1, :-1], axis=0)
    signs = np.array(
        [1.0 if one in HANG else -1.0 for one in letters] or [1.0] * grid.ndim
    )
    along = columns.T @ grid.affine[:-1, -1]  # the first voxel, along each of its axes
    lead_scale = [frame_ms or 1.0] if has_time else []
    lead_unit = ["ms" if frame_ms else "pixel"] if has_time else []
    flips = [*([1.0] if has_time else []), *signs[::-1]]
    return {
        "scale": (*lead_scale, *grid.spacing),
        "translate": (*(0.0 for _ in lead_scale), *along[::-1]),
        "affine": np.diag([*flips, 1.0]),
        "units": (*lead_unit, *(["mm" if grid.unit == "mm" else "pixel"] * grid.ndim)),
        "axis_labels": (*(["time"] if has_time else []), *AXES[-grid.ndim :]),
    }


def is_drawing(layer: Layer) -> bool:
    """Whether a layer only shows what is being clicked."""
    return DRAWING in layer.metadata


def transform_of(layer: Layer) -> Affine:
    """The layer's whole map from data to world, (n+1, n+1), by asking it for points."""
    n = layer.ndim
    zero = np.asarray(layer.data_to_world([0.0] * n))
    matrix = np.eye(n + 1)
    matrix[:n, n] = zero
    for axis in range(n):
        unit = [float(axis == other) for other in range(n)]
        matrix[:n, axis] = np.asarray(layer.data_to_world(unit)) - zero
    return matrix


def grid_from_transform(layer: Layer, shape: tuple[int, ...]) -> Grid:
    """The grid of a layer that another reader opened: napari's world is the patient."""
    n = len(shape)
    lead = layer.ndim - n
    matrix = transform_of(layer)[lead:, lead:]
    flip = [*range(n)[::-1], n]
    factor, unit = _in_mm(layer, lead)
    affine = matrix[np.ix_(flip, flip)]
    affine[:-1] *= factor
    return Grid(shape, affine, unit)


def grid_beside(layer: Layer, shape: tuple[int, ...], origin: Origin) -> Grid:
    """The grid of a layer by a scan that is shown in the same window.

    Holds for a scan that was moved or cut since, and for labels made over another one.
    """
    n = len(shape)
    shown = origin.shown[-n - 1 :, -n - 1 :]
    now = transform_of(layer)[-n - 1 :, -n - 1 :]
    affine = origin.grid.array_affine @ np.linalg.solve(shown, now)
    flip = [*range(n)[::-1], n]
    return Grid(shape, affine[np.ix_(flip, flip)], origin.grid.unit)


def _in_mm(layer: Layer, lead: int) -> tuple[float, Unit]:
    """(factor to mm, "mm") or (1, "px") where the layer gives no length."""
    quantity = layer.units[lead]
    if quantity.is_compatible_with("mm"):
        return float((1 * quantity).to("mm").magnitude), "mm"
    return 1.0, "px"
