"""What the catalogue says of a published system."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Options = MappingProxyType[str, Any]
Family = Literal[
    "Fully convolutional",
    "Encoder-decoder",
    "Dilated",
    "Attention",
    "Reversible",
    "Searched",
    "Recurrent",
]
Source = Literal["the authors' release", "second hand", "recalled"]


def options(**values: Any) -> Options:
    """Keyword arguments of a net, read-only."""
    return MappingProxyType(values)


@dataclass(frozen=True, slots=True)
class Result:
    """A published figure; never ours.

    Attributes
    ----------
    data, metric, value : str
        E.g. "VOC 2012 test", "mIoU %", "82.6"; a spread or a pair stays as published.
    setting : str
        What else a reader must know to compare: extra data, encoder, scales.
    source : str
        How sure it is: read in the authors' release, in another's text, or recalled.
    """

    data: str
    metric: str
    value: str
    setting: str = ""
    source: Source = "recalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """One published system.

    Attributes
    ----------
    build : str
        "module:class" below ``src_models.nets``.
    dims : tuple of int
        Spatial dimensions it exists in. A 2D net runs on a volume slice by slice.
    frames : bool
        Whether it reads the frames of a scan together, time before the axes of space:
        (B, C, T, *S) → (B, K, T, *S), for any T.
    presets : mapping
        (preset, ndim) → keyword arguments of the class. "paper" and "compact" in every
        dimension, "paper-…" for what else was published.
    published_parameters : mapping
        (preset, ndim) → (in_channels, classes, count): what the paper, or its released
        code, gives; tested as an exact integer.
    compact_parameters : mapping
        ndim → count of the compact preset, of one channel and two classes.
    evidence : str
        Where the published counts come from, or why there is none.
    results : tuple of Result
        What was published of it, with what one must know to compare.
    """

    name: str
    title: str
    family: Family
    paper: str
    reference: str
    year: int
    distinctive: str
    build: str
    dims: tuple[int, ...]
    presets: Mapping[tuple[str, int], Options]
    published_parameters: Mapping[tuple[str, int], tuple[int, int, int]]
    compact_parameters: Mapping[int, int]
    evidence: str
    results: tuple[Result, ...] = ()
    frames: bool = False

    @property
    def preset_names(self) -> tuple[str, ...]:
        """Each preset once, "compact" first, then as published."""
        return tuple(sorted({preset for preset, _ in self.presets}))
