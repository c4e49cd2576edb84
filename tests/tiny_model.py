"""Scans, cards and small nets with random weights, made on the spot."""

from __future__ import annotations

from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segreview.core.geometry import LETTERS, Grid
from src_models.card import TrainedCard

if TYPE_CHECKING:
    from pathlib import Path

SCORES = {
    "cases": 3,
    "mean_dice": 0.9,
    "tolerance": 2.0,
    "labels": [
        {
            "name": "blob",
            "dice": 0.9,
            "dice_sd": 0.1,
            "hd95": 1.0,
            "assd": 0.5,
            "nsd": 0.9,
        }
    ],
}
ORIENTATIONS = tuple(  # all 48
    "".join(LETTERS[row][side] for row, side in zip(rows, sides, strict=True))
    for rows in permutations(range(3))
    for sides in product((0, 1), repeat=3)
)


def tiny_card(ndim: int = 3, channels: int = 1, **changes: Any) -> TrainedCard:
    """A valid card of a compact U-Net that finds "blob" (1)."""
    values = {
        "name": "tiny",
        "title": "Tiny",
        "task": "Blobs",
        "wants": "anything",
        "paper": "none",
        "reference": "https://example.org",
        "net": {
            "system": "unet",
            "ndim": ndim,
            "in_channels": channels,
            "classes": 2,
        },
        "labels": [{"value": 1, "name": "blob", "color": [1.0, 0.0, 0.0]}],
        "modalities": [],
        "spacing": None,
        "orientation": "RAS" if ndim == 3 else "",
        "intensity": {"kind": "zscore"},
        "patch": [16] * ndim,
        "mirror_axes": [ndim - 1],
        "data": {
            "name": "made up",
            "licence": "CC0",
            "credit": "nobody",
            "train": ["a", "b"],
            "validation": ["c"],
            "locked": ["d"],
        },
        "validation": SCORES,
        "locked": SCORES,
        "precision": "float32",
        "sha256": "",
        "versions": {},
        "recipe": {},
    }
    return TrainedCard.model_validate(values | changes)


def tiny_frames(ndim: int = 2) -> dict[str, Any]:
    """What `save_tiny` needs for a net that reads three frames of 16 voxels a side."""
    small = {"widths": [3, 4], "hidden": 2, "norm": "instance", "level": 0}
    return {
        "net": {
            "system": "unet-convlstm",
            "ndim": ndim,
            "in_channels": 1,
            "classes": 2,
            "options": small,
        },
        "patch": [3, *[16] * ndim],
        "cyclic": True,
    }


def save_tiny(folder: Path, ndim: int = 3, channels: int = 1, **changes: Any) -> Path:
    """A model's folder with random weights; returns it."""
    import torch

    from src_models.catalog import create_net
    from src_models.weights import save_model

    card = tiny_card(ndim, channels, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = create_net(card.net)
    save_model(net, card, folder)
    return folder


def grid_to(
    letters: str,
    shape: tuple[int, ...],
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0),
    *,
    tilt: float = 0.0,
) -> Grid:
    """A 3D grid whose x, y, z run to `letters`; `tilt` degrees about an odd axis.

    Shape and spacing in array order, (z, y, x).
    """
    turn = np.zeros((3, 3))
    for column, letter in enumerate(letters):
        row = next(row for row, pair in enumerate(LETTERS) if letter in pair)
        turn[row, column] = 2 * LETTERS[row].index(letter) - 1
    affine = np.eye(4)
    affine[:3, :3] = about(np.array([1.0, 2.0, -1.5]), tilt) @ turn * spacing[::-1]
    affine[:3, 3] = (-30.0, 12.5, 400.0)
    return Grid(shape, affine)


def about(axis: np.ndarray, degrees: float) -> np.ndarray:
    """The rotation about an axis (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
