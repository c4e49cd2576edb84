"""Label arrays with a journal, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segreview.core.case import CaseFacts
from napari_segreview.core.cases import Cases
from napari_segreview.core.geometry import Grid
from napari_segreview.core.keeper import FILE
from napari_segreview.core.labels import LabelMap, LabelTable

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segreview.core.keeper import Keeper


def blank(shape: tuple[int, ...] = (6, 8), dtype: Any = np.uint8) -> LabelMap:
    return LabelMap(
        data=np.zeros(shape, dtype),
        grid=Grid.from_spacing(shape[-3:], (2.0, 1.0, 1.0)[-len(shape) :]),
        table=LabelTable.of({1: "liver", 2: "tumour"}),
        name="working",
    )


def begin(root: Path, labels: LabelMap | None = None) -> Keeper:
    labels = labels or blank()
    return Cases(root).begin(CaseFacts.of(labels), labels.data)


def journal_of(root: Path) -> Path:
    """The one journal there."""
    (path,) = root.glob(f"*/{FILE}")
    return path


def paint(keeper: Keeper, at: Any, value: int) -> Any:
    """The labels with one place painted, once they are kept."""
    labels = keeper.labels.copy()
    labels[at] = value
    keeper.note(labels, tool="brush", label=value)
    return labels


def crash(keeper: Keeper) -> None:
    """Let file and lock go as a killed process does: nothing is tidied up."""
    keeper._leave()
