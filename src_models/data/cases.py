"""Cases as training sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from src_models.errors import InputError
from src_models.inference.intensity import normalise
from src_models.inference.resample import resample_image, resample_labels, target_shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from src_models.card import Intensity, NetSpec


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One image with its labels.

    Attributes
    ----------
    name, group : str
        The case; the patient or study it belongs to.
    image : (C, *S)
        In the file's units, axes as the recipe's orientation wants; time before those of
        space, for a net that reads frames together.
    labels : (*S) integer
        0 background, 1..K−1; −1, in a signed type, where nothing is known.
    spacing : tuple of float
        Of the axes of space, array order.
    instances : (*S) integer, optional
        0 background, each object a number of its own; for border weights.
    blank : bool
        Whether what is background in it may be a structure that nobody knew of when it
        was drawn.
    """

    name: str
    group: str
    image: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    spacing: tuple[float, ...]
    instances: npt.NDArray[Any] | None = None
    blank: bool = False


def prepare(
    case: Case, intensity: Intensity, spacing: tuple[float, ...] | None
) -> Case:
    """The case as the net sees it: intensities normalised, on the model's grid."""
    shape = target_shape(case.labels.shape, case.spacing, spacing)
    labels = case.labels
    if labels.min(initial=0) < 0:  # the resampler knows no values below 0
        labels = resample_labels(labels + 1, shape) - 1
    else:
        labels = resample_labels(labels, shape)
    instances = case.instances
    return replace(
        case,
        image=resample_image(normalise(case.image, intensity), shape),
        labels=labels,
        spacing=spacing or case.spacing,
        instances=None if instances is None else resample_labels(instances, shape),
    )


def check_cases(cases: Iterable[Case], spec: NetSpec) -> None:
    """Refuse, before the work, what a net cannot learn from or be measured on.

    Raises
    ------
    InputError
        Naming the case whose shapes, channels, grey values or label values do not fit.
    """
    for case in cases:
        for holds, fault in _rules(case, spec):
            if not holds:
                raise InputError(f"case {case.name}: {fault}")


def check_structures(cases: Iterable[Case]) -> None:
    """Refuse a training set in which no image holds any structure.

    Raises
    ------
    InputError
    """
    count = 0
    for case in cases:
        if (case.labels > 0).any():
            return
        count += 1
    raise InputError(
        f"none of the {count} training images holds a structure, so there is nothing to "
        "learn; add labelled images, or look whether data.values names their values"
    )


def _rules(case: Case, spec: NetSpec) -> Iterable[tuple[bool, str]]:
    """Whether a case fits, and what is wrong if not; later rules rely on earlier."""
    shape, spatial, classes = case.image.shape, case.labels.shape, spec.classes
    wanted = "T, *S" if spec.frames else "*S"
    yield (
        len(spatial) == spec.axes and shape[1:] == spatial and case.labels.size > 0,
        f"a {spec.ndim}D image (C, {wanted}) with labels ({wanted}) is wanted, got "
        f"{shape} and {spatial}",
    )
    yield (
        shape[0] == spec.in_channels,
        f"it has {shape[0]} channel(s), the net reads {spec.in_channels}",
    )
    yield (
        bool(np.isfinite(case.image).all()),
        "its image has voxels that are no numbers; repair it or leave it out",
    )
    values = np.unique(case.labels)
    strange = [int(value) for value in values if not -1 <= value < classes]
    yield (
        not strange,
        f"its labels have the values {strange}, the class table has 0 … {classes - 1} "
        "(and −1 for unknown); map them in data.values or extend the table",
    )
    instances = case.instances
    yield (
        instances is None or instances.shape == spatial,
        f"its instances have the shape {instances is not None and instances.shape}, "
        f"its labels {spatial}",
    )
