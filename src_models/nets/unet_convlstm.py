"""A U-Net whose features are followed over time by a bidirectional ConvLSTM.

Bai et al., "Recurrent neural networks for aortic image sequence segmentation with sparse
annotations", MICCAI 2018. https://arxiv.org/abs/1808.00273

Shape letters: B batch, C channels, T frames, S spatial axes (Y X, or Z Y X), K classes,
N = B · T frames, each an image by itself.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import (
    BATCH_NORM,
    CONV,
    UP,
    InstanceNorm,
    check_input,
    crop_to,
    to_multiple,
)
from src_models.nets.convlstm import BiConvLSTM, ConvLSTM, fold, unfold

if TYPE_CHECKING:
    from collections.abc import Callable

Memory = Literal["both", "forward", "none"]
NORM: dict[str, dict[int, Callable[[int], nn.Module]]] = {
    "batch": {**BATCH_NORM},
    "instance": {2: InstanceNorm, 3: InstanceNorm},
}


class UNetConvLSTM(nn.Module):
    """Logits for every voxel of every frame.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    widths : tuple of int
        Channels of each level, finest first; two at least.
    norm : {"batch", "instance"}
        Before each ReLU.
    memory : {"both", "forward", "none"}
        Whether a frame knows of all others, of those before it, or of none: the last is
        the U-Net alone, frame by frame.
    hidden : int
        Channels of the memory in each direction.
    level : int
        Of the decoder, whose features are followed; 0 is the finest. Below a coarser one
        the decoder goes on with the memory in their place, so that both directions
        together must be as wide as they are.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        widths: tuple[int, ...],
        norm: Literal["batch", "instance"] = "batch",
        memory: Memory = "both",
        hidden: int = 16,
        level: int = 0,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels, self.level = ndim, in_channels, level
        self.stride: int = 2 ** (len(widths) - 1)

        def conv(c_in: int, c_out: int, stride: int = 1) -> list[nn.Module]:
            layer = CONV[ndim](c_in, c_out, 3, stride=stride, padding=1, bias=False)
            return [layer, NORM[norm][ndim](c_out), nn.ReLU(inplace=True)]

        def double(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
            return nn.Sequential(*conv(c_in, c_out, stride), *conv(c_out, c_out))

        self.stem = double(in_channels, widths[0])
        self.down = nn.ModuleList(double(a, b, 2) for a, b in pairwise(widths))
        self.up, self.join = nn.ModuleList(), nn.ModuleList()
        for below, here in pairwise(reversed(widths)):
            rise = UP[ndim](below, here, 3, 2, 1, output_padding=1, bias=False)
            self.up.append(nn.Sequential(rise, NORM[norm][ndim](here), nn.ReLU()))
            self.join.append(double(2 * here, here))
        self.memory = _memory(ndim, widths, memory, hidden, level)
        known = hidden * (1 + (memory == "both"))
        seen = widths[0] if level or memory == "none" else known
        self.head = CONV[ndim](seen, classes, 1)
        for name, layer in self.named_modules():
            if isinstance(layer, _ConvNd) and not name.startswith("memory"):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x_BCTS: Tensor) -> Tensor:
        """x_BCTS -> logits_BKTS, for any T and S."""
        check_input(x_BCTS, self.ndim, self.in_channels, frames=True)
        frames, spatial = x_BCTS.shape[2], x_BCTS.shape[3:]
        y = self.features(to_multiple(fold(x_BCTS), self.stride), frames)
        return unfold(crop_to(self.head(y), spatial), frames)

    def features(self, x_NCS: Tensor, frames: int) -> Tensor:
        """x_NCS -> what the last layer reads, on the same grid."""
        skips = [self.stem(x_NCS)]
        for down in self.down:
            skips.append(down(skips[-1]))
        y: Tensor = skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            y = join(torch.cat([up(y), skips.pop()], 1))
            if len(skips) == self.level and self.memory is not None:
                y = fold(self.memory(unfold(y, frames)))
        return y


def _memory(
    ndim: int, widths: tuple[int, ...], kind: Memory, hidden: int, level: int
) -> BiConvLSTM | ConvLSTM | None:
    """The layer that follows a level's features; raises ValueError if it cannot."""
    if kind == "none":
        return None
    if not 0 <= level < len(widths) - 1:
        raise ValueError(
            f"level must be in 0 … {len(widths) - 2}, got {level}: the coarsest has no "
            "decoder"
        )
    known = hidden * (1 + (kind == "both"))
    if level and known != widths[level]:
        raise ValueError(
            f"hidden gives {known} channels at level {level}, the decoder goes on from "
            f"{widths[level]}"
        )
    layer = BiConvLSTM if kind == "both" else ConvLSTM
    return layer(ndim=ndim, in_channels=widths[level], hidden=hidden)
