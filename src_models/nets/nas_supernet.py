"""The net in which NAS-Unet's cells are sought: every operation on every edge.

Weng, Zhou, Li & Qiu, "NAS-Unet: Neural Architecture Search for Medical Image
Segmentation", IEEE Access 7, 2019. https://doi.org/10.1109/ACCESS.2019.2908991

Shape letters: B batch, C channels, S spatial axes (Y X, or Z Y X), K classes; E edges of
a cell, N normal operations, R resampling operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from src_models.nets.nas_cells import Inputs, Operations, Skeleton, match
from src_models.nets.nas_genotype import (
    INPUTS,
    NORMAL,
    RESAMPLED,
    RESAMPLING,
    Edge,
    Genotype,
    Kind,
    Node,
    allowed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Table = Sequence[Sequence[float]]


class Shares(NamedTuple):
    """What each operation of each edge of a cell weighs; rows sum to 1.

    Both tables have a row for every edge, in the order of `edges`; an edge reads the row
    of its own kind only.

    Attributes
    ----------
    normal : Tensor
        (E, N)
    resampling : Tensor
        (E, R)
    """

    normal: Tensor
    resampling: Tensor


def edges(nodes: int) -> Iterator[tuple[int, int]]:
    """(node, source) of each edge of a cell, the order of the tables' rows."""
    for at in range(INPUTS, INPUTS + nodes):
        for source in range(at):
            yield at, source


class Alphas(nn.Module):
    """The architecture as numbers, apart from the weights: softmax makes them shares.

    Normal operations have one table for both cells, as published.

    Parameters
    ----------
    nodes : int
        Of a cell.
    """

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.nodes = nodes
        rows = len(list(edges(nodes)))

        def table(operations: int) -> nn.Parameter:
            return nn.Parameter(1e-3 * torch.randn(rows, operations))

        self.normal = table(len(NORMAL))
        self.down = table(len(RESAMPLING["down"]))
        self.up = table(len(RESAMPLING["up"]))

    def forward(self) -> tuple[Shares, Shares]:
        """Shares of the down cell and of the up cell."""
        normal_EN = self.normal.softmax(1)
        return (
            Shares(normal_EN, self.down.softmax(1)),
            Shares(normal_EN, self.up.softmax(1)),
        )


class MixedOp(nn.Module):
    """All operations that an edge may be, each times its share."""

    def __init__(self, operations: Operations, names: Sequence[str], c: int) -> None:
        super().__init__()
        self.ops = nn.ModuleList(operations.make(name, c) for name in names)

    def forward(self, x_BCS: Tensor, share_N: Tensor) -> Tensor:
        """x_BCS, one share an operation -> y_BCS."""
        pairs = zip(share_N, self.ops, strict=True)
        terms: list[Tensor] = [share * op(x_BCS) for share, op in pairs]
        return sum(terms[1:], start=terms[0])


class MixedCell(nn.Module):
    """A cell in which each node reads both inputs and all nodes before it."""

    def __init__(
        self, operations: Operations, kind: Kind, nodes: int, c0: int, c1: int, c: int
    ) -> None:
        super().__init__()
        self.kind, self.count = kind, nodes
        self.inputs = Inputs(operations, kind, c0, c1, c)
        self.edges = nn.ModuleList(
            MixedOp(operations, allowed(kind, source), c) for _, source in edges(nodes)
        )

    def forward(self, s0_BCS: Tensor, s1_BCS: Tensor, *shares: Tensor) -> Tensor:
        """Two inputs and the cell's `Shares` -> y_BCS."""
        states, sides = self.inputs(s0_BCS, s1_BCS)
        normal_EN, resampling_ER = shares
        row = 0
        for _ in range(self.count):
            terms = []
            for source, state in enumerate(states):
                table = resampling_ER if source in RESAMPLED[self.kind] else normal_EN
                terms.append(match(self.edges[row](state, table[row]), sides))
                row += 1
            states.append(sum(terms[1:], start=terms[0]))
        return torch.cat(states[INPUTS:], 1)


class SuperNet(Skeleton):
    """Logits by shares of all operations. Its parameters are weights, no alphas.

    Normalisations in the cells have no scale of their own, since shares are one.

    Parameters
    ----------
    ndim, in_channels, classes : int
    nodes, channels, depth : int
        Nodes of a cell, channels of a node, cells on the way down.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        nodes: int = 3,
        channels: int = 16,
        depth: int = 4,
    ) -> None:
        operations = Operations(ndim, affine=False)

        def make_cell(kind: Kind, c0: int, c1: int) -> MixedCell:
            return MixedCell(operations, kind, nodes, c0, c1, channels)

        width = nodes * channels
        super().__init__(
            make_cell,
            ndim=ndim,
            in_channels=in_channels,
            classes=classes,
            depth=depth,
            stem=width,
            widths=(width, width),
            dropout=0.1,
        )


def derive(alphas: Alphas) -> Genotype:
    """The genotype of the greatest shares."""
    with torch.no_grad():
        down, up = alphas()
    return Genotype(
        derive_cell("down", down.normal.tolist(), down.resampling.tolist()),
        derive_cell("up", up.normal.tolist(), up.resampling.tolist()),
    )


def derive_cell(kind: Kind, normal: Table, resampling: Table) -> tuple[Node, ...]:
    """Two edges for each node of a cell: those with the greatest shares.

    An edge stands for its best operation, "none" excluded. A softmax over fewer
    operations gives each a larger share, so shares of the kind of edge that has fewer
    are multiplied by fewer / more before normal and resampling edges are compared.

    Parameters
    ----------
    normal, resampling : (E, N) and (E, R)
        Shares, in the order of `edges`.

    Returns
    -------
    tuple of Node
        Edges in the order of their sources, so that what is equal compares equal.
    """
    more = max(len(NORMAL), len(RESAMPLING[kind]))
    nodes: dict[int, list[tuple[float, int, str]]] = {}
    for row, (at, source) in enumerate(edges(nodes_of(len(normal)))):
        names = allowed(kind, source)
        shares = (resampling if source in RESAMPLED[kind] else normal)[row]
        share, name = max(
            (share, name)
            for share, name in zip(shares, names, strict=True)
            if name != "none"
        )
        fair = share * len(names) / more
        nodes.setdefault(at, []).append((fair, source, name))
    return tuple(_best(candidates) for candidates in nodes.values())


def _best(candidates: list[tuple[float, int, str]]) -> Node:
    """The two greatest; among equals the nearer source."""
    one, other = sorted((s, name) for _, s, name in sorted(candidates)[-2:])
    return Edge(one[1], one[0]), Edge(other[1], other[0])


def nodes_of(rows: int) -> int:
    """Nodes of a cell with so many edges, 2 + 3 + … of them."""
    nodes = 0
    while rows > 0:
        rows -= INPUTS + nodes
        nodes += 1
    return nodes
