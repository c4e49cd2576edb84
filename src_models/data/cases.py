"""Cases as training sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from src_models.inference.intensity import normalise
from src_models.inference.resample import resample_image, resample_labels, target_shape

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from src_models.card import Intensity


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One image with its labels.

    Attributes
    ----------
    name, group : str
        The case; the patient or study it belongs to.
    image : (C, *S)
        In the file's units, axes as the recipe's orientation wants.
    labels : (*S) uint8
        0 background, 1..K−1.
    spacing : tuple of float
        Of the grid, array order.
    """

    name: str
    group: str
    image: npt.NDArray[Any]
    labels: npt.NDArray[np.uint8]
    spacing: tuple[float, ...]


def prepare(
    case: Case, intensity: Intensity, spacing: tuple[float, ...] | None
) -> Case:
    """The case as the net sees it: intensities normalised, on the model's grid."""
    shape = target_shape(case.labels.shape, case.spacing, spacing)
    return replace(
        case,
        image=resample_image(normalise(case.image, intensity), shape),
        labels=resample_labels(case.labels, shape),
        spacing=spacing or case.spacing,
    )
