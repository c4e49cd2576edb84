"""What is unusual about where a scan lies, in words a clinician understands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_segreview.core.orientation import turn_between

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segreview.core.geometry import Grid

NO_ORIENTATION = (
    "the header gives no position and no orientation: left and right are not known"
)
SHEARED = 1e-3  # cosine of the angle between two axes from which they are not at 90°


def notes(grid: Grid) -> tuple[str, ...]:
    """What to tell of a 3D grid; () for an upright one in mm, and for any 2D one."""
    if grid.ndim != 3:
        return ()
    if grid.unit != "mm":
        return ("the file gives no voxel size: lengths and volumes are in voxels",)
    return tuple(words for check in CHECKS for words in [check(grid)] if words)


def mismatch(labels: Grid, image: Grid) -> str:
    """Why labels do not lie on an image voxel for voxel, in words; "" if they do."""
    apart = labels.difference(image)
    if not apart:
        return ""
    if turn_between(labels, image) is not None:
        return (
            "the labels have the image's voxels, stored in another order: they lie "
            "right on the screen, but must be turned to be compared"
        )
    return (
        f"the labels lie on another grid than the image ({apart}): their edges will "
        "not follow its voxels, and they cannot be scored on it"
    )


def _oblique(grid: Grid) -> str:
    if not grid.is_oblique:
        return ""
    axes = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    angle = float(np.degrees(np.arccos(np.abs(axes).max(axis=0).min())))
    return f"oblique: its slices are tilted by {angle:.0f}° against the body's axes"


def _flipped(grid: Grid) -> str:
    if np.linalg.det(grid.affine[:3, :3]) > 0:
        return ""
    return (
        "flipped: the file stores it as a mirror image and says so in its header; a "
        "program that ignores the header swaps two sides"
    )


def _sheared(grid: Grid) -> str:
    axes = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    largest = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if largest < SHEARED:
        return ""
    angle = np.degrees(np.arcsin(min(largest, 1.0)))
    return (
        f"sheared: each slice is shifted against the one below, by an angle of "
        f"{angle:.1f}° (gantry tilt)"
    )


CHECKS: tuple[Callable[[Grid], str], ...] = (_oblique, _flipped, _sheared)
