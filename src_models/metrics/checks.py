"""What the metrics accept, and what they say about the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

Labels = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]


def checked_masks(prediction: Mask, reference: Mask) -> None:
    """Refuse what is not a pair of bool masks of one shape.

    Raises
    ------
    InputError
        Naming the array and what came.
    """
    for name, mask in (("prediction", prediction), ("reference", reference)):
        if mask.dtype != np.bool_:
            raise InputError(
                f"{name}: a mask of true and false is wanted, got {mask.dtype}; "
                "compare the labels with one value first"
            )
    _same_shape(prediction, reference)


def checked_labels(labels: npt.NDArray[Any], name: str) -> Labels:
    """Labels as whole numbers ≥ 0; a bool mask becomes label 1. Nothing is copied.

    Raises
    ------
    InputError
        For fractions, negative values or an array without voxels.
    """
    if labels.size == 0:
        raise InputError(
            f"{name}: no voxels in an array of shape {_times(labels.shape)}"
        )
    if labels.dtype.kind == "b":
        return labels.view(np.uint8)
    if labels.dtype.kind not in "ui":
        raise InputError(
            f"{name}: whole numbers are wanted as labels, got {labels.dtype}; "
            "turn probabilities into labels first"
        )
    if labels.dtype.kind == "i" and (lowest := int(labels.min())) < 0:
        raise InputError(
            f"{name}: labels must be 0 or more, got {lowest}; give it a value of its "
            "own or make it background"
        )
    return labels


def checked_pair(
    prediction: npt.ArrayLike, reference: npt.ArrayLike, *, has_time: bool
) -> tuple[Labels, Labels]:
    """Two label arrays of one shape, (t,) (z,) y, x; see `checked_labels`.

    Raises
    ------
    InputError
        Also if the shapes differ or the space is neither 2D nor 3D.
    """
    pair = (
        checked_labels(np.asarray(prediction), "prediction"),
        checked_labels(np.asarray(reference), "reference"),
    )
    _same_shape(*pair)
    ndim = pair[0].ndim - has_time
    if ndim not in (2, 3):
        came = f"{ndim} and one of time" if has_time else f"{ndim}"
        raise InputError(
            f"labels over 2 or 3 axes of space are wanted, got {came} in an array of "
            f"shape {_times(pair[0].shape)}"
        )
    return pair


def checked_spacing(spacing: Sequence[float], ndim: int) -> tuple[float, ...]:
    """The spacing as floats, one above zero for each axis of space.

    Raises
    ------
    InputError
        If one is missing, too many, zero, negative, NaN or infinite.
    """
    values = tuple(float(step) for step in spacing)
    if len(values) != ndim or not all(0 < step < np.inf for step in values):
        raise InputError(
            f"a spacing of {ndim} lengths above zero is wanted, in the order of the "
            f"array's axes, got {_times(values)}"
        )
    return values


def checked_tolerance(tolerance: float) -> float:
    """The tolerance as a float.

    Raises
    ------
    InputError
        Unless it is above zero and finite.
    """
    if not 0 < tolerance < np.inf:
        raise InputError(f"a tolerance above zero is wanted, got {tolerance:g}")
    return float(tolerance)


def _same_shape(prediction: npt.NDArray[Any], reference: npt.NDArray[Any]) -> None:
    if prediction.shape != reference.shape:
        raise InputError(
            "prediction and reference must have one shape, got "
            f"{_times(prediction.shape)} and {_times(reference.shape)}; bring one onto "
            "the other's grid first"
        )


def _times(values: Sequence[float]) -> str:
    return "×".join(f"{v:g}" for v in values) or "none"
