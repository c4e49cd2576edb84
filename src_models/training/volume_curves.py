"""How a structure's volume goes over time, and how smoothly.

A heart does not jump: where a net's volumes do, frames disagree with their neighbours.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src_models.inference import predict
from src_models.metrics.columns import VOLUME_UNITS, Unit
from src_models.progress import Progress, drain

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from torch import nn

    from src_models.card import TrainedCard
    from src_models.data.cases import Case
    from src_models.inference import Options

MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class VolumeCurve:
    """Volumes of a structure in every frame of a case, by a net or by hand.

    In ml or mm² by the card's dimensions, in px where it has no spacing.
    """

    case: str
    structure: str
    by: str
    volumes: tuple[float, ...]


def roughness(volumes: Sequence[float], *, cyclic: bool) -> float:
    """Mean |v(t−1) − 2·v(t) + v(t+1)| over the mean volume; ≥ 0.

    0 for a curve without bends, for fewer than three frames and for no volume at all. A
    true beat is not 0: compare with the manual curve.

    Parameters
    ----------
    cyclic : bool
        Whether the last frame is followed by the first; if not, the ends are left out.
    """
    v = np.asarray(volumes, float)
    if len(v) < 3 or not v.any():
        return 0.0
    bends = np.roll(v, 1) - 2 * v + np.roll(v, -1)
    if not cyclic:
        bends = bends[1:-1]
    return float(np.abs(bends).mean() / v.mean())


def volume_curves(
    nets: Mapping[str, nn.Module],
    card: TrainedCard,
    cases: Sequence[Case],
    options: Options,
) -> Generator[Progress, None, list[VolumeCurve]]:
    """Of each case, structure and net; by hand too where every frame is known.

    Yields
    ------
    Progress
        After each case.
    """
    unit: Unit = "px" if card.spacing is None else "mm"
    found = []
    for done, case in enumerate(cases, 1):
        voxel = math.prod(case.spacing) / VOLUME_UNITS[unit, len(case.spacing)][1]
        known: dict[str, npt.NDArray[Any]] = {}
        if (case.labels >= 0).all():
            known[MANUAL] = case.labels
        for by, net in nets.items():
            steps = predict(
                net, card, case.image[None], spacing=case.spacing, options=options
            )
            known[by] = drain(steps)[0]
        found += [
            VolumeCurve(case.name, row.name, by, _volumes(labels, row.value, voxel))
            for row in card.labels
            for by, labels in known.items()
        ]
        yield Progress(done, len(cases), f"volumes over time of {case.name}")
    return found


def write_curves(found: Iterable[VolumeCurve], folder: Path, *, cyclic: bool) -> None:
    """``volumes.csv``, a row a frame, and ``roughness.csv``, mean ± sd over the cases."""
    rough: dict[tuple[str, str], list[float]] = {}
    with (folder / "volumes.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["case", "structure", "by", "frame", "volume"])
        for one in found:
            head = [one.case, one.structure, one.by]
            for frame, volume in enumerate(one.volumes):
                table.writerow([*head, frame, f"{volume:.4f}"])
            value = roughness(one.volumes, cyclic=cyclic)
            rough.setdefault((one.structure, one.by), []).append(value)
    with (folder / "roughness.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["structure", "by", "cases", "mean", "sd"])
        for key, values in rough.items():
            numbers = (f"{np.mean(values):.4f}", f"{np.std(values):.4f}")
            table.writerow([*key, len(values), *numbers])


def _volumes(
    labels_TS: npt.NDArray[np.integer], value: int, voxel: float
) -> tuple[float, ...]:
    axes = tuple(range(1, labels_TS.ndim))
    return tuple(((labels_TS == value).sum(axis=axes) * voxel).tolist())
