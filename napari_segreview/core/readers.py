"""Several people's (and models') labels of the same cases, held against each other.

References
----------
Williams, G. W. (1976). Biometrics 32, 619-627 (the index of agreement).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_segreview.core.agreement import limits, signed
from napari_segreview.core.table import Cell, Table
from src_models.errors import InputError
from src_models.metrics import DEFINITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_segreview.core.study import Study
    from src_models.metrics import BlandAltman

Labels = npt.NDArray[np.unsignedinteger[Any]]

RULE = (
    "Within the spread of the readers: the model's mean Dice with the readers is no "
    "lower than the lowest Dice between two readers. Williams' index is that mean over "
    "the readers' mean Dice with each other: 1 or more is as good as another reader."
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Whether a model lies within the spread of the readers; see `RULE`.

    Attributes
    ----------
    among, lowest : float
        Mean and lowest Dice between two readers, each pair averaged over cases.
    model : float
        The model's mean Dice with the readers.
    volume_inside : int
        Cases in which the model's volume lies between the readers' smallest and largest.
    """

    structure: str
    among: float
    lowest: float
    model: float
    volume_inside: int
    cases: int

    @property
    def within(self) -> bool:
        return self.model >= self.lowest

    @property
    def williams(self) -> float:
        """Williams' index, ≥ 0; infinite if the readers never agree."""
        return self.model / self.among if self.among else float("inf")


def votes(maps: Sequence[Labels]) -> tuple[Labels, npt.NDArray[np.float32]]:
    """The majority's label, and the share of readers outside the most frequent one.

    Parameters
    ----------
    maps : sequence of integer arrays, same shape
        One a reader, at least two.

    Returns
    -------
    majority : array of the same shape
        The label of more than half of the readers; 0 where there is none.
    disagreement : float32 array
        1 − (votes of the most frequent label) / readers; 0 where all agree.

    Raises
    ------
    InputError
        For fewer than two readers.
    """
    if len(maps) < 2:
        raise InputError(f"labels of two or more readers are wanted, got {len(maps)}")
    most = np.zeros(maps[0].shape, np.uint16)
    majority = np.zeros(maps[0].shape, np.result_type(*maps))
    for mine in maps:
        count = sum((mine == other).astype(np.uint16) for other in maps)
        more = count > most
        most[more] = count[more]
        majority[more] = mine[more]
    majority[2 * most <= len(maps)] = 0
    return majority, (1 - most / len(maps)).astype(np.float32)


def spread(study: Study) -> tuple[Spread, ...]:
    """The model against the readers, structure by structure; nothing without a model.

    Raises
    ------
    InputError
        If there are fewer than two readers beside the model.
    """
    if not study.model:
        return ()
    people = [name for name in study.readers if name != study.model]
    if len(people) < 2:
        raise InputError(
            "two readers beside the model are wanted, to know how far they are apart, "
            f"got {len(people)}"
        )
    return tuple(_spread(study, people, name) for name in study.structures)


def _spread(study: Study, people: list[str], structure: str) -> Spread:
    here = [one for one in study.pairs if one.structure == structure]
    by_pair = [
        fmean(one.dice for one in here if {one.first, one.second} == {a, b})
        for a, b in combinations(people, 2)
    ]
    model = fmean(one.dice for one in here if study.model in (one.first, one.second))
    volumes: dict[str, dict[str, float]] = {}
    for one in here:
        volumes.setdefault(one.case, {})[one.first] = one.volume_first
        volumes[one.case][one.second] = one.volume_second
    inside = 0
    for held in volumes.values():
        theirs = [held[name] for name in people]
        inside += min(theirs) <= held[study.model] <= max(theirs)
    return Spread(structure, fmean(by_pair), min(by_pair), model, inside, len(volumes))


def pair_table(study: Study) -> Table:
    """A row for each pair of readers and structure, means over the cases."""
    rows = []
    for first, second in combinations(study.readers, 2):
        for structure in study.structures:
            here = [
                one
                for one in study.pairs
                if (one.first, one.second, one.structure) == (first, second, structure)
            ]
            if not here:
                continue
            dice, nsd, hd95 = (
                fmean(getattr(one, key) for one in here)
                for key in ("dice", "nsd", "hd95")
            )
            rows.append(
                (
                    Cell(f"{first} – {second}", f"{first} {second}"),
                    Cell(structure, structure),
                    Cell(f"{dice:.3f}", dice),
                    Cell(f"{nsd:.3f}", nsd),
                    Cell(f"{hd95:.2f}", hd95),
                    _volumes(limits(here)),
                )
            )
    return Table(
        headers=(
            "Readers",
            "Structure",
            "Dice",
            f"NSD ({study.tolerance:g} {study.unit})",
            f"HD95 ({study.unit})",
            f"Volume bias (limits), {study.volume_unit}",
        ),
        hovers=(
            "Two sets of labels of the same cases",
            "The structure",
            *(
                f"Mean over the cases. {DEFINITIONS[key]}"
                for key in ("dice", "nsd", "hd95")
            ),
            "Bland-Altman over the cases: mean of first − second, and in brackets that "
            "± 1.96 standard deviations, from two cases on",
        ),
        rows=tuple(rows),
    )


def spread_table(study: Study) -> Table:
    """A row a structure: the model against the readers."""
    return Table(
        headers=(
            "Structure",
            "Verdict",
            "Williams' index",
            "Model's Dice",
            "Readers' Dice (lowest)",
            "Volume in range",
        ),
        hovers=(
            "The structure",
            *[RULE] * 4,
            "Cases in which the model's volume lies between the smallest and the largest "
            "of the readers",
        ),
        rows=tuple(
            (
                Cell(one.structure, one.structure),
                Cell("within the spread" if one.within else "outside", str(one.within)),
                Cell(f"{one.williams:.3f}", one.williams),
                Cell(f"{one.model:.3f}", one.model),
                Cell(f"{one.among:.3f} ({one.lowest:.3f})", one.among),
                Cell(f"{one.volume_inside} of {one.cases}", float(one.volume_inside)),
            )
            for one in spread(study)
        ),
    )


def _volumes(found: BlandAltman) -> Cell:
    told = signed(found.bias)
    if found.cases > 1:
        told += f" ({signed(found.low)} to {signed(found.high)})"
    return Cell(told, found.bias)
