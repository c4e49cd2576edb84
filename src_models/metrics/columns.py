"""The numbers of a report: title, unit, definition, which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Unit = Literal["mm", "px"]
UnitKind = Literal["share", "tolerance", "length", "volume"]
Better = Literal["high", "low", "zero"]

VOLUME_UNITS: dict[tuple[Unit, int], tuple[str, float]] = {
    # unit of length, axes of space → unit of volume, how many mm³, mm² or voxels it is
    ("mm", 3): ("ml", 1000.0),
    ("mm", 2): ("mm²", 1.0),
    ("px", 3): ("px", 1.0),
    ("px", 2): ("px", 1.0),
}

_OVERLAP = "Both empty: 1. One empty: 0."
_DISTANCE = "Both empty: 0. One empty: the diagonal of the image."
_SIZE = "Empty: 0."


@dataclass(frozen=True, slots=True)
class Column:
    """One number of a report.

    Attributes
    ----------
    key : str
        The field of `LabelScore`.
    title : str
        For a header.
    unit_kind : {"share", "tolerance", "length", "volume"}
        "share" has no unit and lies in 0..1, as has "tolerance", which is told with the
        tolerance it was taken at.
    formula, empty_rule : str
        For the hover text and the report's definitions.
    better : {"high", "low", "zero"} or None
        Which way is better; None for a size, which is neither.
    """

    key: str
    title: str
    unit_kind: UnitKind
    formula: str
    empty_rule: str
    better: Better | None

    @property
    def definition(self) -> str:
        """Formula and empty case in one line."""
        return f"{self.formula}. {self.empty_rule}"

    def header(self, unit: str, volume_unit: str, tolerance: float) -> str:
        """The title with its unit, e.g. "HD95 (mm)", "NSD (2 mm)", "Dice"."""
        told: dict[UnitKind, str] = {
            "share": "",
            "tolerance": f" ({tolerance:g} {unit})",
            "length": f" ({unit})",
            "volume": f" ({volume_unit})",
        }
        return self.title + told[self.unit_kind]


COLUMNS: tuple[Column, ...] = (
    Column("dice", "Dice", "share", "2 TP / (2 TP + FP + FN)", _OVERLAP, "high"),
    Column(
        "nsd",
        "NSD",
        "tolerance",
        "Share of the surface voxels of both that lie within the tolerance of the "
        "other surface, by count (surface Dice)",
        _OVERLAP,
        "high",
    ),
    Column(
        "hd95",
        "HD95",
        "length",
        "Larger of the two directed 95th percentiles of the distances between surface "
        "voxels (MONAI's definition)",
        _DISTANCE,
        "low",
    ),
    Column(
        "assd",
        "ASSD",
        "length",
        "Mean distance to the other surface over the surface voxels of both, pooled",
        _DISTANCE,
        "low",
    ),
    Column(
        "volume_prediction",
        "Predicted volume",
        "volume",
        "Voxels of the prediction × voxel size; of a sequence, the mean of its frames",
        _SIZE,
        None,
    ),
    Column(
        "volume_reference",
        "Reference volume",
        "volume",
        "Voxels of the reference × voxel size; of a sequence, the mean of its frames",
        _SIZE,
        None,
    ),
    Column(
        "volume_difference",
        "Volume difference",
        "volume",
        "Predicted − reference volume",
        "Both empty: 0.",
        "zero",
    ),
    Column("iou", "IoU", "share", "TP / (TP + FP + FN)", _OVERLAP, "high"),
    Column("sensitivity", "Sensitivity", "share", "TP / (TP + FN)", _OVERLAP, "high"),
    Column(
        "specificity",
        "Specificity",
        "share",
        "TN / (TN + FP), over the whole grid",
        "Nothing outside the reference: 1.",
        "high",
    ),
    Column("precision", "Precision", "share", "TP / (TP + FP)", _OVERLAP, "high"),
    Column(
        "boundary_iou",
        "Boundary IoU",
        "tolerance",
        "IoU of the two rims: each mask's voxels within the tolerance of its own surface "
        "voxels (Cheng 2021)",
        _OVERLAP,
        "high",
    ),
)

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {column.key: column.definition for column in COLUMNS}
)
