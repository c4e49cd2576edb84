"""Losses that judge each voxel by itself. B batch, K classes, S spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


def cross_entropy(logits_BKS: Tensor, labels_BS: Tensor) -> Tensor:
    """Mean of −log p of the true class, over all voxels; ≥ 0, in nats."""
    return F.cross_entropy(logits_BKS.float(), labels_BS)
