"""Encoders that can exchange their last strides for dilation.

ResNet: He et al., CVPR 2016. https://arxiv.org/abs/1512.03385
ResNeXt: Xie et al., CVPR 2017. https://arxiv.org/abs/1611.05431
Aligned Xception: Chollet, CVPR 2017, https://arxiv.org/abs/1610.02357, as changed by
Chen et al., ECCV 2018, https://arxiv.org/abs/1802.02611

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from src_models.blocks import CONV, POOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Norm = Literal["batch", "group"]
GROUPS = 8


class BatchNorm(_BatchNorm):
    """Batch normalisation of any number of axes, and of a single value.

    One value a channel, as image pooling makes of a batch of one image, has no variance:
    it is normalised by the running averages, which it leaves as they are.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Any will do."""

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> x_BCS."""
        if not self.training or x_BCS.numel() > x_BCS.shape[1]:
            return super().forward(x_BCS)
        return F.batch_norm(
            x_BCS,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            eps=self.eps,
        )


@dataclass(frozen=True, slots=True)
class Layers:
    """Convolutions of one net: centred, without bias, normalised."""

    ndim: int
    norm: Norm

    def normed(self, channels: int) -> nn.Module:
        """The normalisation of so many channels."""
        if self.norm == "batch":
            return BatchNorm(channels)
        return nn.GroupNorm(gcd(GROUPS, channels), channels)

    def conv(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        rate: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> nn.Sequential:
        """A convolution; an output voxel lies on the middle of its kernel."""
        layers: list[nn.Module] = [
            CONV[self.ndim](
                c_in,
                c_out,
                kernel,
                stride=stride,
                padding=kernel // 2 * rate,
                dilation=rate,
                groups=groups,
                bias=False,
            ),
            self.normed(c_out),
        ]
        return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))

    def separable(
        self, c_in: int, c_out: int, *, stride: int = 1, rate: int = 1, relu: bool
    ) -> nn.Sequential:
        """3-wide on each channel by itself, then 1-wide across them."""
        each = self.conv(
            c_in, c_in, 3, stride=stride, rate=rate, groups=c_in, relu=relu
        )
        return nn.Sequential(each, self.conv(c_in, c_out, relu=relu))


def exchange(
    strides: Iterable[int], reached: int, output_stride: int
) -> Iterator[tuple[int, int, int]]:
    """(stride, rate there, rate from there on) for each stage.

    A stride that would go beyond `output_stride` is left out, and what follows is
    dilated instead: the same numbers as before, at more places.
    """
    rate = 1
    for stride in strides:
        if reached * stride <= output_stride:
            reached *= stride
            yield stride, rate, rate
        else:
            yield 1, rate, rate * stride
            rate *= stride


