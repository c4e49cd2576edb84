"""Losses that judge each voxel by itself. B batch, K classes, S spatial axes.

All take logits (B, K, *S) and integer labels (B, *S), and return one number ≥ 0, in nats;
ignored voxels count nowhere, and a batch of nothing else gives 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional as F

from src_models.errors import InputError
from src_models.losses.voxels import Voxels, against_rest, per, power, read

if TYPE_CHECKING:
    from torch import Tensor

Auto = tuple[float, ...] | Literal["auto"]
WeightedBy = Literal["weights", "voxels"]


def cross_entropy(logits_BKS: Tensor, labels_BS: Tensor) -> Tensor:
    """Mean of −log p of the true class, over all voxels."""
    voxels = read(logits_BKS, labels_BS)
    return voxels.per_voxel(voxels.nll.sum())


def weighted_cross_entropy(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    weights: Auto = "auto",
    normalise: WeightedBy = "weights",
) -> Tensor:
    """Cross entropy with a weight for each class.

    Parameters
    ----------
    weights : "auto" or K numbers ≥ 0
        "auto": N / (classes there are · voxels of the class), from the batch; their mean
        over the voxels is 1, so that both normalisations agree.
    normalise : {"weights", "voxels"}
        Divided by the sum of the weights, as PyTorch does, or by the number of voxels.

    References
    ----------
    Ronneberger, Fischer & Brox, "U-Net", MICCAI 2015, section 3 (w_c).
    """
    voxels = read(logits_BKS, labels_BS)
    auto = weights == "auto"
    weights_K = _balancing(voxels) if auto else per_class(weights, voxels)
    return _weighted(voxels, weights_K[voxels.labels.clamp(min=0)], normalise)


def border_cross_entropy(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    border: Tensor,
    normalise: WeightedBy = "voxels",
) -> Tensor:
    """Cross entropy with a weight for each voxel, high in gaps between instances.

    Parameters
    ----------
    border : (B, *S) float, ≥ 0
        `src_models.data.maps.border_weights` of each image.
    normalise : {"voxels", "weights"}
        Divided by the number of voxels, or by the sum of the weights.

    References
    ----------
    Ronneberger, Fischer & Brox, "U-Net", MICCAI 2015, section 3, eq. 1-2.
    """
    voxels = read(logits_BKS, labels_BS)
    if border.shape != labels_BS.shape:
        raise InputError(
            f"the map 'border' must have the labels' shape {tuple(labels_BS.shape)}, "
            f"got {tuple(border.shape)}"
        )
    return _weighted(voxels, border.flatten(1).to(voxels.logits), normalise)


def _weighted(voxels: Voxels, weights_GN: Tensor, normalise: WeightedBy) -> Tensor:
    total = (weights_GN * voxels.nll).sum()
    if normalise == "voxels":
        return voxels.per_voxel(total)
    return per(total, (weights_GN * voxels.valid).sum())


def balanced_cross_entropy(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    normalise: Literal["voxels", "sum"] = "voxels",
    floor: float = 0.01,
) -> Tensor:
    """−β Σ log p over the structure − (1 − β) Σ log(1 − p) over the rest.

    β is the share of the rest among the voxels of the image, so that both sides weigh
    the same. Several structures: each against the rest, averaged.

    Parameters
    ----------
    normalise : {"voxels", "sum"}
        The mean over voxels, or the sum as published.
    floor : float, 0 to 0.5
        β is kept in [floor, 1 − floor]. As published (0) an image without the structure
        has β = 1 and no loss at all; with it, the rest keeps this much weight.

    References
    ----------
    Xie & Tu, "Holistically-nested edge detection", ICCV 2015, section 2.2, eq. 2.
    """
    voxels = read(logits_BKS, labels_BS)
    z_GCN, y_GCN = against_rest(voxels.logits), voxels.truth[:, 1:]
    valid_G1N = voxels.valid[:, None]
    held_GC1 = y_GCN.sum(dim=2, keepdim=True)
    share_GC1 = per(held_GC1.to(z_GCN.dtype), valid_G1N.sum(dim=2, keepdim=True))
    beta_GC1 = (1 - share_GC1).clamp(floor, 1 - floor)
    terms_GCN = torch.where(
        y_GCN, -beta_GC1 * F.logsigmoid(z_GCN), (beta_GC1 - 1) * F.logsigmoid(-z_GCN)
    )
    total = (terms_GCN * valid_G1N).sum() / y_GCN.shape[1]
    return total if normalise == "sum" else voxels.per_voxel(total)


def focal_loss(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    normalise: Literal["voxels", "foreground"] = "voxels",
) -> Tensor:
    """−α (1 − p)^γ log p of the true class: voxels that are right already count little.

    Parameters
    ----------
    gamma : float ≥ 0
        0 gives the cross entropy.
    alpha : float in [0, 1], optional
        Weight of the structures; the background has 1 − alpha. None: 1 for all.
    normalise : {"voxels", "foreground"}
        The mean over voxels, or divided by the number of voxels of structures (at least
        1), as the paper does with its anchors.

    References
    ----------
    Lin, Goyal, Girshick, He & Dollár, "Focal loss", ICCV 2017, section 3, eq. 4-5.
    """
    voxels = read(logits_BKS, labels_BS)
    nll_GN = voxels.nll
    terms_GN = power(-torch.expm1(-nll_GN), gamma) * nll_GN
    structure_GN = voxels.labels > 0
    if alpha is not None:
        terms_GN = terms_GN * torch.where(structure_GN, alpha, 1 - alpha)
    if normalise == "voxels":
        return voxels.per_voxel(terms_GN.sum())
    return terms_GN.sum() / structure_GN.sum().clamp(min=1)


def per_class(values: Auto, voxels: Voxels) -> Tensor:
    """(K,): the numbers that were given, or how many voxels of each class there are.

    Raises
    ------
    InputError
        If there are not K of them.
    """
    if values == "auto":
        return voxels.truth.sum(dim=(0, 2)).to(voxels.logits.dtype)
    if len(values) != voxels.classes:
        raise InputError(
            f"one number for each of {voxels.classes} classes, background included, is "
            f"needed, got {len(values)}: {values}"
        )
    return voxels.logits.new_tensor(values)


def _balancing(voxels: Voxels) -> Tensor:
    """Inverse frequencies with mean 1 over the voxels; 0 for a class that is absent."""
    counts_K = per_class("auto", voxels)
    there_K = counts_K > 0
    return per(counts_K.sum() * there_K, counts_K * there_K.sum())
