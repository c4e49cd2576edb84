"""What label values mean: names, colours and codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from src_models.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_segreview.core.geometry import Grid

RGB = tuple[float, float, float]
PIECE = 1 << 20  # voxels that are sorted at once

# Apart in hue and lightness, also for most colour-blind readers (Okabe & Ito 2008).
PALETTE: tuple[RGB, ...] = (
    (0.90, 0.62, 0.00),
    (0.34, 0.71, 0.91),
    (0.00, 0.62, 0.45),
    (0.94, 0.89, 0.26),
    (0.80, 0.47, 0.65),
    (0.84, 0.37, 0.00),
    (0.00, 0.45, 0.70),
)


@dataclass(frozen=True, slots=True)
class Code:
    """A term of a coding scheme.

    Attributes
    ----------
    scheme : str
        Its designator in DICOM: "SCT" for SNOMED CT.
    value, meaning : str
        The code itself and its words, e.g. "10200004" and "Liver".

    Raises
    ------
    InputError
        If one of the three is empty.
    """

    scheme: str
    value: str
    meaning: str

    def __post_init__(self) -> None:
        if not (self.scheme and self.value and self.meaning):
            raise InputError(
                "a code needs its scheme, its value and its meaning, got "
                f"{self.scheme!r}, {self.value!r}, {self.meaning!r}"
            )


@dataclass(frozen=True, slots=True)
class Coding:
    """What a label is, in codes; the parts that DICOM and 3D Slicer know.

    Attributes
    ----------
    type : Code
        The thing itself: liver, neoplasm.
    category : Code or None
        Its kind: anatomical structure, tissue, morphologically altered structure.
    modifier : Code or None
        Of the type, mostly its side.
    region, region_modifier : Code or None
        Where a thing is that names no place: a cyst of the left kidney.
    """

    type: Code
    category: Code | None = None
    modifier: Code | None = None
    region: Code | None = None
    region_modifier: Code | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """One structure: its value in the array (≥ 1), name, colour (0..1) and codes."""

    value: int
    name: str
    color: RGB
    coding: Coding | None = None


@dataclass(frozen=True)
class LabelTable(Mapping[int, Label]):
    """Labels by value. Values without a row get a name and a colour all the same."""

    rows: tuple[Label, ...] = ()
    _by_value: dict[int, Label] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_value", {row.value: row for row in self.rows})
        if len(self._by_value) != len(self.rows):
            raise InputError("a label table names one value twice")

    @classmethod
    def of(cls, names: Mapping[int, str]) -> LabelTable:
        """A table with the house colours."""
        return cls(tuple(Label(v, name, default_color(v)) for v, name in names.items()))

    def __getitem__(self, value: int) -> Label:
        return self._by_value[value]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_value)

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, value: int) -> str:
        row = self._by_value.get(value)
        return row.name if row else f"label {value}"

    def row(self, value: int) -> Label:
        """The label of a value, whether or not it has a row."""
        known = self._by_value.get(value)
        return known or Label(value, self.name(value), self.color(value))

    def updated(self, other: LabelTable) -> LabelTable:
        """The rows of both; where both have a value, the other's."""
        return LabelTable(tuple({**self._by_value, **other._by_value}.values()))

    def color(self, value: int) -> RGB:
        row = self._by_value.get(value)
        return row.color if row else default_color(value)


def values_in(data: npt.NDArray[Any]) -> tuple[int, ...]:
    """The labels that occur in an array of whole numbers, in order; 0 is none."""
    found: set[int] = set()
    flat = data.reshape(-1)
    for start in range(0, flat.size, PIECE):  # a whole volume sorts slowly
        found.update(np.unique(flat[start : start + PIECE]).tolist())
    return tuple(sorted(found - {0}))


def default_color(value: int) -> RGB:
    """The house colour of a label value; repeats after the palette's length."""
    return PALETTE[(value - 1) % len(PALETTE)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelMap:
    """Labels on a scan's grid.

    Attributes
    ----------
    data : unsigned integer array
        (t?, z?, y, x); 0 is background.
    grid : Grid
        Of the spatial axes.
    table : LabelTable
        Names, colours and codes; may be empty.
    name : str
        For the layer list.
    """

    data: npt.NDArray[np.unsignedinteger]
    grid: Grid
    table: LabelTable = field(default_factory=LabelTable)
    name: str = "labels"
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data.dtype.kind != "u":
            raise InputError(
                f"labels must be whole numbers ≥ 0, got the type {self.data.dtype}"
            )
        extra = self.data.ndim - self.grid.ndim
        if extra not in (0, 1) or self.data.shape[extra:] != self.grid.shape:
            raise InputError(
                f"labels of shape {self.data.shape} do not fit a grid of {self.grid.shape}"
            )

    @property
    def has_time(self) -> bool:
        return self.data.ndim > self.grid.ndim
