"""Partially reversible U-Net.

Brügger, Baumgartner & Konukoglu, "A Partially Reversible U-Net for Memory-Efficient
Volumetric Image Segmentation", MICCAI 2019. https://arxiv.org/abs/1906.06148

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from src_models.blocks import CONV, LINEAR, POOL, check_input, crop_to, to_multiple

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Halves = tuple[Tensor, Tensor]


class RevBlock(nn.Module):
    """Two halves of the channels, each in turn adding a function of the other.

    y1 = x1 + f(x2), y2 = x2 + g(y1): whoever has y can work out x.
    """

    def __init__(self, ndim: int, channels: int, groups: int) -> None:
        super().__init__()
        half = channels // 2

        def function() -> nn.Sequential:
            return nn.Sequential(
                nn.GroupNorm(groups, half),
                nn.LeakyReLU(0.01, inplace=True),  # writes on the norm's output only
                CONV[ndim](half, half, 3, padding=1, bias=False),
            )

        self.f, self.g = function(), function()

    def forward(self, x1: Tensor, x2: Tensor) -> Halves:
        """(x1, x2) -> (y1, y2), each B, C/2, S."""
        y1 = x1 + self.f(x2)
        return y1, x2 + self.g(y1)

    def inverse(self, y1: Tensor, y2: Tensor) -> Halves:
        """(y1, y2) -> (x1, x2)."""
        x2 = y2 - self.g(y1)
        return y1 - self.f(x2), x2


class RevSequence(nn.Sequential):
    """Reversible blocks at one resolution. Of all it computes, only its output is kept."""

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS. Halves of 16 bits are widened: sums must be undone exactly."""
        if x_BCS.dtype in (torch.float16, torch.bfloat16):
            x_BCS = x_BCS.float()
        if not torch.is_grad_enabled():
            return self.plain(x_BCS)
        y_BCS: Tensor = _Reversible.apply(x_BCS, self, *self.parameters())  # type: ignore[no-untyped-call]
        return y_BCS

    def plain(self, x_BCS: Tensor) -> Tensor:
        """The same, by ordinary autograd: every step is kept."""
        x1, x2 = x_BCS.chunk(2, 1)
        for block in self:
            x1, x2 = block(x1, x2)
        return torch.cat([x1, x2], 1)

    def inverse(self, y_BCS: Tensor) -> Tensor:
        """y_BCS -> x_BCS."""
        y1, y2 = y_BCS.chunk(2, 1)
        for block in reversed(cast("list[RevBlock]", list(self))):
            y1, y2 = block.inverse(y1, y2)
        return torch.cat([y1, y2], 1)


class _Reversible(torch.autograd.Function):
    """Backward works out each block's input from its output, the last block first.

    The parameters are arguments so that autograd sees them; their gradients are returned.
    """

    @staticmethod
    def forward(
        ctx: Any, x_BCS: Tensor, blocks: RevSequence, *parameters: Tensor
    ) -> Tensor:
        ctx.precision = _precision_now(x_BCS.device.type)
        ctx.blocks = blocks
        y_BCS = blocks.plain(x_BCS)
        ctx.save_for_backward(y_BCS)
        return y_BCS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BCS: Tensor) -> tuple[Tensor | None, ...]:
        (y_BCS,) = ctx.saved_tensors
        y1, y2 = y_BCS.detach().chunk(2, 1)
        d1, d2 = dy_BCS.chunk(2, 1)
        grads: dict[Tensor, Tensor] = {}
        with ctx.precision:
            for block in reversed(list(ctx.blocks)):
                g, d = _through(block.g, y1, d2, grads)
                y2, d1 = y2 - g, d1 + d  # now x2
                f, d = _through(block.f, y2, d1, grads)
                y1, d2 = y1 - f, d2 + d  # now x1
        of_parameters = (grads.get(weights) for weights in ctx.blocks.parameters())
        return (torch.cat([d1, d2], 1), None, *of_parameters)


def _precision_now(device: str) -> AbstractContextManager[object]:
    """A context to compute again as now, wherever backward is called from."""
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(
        device,
        dtype=torch.get_autocast_dtype(device),
        enabled=torch.is_autocast_enabled(device),
    )


def _through(
    function: nn.Module, at: Tensor, d_out: Tensor, grads: dict[Tensor, Tensor]
) -> Halves:
    """The function's value at a point, and d_out carried back through it.

    Gradients of its parameters go to `grads`; frozen ones have none.
    """
    learning = [weights for weights in function.parameters() if weights.requires_grad]
    with torch.enable_grad():
        at = at.detach().requires_grad_()
        value = function(at)
    d_at, *rest = torch.autograd.grad(value, [at, *learning], d_out.to(value.dtype))
    grads.update(zip(learning, rest, strict=True))
    return value.detach(), d_at


class ReversibleUNet(nn.Module):
    """Logits for every voxel. Memory of training does not grow with `depth`.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    widths : tuple of int
        Channels of each level, finest first; even, and their halves multiples of half
        the first, which is the number of groups of every normalisation.
    depth : int
        Reversible blocks of each level on the way down; on the way up there is one.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        widths: tuple[int, ...] = (60, 120, 240, 360, 480),
        depth: int = 1,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        self.stride: int = 2 ** (len(widths) - 1)
        conv, groups = CONV[ndim], widths[0] // 2

        def stage(channels: int, blocks: int) -> RevSequence:
            return RevSequence(
                *(RevBlock(ndim, channels, groups) for _ in range(blocks))
            )

        self.stem = conv(in_channels, widths[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList(
            nn.Sequential(POOL[ndim](2), conv(above, below, 1))
            for above, below in pairwise(widths)
        )
        self.down_stage = nn.ModuleList(stage(width, depth) for width in widths)
        self.up_stage = nn.ModuleList(stage(width, 1) for width in reversed(widths))
        self.up = nn.ModuleList(
            nn.Sequential(
                conv(below, above, 1),
                nn.Upsample(scale_factor=2, mode=LINEAR[ndim], align_corners=False),
            )
            for below, above in pairwise(reversed(widths))
        )
        self.head = conv(widths[0], classes, 1)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> logits_BKS, for any S."""
        check_input(x_BCS, self.ndim, self.in_channels)
        first, *stages = self.down_stage
        skips = [first(self.stem(to_multiple(x_BCS, self.stride)))]
        for down, stage in zip(self.down, stages, strict=True):
            skips.append(stage(down(skips[-1])))
        lowest, *stages = self.up_stage
        y = lowest(skips.pop())
        for up, stage in zip(self.up, stages, strict=True):
            y = stage(up(y) + skips.pop())
        return crop_to(self.head(y), x_BCS.shape[2:])
