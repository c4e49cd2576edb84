"""A 2D U-Net over all slices of a volume.

The segmentor of Khosravan, Mortazi, Wallace & Bagci, "PAN: Projective Adversarial Network
for Medical Image Segmentation", MICCAI 2019. https://arxiv.org/abs/1906.04378
Its layers are not published; the U-Net is that of `src_models.nets.unet`.

The critics that make it what it is are in `src_models.adversaries.projective`.

Shape letters: B batch, C channels, K classes, N slices of all volumes, S the axes Z Y X.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from src_models.blocks import check_input
from src_models.nets.unet import Norm, UNet

if TYPE_CHECKING:
    from collections.abc import Iterator


class SliceUNet(nn.Module):
    """Logits for every voxel, each slice by itself.

    Slices pass in groups. While it learns a group's activations are not kept but made
    anew on the way back, so that a whole patient takes the memory of one group, for a
    third more time.

    Parameters
    ----------
    ndim : {3}
    in_channels, classes : int
        C of the input, K of the output.
    widths : pairs of int
        As of `UNet`.
    norm : {"none", "instance"}
        Of each slice by itself.
    at_once : int
        Slices in a group.
    """

    def __init__(
        self,
        *,
        ndim: int = 3,
        in_channels: int,
        classes: int,
        widths: tuple[tuple[int, int], ...],
        norm: Norm = "instance",
        at_once: int = 8,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels, self.at_once = ndim, in_channels, at_once
        self.unet = UNet(
            ndim=2, in_channels=in_channels, classes=classes, widths=widths, norm=norm
        )
        self.stride: int = self.unet.stride
        self.features: int = widths[-1][1]

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        batch, _, depth = x_BCS.shape[:3]
        slices_NCYX = x_BCS.movedim(2, 1).flatten(0, 1)
        keeps = not (self.training and torch.is_grad_enabled())
        groups = [
            self.unet(group)
            if keeps
            else checkpoint(self.unet, group, use_reentrant=False)
            for group in torch.split(slices_NCYX, self.at_once)
        ]
        logits_NKYX = torch.cat(groups)
        return logits_NKYX.view(batch, depth, *logits_NKYX.shape[1:]).movedim(1, 2)


@contextmanager
def looking_at(net: nn.Module) -> Iterator[list[Tensor]]:
    """Within it, forward passes leave their deepest features (N, C, y, x), by groups.

    No gradient flows back into the net through them.
    """
    (own,) = (module for module in net.modules() if isinstance(module, SliceUNet))
    seen: list[Tensor] = []
    hook = own.unet.down[-1].register_forward_hook(
        lambda _, __, out: seen.append(out.detach())
    )
    try:
        yield seen
    finally:
        hook.remove()
