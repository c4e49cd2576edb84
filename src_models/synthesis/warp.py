"""Moving images and labels by a flow.

A flow (B, D, *S) says, for each voxel of the result, how many voxels further along each
axis (array order) its value is found. Shape letters: B batch, C channels, D = number of S
axes, S spatial axes (y, x or z, y, x).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from src_models.blocks import rise

if TYPE_CHECKING:
    from collections.abc import Sequence

HALVINGS = 5  # of a velocity field before it is squared as many times


def places(shape: Sequence[int], device: torch.device | None = None) -> Tensor:
    """(D, *S) float32: the index of each voxel."""
    axes = [torch.arange(side, device=device, dtype=torch.float32) for side in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def warp(
    x_BCS: Tensor,
    flow_BDS: Tensor,
    mode: Literal["bilinear", "nearest"] = "bilinear",
) -> Tensor:
    """x_BCS moved by a flow -> (B, C, *S); beyond its edge an image repeats it."""
    shape = x_BCS.shape[2:]
    at = places(shape, flow_BDS.device) + flow_BDS
    sides = torch.tensor(shape, device=at.device).view(-1, *[1] * len(shape))
    # grid_sample wants (x, y, z) in −1 … 1 with the axes last.
    grid = (2 * at / (sides - 1).clamp(min=1) - 1).flip(1).movedim(1, -1)
    moved: Tensor = F.grid_sample(
        x_BCS, grid, mode=mode, padding_mode="border", align_corners=True
    )
    return moved


def warp_labels(labels_BS: Tensor, flow_BDS: Tensor) -> Tensor:
    """Integer labels -> the same type: each is that of the nearest voxel."""
    near = warp(labels_BS[:, None].float(), flow_BDS, "nearest")
    return near[:, 0].to(labels_BS.dtype)


def integrated(velocity_BDS: Tensor) -> Tensor:
    """The flow of a steady velocity field: it folds nothing if that is smooth.

    References
    ----------
    Arsigny et al., "A log-Euclidean framework for statistics on diffeomorphisms", MICCAI
    2006, section 3: scaling and squaring.
    """
    flow: Tensor = velocity_BDS / 2**HALVINGS
    for _ in range(HALVINGS):
        flow = flow + warp(flow, flow)
    return flow


def smooth_noise(
    channels: int, shape: Sequence[int], step: float, random: np.random.Generator
) -> Tensor:
    """(C, *S): independent standard normal values `step` voxels apart, linear between."""
    coarse = [max(2, math.ceil(side / step)) for side in shape]
    drawn = random.standard_normal((1, channels, *coarse), np.float32)
    return rise(torch.from_numpy(drawn), shape)[0]


def random_flow(
    shape: Sequence[int],
    random: np.random.Generator,
    *,
    rotate: float = 0,
    scale: float = 0,
    shear: float = 0,
    bend: float = 0,
    step: float = 10,
) -> Tensor:
    """(D, *S): turned, scaled and sheared round the centre, then bent.

    `rotate` in degrees, `bend` in voxels, all but it the largest of a uniform draw. With
    everything 0 the flow is 0.
    """
    ndim = len(shape)
    matrix = np.diag(1 + random.uniform(-scale, scale, ndim))
    matrix += (1 - np.eye(ndim)) * random.uniform(-shear, shear, (ndim, ndim))
    for first in range(ndim):
        for second in range(first):
            angle = math.radians(random.uniform(-rotate, rotate))
            turn = np.eye(ndim)
            turn[first, first] = turn[second, second] = math.cos(angle)
            turn[first, second] = -math.sin(angle)
            turn[second, first] = math.sin(angle)
            matrix = matrix @ turn
    change = torch.from_numpy(matrix - np.eye(ndim)).float()
    middle = torch.tensor([(side - 1) / 2 for side in shape])
    away = places(shape) - middle.view(-1, *[1] * ndim)
    flow: Tensor = torch.einsum("de,e...->d...", change, away)
    if bend:
        velocity = bend * smooth_noise(ndim, shape, step, random)
        flow = flow + integrated(velocity[None])[0]
    return flow
