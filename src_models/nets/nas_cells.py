"""Operations and cells of NAS-Unet, and the U they are put together to.

Weng, Zhou, Li & Qiu, "NAS-Unet: Neural Architecture Search for Medical Image
Segmentation", IEEE Access 7, 2019. https://doi.org/10.1109/ACCESS.2019.2908991

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import CONV, POOL, UP, check_input, crop_to
from src_models.nets.nas_genotype import INPUTS, Kind, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AVERAGE = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
IN_A_GROUP = 16  # channels of a normalisation's group
REDUCTION = 16  # of a channel gate
SHUFFLED = 4  # groups of the shuffled convolution; the paper gives no number


class Gate(nn.Module):
    """Each channel times a number in (0, 1) that the means of all channels give."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // REDUCTION)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)
        # A narrow gate has one hidden unit; begun below zero it would never learn.
        nn.init.ones_(self.squeeze.bias)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> x_BCS."""
        axes = tuple(range(2, x_BCS.ndim))
        share_BC = self.excite(F.relu(self.squeeze(x_BCS.mean(axes)))).sigmoid()
        y_BCS: Tensor = x_BCS * share_BC[(...,) + (None,) * len(axes)]
        return y_BCS


class Shuffle(nn.Module):
    """Deal the channels of each group out to all groups, for the next layer."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> x_BCS."""
        batch, channels, *sides = x_BCS.shape
        dealt = x_BCS.view(batch, self.groups, channels // self.groups, *sides)
        return dealt.transpose(1, 2).flatten(1, 2)


class Zero(nn.Module):
    """Nothing passes."""

    def forward(self, x_BCS: Tensor) -> Tensor:
        """x_BCS -> 0_BCS."""
        return torch.zeros_like(x_BCS)


@dataclass(frozen=True, slots=True)
class Operations:
    """Layers of one net. `affine` is off while searching: there shares are the scale."""

    ndim: int
    affine: bool = True

    def norm(self, channels: int) -> nn.GroupNorm:
        """16 channels a group; one group where they do not divide so."""
        groups = 1 if channels % IN_A_GROUP else channels // IN_A_GROUP
        return nn.GroupNorm(groups, channels, affine=self.affine)

    def entry(self, c_in: int, c_out: int, stride: int) -> nn.Sequential:
        """What an input of a cell passes first."""
        return nn.Sequential(
            nn.ReLU(),
            CONV[self.ndim](c_in, c_out, 1, stride=stride, bias=False),
            self.norm(c_out),
        )

    def conv(self, c: int, **options: Any) -> nn.Sequential:
        """3-wide convolution, normalisation, ReLU."""
        return nn.Sequential(self._wide(c, **options), self.norm(c), nn.ReLU(True))

    def separable(self, c: int, **options: Any) -> nn.Sequential:
        """3-wide on each channel by itself, then 1-wide across; normalisation, ReLU."""
        each = self._wide(c, groups=c, **options)
        across = CONV[self.ndim](c, c, 1, bias=False)
        return nn.Sequential(each, across, self.norm(c), nn.ReLU(True))

    def shuffled(self, c: int) -> nn.Sequential:
        """3-wide in groups whose channels are then mixed; normalisation, ReLU."""
        groups = math.gcd(SHUFFLED, c)
        conv = self._wide(c, groups=groups)
        return nn.Sequential(conv, Shuffle(groups), self.norm(c), nn.ReLU(True))

    def gated(self, c: int, **options: Any) -> nn.Sequential:
        """Channel gate, 3-wide convolution, normalisation; signed."""
        return nn.Sequential(Gate(c), self._wide(c, **options), self.norm(c))

    def _wide(
        self, c: int, *, rate: int = 1, up: bool = False, **options: Any
    ) -> nn.Module:
        kind: Callable[..., nn.Module] = (UP if up else CONV)[self.ndim]
        return kind(c, c, 3, padding=rate, dilation=rate, bias=False, **options)

    def make(self, name: str, c: int) -> nn.Module:
        """An operation by its name, of so many channels in and out.

        Those that go down halve a side, rounded up; those that go up make n to 2n − 1.
        """
        # A pool keeps the last voxel of an odd side, as the strided convolutions do.
        down, up = {"stride": 2}, {"stride": 2, "up": True}
        makers: dict[str, Callable[[], nn.Module]] = {
            "identity": nn.Identity,
            "none": Zero,
            "cweight": partial(Gate, c),
            "dil_conv": partial(self.conv, c, rate=2),
            "dep_conv": partial(self.separable, c),
            "shuffle_conv": partial(self.shuffled, c),
            "conv": partial(self.conv, c),
            "avg_pool": partial(
                AVERAGE[self.ndim], 2, ceil_mode=True, count_include_pad=False
            ),
            "max_pool": partial(POOL[self.ndim], 2, ceil_mode=True),
            "down_cweight": partial(self.gated, c, **down),
            "down_dil_conv": partial(self.conv, c, rate=2, **down),
            "down_dep_conv": partial(self.separable, c, **down),
            "down_conv": partial(self.conv, c, **down),
            "up_cweight": partial(self.gated, c, **up),
            "up_dep_conv": partial(self.separable, c, **up),
            "up_conv": partial(self.conv, c, **up),
            "up_dil_conv": partial(self.conv, c, rate=2, **up),
        }
        return makers[name]()


class Inputs(nn.Module):
    """Both inputs of a cell, brought to its channels.

    Input 0 of a down cell is twice as fine as input 1 and is brought to its grid.
    """

    def __init__(
        self, operations: Operations, kind: Kind, c0: int, c1: int, c: int
    ) -> None:
        super().__init__()
        self.kind = kind
        self.enter0 = operations.entry(c0, c, 2 if kind == "down" else 1)
        self.enter1 = operations.entry(c1, c, 1)

    def forward(
        self, s0_BCS: Tensor, s1_BCS: Tensor
    ) -> tuple[list[Tensor], tuple[int, ...]]:
        """Both inputs, and the sides of the grid on which the cell's nodes lie."""
        if self.kind == "down":
            sides = tuple(-(-side // 2) for side in s1_BCS.shape[2:])
        else:
            sides = tuple(s0_BCS.shape[2:])
        return [self.enter0(s0_BCS), self.enter1(s1_BCS)], sides


class Cell(nn.Module):
    """A cell of a genotype: each node the sum of two edges, the nodes side by side.

    Parameters
    ----------
    operations : Operations
    kind : {"down", "up"}
    nodes : sequence of pairs of Edge
    c0, c1 : int
        Channels of input 0 (two cells before; in an up cell the skip) and of input 1
        (the cell before).
    c : int
        Channels of a node; the cell gives as many times that as it has nodes.
    """

    def __init__(
        self,
        operations: Operations,
        kind: Kind,
        nodes: Sequence[Node],
        c0: int,
        c1: int,
        c: int,
    ) -> None:
        super().__init__()
        self.inputs = Inputs(operations, kind, c0, c1, c)
        self.sources = tuple(tuple(edge.source for edge in node) for node in nodes)
        self.ops = nn.ModuleList(
            operations.make(edge.op, c) for node in nodes for edge in node
        )

    def forward(self, s0_BCS: Tensor, s1_BCS: Tensor) -> Tensor:
        """Two inputs -> y_BCS."""
        states, sides = self.inputs(s0_BCS, s1_BCS)
        ops = iter(self.ops)
        for node in self.sources:
            one, other = (match(next(ops)(states[at]), sides) for at in node)
            states.append(one + other)
        return torch.cat(states[INPUTS:], 1)


class Skeleton(nn.Module):
    """Two stems, `depth` cells down, one more up, a 1-wide head.

    Skips come only as input 0 of the up cells; nothing is joined outside of a cell.

    Parameters
    ----------
    make_cell : callable
        (kind, channels of input 0, of input 1) → cell.
    ndim, in_channels, classes, depth : int
    stem : int
        Channels of both stems.
    widths : (int, int)
        Channels that a down cell and an up cell give.
    dropout : float
        Of whole channels, before the head.
    """

    def __init__(
        self,
        make_cell: Callable[[Kind, int, int], nn.Module],
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        depth: int,
        stem: int,
        widths: tuple[int, int],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        # With a side of 1 or 2, strided convolutions of 16 bits give whatever lies in
        # memory (seen with oneDNN in PyTorch 2.13); so the last one gets 3.
        self.least = 2 ** (depth + 1) + 1
        norm = Operations(ndim).norm
        conv = partial(CONV[ndim], in_channels, stem, bias=False)
        self.stem0 = nn.Sequential(conv(1), norm(stem))
        self.stem1 = nn.Sequential(conv(3, stride=2, padding=1), norm(stem))
        down, up = widths
        given = [stem, stem, *[down] * depth]  # by the stems and the cells down
        self.down_cells = nn.ModuleList(
            make_cell("down", given[i], given[i + 1]) for i in range(depth)
        )
        below = [down, *[up] * depth]
        self.up_cells = nn.ModuleList(
            make_cell("up", given[-(i + 2)], below[i]) for i in range(depth + 1)
        )
        self.dropout: nn.Module = nn.Dropout(dropout) if dropout else nn.Identity()
        self.head = CONV[ndim](up, classes, 1, bias=False)
        for module in self.modules():
            if isinstance(module, _ConvNd):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")

    def forward(
        self, x_BCS: Tensor, down: tuple[Tensor, ...] = (), up: tuple[Tensor, ...] = ()
    ) -> Tensor:
        """x_BCS -> logits_BKS, for any S; `down` and `up` go on to their cells."""
        check_input(x_BCS, self.ndim, self.in_channels)
        x = at_least(x_BCS, self.least)
        outputs = [self.stem0(x), self.stem1(x)]
        for cell in self.down_cells:
            outputs.append(cell(*outputs[-2:], *down))
        y = outputs.pop()
        for cell in self.up_cells:
            y = cell(outputs.pop(), y, *up)
        return crop_to(self.head(self.dropout(y)), x_BCS.shape[2:])


def match(x_BCS: Tensor, sides: tuple[int, ...]) -> Tensor:
    """On a grid of these sides, by the nearest voxel."""
    return x_BCS if x_BCS.shape[2:] == sides else F.interpolate(x_BCS, sides)


def at_least(x_BCS: Tensor, side: int) -> Tensor:
    """Repeat the last voxel of each spatial axis until it has `side` of them."""
    missing = [max(0, side - n) for n in reversed(x_BCS.shape[2:])]
    pad = [n for after in missing for n in (0, after)]
    return F.pad(x_BCS, pad, mode="replicate") if any(pad) else x_BCS
