"""Stay close to an earlier model where it is right.

Li & Hoiem, Learning without Forgetting, ECCV 2016 (https://arxiv.org/abs/1606.09282): the
earlier model's soft answer is a target beside the labels. Where classes were added since,
its background may be background or any of them: Cermelli et al., Modeling the Background
for Incremental Learning, CVPR 2020 (https://arxiv.org/abs/2002.00718), eq. 8.

Unlike there it is a target only where it agrees with the labels: cases that are shown
again may be ones on which the earlier model was corrected.

Shape letters: B batch, J classes of the earlier model, K ≥ J of this one, S space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


def distil(logits_BKS: Tensor, earlier_BJS: Tensor, labels_BS: Tensor) -> Tensor:
    """How far an answer is from an earlier model's, in nats a voxel of structures.

    The Kullback-Leibler divergence KL(earlier ‖ answer), summed over the voxels whose
    label is the earlier model's first choice, and divided by the number of voxels that it
    or the labels call a structure: a small structure in a large image weighs as much as a
    large one. 0 where both say the same, whichever of background and new classes the
    answer divides background into; 0 if the earlier model is right nowhere.

    Parameters
    ----------
    logits_BKS, earlier_BJS : Tensor
        Class 0 is background; classes J … K − 1 are new.
    labels_BS : Tensor
        Integer labels; below 0 where nothing is known.

    Raises
    ------
    ValueError
        If the earlier model has more classes.
    """
    known = earlier_BJS.shape[1]
    if logits_BKS.shape[1] < known:
        raise ValueError(
            f"{logits_BKS.shape[1]} classes cannot answer for {known} earlier ones"
        )
    log_p = logits_BKS.float().log_softmax(dim=1)
    log_q = earlier_BJS.float().log_softmax(dim=1)
    rest = torch.cat([log_p[:, :1], log_p[:, known:]], dim=1).logsumexp(1, keepdim=True)
    log_p = torch.cat([rest, log_p[:, 1:known]], dim=1)
    choice_BS = log_q.argmax(dim=1)
    apart_BS = F.kl_div(log_p, log_q, reduction="none", log_target=True).sum(dim=1)
    volume = ((choice_BS > 0) | (labels_BS > 0)).sum().clamp(min=1)
    return (apart_BS * (choice_BS == labels_BS)).sum() / volume
