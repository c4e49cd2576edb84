"""The net's answers through cubes of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from src_models.interactive.choice import overlap
from src_models.interactive.cubes import Cube, cut, put_back, shown
from src_models.interactive.prompt_maps import image_channels
from src_models.interactive.volume_maps import Spot, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from src_models.interactive.cubes import Box
    from src_models.interactive.net import ClickNet

    Mask = npt.NDArray[np.bool_]
    Spacing = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class VolumeLook:
    """An answer.

    Attributes
    ----------
    cube : Cube
    shape, spacing : (z, y, x)
        Of the volume; in mm.
    raw : (size, size, size) float32
        Logits on the voxels that the net saw.
    valid : (size, size, size) bool
        Where the cube shows the volume.
    facts : (F)
        What a judge reads of the answer: `net.Judge.facts`.
    """

    cube: Cube
    shape: tuple[int, int, int]
    spacing: Spacing
    raw: Tensor
    valid: Tensor
    facts: Tensor

    @property
    def side(self) -> float:
        """Of the cube, in mm."""
        return self.cube.side_mm

    def logits(self, within: Box | None = None) -> tuple[Box, npt.NDArray[np.float32]]:
        """On the volume's own voxels in the cube, and in the box if one is given: where."""
        return put_back(self.raw.numpy(), self.cube, self.shape, self.spacing, within)

    def mask(self) -> Mask:
        """On the volume's own voxels, (z, y, x)."""
        out = np.zeros(self.shape, bool)
        box, values = self.logits()
        out[box] = values > 0
        return out

    def agreement(self, closer: VolumeLook) -> float:
        """The IoU of the two answers in the closer cube; 1 if both are empty."""
        where = closer.cube.inside(self.shape, self.spacing)
        both = []
        for one in (self, closer):
            seen = np.zeros([part.stop - part.start for part in where], bool)
            box, values = one.logits(where)
            inner = tuple(
                slice(a.start - b.start, a.stop - b.start)
                for a, b in zip(box, where, strict=True)
            )
            seen[inner] = values > 0
            both.append(seen)
        return overlap(*both)

    def reaches_out(self) -> bool:
        """Whether the structure goes on at the cube's side, where the volume does too."""
        mask = self.valid & (self.raw > 0)
        rims = (mask.select(axis, at) for axis in range(3) for at in (0, -1))
        return any(bool(rim.any()) for rim in rims)


def look(
    net: ClickNet,
    volume_ZYX: npt.NDArray[np.float32],
    spacing: Spacing,
    cubes: Sequence[Cube],
    spots: Sequence[Spot],
    mask: Mask | None,
    size: int,
    *,
    half: bool = False,
) -> list[VolumeLook]:
    """What the net says through each cube, seen at `size`³ voxels, in one batch.

    Parameters
    ----------
    volume_ZYX : (z, y, x)
        In [0, 1].
    mask : (z, y, x) bool, optional
        The mask so far.
    half : bool
        In bfloat16.
    """
    depth, rows, columns = volume_ZYX.shape
    places = np.array([spot.place for spot in spots]) * spacing
    inputs, valid = [], []
    for cube in cubes:
        seen = cut(volume_ZYX, cube, size, spacing)
        inside = shown(volume_ZYX.shape, cube, size, spacing)
        previous = np.zeros_like(seen)
        if mask is not None:
            previous = cut(mask, cube, size, spacing)
        at = cube.places(places, size).tolist()
        there = [
            Spot((z, y, x), spot.positive)
            for spot, (z, y, x) in zip(spots, at, strict=True)
        ]
        inputs.append(stack(image_channels(seen[None], inside), there, previous))
        valid.append(torch.from_numpy(inside))
    x_BCZYX = torch.from_numpy(np.stack(inputs))
    x_BCZYX = x_BCZYX.to(memory_format=torch.channels_last_3d)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, half):
        logits_BZYX, facts_BF = net.answer(x_BCZYX)
    found = zip(cubes, logits_BZYX.float(), valid, facts_BF.float(), strict=True)
    shape = depth, rows, columns
    return [VolumeLook(cube, shape, spacing, *rest) for cube, *rest in found]
