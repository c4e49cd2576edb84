"""A scan in, labels out: the model's run as a generator."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segreview.core.labels import Label, LabelMap, LabelTable
from napari_segreview.core.orientation import turn_to
from napari_segreview.core.protocols import Segmentation, Wish
from napari_segreview.core.scan import Scan, check_finite
from napari_segreview.core.state import in_words
from napari_segreview.engine.device import title_of, usable
from napari_segreview.engine.models import models
from napari_segreview.engine.offers import misfit, note
from src_models.card import TrainedCard, find_model, read_card
from src_models.errors import InputError
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from torch import nn

    from src_models.training.config import Recipe


def segment(scan: Scan, wish: Wish) -> Generator[Progress, None, Segmentation]:
    """Run a model on a scan.

    Yields
    ------
    Progress
        After each window.

    Returns
    -------
    Segmentation
        Labels on the scan's own grid, every frame of it.

    Raises
    ------
    InputError
        If the model does not fit, voxels are not finite, weights are damaged, or the
        device cannot be used.
    """
    began = time.monotonic()
    folder = find_model(wish.model, models())
    card = read_card(folder)
    if reason := misfit(card, scan):
        raise InputError(f"{scan.name}: {reason}")
    yield Progress(0, 0, "loading the model")
    # Threads that wait asleep: with another program on the same cores a window took a
    # third of the time (0.15 s against 0.49 s). Read when torch wakes.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from src_models.inference import Options, predict  # wakes torch

    device = usable(wish.device)
    check_finite(scan.data, scan.name)
    net = _loaded(folder, card.sha256)
    images_NCS, spacing = as_images(scan, card)
    mirror = card.mirror if wish.mirror is None else wish.mirror
    options = Options(device=device, overlap=wish.overlap, mirror=mirror)
    raw = yield from predict(net, card, images_NCS, spacing=spacing, options=options)
    labels = LabelMap(
        data=from_images(raw, scan, card),
        grid=scan.grid,
        table=table_of(card),
        name=f"{scan.name} · {card.title}",
    )
    took = in_words(time.monotonic() - began)
    where = title_of(device)
    return Segmentation(
        labels,
        f"{card.title}: done in {took} on {where}, weights {card.sha256[:8]}. "
        f"{_found(labels)}",
        note(card, scan),
    )


@lru_cache(maxsize=2)
def _loaded(folder: Path, sha256: str) -> nn.Module:
    """The net, kept for the next run; a new hash is a new net."""
    from src_models.weights import load_model

    net, card = load_model(folder)
    if card.sha256 != sha256:
        raise InputError(f"{folder}: the model was replaced meanwhile; run it again")
    return net


def as_images(
    scan: Scan, card: TrainedCard | Recipe
) -> tuple[npt.NDArray[Any], tuple[float, ...]]:
    """The scan as (N, C, *S) for the model, and the spacing of its axes of space.

    For a net that reads frames together N are sequences, (N, C, T, *S). Views where it can.
    """
    data = np.asarray(scan.data)
    if scan.has_channels:
        data = np.moveaxis(data[..., : card.net.in_channels], -1, int(scan.has_time))
    else:
        data = np.expand_dims(data, int(scan.has_time))
    if not scan.has_time:
        data = data[None]
    turn = turn_to(scan.grid, card.orientation)
    data = turn.apply(data)
    spacing = turn.of(scan.grid.spacing)
    whole = scan.grid.ndim == card.net.ndim
    if card.net.frames:
        if whole:
            return data.swapaxes(0, 1)[None], spacing
        return data.transpose(2, 1, 0, 3, 4), spacing[1:]  # (Z, C, T, Y, X)
    if whole:
        return data, spacing
    slices = np.moveaxis(data, 2, 1)  # (T, Z, C, Y, X)
    return slices.reshape(-1, *slices.shape[2:]), spacing[1:]


def from_images(
    labels_NS: npt.NDArray[Any], scan: Scan, card: TrainedCard
) -> npt.NDArray[Any]:
    """Back from the model's (N, *S) to the scan's (t?, *S)."""
    if card.net.frames:
        whole = scan.grid.ndim == card.net.ndim
        labels_NS = labels_NS[0] if whole else labels_NS.swapaxes(0, 1)
    turn = turn_to(scan.grid, card.orientation)
    turned = turn.of(tuple(float(side) for side in scan.grid.shape))
    stack = labels_NS.reshape(scan.frames, *(int(side) for side in turned))
    back = np.ascontiguousarray(turn.undo(stack))
    return back if scan.has_time else back[0]


def table_of(card: TrainedCard) -> LabelTable:
    return LabelTable(
        tuple(Label(row.value, row.name, row.color) for row in card.labels)
    )


def _found(labels: LabelMap) -> str:
    """How much of each structure, in ml or px."""
    counts = np.bincount(labels.data.ravel(), minlength=max(labels.table) + 1)
    frames = labels.data.shape[0] if labels.has_time else 1
    size = labels.grid.voxel_volume / frames
    volume = labels.grid.ndim == 3 and labels.grid.unit == "mm"
    parts = []
    for value in labels.table:
        amount = (
            f"{counts[value] * size / 1000:.2f} ml"
            if volume
            else f"{counts[value] / frames:.0f} px"
        )
        parts.append(f"{labels.table.name(value)} {amount}")
    said = ", ".join(parts) + (" (mean over frames)" if frames > 1 else "")
    return said + "."
