"""Segments that may overlap → label maps that cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segreview.core.labels import Label, LabelMap, LabelTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_segreview.core.geometry import Grid

Voxels = npt.NDArray[np.intp]
MOST = 2**16 - 1  # the largest value a label map takes over; above, they are renumbered


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One structure on a grid.

    Attributes
    ----------
    label : Label
    parts : sequence of (n,) int array
        Its voxels as flat indices, a part for each plane.
    """

    label: Label
    parts: Sequence[Voxels]


def label_maps(
    segments: Iterable[Segment], grid: Grid, name: str, warnings: tuple[str, ...] = ()
) -> list[LabelMap]:
    """As few label maps as it takes, by the order of the segments.

    Each segment joins the first map it overlaps nothing in. An empty segment stays in
    the table.

    Returns
    -------
    list of LabelMap
        At least one; called "name (1)", "name (2)" where there are several.
    """
    size = int(np.prod(grid.shape))
    groups = [(np.zeros(size, np.uint16), list[Label]())]
    for segment in segments:
        free = (g for g in groups if not any(g[0][p].any() for p in segment.parts))
        group = next(free, None)
        if group is None:
            group = np.zeros(size, np.uint16), list[Label]()
            groups.append(group)
        flat, rows = group
        for part in segment.parts:
            flat[part] = segment.label.value
        rows.append(segment.label)
    maps = [
        LabelMap(
            data=_small(flat).reshape(grid.shape),
            grid=grid,
            table=LabelTable(tuple(rows)),
            name=name,
            warnings=warnings,
        )
        for flat, rows in groups
    ]
    if len(maps) == 1:
        return maps
    return [replace(one, name=f"{name} ({i})") for i, one in enumerate(maps, 1)]


def numbered(labels: Sequence[Label]) -> list[Label]:
    """Labels with their own values if these can stand, else with 1, 2, …."""
    values = [label.value for label in labels]
    if len(set(values)) == len(values) and all(1 <= v <= MOST for v in values):
        return list(labels)
    return [replace(label, value=i) for i, label in enumerate(labels, 1)]


def _small(flat: npt.NDArray[np.uint16]) -> npt.NDArray[np.unsignedinteger]:
    return flat.astype(np.min_scalar_type(int(flat.max(initial=0))), copy=False)
