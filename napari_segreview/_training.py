"""A recipe's files → the cases that training takes."""

from __future__ import annotations

import re
from glob import escape
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_segreview.core.orientation import turn_to
from napari_segreview.core.scan import check_finite
from napari_segreview.scans import read_labels, read_one
from src_models.errors import InputError
from src_models.training.config import read_recipe

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


def read_source(
    source: Path, root: Path
) -> tuple[Iterator[Case], Literal["mm", "px"], str]:
    """Cases of a recipe or of a folder, one by one; their unit; the system to train.

    Raises
    ------
    InputError
        As `read_cases` and `read_folder`; or cases of a folder have different units.
    """
    if not source.is_dir():
        recipe = read_recipe(source)
        unit: Literal["mm", "px"] = "px" if recipe.spacing is None else "mm"
        return read_cases(recipe, root), unit, recipe.net.system
    folder = read_folder(source)
    first, unit = next(folder)

    def rest() -> Iterator[Case]:
        yield first
        for case, other in folder:
            if other != unit:
                raise InputError(
                    f"{case.name} is measured in {other}, {first.name} in {unit}; one "
                    "set, one kind"
                )
            yield case

    return rest(), unit, "unet"


def read_folder(folder: Path) -> Iterator[tuple[Case, Literal["mm", "px"]]]:
    """Each image of ``images`` with the labels of its name in ``labels``, and its unit.

    Raises
    ------
    InputError
        If there is no image, or one without labels, of several frames or on another grid.
    """
    from src_models.data.cases import Case  # wakes torch

    paths = sorted(path for path in folder.glob("images/*") if path.is_file())
    if not paths:
        raise InputError(
            f"no images in {folder / 'images'}; give a recipe, or a folder with the "
            "folders images and labels"
        )
    for path in paths:
        stem = path.name.partition(".")[0]
        same = sorted((folder / "labels").glob(f"{escape(stem)}.*"))
        if not same:
            raise InputError(f"{path.name} has no labels in {folder / 'labels'}")
        scan, labels = read_one(path), read_labels(same[0])
        apart = scan.grid.difference(labels.grid)
        if apart or scan.has_time or labels.has_time:
            raise InputError(
                f"{path.name}: an image and its labels on one grid, without frames, are "
                f"needed ({apart or 'it has frames'})"
            )
        image = np.moveaxis(scan.data, -1, 0) if scan.has_channels else scan.data[None]
        yield Case(stem, stem, image, labels.data, scan.grid.spacing), scan.grid.unit


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
