"""Volumes of two readers side by side: limits of agreement, and how they are drawn.

References
----------
Bland, J. M. & Altman, D. G. (1986). Lancet 327, 307-310.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from napari_segreview.core.charts import WIDE, agreement_chart
from src_models.metrics import BlandAltman, bland_altman

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_segreview.core.study import Agreement, Study

Point = tuple[float, float]  # mean of both, first − second


@dataclass(frozen=True, slots=True)
class Plot:
    """Two readers' volumes of the same things.

    Attributes
    ----------
    first, second : str
    what : str
        The structure, a dot a case; or "all structures" of a single case, a dot each.
    found : BlandAltman
        First − second, in the study's unit of volume.
    points : tuple of (mean, difference)
    unit : str
        Of the volumes.
    """

    first: str
    second: str
    what: str
    found: BlandAltman
    points: tuple[Point, ...]
    unit: str

    @property
    def title(self) -> str:
        return f"{self.first} − {self.second}, {self.what}"

    @property
    def words(self) -> str:
        """The same in a line."""
        found = self.found
        told = f"{self.title}: bias {signed(found.bias)} {self.unit}"
        if found.cases > 1:
            told += f", limits {signed(found.low)} to {signed(found.high)}"
        return told

    def svg(self, wide: int = WIDE) -> str:
        return agreement_chart(self.points, self.found, self.title, wide)


def signed(number: float) -> str:
    """With its sign, at a precision that fits its size."""
    return f"{number:+.{0 if abs(number) >= 100 else 2}f}".replace("-", "−")


def limits(rows: list[Agreement]) -> BlandAltman:
    """Of the volumes of two readers, first − second; no limits (sd 0) for one case.

    Raises
    ------
    InputError
        If there are no rows.
    """
    mine = [one.volume_first for one in rows]
    return bland_altman(mine, [one.volume_second for one in rows])


def plots(study: Study) -> tuple[Plot, ...]:
    """Each pair of readers, structure by structure where there is more than one case."""
    return tuple(_plots(study))


def _plots(study: Study) -> Iterator[Plot]:
    unit = study.volume_unit
    cases = len({one.case for one in study.pairs})
    for first, second in combinations(study.readers, 2):
        here = [
            one for one in study.pairs if (one.first, one.second) == (first, second)
        ]
        groups = {
            name: [one for one in here if one.structure == name]
            for name in study.structures
        }
        if cases == 1:
            groups = {"all structures": here}
        for name, rows in groups.items():
            if rows:
                points = [
                    (
                        (one.volume_first + one.volume_second) / 2,
                        one.volume_first - one.volume_second,
                    )
                    for one in rows
                ]
                yield Plot(first, second, name, limits(rows), tuple(points), unit)
