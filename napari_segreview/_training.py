"""A recipe's files → the cases that training takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core.orientation import turn_to
from napari_segreview.core.scan import check_finite
from napari_segreview.scans import read_labels, read_one
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.scan import Scan
    from src_models.data.cases import Case
    from src_models.training.config import Recipe


def read_cases(recipe: Recipe, root: Path) -> Iterator[Case]:
    """Each image of the recipe's set below `root`, with its labels, oriented.

    Raises
    ------
    InputError
        If the folder or a label file is missing, grids differ, or labels have values
        that the recipe does not name.
    """
    folder = root / recipe.data.folder
    paths = sorted(folder.glob(recipe.data.images))
    if not paths:
        raise InputError(
            f"no images {recipe.data.images} in {folder}; give the data folder with --data"
        )
    for path in paths:
        yield _read_case(recipe, folder, path)


def _read_case(recipe: Recipe, folder: Path, path: Path) -> Case:
    from src_models.data.cases import Case  # wakes torch

    stem = path.name.partition(".")[0]
    scan = read_one(path)
    check_finite(scan.data, path.name)
    labels_path = folder / recipe.data.labels.format(name=path.name, stem=stem)
    labels = read_labels(labels_path)
    _check_case(recipe, scan, labels, path.name)
    group = re.match(recipe.data.group, path.name)
    if group is None:
        raise InputError(
            f"{path.name}: its name does not match data.group, {recipe.data.group!r}"
        )
    turn = turn_to(scan.grid, recipe.orientation)
    image = np.moveaxis(scan.data, -1, 0) if scan.has_channels else scan.data[None]
    return Case(
        name=stem,
        group=group.group(1),
        image=turn.apply(image),
        labels=np.ascontiguousarray(
            turn.apply(_mapped(labels.data, recipe, path.name))
        ),
        spacing=turn.of(scan.grid.spacing),
    )


def _check_case(recipe: Recipe, scan: Scan, labels: LabelMap, name: str) -> None:
    """Whether the net of the recipe can learn from the pair."""
    apart = scan.grid.difference(labels.grid)
    if apart:
        raise InputError(f"{name} and its labels lie on different grids ({apart})")
    want = recipe.net
    has_time = scan.has_time or labels.has_time
    if has_time or scan.grid.ndim != want.ndim:
        raise InputError(
            f"{name} is {scan.grid.ndim}D{' with frames' if has_time else ''}, the "
            f"recipe's net learns from single {want.ndim}D images"
        )
    if scan.channels != want.in_channels:
        raise InputError(
            f"{name} has {scan.channels} channel(s), the recipe's net reads "
            f"{want.in_channels}"
        )
    if recipe.spacing is not None and scan.grid.unit != "mm":
        raise InputError(
            f"{name} has no voxel size in mm, which the recipe's spacing needs; leave "
            "out spacing to take pixels as they are"
        )


def _mapped(
    data: np.typing.NDArray[np.unsignedinteger], recipe: Recipe, name: str
) -> np.typing.NDArray[np.uint8]:
    """Values of the file → the recipe's labels."""
    mapping = {int(old): new for old, new in recipe.data.values.items()}
    known = {0, *(row.value for row in recipe.labels)}
    out = np.zeros(data.shape, np.uint8)
    for value in np.unique(data):
        label = mapping.get(int(value), int(value))
        if label not in known:
            raise InputError(
                f"{name}: its labels have the value {value}, which the recipe does not "
                f"name; there are {sorted(known)}. Add it to data.values"
            )
        out[data == value] = label
    return out
