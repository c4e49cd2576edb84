"""What marks and facts of whole images say of a net's answer.

Shape letters: B batch, K classes, S spatial axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

EPS = 1e-6


def image_level(logits_BKS: Tensor, present_BK: Tensor, absent_BK: Tensor) -> Tensor:
    """A class that is there is somewhere, one that is absent nowhere.

    −mean over present classes of log p at their surest voxel, −mean over absent ones of
    log (1 − p) there; images with neither count as 0.

    References
    ----------
    Bearman, Russakovsky, Ferrari & Fei-Fei, "What's the Point", ECCV 2016, equation 1.
    """
    most = logits_BKS.float().log_softmax(1).flatten(2).amax(2)
    not_there = torch.log1p(-most.exp().clamp(max=1 - EPS))
    return _mean_where(-most, present_BK) + _mean_where(-not_there, absent_BK)


def prior_term(logits_BKS: Tensor, object_BS: Tensor) -> Tensor:
    """Cross entropy of p(any structure) against a prior in 0 … 1, mean over voxels.

    References
    ----------
    Bearman et al., ECCV 2016, equation 3.
    """
    log_p = logits_BKS.float().log_softmax(1)
    structure = torch.logsumexp(log_p[:, 1:], 1)
    terms = object_BS * structure + (1 - object_BS) * log_p[:, 0]
    return -terms.mean()


def size_term(
    logits_BKS: Tensor, low_BK: Tensor, high_BK: Tensor, inside_BS: Tensor
) -> Tensor:
    """Squared voxels by which a class is smaller than `low` or larger than `high`.

    V = Σ p over the voxels inside; (V − low)² below, (V − high)² above, 0 between; summed
    over classes, mean over the batch.

    References
    ----------
    Kervadec et al., "Constrained-CNN losses for weakly supervised segmentation", Medical
    Image Analysis 54, 2019, equation 3.
    """
    p = logits_BKS.float().softmax(1) * inside_BS[:, None]
    volume_BK = p.flatten(2).sum(2)
    apart = F.relu(low_BK - volume_BK) + F.relu(volume_BK - high_BK)
    return apart.square().sum(1).mean()


def _mean_where(values_BK: Tensor, where_BK: Tensor) -> Tensor:
    """Mean over the chosen of each image, then over images; 0 for images without any."""
    chosen = where_BK.to(values_BK)
    each = (values_BK * chosen).sum(1) / chosen.sum(1).clamp(min=1)
    return each.mean()
