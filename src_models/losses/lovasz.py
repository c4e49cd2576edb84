"""Losses that extend 1 − IoU of a labelling to probabilities. G groups, N voxels.

Sorting costs N log N for each class; no voxel is visited by Python.

References
----------
Berman, Rannen Triki & Blaschko, "The Lovász-softmax loss", CVPR 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from src_models.losses.voxels import against_rest, per, read

if TYPE_CHECKING:
    from torch import Tensor


def lovasz_hinge(
    logits_BKS: Tensor, labels_BS: Tensor, *, per_image: bool = False
) -> Tensor:
    """Lovász extension of 1 − IoU at the hinge errors of a structure; ≥ 0.

    Several structures: each against the rest, averaged. A structure that is absent gives
    the largest error alone: only the worst false voxel is pushed. Ignored voxels count
    nowhere; a batch of nothing else gives 0. The published code takes it image by image
    (`per_image`).
    """
    voxels = read(logits_BKS, labels_BS, per_image=per_image)
    z_GCN, y_GCN = against_rest(voxels.logits), voxels.truth[:, 1:]
    errors_GCN = torch.where(y_GCN, 1 - z_GCN, 1 + z_GCN).relu()
    errors_GCN = errors_GCN * voxels.valid[:, None]
    loss_GC = [lovasz(errors_GCN[:, c], y_GCN[:, c]) for c in range(y_GCN.shape[1])]
    return voxels.mean(torch.stack(loss_GC, dim=1).mean(dim=1))


def lovasz_softmax(
    logits_BKS: Tensor,
    labels_BS: Tensor,
    *,
    classes: Literal["present", "all"] = "present",
    per_image: bool = False,
) -> Tensor:
    """Lovász extension of 1 − IoU at the errors |g − p|, mean over classes; in [0, 1].

    Parameters
    ----------
    classes : {"present", "all"}
        Which are averaged, the background among them. An absent class has the loss max p;
        "present" leaves it out.
    per_image : bool
        Image by image, then averaged; better where batches are small.

    Notes
    -----
    Ignored voxels count nowhere; a batch of nothing else gives 0.
    """
    voxels = read(logits_BKS, labels_BS, per_image=per_image)
    p_GKN, y_GKN = voxels.p, voxels.truth
    loss_GK = torch.stack(
        [
            lovasz((y_GKN[:, c].to(p_GKN.dtype) - p_GKN[:, c]).abs(), y_GKN[:, c])
            for c in range(voxels.classes)
        ],
        dim=1,
    )
    if classes == "all":
        return voxels.mean(loss_GK.mean(dim=1))
    there_GK = y_GKN.any(dim=2)
    return voxels.mean(per((loss_GK * there_GK).sum(dim=1), there_GK.sum(dim=1)))


def lovasz(errors_GN: Tensor, truth_GN: Tensor) -> Tensor:
    """(G,): Σ errors, largest first, times what each adds to the Jaccard loss.

    Errors ≥ 0. Voxels without error change nothing, wherever they stand, so that an
    ignored voxel is one without error.
    """
    errors_GN, order_GN = errors_GN.sort(dim=1, descending=True)
    truth_GN = truth_GN.gather(1, order_GN)
    return (errors_GN * _steps(truth_GN, errors_GN.dtype)).sum(dim=1)


def _steps(truth_GN: Tensor, dtype: torch.dtype) -> Tensor:
    """J_k − J_{k−1}, J_k the Jaccard loss if the first k voxels are wrong; sums to 1.

    Counted in integers and divided once: the difference of two nearly equal J would lose
    all its digits in large volumes.
    """
    count_G1 = truth_GN.sum(dim=1, keepdim=True)
    held_GN = count_G1 - truth_GN.cumsum(dim=1)
    union_GN = count_G1 + (~truth_GN).cumsum(dim=1)
    before_GN = (union_GN - 1).clamp(min=1)  # the union, but for a false voxel
    steps_GN = torch.where(
        truth_GN,
        union_GN.to(dtype).reciprocal(),
        held_GN.to(dtype) / union_GN / before_GN,
    )
    steps_GN[:, :1] += count_G1 == 0  # nothing there: the first wrong voxel costs all
    return steps_GN
