"""Losses of regions: how far the predicted and the true region overlap.

All take logits (B, K, *S) and integer labels (B, *S). Sums run over the whole batch, which
keeps a patch without the structure from dominating, or over each image (`per_image`), then
averaged. With `background`, class 0 is averaged in. `smooth` voxels are added above and
below the fraction: with 1, a structure that is absent still learns to be absent, and the
loss is 0 where labels and prediction are both empty; with 0 the loss of an absent structure
is 1 whatever is predicted for it, without a gradient, and 0 only if p is 0 everywhere.
Ignored voxels count nowhere, and a batch of nothing else gives 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src_models.losses.voxels import Voxels, power, ratio, read

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """(G, K) each: Σ p·g, Σ p (or Σ p²) and Σ g over the voxels of a group."""

    both: Tensor
    p: Tensor
    g: Tensor


def sums(voxels: Voxels, *, squared: bool = False, background: bool = True) -> Sums:
    """Sums of each class, or of each structure."""
    first = 0 if background else 1
    p_GKN = voxels.p[:, first:]
    g_GKN = voxels.truth[:, first:]
    sizes_GKN = p_GKN.square() if squared else p_GKN
    return Sums(
        both=(p_GKN * g_GKN).sum(dim=2),
        p=sizes_GKN.sum(dim=2),
        g=g_GKN.sum(dim=2).to(p_GKN.dtype),
    )


def dice_loss(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    smooth: float = 1.0,
    squared: bool = False,
    per_image: bool = False,
    background: bool = False,
) -> Tensor:
    """1 − 2 Σpg / (Σp + Σg), averaged over the structures; in [0, 1].

    `squared` has Σp² + Σg² below, as V-Net.

    References
    ----------
    Milletari, Navab & Ahmadi, "V-Net", 3DV 2016, section 3 (squared);
    Drozdzal et al., "Skip connections", DLMIA 2016 (plain).
    """
    voxels = read(logits_BKS, labels_BS, per_image=per_image)
    s = sums(voxels, squared=squared, background=background)
    dice_GK = ratio(2 * s.both, s.p + s.g, smooth)
    return voxels.mean((1 - dice_GK).mean(dim=1))


def generalised_dice_loss(
    logits_BKS: Tensor, labels_BS: Tensor, *, per_image: bool = False
) -> Tensor:
    """1 − 2 Σ_c w_c Σpg / Σ_c w_c (Σp + Σg), w_c = 1 / (Σg)², over all classes; in [0, 1].

    An absent class would weigh infinitely; it weighs as much as the smallest present one.

    References
    ----------
    Sudre et al., "Generalised Dice overlap", DLMIA 2017, section 2.1.
    """
    voxels = read(logits_BKS, labels_BS, per_image=per_image)
    s = sums(voxels)
    # Relative to the smallest present class: the fraction does not see a common factor,
    # and 1 / (Σg)² of large volumes would drown in any constant that guards it.
    least_G1 = s.g.where(s.g > 0, float("inf")).amin(dim=1, keepdim=True)
    weights_GK = (least_G1 / s.g).where(s.g > 0, 1).square()
    top_G = 2 * (weights_GK * s.both).sum(dim=1)
    bottom_G = (weights_GK * (s.p + s.g)).sum(dim=1)
    return voxels.mean(1 - ratio(top_G, bottom_G, 0))


def iou_loss(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    smooth: float = 1.0,
    per_image: bool = False,
    background: bool = False,
) -> Tensor:
    """1 − Σpg / (Σp + Σg − Σpg), averaged over the structures; in [0, 1].

    References
    ----------
    Rahman & Wang, "Optimizing intersection-over-union", ISVC 2016.
    """
    voxels = read(logits_BKS, labels_BS, per_image=per_image)
    s = sums(voxels, background=background)
    iou_GK = ratio(s.both, s.p + s.g - s.both, smooth)
    return voxels.mean((1 - iou_GK).mean(dim=1))


def tversky_loss(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
    per_image: bool = False,
    background: bool = False,
) -> Tensor:
    """1 − TP / (TP + α FP + β FN), averaged over the structures; in [0, 1].

    `alpha` weighs what is found too much, `beta` what is missed. Other papers swap the
    names.

    References
    ----------
    Salehi, Erdogmus & Gholipour, "Tversky loss", MLMI 2017, section 2.
    """
    voxels = read(logits_BKS, labels_BS, per_image=per_image)
    index_GK = _tversky(sums(voxels, background=background), alpha, beta, smooth)
    return voxels.mean((1 - index_GK).mean(dim=1))


def focal_tversky_loss(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 4 / 3,
    smooth: float = 1.0,
    per_image: bool = False,
    background: bool = False,
) -> Tensor:
    """Σ_c (1 − Tversky_c)^(1/γ): summed over the structures, as published; in [0, K].

    With γ > 1 a structure that is nearly right keeps a steep slope.

    References
    ----------
    Abraham & Khan, "A novel focal Tversky loss", ISBI 2019, section 2 (their
    α weighs what is missed; here that is `beta`, as in `tversky_loss`).
    """
    voxels = read(logits_BKS, labels_BS, per_image=per_image)
    index_GK = _tversky(sums(voxels, background=background), alpha, beta, smooth)
    return voxels.mean(power(1 - index_GK, 1 / gamma).sum(dim=1))


def _tversky(s: Sums, alpha: float, beta: float, smooth: float) -> Tensor:
    too_much, missed = s.p - s.both, s.g - s.both
    return ratio(s.both, s.both + alpha * too_much + beta * missed, smooth)
