"""A recipe's files → the cases that training takes."""

from __future__ import annotations

import re
from dataclasses import replace
from glob import escape
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_segreview.core.orientation import turn_to
from napari_segreview.core.scan import check_finite
from napari_segreview.engine.predict import as_images
from napari_segreview.scans import read_labels, read_one
from src_models.errors import InputError
from src_models.training.config import read_recipe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from napari_segreview.core.labels import LabelMap
    from napari_segreview.core.scan import Scan
    from src_models.data.cases import Case
    from src_models.training.config import Recipe

    _Labels = npt.NDArray[np.uint8] | npt.NDArray[np.int16]


def read_cases(recipe: Recipe, root: Path) -> Iterator[Case]:
    """Each image of the recipe's set below `root`, with its labels, oriented.

    For a net that reads frames together, each sequence: a 2D net's of each slice. Those
    that the recipe calls unlabelled come after, with −1 everywhere.

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
        name = recipe.data.labels.format(name=path.name, stem=_stem(path.name))
        labels = folder / name
        if not labels.exists():
            raise InputError(
                f"{path.name} has no labels: data.labels says {name}, which is not in "
                f"{folder}. Put them there; images without labels go under "
                "data.unlabelled, with methods that learn from such"
            )
        yield from _read_file(recipe, path, labels)
    if recipe.data.unlabelled:
        bare = sorted(set(folder.glob(recipe.data.unlabelled)) - set(paths))
        if not bare:
            raise InputError(
                f"no unlabelled images {recipe.data.unlabelled} in {folder}; put them "
                "there, or leave out data.unlabelled"
            )
        for path in bare:
            yield from _read_file(recipe, path, None)


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
        stem = _stem(path.name)
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


def _stem(name: str) -> str:
    return name.partition(".")[0]


def _read_file(recipe: Recipe, path: Path, labels: Path | None) -> Iterator[Case]:
    """Its case, or cases; without a label file nothing of them is known."""
    scan = read_one(path)
    check_finite(scan.data, path.name)
    held = read_labels(labels) if labels else None
    _check_case(recipe, scan, held, path.name)
    group = re.match(recipe.data.group, path.name)
    if group is None:
        raise InputError(
            f"{path.name}: its name does not match data.group, {recipe.data.group!r}"
        )
    if recipe.net.frames:
        yield from _sequences(recipe, path.name, group.group(1), scan, held)
    else:
        yield _single(recipe, path.name, group.group(1), scan, held)


def _single(
    recipe: Recipe, name: str, group: str, scan: Scan, held: LabelMap | None
) -> Case:
    """The case of an image without frames."""
    from src_models.data.cases import Case  # wakes torch

    turn = turn_to(scan.grid, recipe.orientation)
    image = np.moveaxis(scan.data, -1, 0) if scan.has_channels else scan.data[None]
    if len(image) < recipe.net.in_channels:  # grey, where colour is read too
        image = np.repeat(image, recipe.net.in_channels, axis=0)
    objects = held.data if held and recipe.data.instances else None
    if held is None:
        labels: _Labels = np.full(image.shape[1:], -1, np.int16)
    elif objects is not None:
        labels = (objects > 0).astype(np.uint8)
    else:
        labels = _mapped(held.data, recipe, name)
    return Case(
        name=_stem(name),
        group=group,
        image=turn.apply(image),
        labels=np.ascontiguousarray(turn.apply(labels)),
        spacing=turn.of(scan.grid.spacing),
        instances=None
        if objects is None
        else np.ascontiguousarray(turn.apply(objects.astype(np.int32))),
    )


def _sequences(
    recipe: Recipe, name: str, group: str, scan: Scan, held: LabelMap | None
) -> Iterator[Case]:
    """The case of all frames together; for a 2D net in a volume, of each slice."""
    from src_models.data.cases import Case  # wakes torch

    images, spacing = as_images(scan, recipe)
    labels = np.full(images[:, 0].shape, -1, np.int16)
    if held is not None:
        raw = as_images(replace(scan, data=held.data, has_channels=False), recipe)[0]
        labels = _mapped(raw[:, 0], recipe, name).astype(np.int16)
        if recipe.data.blank_frames == "unknown":
            blank = ~raw[:, 0].any(axis=tuple(range(2, labels.ndim)))
            labels[blank] = -1
    for at, (image, truth) in enumerate(zip(images, labels, strict=True)):
        part = f" slice {at}" if len(images) > 1 else ""
        yield Case(
            name=_stem(name) + part,
            group=group + part if recipe.data.split_slices else group,
            image=np.ascontiguousarray(image),
            labels=truth,
            spacing=spacing,
        )


def _check_case(recipe: Recipe, scan: Scan, labels: LabelMap | None, name: str) -> None:
    """Whether the net of the recipe can learn from the pair, or from the image alone."""
    apart = scan.grid.difference(labels.grid) if labels else ""
    if apart:
        raise InputError(f"{name} and its labels lie on different grids ({apart})")
    want = recipe.net
    has_time = scan.has_time or (labels is not None and labels.has_time)
    shown = scan.data.shape[: scan.data.ndim - scan.has_channels]
    if want.frames and labels is not None and labels.data.shape != shown:
        raise InputError(
            f"{name} has the shape {shown}, its labels {labels.data.shape}; labels of as "
            "many frames are needed"
        )
    fits = scan.grid.ndim >= want.ndim if want.frames else scan.grid.ndim == want.ndim
    if not fits or (has_time and not want.frames):
        raise InputError(
            f"{name} is {scan.grid.ndim}D{' with frames' if has_time else ''}, the "
            f"recipe's net learns from {'' if want.frames else 'single '}{want.ndim}D "
            f"images{' over time' * want.frames}"
        )
    grey_as_colour = not scan.has_channels and want.in_channels == 3 and want.ndim == 2
    if scan.channels != want.in_channels and not grey_as_colour:
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
    data: npt.NDArray[np.unsignedinteger], recipe: Recipe, name: str
) -> _Labels:
    """Values of the file → the recipe's labels; signed where some are unknown."""
    mapping = {int(old): new for old, new in recipe.data.values.items()}
    known = {0, *(row.value for row in recipe.labels)}
    unknown = -1 in mapping.values()
    out = np.zeros(data.shape, np.int16 if unknown else np.uint8)
    for value in np.unique(data):
        label = mapping.get(int(value), int(value))
        if label not in known | {-1}:
            raise InputError(
                f"{name}: its labels have the value {value}, which the recipe does not "
                f"name; there are {sorted(known)}. Add it to data.values, e.g. "
                f'{{ "{value}" = 0 }} if it was painted on background'
            )
        out[data == value] = label
    return out
