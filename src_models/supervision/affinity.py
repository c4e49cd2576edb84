"""How alike neighbouring voxels are, and what that says of a soft segmentation.

Two voxels at most `Kernel.radius` apart are joined with a weight in (0, 1]:
exp(−|difference of grey|² / 2 grey² − |distance|² / 2 near²). The papers join all pairs of
voxels of an image and sum by fast filters; here the kernel ends at its radius.

Shape letters: B batch, C channels, K classes, S spatial axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from types import EllipsisType
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

# Cuts the spatial axes of any tensor.
Box = tuple[EllipsisType | slice, ...]
LEAST = 1e-6  # of a class's weight, so that a quotient of nothing is no NaN


@dataclass(frozen=True, slots=True)
class Kernel:
    """Which voxels are joined, and how strongly.

    Attributes
    ----------
    radius : int
        Largest distance, voxels.
    grey : float
        Difference of grey that counts, in the unit of the image as the net sees it.
    near : float
        Distance that counts, voxels.
    """

    radius: int
    grey: float
    near: float

    def pairs(self, image_BCS: Tensor) -> Iterator[tuple[Box, Box, Tensor]]:
        """Each pair once, all of one offset together: (here, there, weights (B, *R)).

        No gradient reaches the image.
        """
        image = image_BCS.detach().float()
        shape = image.shape[2:]
        for offset in half_ball(self.radius, len(shape)):
            if any(abs(step) >= side for step, side in zip(offset, shape, strict=True)):
                continue
            here, there = _boxes(offset)
            apart = (image[here] - image[there]).square().sum(1)
            far = sum(step**2 for step in offset) / (2 * self.near**2)
            yield here, there, torch.exp(-apart / (2 * self.grey**2) - far)


def half_ball(radius: int, ndim: int) -> list[tuple[int, ...]]:
    """Offsets within a ball, of each two opposite ones the first; without the centre."""
    steps = product(range(-radius, radius + 1), repeat=ndim)
    centre = (0,) * ndim
    return [
        one for one in steps if one > centre and sum(n * n for n in one) <= radius**2
    ]


def _boxes(offset: tuple[int, ...]) -> tuple[Box, Box]:
    here = (slice(max(0, -n), -n if n > 0 else None) for n in offset)
    there = (slice(max(0, n), n if n < 0 else None) for n in offset)
    return (..., *here), (..., *there)


def cuts(p_BKS: Tensor, image_BCS: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """What each class is cut off from, and all that it is joined to.

    Returns
    -------
    (B, K), (B, K)
        pᵀ W (1 − p) and pᵀ W 1 of each class, over ordered pairs.
    """
    p = p_BKS.float()
    axes = tuple(range(2, p.ndim))
    degree = torch.zeros_like(p[:, 0])
    kept = p.new_zeros(p.shape[:2])
    for here, there, weights in kernel.pairs(image_BCS):
        degree[here] += weights
        degree[there] += weights
        both = p[here] * p[there] * weights[:, None]
        kept = kept + 2 * both.sum(axes)
    joined = (p * degree[:, None]).sum(axes)
    return (joined - kept).clamp(min=0), joined


def crf_term(p_BKS: Tensor, image_BCS: Tensor, kernel: Kernel) -> Tensor:
    """Weights between differently labelled voxels, per voxel: Σ_k p_kᵀ W (1 − p_k) / N.

    ≥ 0; 0 where every voxel is sure of the same class.

    References
    ----------
    Tang, Perazzi, Djelouah, Ben Ayed, Schroers & Boykov, "On regularized losses for
    weakly-supervised CNN segmentation", ECCV 2018, section 3.
    """
    cut, _ = cuts(p_BKS, image_BCS, kernel)
    return cut.sum(1).mean() / p_BKS[0, 0].numel()


def normalised_cut(p_BKS: Tensor, image_BCS: Tensor, kernel: Kernel) -> Tensor:
    """Σ_k p_kᵀ W (1 − p_k) / p_kᵀ W 1, averaged over the batch.

    In [0, K]; K − 1 where all voxels say the same of all classes.

    References
    ----------
    Tang, Djelouah, Perazzi, Boykov & Schroers, "Normalized cut loss for weakly-supervised
    CNN segmentation", CVPR 2018, section 3.
    """
    cut, joined = cuts(p_BKS, image_BCS, kernel)
    return ((cut + LEAST) / (joined + LEAST)).sum(1).mean()


@torch.no_grad()
def mean_field(
    log_p_BKS: Tensor, image_BCS: Tensor, kernel: Kernel, weight: float, steps: int
) -> Tensor:
    """Probabilities (B, K, *S) smoothed within what is of one grey.

    Each step adds `weight` times the weighted mean of the neighbours' probabilities to
    the logarithms that were given.

    References
    ----------
    Krähenbühl & Koltun, "Efficient inference in fully connected CRFs with Gaussian edge
    potentials", NeurIPS 2011, algorithm 1.
    """
    log_p = log_p_BKS.float()
    q = log_p.softmax(1)
    pairs = list(kernel.pairs(image_BCS))
    degree = torch.full_like(q[:, :1], LEAST)
    for here, there, weights in pairs:
        degree[here] += weights[:, None]
        degree[there] += weights[:, None]
    for _ in range(steps):
        heard = torch.zeros_like(q)
        for here, there, weights in pairs:
            heard[here] += weights[:, None] * q[there]
            heard[there] += weights[:, None] * q[here]
        q = (log_p + weight * heard / degree).softmax(1)
    return q
