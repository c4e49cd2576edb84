"""Genotypes of NAS-Unet: which operations join what in its two cells. Wakes no torch.

Weng, Zhou, Li & Qiu, "NAS-Unet: Neural Architecture Search for Medical Image
Segmentation", IEEE Access 7, 2019. https://doi.org/10.1109/ACCESS.2019.2908991
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal["down", "up"]
INPUTS = 2  # of a cell: 0 and 1; its nodes are counted from 2
NORMAL = (
    "identity",
    "none",
    "cweight",
    "dil_conv",
    "dep_conv",
    "shuffle_conv",
    "conv",
)
RESAMPLING: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "down": (
            "avg_pool",
            "max_pool",
            "down_cweight",
            "down_dil_conv",
            "down_dep_conv",
            "down_conv",
        ),
        "up": ("up_cweight", "up_dep_conv", "up_conv", "up_dil_conv"),
    }
)
# Both inputs of a down cell lie on the finer grid; of an up cell only the one from below
# lies on the coarser, and the other, the skip, is where the cell's output will be.
RESAMPLED: Mapping[Kind, tuple[int, ...]] = MappingProxyType(
    {"down": (0, 1), "up": (1,)}
)


def allowed(kind: Kind, source: int) -> tuple[str, ...]:
    """Operations that an edge from `source` may be; "none" only while searching."""
    return RESAMPLING[kind] if source in RESAMPLED[kind] else NORMAL


@dataclass(frozen=True, slots=True)
class Edge:
    """An operation, and what it reads: input 0 or 1, or an earlier node (2, 3, …)."""

    op: str
    source: int


Node = tuple[Edge, Edge]


@dataclass(frozen=True, slots=True)
class Genotype:
    """Two edges for each node of the cells; a node is their sum, a cell all its nodes.

    Raises
    ------
    InputError
        If an operation is not one of those its edge may be (it names the nearest), an
        edge reads what comes after it, or a cell leaves one of its inputs unread.
    """

    down: tuple[Node, ...]
    up: tuple[Node, ...]

    def __post_init__(self) -> None:
        _check("down", self.down)
        _check("up", self.up)

    def to_dict(self) -> dict[str, Any]:
        """Lists only, as JSON has them: {"down": [[[op, source], …], …], "up": …}."""
        return {
            kind: [[[edge.op, edge.source] for edge in node] for node in nodes]
            for kind, nodes in (("down", self.down), ("up", self.up))
        }


def genotype_from_dict(values: object, where: str = "genotype") -> Genotype:
    """What `Genotype.to_dict` gave.

    Parameters
    ----------
    where : str
        What the error begins with, e.g. the file.

    Raises
    ------
    InputError
        If the form is another, or as of `Genotype`.
    """
    if not isinstance(values, dict) or set(values) != {"down", "up"}:
        raise InputError(f'{where}: wanted the two keys "down" and "up" and no others')
    try:
        return Genotype(_nodes("down", values["down"]), _nodes("up", values["up"]))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def write_genotype(genotype: Genotype, path: Path) -> None:
    """As JSON, a node a line."""
    cells = [
        f'  "{kind}": [\n    '
        + ",\n    ".join(json.dumps(node) for node in nodes)
        + "\n  ]"
        for kind, nodes in genotype.to_dict().items()
    ]
    path.write_text("{\n" + ",\n".join(cells) + "\n}\n", encoding="utf-8")


def read_genotype(path: Path) -> Genotype:
    """From JSON.

    Raises
    ------
    InputError
        If the file cannot be read, is not JSON, or holds no valid genotype.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from None
    return genotype_from_dict(values, str(path))


def find_genotype(name: str) -> Genotype:
    """A published genotype.

    Raises
    ------
    InputError
        If there is none of that name; the message says which there are.
    """
    if name not in GENOTYPES:
        raise InputError(
            f"no genotype {name!r}; there are {', '.join(GENOTYPES)} (or give a Genotype)"
        )
    return GENOTYPES[name]


def as_genotype(genotype: Genotype | str | dict[str, Any]) -> Genotype:
    """Whatever names or describes one; see `find_genotype`, `genotype_from_dict`."""
    if isinstance(genotype, str):
        return find_genotype(genotype)
    if isinstance(genotype, Genotype):
        return genotype
    return genotype_from_dict(genotype)


def _nodes(kind: Kind, rows: object) -> tuple[Node, ...]:
    """Lists as nodes; refuses what is not pairs of [operation, input]."""
    nodes = []
    for row in rows if isinstance(rows, list) else [rows]:
        match row:
            case [[str(a), int(i)], [str(b), int(j)]]:
                nodes.append((Edge(a, i), Edge(b, j)))
            case _:
                raise InputError(
                    f"a node of the {kind} cell is two pairs [operation, input], got "
                    f"{row!r}"[:200]
                )
    return tuple(nodes)


def _check(kind: Kind, nodes: tuple[Node, ...]) -> None:
    for at, node in enumerate(nodes, start=INPUTS):
        if len(node) != 2:
            raise InputError(
                f"node {at} of the {kind} cell has {len(node)} edges, not 2"
            )
        for edge in node:
            if not 0 <= edge.source < at:
                raise InputError(
                    f"node {at} of the {kind} cell reads {edge.source}; it may read "
                    f"0 … {at - 1}"
                )
            _check_operation(kind, edge)
    read = {edge.source for node in nodes for edge in node}
    if not read >= set(range(INPUTS)):
        raise InputError(f"the {kind} cell must read both its inputs, 0 and 1")


def _check_operation(kind: Kind, edge: Edge) -> None:
    known = [op for op in allowed(kind, edge.source) if op != "none"]
    if edge.op not in known:
        near = get_close_matches(edge.op, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise InputError(
            f"no operation {edge.op!r} from {edge.source} in the {kind} cell; {hint}"
        )


def _of(*edges: tuple[str, int]) -> tuple[Node, ...]:
    """Nodes out of edges, two by two."""
    all_edges = [Edge(*edge) for edge in edges]
    return tuple(zip(all_edges[::2], all_edges[1::2], strict=True))


# As the released code lists them; its default is "v2".
GENOTYPES: Mapping[str, Genotype] = MappingProxyType(
    {
        "v1": Genotype(
            down=_of(
                ("down_conv", 0),
                ("down_dil_conv", 1),
                ("down_dep_conv", 0),
                ("down_dep_conv", 1),
            ),
            up=_of(("cweight", 0), ("up_cweight", 1), ("conv", 0), ("up_cweight", 1)),
        ),
        "v2": Genotype(
            down=_of(
                ("down_conv", 1),
                ("down_dep_conv", 0),
                ("down_cweight", 1),
                ("down_dil_conv", 0),
                ("down_dil_conv", 1),
                ("down_conv", 0),
            ),
            up=_of(
                ("identity", 0),
                ("up_cweight", 1),
                ("identity", 2),
                ("up_cweight", 1),
                ("cweight", 3),
                ("up_conv", 1),
            ),
        ),
        "v3": Genotype(
            down=_of(
                ("down_dil_conv", 1),
                ("down_cweight", 0),
                ("down_cweight", 0),
                ("down_cweight", 1),
                ("down_cweight", 0),
                ("conv", 3),
                ("down_cweight", 0),
                ("conv", 4),
            ),
            up=_of(
                ("cweight", 0),
                ("up_cweight", 1),
                ("conv", 2),
                ("up_cweight", 1),
                ("up_cweight", 1),
                ("conv", 3),
                ("up_cweight", 1),
                ("conv", 4),
            ),
        ),
    }
)
