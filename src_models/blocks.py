"""What the nets share, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
LINEAR = {2: "bilinear", 3: "trilinear"}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class InstanceNorm(nn.GroupNorm):
    """Each channel of each image by itself, with scale and shift unless `affine` is off.

    Takes a single voxel too, which PyTorch's own layers refuse: it becomes the shift.
    """

    def __init__(self, channels: int, *, affine: bool = True) -> None:
        super().__init__(channels, channels, affine=affine)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> x_BCS."""
        return torch.group_norm(
            x_BCS, self.num_groups, self.weight, self.bias, self.eps
        )


def check_input(
    x_BCS: Tensor, ndim: int, in_channels: int, *, frames: bool = False
) -> None:
    """Refuse an input that the net was not built for, in words.

    `frames`: the net reads images over time, (B, C, T, *S).

    Raises
    ------
    InputError
        If the number of axes or of channels differs.
    """
    if x_BCS.ndim != ndim + 2 + frames or x_BCS.shape[1] != in_channels:
        raise InputError(
            f"this net wants a batch of {ndim}D images with {in_channels} channel(s)"
            f"{' over time' * frames}, (B, {in_channels}, {'t, ' * frames}"
            f"{'z, ' * (ndim - 2)}y, x); got {tuple(x_BCS.shape)}"
        )


def mirror(x_BCS: Tensor, margins: Sequence[tuple[int, int]]) -> Tensor:
    """Add (before, after) to each spatial axis, mirrored at the edge voxel.

    Unlike `torch.nn.functional.pad` it takes any number of axes, and margins wider than
    the image (the mirror image is then mirrored again).
    """
    for axis, (before, after) in enumerate(margins, start=2):
        if before == after == 0:
            continue
        side = x_BCS.shape[axis]
        at = torch.arange(-before, side + after, device=x_BCS.device)
        period = max(2 * (side - 1), 1)
        at = (at % period + period) % period
        at = torch.where(at >= side, period - at, at)
        x_BCS = x_BCS.index_select(axis, at)
    return x_BCS


def to_multiple(x_BCS: Tensor, stride: int) -> Tensor:
    """Repeat the last voxel of each spatial axis until its side divides by `stride`."""
    spatial = x_BCS.shape[2:]
    pad = [n for side in reversed(spatial) for n in (0, -side % stride)]
    return F.pad(x_BCS, pad, mode="replicate") if any(pad) else x_BCS


def crop_to(x_BCS: Tensor, shape: Sequence[int], *, centre: bool = False) -> Tensor:
    """Cut the spatial axes to `shape`, from the first voxel or round the centre."""
    for axis, side in enumerate(shape, start=2):
        start = (x_BCS.shape[axis] - side) // 2 if centre else 0
        x_BCS = x_BCS.narrow(axis, start, side)
    return x_BCS


def to_lattice(x_BCS: Tensor, stride: int = 16) -> Tensor:
    """Repeat the last voxel until each side is a multiple of `stride` and one more (513).

    Then the first and the last voxel of every grid lie on those of the image. The least
    is 17: with a side of 1 or 2, strided convolutions of 16 bits give whatever lies in
    memory (seen with oneDNN in PyTorch 2.13). `stride` is that of the coarsest grid;
    below 16 the least would be too small.
    """
    missing = [max(stride + 1 - n, (1 - n) % stride) for n in reversed(x_BCS.shape[2:])]
    pad = [n for after in missing for n in (0, after)]
    return F.pad(x_BCS, pad, mode="replicate") if any(pad) else x_BCS


def rise(x_BCS: Tensor, shape: Sequence[int]) -> Tensor:
    """Linearly to a finer grid of the same corners."""
    mode = LINEAR[x_BCS.ndim - 2]
    return F.interpolate(x_BCS, tuple(shape), mode=mode, align_corners=True)
