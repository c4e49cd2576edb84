"""What all losses read: voxels that count, and sums over them.

Shape letters: B batch, K classes, S spatial axes, N voxels of a group, G groups. A group
is what a sum runs over: one image, or the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from src_models.errors import InputError

IGNORE = -1  # label of voxels that no term and no denominator sees
EPS = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Voxels:
    """Logits and labels, one row of voxels a group.

    Attributes
    ----------
    logits : (G, K, N) float32, or float64 where that came
    labels : (G, N) int64, `IGNORE` where nothing is known
    """

    logits: Tensor
    labels: Tensor

    @property
    def classes(self) -> int:
        return self.logits.shape[1]

    @property
    def valid(self) -> Tensor:
        """(G, N) bool: not ignored."""
        return self.labels != IGNORE

    @property
    def truth(self) -> Tensor:
        """(G, K, N) bool, one-hot; False in every class where ignored."""
        classes_K1 = torch.arange(self.classes, device=self.labels.device)[:, None]
        return self.labels[:, None] == classes_K1

    @property
    def p(self) -> Tensor:
        """(G, K, N): softmax over the classes; 0 in every class where ignored."""
        return self.logits.softmax(dim=1) * self.valid[:, None]

    @property
    def nll(self) -> Tensor:
        """(G, N): −log p of the true class, ≥ 0, in nats; 0 where ignored."""
        return F.cross_entropy(
            self.logits, self.labels, ignore_index=IGNORE, reduction="none"
        )

    def per_voxel(self, total: Tensor) -> Tensor:
        """A total divided by the number of voxels that count; 0 if none does."""
        return per(total, self.valid.sum())

    def mean(self, loss_G: Tensor) -> Tensor:
        """Mean over the groups in which any voxel counts; 0 if there is none."""
        counted_G = self.valid.any(dim=1)
        return per((loss_G * counted_G).sum(), counted_G.sum())


def read(logits_BKS: Tensor, labels_BS: Tensor, *, per_image: bool = True) -> Voxels:
    """Check and flatten; a group is an image, or the whole batch.

    Half precision becomes float32: sums of many voxels would overflow in it.

    Raises
    ------
    InputError
        If the shapes do not belong together, or a label is neither a class nor `IGNORE`.
    """
    classes = logits_BKS.shape[1]
    fits = labels_BS.shape == (len(logits_BKS), *logits_BKS.shape[2:])
    if classes < 2 or not fits or labels_BS.is_floating_point():
        raise InputError(
            "a loss needs logits (B, K, *S) with K ≥ 2 and integer labels (B, *S), got "
            f"{tuple(logits_BKS.shape)} and {labels_BS.dtype} {tuple(labels_BS.shape)}"
        )
    labels_BN = labels_BS.flatten(1).long()
    least, most = (int(value) for value in labels_BN.aminmax())
    if least < IGNORE or most >= classes:
        raise InputError(
            f"labels must be 0 … {classes - 1}, or {IGNORE} where ignored, got "
            f"{least if least < IGNORE else most}"
        )
    wide = torch.promote_types(logits_BKS.dtype, torch.float32)
    logits_BKN = logits_BKS.to(wide).flatten(2)
    if per_image or len(labels_BN) == 1:
        return Voxels(logits_BKN, labels_BN)
    return Voxels(logits_BKN.movedim(0, 1).flatten(1)[None], labels_BN.flatten()[None])


def against_rest(logits_GKN: Tensor) -> Tensor:
    """(G, K−1, N): log(p / (1 − p)) of each structure, all other classes as one.

    Formulas for two classes are used on these, structure by structure. Exact also where
    p rounds to 0 or 1; for two classes it is the difference of the logits.
    """
    structures = []
    for c in range(1, logits_GKN.shape[1]):
        others = torch.cat([logits_GKN[:, :c], logits_GKN[:, c + 1 :]], dim=1)
        structures.append(logits_GKN[:, c] - others.logsumexp(dim=1))
    return torch.stack(structures, dim=1)


def per(total: Tensor, count: Tensor) -> Tensor:
    """A total over a count; where the count is 0, so is the total, and it stays 0."""
    return total / count.where(count > 0, 1)


def ratio(top: Tensor, bottom: Tensor, smooth: float) -> Tensor:
    """(top + smooth) / (bottom + smooth); 1 where both are 0, without smoothing too."""
    smooth = max(smooth, EPS)
    return (top + smooth) / (bottom + smooth)


def power(x: Tensor, exponent: float) -> Tensor:
    """x^exponent for x ≥ 0, with a finite slope everywhere.

    For exponents in (0, 1) the slope at 0 would be infinite: below `EPS` the curve is the
    straight line to the origin.
    """
    x = x.clamp(min=0)
    if exponent == 0 or exponent >= 1:
        return x.pow(exponent)
    curve = x.clamp(min=EPS).pow(exponent)
    return torch.where(x > EPS, curve, x * EPS ** (exponent - 1))
