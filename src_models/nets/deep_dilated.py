"""Deep dilated convolutions.

Perone, Calabrese & Cohen-Adad, "Spinal cord gray matter segmentation using deep dilated
convolutions", Scientific Reports 2018. https://arxiv.org/abs/1710.01269

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from src_models.blocks import BATCH_NORM, CONV, check_input

Norm = Literal["batch", "group"]


class DeepDilated(nn.Module):
    """Logits for every voxel; no pooling, no stride, nothing added to its own input.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    width : int
        Filters of every convolution but the last two.
    rates : tuple of int
        Dilations of the parallel branches, in voxels. A side shorter than a rate meets
        the kernel's middle only.
    norm : {"batch", "group"}
        After each ReLU; "batch" as published. Instance normalisation would make every
        image's average the same, and so blind the pooled branch; "group" does not.
    groups : int
        Of the group normalisation; must divide `width`.
    dropout : float
        After each normalisation.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        width: int = 32,
        rates: tuple[int, ...] = (6, 12, 18, 24),
        norm: Norm = "batch",
        groups: int = 4,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels

        def settle(channels: int) -> list[nn.Module]:
            # Keras' momentum 0.1, which keeps a tenth of the old average, is 0.9 here.
            layer = (
                BATCH_NORM[ndim](channels, momentum=0.9)
                if norm == "batch"
                else nn.GroupNorm(groups, channels)
            )
            return [layer, nn.Dropout(dropout)]

        def convs(
            c_in: int, *shape: tuple[int, int], out: int = width
        ) -> nn.Sequential:
            """One convolution for each (kernel, rate)."""
            layers: list[nn.Module] = []
            for kernel, rate in shape:
                pad = kernel // 2 * rate
                conv = CONV[ndim](c_in, out, kernel, padding=pad, dilation=rate)
                layers += [conv, nn.ReLU(inplace=True), *settle(out)]
                c_in = out
            return nn.Sequential(*layers)

        self.near = convs(in_channels, (3, 1), (3, 1))
        self.wider = convs(width, (3, 2), (3, 2))
        self.branches = nn.ModuleList(
            [
                convs(width, (3, 1), (1, 1)),
                *(convs(width, (3, rate), (3, rate)) for rate in rates),
            ]
        )
        joined = width * (len(rates) + 2)
        self.settle = nn.Sequential(*settle(joined))
        self.mix = convs(joined, (1, 1), out=2 * width)
        self.head = CONV[ndim](2 * width, classes, 1)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        near = self.near(x_BCS)
        wider = self.wider(near)
        axes = tuple(range(2, near.ndim))
        average = near.mean(axes, keepdim=True).expand_as(near)  # of the first pair
        seen = [branch(wider) for branch in self.branches]
        logits_BKS: Tensor = self.head(
            self.mix(self.settle(torch.cat([*seen, average], 1)))
        )
        return logits_BKS
