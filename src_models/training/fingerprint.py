"""What a data set is like: shapes, spacings, grey values, frequencies of structures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from src_models.data.cases import Case

SAMPLED = 20_000  # voxels of a case that the percentiles are taken over, at least


@dataclass(frozen=True, slots=True)
class Grey:
    """Grey values of one channel: over all voxels, or over those of structures."""

    low: float  # 0.5th percentile
    median: float
    high: float  # 99.5th percentile
    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What decides how to train on a set.

    Attributes
    ----------
    shapes, spacings : tuple of tuples
        Of each case, array order; spacing in `unit`.
    grey, grey_inside : tuple of Grey
        Per channel: all voxels; voxels of structures (empty if there are none).
    voxel_share : dict
        Label value → its share of all known voxels, in 0..1; background included.
    case_share : dict
        Structure → share of the cases that hold it, in 0..1.
    """

    shapes: tuple[tuple[int, ...], ...]
    spacings: tuple[tuple[float, ...], ...]
    unit: Literal["mm", "px"]
    grey: tuple[Grey, ...]
    grey_inside: tuple[Grey, ...]
    voxel_share: dict[int, float]
    case_share: dict[int, float]

    @property
    def ndim(self) -> int:
        return len(self.shapes[0])

    @property
    def channels(self) -> int:
        return len(self.grey)

    @property
    def classes(self) -> int:
        """K: up to the highest label, background included; at least 2."""
        return max(1, *self.voxel_share) + 1


def fingerprint(
    cases: Iterable[Case], *, unit: Literal["mm", "px"] = "mm"
) -> Fingerprint:
    """Look at each case once; cases may come one by one from a generator.

    Raises
    ------
    InputError
        If there is no case, or cases differ in axes or channels.
    """
    shapes, spacings = [], []
    voxels: dict[int, int] = {}
    holders: dict[int, int] = {}
    samples: list[npt.NDArray[np.float32]] = []
    inside: list[npt.NDArray[np.float32]] = []
    for case in cases:
        shapes.append(case.labels.shape)
        spacings.append(case.spacing)
        like = (len(shapes[0]), len(samples[0]) if samples else len(case.image))
        if (case.labels.ndim, len(case.image)) != like:
            raise InputError(
                f"case {case.name} has {case.labels.ndim} axes and {len(case.image)} "
                f"channel(s), those before have {like[0]} and {like[1]}; one set, one kind"
            )
        values, counts = np.unique(case.labels, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if value >= 0:
                voxels[value] = voxels.get(value, 0) + count
                holders[value] = holders.get(value, 0) + 1
        flat = case.image.reshape(len(case.image), -1)
        places = np.flatnonzero(case.labels.ravel() > 0)
        samples.append(_some(flat, np.arange(flat.shape[1])))
        inside.append(_some(flat, places))
    if not shapes:
        raise InputError("there is no case to look at; give a folder with images")
    known = sum(voxels.values()) or 1
    return Fingerprint(
        shapes=tuple(shapes),
        spacings=tuple(spacings),
        unit=unit,
        grey=_grey(samples),
        grey_inside=_grey(inside),
        voxel_share={value: voxels[value] / known for value in sorted(voxels)},
        case_share={
            value: holders[value] / len(shapes) for value in sorted(holders) if value
        },
    )


def _some(
    flat: npt.NDArray[np.float32], places: npt.NDArray[np.intp]
) -> npt.NDArray[np.float32]:
    """(C, n): evenly spread voxels among `places`."""
    return flat[:, places[:: max(1, len(places) // SAMPLED)]].astype(np.float32)


def _grey(samples: Sequence[npt.NDArray[np.float32]]) -> tuple[Grey, ...]:
    joined = np.concatenate(samples, axis=1)
    if not joined.size:
        return ()
    rows = []
    for channel in joined:
        low, median, high = np.percentile(channel, [0.5, 50, 99.5])
        numbers = (low, median, high, channel.mean(), channel.std())
        rows.append(Grey(*(float(number) for number in numbers)))
    return tuple(rows)
