"""Losses of regions. B batch, K classes, S spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


def dice_loss(logits_BKS: Tensor, labels_BS: Tensor, *, smooth: float = 1.0) -> Tensor:
    """1 − the soft Dice of the structures, background left out.

    Sums run over the whole batch, which keeps a patch without the structure from
    dominating; `smooth` voxels are added above and below, so that an absent structure
    still learns to be absent.

    Returns
    -------
    Tensor
        In [0, 1]; 0 where labels and prediction are both empty.

    References
    ----------
    Milletari, Navab & Ahmadi, "V-Net", 3DV 2016 (there with squared denominators).
    """
    p_BKS = logits_BKS.float().softmax(dim=1)[:, 1:]
    classes = logits_BKS.shape[1]
    g_BKS = F.one_hot(labels_BS, classes).movedim(-1, 1)[:, 1:].to(p_BKS.dtype)
    over = (0, *range(2, p_BKS.ndim))
    both_K = (p_BKS * g_BKS).sum(over)
    each_K = p_BKS.sum(over) + g_BKS.sum(over)
    return 1 - ((2 * both_K + smooth) / (each_K + smooth)).mean()