class Bottleneck(nn.Module):
    """Narrow, convolve, widen; the input is added."""

    def __init__(
        self,
        layers: Layers,
        c_in: int,
        mid: int,
        stride: int,
        rate: int,
        groups: int = 1,
    ) -> None:
        super().__init__()
        out = 4 * mid
        if groups > 1:  # ResNeXt: twice as wide inside, in groups
            mid = 2 * mid
        self.convs = nn.Sequential(
            layers.conv(c_in, mid),
            layers.conv(mid, mid, 3, stride=stride, rate=rate, groups=groups),
            layers.conv(mid, out, relu=False),
        )
        self.shortcut = (
            nn.Identity()
            if c_in == out and stride == 1
            else layers.conv(c_in, out, stride=stride, relu=False)
        )

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> y_BCS."""
        return F.relu(self.convs(x_BCS) + self.shortcut(x_BCS))


class ResNet(nn.Module):
    """Features at stride 4 and at the output stride, or of all four stages.

    Parameters
    ----------
    layers : Layers
    in_channels : int
    output_stride : {4, 8, 16, 32}
    blocks : tuple of int
        Bottlenecks of each of the four stages.
    width : int
        Channels of the stem.
    groups : int
        Of the bottlenecks' 3-wide convolutions; with more than one it is a ResNeXt
        (101 layers, 32 groups: "32x4d").
    multi_grid : tuple of int
        Dilation of each bottleneck of the last stage; empty: as the stride demands.

    Attributes
    ----------
    stage_channels : tuple of int
        Of what `features` gives.
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        output_stride: int,
        *,
        blocks: tuple[int, ...] = (3, 4, 23, 3),
        width: int = 64,
        groups: int = 1,
        multi_grid: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            layers.conv(in_channels, width, 7, stride=2),
            POOL[layers.ndim](3, stride=2, padding=1),
        )
        self.stages = nn.ModuleList()
        c_in, plan = width, exchange((1, 2, 2, 2), 4, output_stride)
        for level, (n, (stride, here, after)) in enumerate(
            zip(blocks, plan, strict=True)
        ):
            mid = width * 2**level
            rates = (here, *[after] * (n - 1))
            if multi_grid and level == len(blocks) - 1:
                rates = multi_grid
            stage = [
                Bottleneck(layers, c, mid, by, rate, groups)
                for c, by, rate in zip(
                    (c_in, *[4 * mid] * (n - 1)),
                    (stride, *[1] * (n - 1)),
                    rates,
                    strict=True,
                )
            ]
            self.stages.append(nn.Sequential(*stage))
            c_in = 4 * mid
        self.stage_channels = tuple(4 * width * 2**level for level in range(4))
        self.low_channels, self.channels = 4 * width, c_in

    def features(self, x_BCS: Tensor) -> tuple[Tensor, ...]:
        """x_BCS -> what each of the four stages gives, the finest (stride 4) first."""
        y, stages = self.stem(x_BCS), []
        for stage in self.stages:
            y = stage(y)
            stages.append(y)
        return tuple(stages)

    def forward(self, x_BCS: Tensor) -> tuple[Tensor, Tensor]:
        """x_BCS -> low_BCS at stride 4, y_BCS at the output stride."""
        low, *_, y = self.features(x_BCS)
        return low, y


XCEPTION = (  # channels of three separable convolutions, stride of the third, shortcut
    ((128, 128, 128), 2, True),
    ((256, 256, 256), 2, True),
    ((728, 728, 728), 2, True),
    *[((728, 728, 728), 1, True)] * 16,
    ((728, 1024, 1024), 2, True),
    ((1536, 1536, 2048), 1, False),
)


class Separables(nn.Module):
    """Three separable convolutions and, unless it is the last, a shortcut round them.

    With a shortcut ReLU comes before each; without, after each half of each.
    """

    def __init__(
        self,
        layers: Layers,
        c_in: int,
        widths: tuple[int, ...],
        stride: int,
        rate: int,
        shortcut: bool,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        self.shortcut = None
        if shortcut:
            same = c_in == widths[-1] and len(set(widths)) == 1 and stride == 1
            self.shortcut = (
                nn.Identity()
                if same
                else layers.conv(c_in, widths[-1], stride=stride, relu=False)
            )
        for at, c_out in enumerate(widths):
            by = stride if at == len(widths) - 1 else 1
            conv = layers.separable(
                c_in, c_out, stride=by, rate=rate, relu=not shortcut
            )
            self.convs.append(nn.Sequential(nn.ReLU(), conv) if shortcut else conv)
            c_in = c_out

    def forward(self, x_BCS: Tensor) -> tuple[Tensor, Tensor]:
        """x_BCS -> second_BCS, before the third convolution's stride, and y_BCS."""
        first, second, third = self.convs
        inner = second(first(x_BCS))
        y = third(inner)
        return inner, y if self.shortcut is None else y + self.shortcut(x_BCS)


class Xception(nn.Module):
    """Aligned Xception-65: features at stride 4 and at the output stride."""

    def __init__(self, layers: Layers, in_channels: int, output_stride: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            layers.conv(in_channels, 32, 3, stride=2), layers.conv(32, 64, 3)
        )
        self.blocks = nn.ModuleList()
        c_in, plan = 64, exchange((row[1] for row in XCEPTION), 2, output_stride)
        for (widths, _, shortcut), (stride, here, _) in zip(
            XCEPTION, plan, strict=True
        ):
            self.blocks.append(Separables(layers, c_in, widths, stride, here, shortcut))
            c_in = widths[-1]
        self.low_channels, self.channels = XCEPTION[1][0][1], c_in

    def forward(self, x_BCS: Tensor) -> tuple[Tensor, Tensor]:
        """x_BCS -> low_BCS at stride 4, y_BCS at the output stride."""
        first, second, *later = self.blocks
        low, y = second(first(self.stem(x_BCS))[1])
        for block in later:
            y = block(y)[1]
        return low, y
