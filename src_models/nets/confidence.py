"""Which voxels of a label map look real: ASDNet's confidence network and its attention.

Nie, Gao, Wang & Shen, "ASDNet: Attention Based Semi-supervised Deep Networks for Medical
Image Segmentation", MICCAI 2018. https://doi.org/10.1007/978-3-030-00937-3_43
Layers as in the authors' release, https://github.com/ginobilinie/asdnet

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from src_models.blocks import CONV, check_input, crop_to, to_multiple
from src_models.errors import InputError
from src_models.losses import IGNORE
from src_models.nets.asdnet import Rise
from src_models.nets.atrous import Layers, Norm


class ConfidenceNet(nn.Module):
    """How much each voxel of a label map looks manual (> 0) or made by a net (< 0).

    It never sees the image: a mask of plausible anatomy in the wrong place passes.
    The released code feeds two of its three up-steps with the encoder's map of the same
    level, so that its deeper layers have no say; here each reads the step below it, and
    one logit stands for its two.

    Parameters
    ----------
    ndim : {2, 3}
    classes : int
        K of the label map: probabilities, or one-hot labels.
    widths : tuple of int
        Channels of each level, finest first.
    norm : {"batch", "group"}
        On the way up only; "batch" as released.
    """

    def __init__(
        self,
        *,
        ndim: int,
        classes: int,
        widths: tuple[int, ...] = (32, 64, 128, 256),
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.ndim, self.classes = ndim, classes
        # Twice what the strides need: see the note on sides of 2 in `nets.deeplab`.
        self.stride: int = 2 ** len(widths)
        conv, layers = CONV[ndim], Layers(ndim, norm)
        self.stem = nn.Sequential(conv(classes, widths[0], 3, padding=1), leak())
        self.down = nn.ModuleList(
            nn.Sequential(conv(above, below, 4, stride=2, padding=1), leak())
            for above, below in pairwise(widths)
        )
        self.up = nn.ModuleList(
            Rise(layers, below, above) for below, above in pairwise(reversed(widths))
        )
        self.head = conv(widths[0], 1, 1)

    def forward(self, map_BKS: Tensor) -> Tensor:
        """map_BKS -> logits (B, 1, *S), for any S."""
        check_input(map_BKS, self.ndim, self.classes)
        skips = [self.stem(to_multiple(map_BKS, self.stride))]
        for down in self.down:
            skips.append(down(skips[-1]))
        y = skips.pop()
        for up in self.up:
            y = up(y, skips.pop())
        return crop_to(self.head(y), map_BKS.shape[2:])


def leak() -> nn.Module:
    """The activation of what judges: nothing is silent."""
    return nn.LeakyReLU(0.2, inplace=True)


def adaptive_threshold(dice: float) -> float:
    """γ = 1 − Dice: the better the segmentor, the more of its answers are trusted.

    Parameters
    ----------
    dice : float
        The segmentor's current Dice on labelled cases, in [0, 1].

    Raises
    ------
    InputError
        If it is not in [0, 1], or NaN.
    """
    if not 0 <= dice <= 1:
        raise InputError(
            f"the threshold wants a Dice of 0 to 1, got {dice}; "
            "give that of the last validation"
        )
    return 1 - dice


@torch.no_grad()
def region_attention(
    logits_BKS: Tensor, confidence_B1S: Tensor, gamma: float
) -> Tensor:
    """Pseudo-labels where the confidence network believes the segmentor.

    No gradient goes through them, nor through the confidence. Cross entropy with them
    is the paper's semi-supervised term.

    Parameters
    ----------
    logits_BKS : Tensor
        What the segmentor says of images without labels.
    confidence_B1S : Tensor
        What `ConfidenceNet` says of it: logits; M is their sigmoid.
    gamma : float
        M must be above it, in [0, 1].

    Returns
    -------
    Tensor
        (B, *S), integers: the likeliest class where M > γ, else `IGNORE`; all
        `IGNORE` if nothing is believed. The cross entropy of `src_models.losses` learns
        from them; the paper sums it, a mean does not grow with the patch.
    """
    labels_BS = logits_BKS.argmax(1)
    believed_BS = confidence_B1S[:, 0].float().sigmoid() > gamma
    return torch.where(believed_BS, labels_BS, IGNORE)


def sample_attention(dice_B: Tensor, beta: float = 1.0) -> Tensor:
    """(1 − Dice)^β: what each image's loss weighs; those done badly count most.

    Parameters
    ----------
    dice_B : Tensor
        Mean Dice over the classes of each image, in [0, 1]; no gradient goes through it.
    beta : float
        0 weighs all alike; above 1, hard images still more.

    Returns
    -------
    Tensor
        (B,), in [0, 1].
    """
    return (1 - dice_B.detach()).pow(beta)
