"""Published losses of two parts, one of voxels and one of regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from src_models.losses.overlap import sums
from src_models.losses.pixel import Auto, per_class
from src_models.losses.voxels import against_rest, per, power, ratio, read

if TYPE_CHECKING:
    from torch import Tensor


def exp_log_loss(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    gamma: float = 0.3,
    dice_weight: float = 0.8,
    ce_weight: float = 0.2,
    frequencies: Auto = "auto",
) -> Tensor:
    """w_d mean_c (−ln Dice_c)^γ + w_x mean_x w_l (−ln p)^γ, w_l = √(Σf / f_l); ≥ 0.

    Dice over all classes with 1 added above and below, so that an absent class learns to
    be absent. For γ < 1 the slope at a perfect voxel would be infinite: the curve is a
    straight line below 1e-7. Ignored voxels count nowhere; a batch of nothing else
    gives 0.

    Parameters
    ----------
    gamma : float > 0
        Below 1 it pulls hard also near the goal; 1 is calmer at the start.
    frequencies : "auto" or K numbers > 0
        Of the classes; "auto" counts the batch, where an absent class has no voxel that
        its weight could reach.

    References
    ----------
    Wong, Moradi, Tang & Syeda-Mahmood, "3D segmentation with exponential logarithmic
    loss", MICCAI 2018, section 2.
    """
    voxels = read(logits_BKS, labels_BS, per_image=False)
    s = sums(voxels)
    dice_GK = ratio(2 * s.both, s.p + s.g, 1.0)
    dice_term = voxels.mean(power(-dice_GK.log(), gamma).mean(dim=1))
    f_K = per_class(frequencies, voxels)
    weights_K = per(f_K.sum(), f_K).sqrt()  # of an absent class: never read
    weights_GN = weights_K[voxels.labels.clamp(min=0)]
    ce_term = voxels.per_voxel((weights_GN * power(voxels.nll, gamma)).sum())
    return dice_weight * dice_term + ce_weight * ce_term


def combo_loss(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    alpha: float = 0.5,
    beta: float = 0.5,
    smooth: float = 1.0,
) -> Tensor:
    """α · mean[−β y ln p − (1 − β)(1 − y) ln(1 − p)] − (1 − α) · Dice.

    Negative when good: at least −(1 − α), there where all is right or, with `smooth`,
    labels and prediction are both empty. Several structures: each against the rest,
    averaged. Ignored voxels count nowhere; a batch of nothing else gives 0.

    Parameters
    ----------
    alpha : float in [0, 1]
        Share of the cross entropy.
    beta : float in [0, 1]
        Above 0.5, what is missed costs more than what is found too much.

    References
    ----------
    Taghanaki et al., "Combo loss", Computerized Medical Imaging and Graphics 75 (2019).
    """
    voxels = read(logits_BKS, labels_BS, per_image=False)
    z_GCN, y_GCN = against_rest(voxels.logits), voxels.truth[:, 1:]
    terms_GCN = torch.where(
        y_GCN, -beta * F.logsigmoid(z_GCN), (beta - 1) * F.logsigmoid(-z_GCN)
    )
    total = (terms_GCN * voxels.valid[:, None]).sum() / y_GCN.shape[1]
    s = sums(voxels, background=False)
    dice_GC = ratio(2 * s.both, s.p + s.g, smooth)
    region = voxels.mean(dice_GC.mean(dim=1))
    return alpha * voxels.per_voxel(total) - (1 - alpha) * region
