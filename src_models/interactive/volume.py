"""Volume and clicks in, mask out: looks at all scales, then the cube round the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError
from src_models.interactive.choice import promises
from src_models.interactive.cubes import Cube, whole
from src_models.interactive.image import QUARTER, TAILS
from src_models.interactive.mistakes import mistaken
from src_models.interactive.volume_looks import look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.interactive.net import ClickNet
    from src_models.interactive.volume_looks import Spacing, VolumeLook
    from src_models.interactive.volume_maps import Spot

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

GROWTH = 2  # times that a cube may be widened for one answer
FEWEST = 64  # voxels a side that percentiles are taken of


@dataclass(frozen=True, slots=True)
class VolumeManner:
    """How the net is used.

    Attributes
    ----------
    size : int
        Voxels of a cube's side as the net sees it. As many as it learnt with: finer cubes,
        the structure larger in them, are answered worse.
    scales : int
        First looks at most.
    margin : float
        Side of the focused cube, in sides of the object.
    least : int
        Voxels of the finest spacing that a cube spans at least.
    near, sure, closer, near_closer : float
        As `predictor.Manner`.
    half : bool
        Whether the net runs in bfloat16.
    """

    size: int = 48
    scales: int = 5
    margin: float = 1.6
    least: int = 12
    near: float = 0.35
    sure: float = 0.8
    closer: float = 0.6
    near_closer: float = 0.45
    half: bool = False


class VolumePredictor:
    """Segments what was clicked in one volume at a time.

    Parameters
    ----------
    net : ClickNet
        Of volumes, in evaluation mode.
    """

    def __init__(self, net: ClickNet, manner: VolumeManner | None = None) -> None:
        self.net = net
        self.manner = manner or VolumeManner()
        self._volume: npt.NDArray[np.float32] | None = None
        self._spacing: Spacing = (1.0, 1.0, 1.0)

    def set_volume(
        self, volume: npt.NDArray[Any], spacing: Sequence[float] = (1, 1, 1)
    ) -> None:
        """Take a volume (z, y, x) or (z, y, x, channel) of any numbers; spacing in mm.

        NaN and infinities take the lowest finite value; of channels the mean is taken.

        Raises
        ------
        InputError
            If it is empty or has other axes, or a spacing is not positive.
        """
        if volume.ndim not in (3, 4) or 0 in volume.shape:
            raise InputError(
                f"wanted a volume (z, y, x) or (z, y, x, channel), got {volume.shape}"
            )
        if len(spacing) != 3 or not min(spacing) > 0:
            raise InputError(f"wanted three spacings above 0 mm, got {tuple(spacing)}")
        with np.errstate(over="ignore"):  # too large for single precision is infinite
            grey = volume.astype(np.float32)
        grey /= QUARTER
        grey = grey.mean(-1) if grey.ndim == 4 else grey
        finite = np.isfinite(grey)
        if not finite.all():
            grey[~finite] = grey[finite].min() if finite.any() else 0
        step = max(1, max(grey.shape) // FEWEST)
        low, high = np.percentile(grey[::step, ::step, ::step], TAILS)
        if not high > low:
            low, high = float(grey.min()), float(grey.max())
        grey -= low
        grey /= max(float(high - low), np.finfo(np.float32).tiny)
        self._volume = grey.clip(0, 1, out=grey)
        z, y, x = map(float, spacing)
        self._spacing = z, y, x

    def answer(self, spots: Sequence[Spot], previous: Mask | None = None) -> Mask:
        """The structure under all clicks so far, the last one new: (z, y, x) bool.

        Places are in voxels. Every clicked voxel is on its side of the mask; of clicks on
        one voxel the last counts.

        Raises
        ------
        InputError
            If a click lies outside the volume, the previous mask has another shape, or
            there is no volume.
        """
        shape = self._held().shape
        mask = np.zeros(shape, bool) if previous is None else previous.astype(bool)
        if mask.shape != shape:
            raise InputError(f"the previous mask has shape {mask.shape}, not {shape}")
        for spot in spots:
            at = np.rint(spot.place)
            if (at < 0).any() or (at >= shape).any():
                raise InputError(
                    f"the click at {spot.place} lies outside the volume of {shape} voxels"
                )
        if spots:
            mask = self._anew(spots, mask)
        return obeyed(mask, spots)

    def _anew(self, spots: Sequence[Spot], mask: Mask) -> Mask:
        """Found if there is no mask, or the last click shows it all wrong; else mended.

        What is found instead of a mask must agree with all clicks.
        """
        if not mask.any():
            return self._found(spots, np.inf)
        places = np.array([spot.place for spot in spots])
        signs = [spot.positive for spot in spots]
        if widest := mistaken(places, signs, mask, self._spacing):
            found = self._found(spots, widest)
            if np.array_equal(obeyed(found, spots), found):
                return found
        return self._refined(spots, mask)

    def _held(self) -> npt.NDArray[np.float32]:
        if self._volume is None:
            raise InputError("no volume yet; call set_volume before answer")
        return self._volume

    def _found(self, spots: Sequence[Spot], widest: float) -> Mask:
        """Of answers at all scales the one that promises most, mended."""
        looks = self.first_looks(spots, widest)
        mask = looks[int(np.argmax(promises(self.net, looks)))].mask()
        return self._refined(spots, mask) if mask.any() else mask

    def first_looks(
        self, spots: Sequence[Spot], widest: float = np.inf
    ) -> list[VolumeLook]:
        """Answers at all scales, the widest first; one at least.

        Scales wider than `widest` mm are left out, unless there is no other.
        """
        manner, shape = self.manner, self._held().shape
        low, high = self._reach(spots, None)
        middle, longest = (low + high) / 2, float((high - low).max())
        cubes = [whole(shape, self._spacing)]
        least = max(manner.least * min(self._spacing), 1.3 * longest)
        while len(cubes) < manner.scales and cubes[-1].side_mm / 2 >= least:
            cubes.append(_cube(middle, cubes[-1].side_mm / 2))
        cubes = [cube for cube in cubes if cube.side_mm <= widest] or cubes[-1:]
        return self._looks(cubes, spots, None)

    def _refined(self, spots: Sequence[Spot], mask: Mask) -> Mask:
        """The mask mended by the last click, near it, and where the net is sure."""
        manner = self.manner
        low, high = self._reach(spots, mask)
        longest = float((high - low).max() + min(self._spacing))
        least = manner.least * min(self._spacing)
        cube = _cube((low + high) / 2, max(manner.margin * longest, least))
        widest = whole(mask.shape, self._spacing)
        for _ in range(1 + GROWTH):
            cube = widest if cube.side_mm >= widest.side_mm else cube
            (found,) = self._looks([cube], spots, mask)
            if cube is widest or not found.reaches_out():
                break
            cube = Cube(cube.middle_mm, 2 * cube.side_mm)
        edge = np.log(manner.sure / (1 - manner.sure))
        reach = max(manner.near * cube.side_mm / manner.margin, 4 * max(self._spacing))
        mask = self._taken(mask, found, spots[-1], reach, edge)
        return self._closer(spots, obeyed(mask, spots), cube.side_mm)

    def _closer(self, spots: Sequence[Spot], mask: Mask, side: float) -> Mask:
        """Mended once more round the last click, seen from nearer than a cube's side."""
        manner = self.manner
        side = max(manner.closer * side, manner.least * min(self._spacing))
        cube = _cube(np.array(spots[-1].place) * self._spacing, side)
        (found,) = self._looks([cube], spots, mask)
        reach = max(manner.near_closer * side, 2 * max(self._spacing))
        return self._taken(mask, found, spots[-1], reach)

    def _taken(
        self,
        mask: Mask,
        found: VolumeLook,
        spot: Spot,
        reach: float,
        edge: float = np.inf,
    ) -> Mask:
        """The mask with what a look says: at most `reach` mm from a click, or surely."""
        box, logits = found.logits()
        axes = np.ogrid[box]
        steps = zip(axes, spot.place, self._spacing, strict=True)
        away = sum(((axis - at) * mm) ** 2 for axis, at, mm in steps)
        counts = (away <= reach**2) | (np.abs(logits) > edge)
        out = mask.copy()
        out[box][counts] = logits[counts] > 0
        return out

    def _looks(
        self, cubes: Sequence[Cube], spots: Sequence[Spot], mask: Mask | None
    ) -> list[VolumeLook]:
        volume, size, half = self._held(), self.manner.size, self.manner.half
        return look(
            self.net, volume, self._spacing, cubes, spots, mask, size, half=half
        )

    def _reach(self, spots: Sequence[Spot], mask: Mask | None) -> tuple[Floats, Floats]:
        """First and last place in mm of all clicks and the mask."""
        places = [np.array([spot.place for spot in spots])]
        if mask is not None and mask.any():
            ends = []
            for axis in range(3):
                others = tuple(other for other in range(3) if other != axis)
                line = np.flatnonzero(mask.any(others))
                ends.append((line[0], line[-1]))
            places.append(np.array(ends).T)
        every = np.concatenate(places) * self._spacing
        return every.min(0), every.max(0)


def _cube(middle_mm: Floats, side_mm: float) -> Cube:
    z, y, x = middle_mm.tolist()
    return Cube((z, y, x), side_mm)


def obeyed(mask: Mask, spots: Sequence[Spot]) -> Mask:
    """The mask with every clicked voxel on its side; of clicks on one the last counts."""
    out = mask.copy()
    for spot in spots:
        out[tuple(np.rint(spot.place).astype(int))] = spot.positive
    return out
