"""MONAI as an independent oracle, on random labels and on labels of real scans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_hausdorff_distance,
    compute_iou,
    compute_surface_dice,
)
from monai.metrics.meandice import compute_dice
from scipy import ndimage

from src_models.metrics import LabelScore, hausdorff, score_all, surface_distances

if TYPE_CHECKING:
    from pathlib import Path

Labels = npt.NDArray[np.integer[Any]]
TOLERANCE = 1.25

# MONAI hands itself an argument that it has deprecated.
pytestmark = pytest.mark.filterwarnings(
    "ignore:monai.metrics.utils get_mask_edges:FutureWarning"
)


def by_monai(
    prediction: Labels, reference: Labels, value: int, spacing: tuple[float, ...]
) -> dict[str, float]:
    a, b = (
        torch.from_numpy(np.ascontiguousarray(x == value))[None, None]
        for x in (prediction, reference)
    )
    options: dict[str, Any] = {"include_background": True, "spacing": spacing}
    found = {
        "dice": compute_dice(a, b, include_background=True),
        "iou": compute_iou(a, b, include_background=True),
        "hausdorff": compute_hausdorff_distance(a, b, **options),
        "hd95": compute_hausdorff_distance(a, b, percentile=95, **options),
        "assd": compute_average_surface_distance(a, b, symmetric=True, **options),
        "nsd": compute_surface_dice(a, b, [TOLERANCE], **options),
    }
    return {key: float(score) for key, score in found.items()}


def same(prediction: Labels, reference: Labels, spacing: tuple[float, ...]) -> int:
    """Compare all labels present in both; returns how many those were."""
    report = score_all(prediction, reference, spacing=spacing, tolerance=TOLERANCE)
    rows = [row for row in report.rows if row.case == "both present"]
    for row in rows:
        expected = by_monai(prediction, reference, row.value, spacing)
        assert own(row, prediction, reference, spacing) == pytest.approx(
            expected, abs=1e-3, rel=1e-5
        )
        assert row.nsd == pytest.approx(expected["nsd"], abs=1e-6)
    return len(rows)


def own(
    row: LabelScore, a: Labels, b: Labels, spacing: tuple[float, ...]
) -> dict[str, float]:
    d = surface_distances(a == row.value, b == row.value, spacing)
    keys = ("dice", "iou", "hd95", "assd", "nsd")
    return {key: getattr(row, key) for key in keys} | {"hausdorff": hausdorff(d)}


def disturbed(reference: Labels, random: np.random.Generator) -> Labels:
    """Moved by a voxel, eaten at by noise, with an island of each label far away."""
    moved = np.roll(reference, random.integers(-1, 2, reference.ndim), range(-3, 0))
    moved[random.random(moved.shape) < 0.05] = 0
    for value in np.unique(reference[reference > 0]):
        at = tuple(random.integers(0, side) for side in moved.shape)
        moved[at] = value
    return moved


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((40, 50), (1.0, 1.0)),
        ((33, 20), (0.31, 2.7)),
        ((12, 20, 16), (1.0, 1.0, 1.0)),
        ((7, 24, 30), (7.5, 0.5, 0.5)),
        ((1, 24, 30), (5.0, 0.8, 0.8)),
    ],
)
@pytest.mark.parametrize("smooth", [0, 2])
def test_random_labels(
    shape: tuple[int, ...], spacing: tuple[float, ...], smooth: float
) -> None:
    random = np.random.default_rng(len(shape) + shape[0])
    fields = ndimage.gaussian_filter(
        random.random((2, 4, *shape)), (0, 0, *[smooth] * len(shape))
    )
    prediction, reference = fields.argmax(axis=1)
    assert same(prediction, reference, spacing) == 3


def read(path: Path) -> tuple[Labels, tuple[float, ...]]:
    """Labels (z, y, x) and their spacing."""
    image: Any = nib.load(path)
    spacing = tuple(float(step) for step in image.header.get_zooms()[::-1])
    return np.asarray(image.dataobj).T.astype(np.uint8), spacing


@pytest.mark.parametrize("case", range(5))
def test_hippocampus(data_dir: Path, case: int) -> None:
    path = sorted((data_dir / "mri_hippocampus" / "labels").glob("*.nii.gz"))[case]
    reference, spacing = read(path)
    assert (
        same(disturbed(reference, np.random.default_rng(case)), reference, spacing) == 2
    )


@pytest.mark.parametrize("name", ["t2s_crop", "mt1", "t1w"])
def test_spinal_cord_in_thick_slices(data_dir: Path, name: str) -> None:
    path = data_dir / "spinalcord_gm_sct" / "labels" / f"{name}.nii.gz"
    reference, spacing = read(path)
    count = np.unique(reference[reference > 0]).size
    assert (
        same(disturbed(reference, np.random.default_rng(1)), reference, spacing)
        == count
    )
    if name == "t2s_crop":
        assert spacing == pytest.approx((7.5, 0.5, 0.5))
