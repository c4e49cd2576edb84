"""Labels of a few frames, carried to all others by registration.

Bai et al., MICCAI 2018, section 2.3. https://arxiv.org/abs/1808.00273

A label is carried from frame to frame, away from the nearest annotated one; every few
frames directly over the gap, so that small errors do not add up.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from src_models.errors import InputError
from src_models.losses import IGNORE
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import numpy.typing as npt

    from src_models.data.cases import Case

sitk: Any = import_module("SimpleITK")  # its type hints are only half there

JUMP = 5  # frames
SPACING = 10.0  # of the free-form deformation's grid, mm
BINS, SAMPLES, ITERATIONS = 32, 2**13, 20
SEED = 1  # of where in its cell of the lattice a voxel is taken


class Step(NamedTuple):
    """A frame gets its labels from `parent`, which has, or was given, those of `source`."""

    frame: int
    parent: int
    source: int


def annotated_frames(case: Case) -> tuple[int, ...]:
    """Frames of which something is known, in order."""
    axes = tuple(range(1, case.labels.ndim))
    return tuple(np.flatnonzero((case.labels != IGNORE).any(axis=axes)).tolist())


def plan(
    frames: int, annotated: Sequence[int], *, cyclic: bool, jump: int = JUMP
) -> tuple[Step, ...]:
    """How every other frame gets its labels; parents before their children.

    Each from the nearest annotated frame (of two as near, the one before it), over the
    frame next to it on the way; at each `jump`-th distance from the frame `jump` back.
    Those nearest to an annotated frame come first.

    Parameters
    ----------
    annotated : sequence of int
        One at least.
    cyclic : bool
        Whether the way may lead from the last frame to the first.
    """
    steps = []
    for frame in set(range(frames)) - set(annotated):
        ways = []
        for source in annotated:
            after, before = frame - source, source - frame
            if cyclic:
                after, before = after % frames, before % frames
            if after > 0:
                ways.append((after, 0, source, 1))
            if before > 0:
                ways.append((before, 1, source, -1))
        away, _, source, along = min(ways)
        back = jump if away % jump == 0 else 1
        steps.append((away, Step(frame, (frame - along * back) % frames, source)))
    return tuple(step for _, step in sorted(steps))


def propagated(
    case: Case, *, cyclic: bool, jump: int = JUMP, spacing: float = SPACING
) -> Generator[Progress, None, Case]:
    """The case with labels in all frames; those that were known are as they were.

    Frames are registered by their first channel. What lies outside the image of the frame
    that a label comes from stays unknown.

    Parameters
    ----------
    case : Case
        Image (C, T, *S), labels (T, *S), `IGNORE` in frames that are not annotated.
    spacing : float
        Between the points of the deformation, mm (px without a size).

    Yields
    ------
    Progress
        After each frame.

    Raises
    ------
    InputError
        If no frame is annotated, or two frames cannot be registered.
    """
    annotated = annotated_frames(case)
    if not annotated:
        raise InputError(
            f"case {case.name}: no frame has labels, so there are none to propagate; "
            "annotate one at least"
        )
    labels = case.labels.astype(np.int16)
    chains: dict[int, list[Any]] = {frame: [] for frame in annotated}
    steps = plan(len(labels), annotated, cyclic=cyclic, jump=jump)
    for done, step in enumerate(steps, 1):
        fixed, moving, known = (
            _as_itk(array, case.spacing)
            for array in (
                case.image[0, step.frame].astype(np.float32),
                case.image[0, step.parent].astype(np.float32),
                labels[step.source],
            )
        )
        # The last of a composite is applied first: this frame's points to its parent's.
        try:
            chain = [*chains[step.parent], registered(fixed, moving, spacing)]
        except RuntimeError:
            raise InputError(
                f"case {case.name}: frames {step.frame} and {step.parent} cannot be "
                "registered, so labels cannot be carried between them; leave the case "
                "out, or give method.options.propagate = false"
            ) from None
        chains[step.frame] = chain
        way = sitk.CompositeTransform(chain)
        carried = sitk.Resample(
            known, fixed, way, sitk.sitkNearestNeighbor, float(IGNORE)
        )
        labels[step.frame] = sitk.GetArrayFromImage(carried)
        yield Progress(done, len(steps), f"carrying labels over {case.name}")
    return replace(case, labels=labels)


def registered(fixed: Any, moving: Any, spacing: float) -> Any:
    """The free-form deformation that takes points of `fixed` to those of `moving`.

    Cubic B-splines at one level; Mattes' mutual information of `BINS` greys on a lattice of
    `SAMPLES` voxels at most; `ITERATIONS` of L-BFGS-B, since a frame is near the next, no
    point of the grid further than to where its neighbour was. On one thread, so that it is
    the same to the last bit.

    Raises
    ------
    RuntimeError
        If the optimizer loses the image.
    """
    if not (_varies(fixed) and _varies(moving)):
        return sitk.Transform(fixed.GetDimension(), sitk.sitkIdentity)
    sides = [n * s for n, s in zip(fixed.GetSize(), fixed.GetSpacing(), strict=True)]
    mesh = [max(1, round(side / spacing)) for side in sides]
    start = sitk.BSplineTransformInitializer(fixed, mesh, 3)
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(BINS)
    share = min(1.0, SAMPLES / fixed.GetNumberOfPixels())
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(share, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsLBFGSB(
        numberOfIterations=ITERATIONS, lowerBound=-spacing, upperBound=spacing
    )
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(fixed, moving)
    return start


def _as_itk(array: npt.NDArray[Any], spacing: Sequence[float]) -> Any:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(step) for step in reversed(spacing)])
    return image


def _varies(image: Any) -> bool:
    """A blank image has no histogram to compare."""
    array = sitk.GetArrayViewFromImage(image)
    return bool(array.min() < array.max())
