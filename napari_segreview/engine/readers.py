"""Several label maps of the same cases → how far they agree, and on what. No torch."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from napari_segreview.core.labels import LabelTable
from napari_segreview.core.matching import match_names
from napari_segreview.core.readers import votes
from napari_segreview.core.staple import staple
from napari_segreview.core.study import Agreement, Consensus, Study
from napari_segreview.engine.evaluate import compare
from napari_segreview.engine.pairing import check_grids
from src_models.errors import InputError
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from napari_segreview.core.labels import LabelMap


def study(
    cases: Mapping[str, Callable[[], Mapping[str, LabelMap]]],
    *,
    model: str = "",
    tolerance: float = 2.0,
) -> Generator[Progress, None, Study]:
    """Score every pair of readers on every case.

    Parameters
    ----------
    cases : mapping
        Case → what reads its labels: reader → LabelMap, the same readers in each.
    model : str
        Which of the readers is a model; "" for none.
    tolerance : float
        For the NSD, in the grids' unit.

    Raises
    ------
    InputError
        For fewer than two readers, no label at all, grids that differ within a case,
        units or readers that differ between cases.
    """
    pairs: list[Agreement] = []
    kinds = set()
    readers: tuple[str, ...] = ()
    for done, (case, read) in enumerate(cases.items()):
        yield Progress(done, len(cases), case)
        maps = matched(read())
        readers = readers or tuple(maps)
        if tuple(maps) != readers:
            raise InputError(f"{case}: labels of {', '.join(readers)} are wanted")
        for first, second in combinations(maps, 2):
            report = yield from compare(maps[first], maps[second], tolerance)
            kinds.add((report.unit, report.volume_unit))
            pairs += [
                Agreement(
                    case=case,
                    structure=row.name,
                    first=first,
                    second=second,
                    dice=row.dice,
                    nsd=row.nsd,
                    hd95=row.hd95,
                    volume_first=row.volume_prediction,
                    volume_second=row.volume_reference,
                )
                for row in report.rows
            ]
    if not pairs:
        raise InputError("there is no label in any case: nothing can be compared")
    if len(kinds) > 1:
        raise InputError(
            "cases of one unit are wanted, got some in mm and some in pixels, or 2D and 3D"
        )
    unit, volume_unit = kinds.pop()
    return Study(
        readers=readers,
        model=model,
        pairs=tuple(pairs),
        unit=unit,
        volume_unit=volume_unit,
        tolerance=tolerance,
    )


def matched(maps: Mapping[str, LabelMap]) -> dict[str, LabelMap]:
    """All under the same values and names, the first one's where it has them.

    Raises
    ------
    InputError
        For fewer than two, or grids that differ.
    """
    if len(maps) < 2:
        raise InputError(f"labels of two or more readers are wanted, got {len(maps)}")
    check_grids(*maps.values())
    first = next(iter(maps.values()))
    found: dict[str, LabelMap] = {}
    for name, one in maps.items():
        found[name] = match_names(one, first)[0]
        rows = (*first.table.rows, *found[name].table.rows)
        known = {row.value: row for row in reversed(rows)}
        first = replace(first, table=LabelTable(tuple(known.values())))
    return {name: replace(one, table=first.table) for name, one in found.items()}


def consensus(
    maps: Mapping[str, LabelMap],
) -> Generator[Progress, None, Consensus]:
    """Majority, STAPLE and disagreement of one case.

    Raises
    ------
    InputError
        As for `matched`.
    """
    given = matched(maps)
    arrays = [one.data for one in given.values()]
    yield Progress(0, 1, "majority")
    majority, share = votes(arrays)
    likely = yield from staple(arrays)
    first = next(iter(given.values()))
    return Consensus(
        replace(first, data=majority, name="majority"),
        replace(first, data=likely, name="STAPLE"),
        share,
    )
