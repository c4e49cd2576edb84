"""What a recipe may say of each method. Wakes no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from src_models.card import Record


class Marks(Record):
    """Where the marks come from.

    Attributes
    ----------
    draw : bool
        Draw them from whole labels as an annotator might, to compare with these; of the
        training cases the labels are then read for nothing else.
    slices : int
        In a volume: planes of its first axis that are marked.
    """

    draw: bool = False
    slices: int = Field(default=3, ge=1)


class Kernel(Marks):
    """Which neighbours are alike, as `src_models.supervision.affinity.Kernel`."""

    radius: int = Field(default=3, ge=1)
    grey: float = Field(default=0.3, gt=0)
    near: float = Field(default=3, gt=0)


class Scribbles(Kernel):
    """Strokes and a term that needs no labels.

    Attributes
    ----------
    regulariser : {"ncut", "crf", "none"}
        "none": partial cross entropy alone, to compare with.
    weight : float
        Of the regulariser beside the recipe's loss.
    """

    regulariser: Literal["ncut", "crf", "none"] = "ncut"
    weight: float = Field(default=0.3, ge=0)


class Propagation(Marks):
    """Strokes that are spread over the image in rounds.

    Attributes
    ----------
    rounds : int
        Spread, learn, and again with what was learnt; the epochs are divided among them.
    voxels : int
        About so many in a superpixel.
    smooth : float
        Weight of a border between two superpixels that look the same; a superpixel's own
        wish is the mean of −log p over its voxels.
    """

    rounds: int = Field(default=3, ge=1)
    voxels: int = Field(default=40, ge=4)
    smooth: float = Field(default=1, ge=0)


class Points(Marks):
    """A click on each object.

    Attributes
    ----------
    image_level : float
        Weight of: a marked class is somewhere, one without a mark nowhere.
    objectness : float
        Weight of the prior of where objects are; 0 leaves it out.
    """

    image_level: float = Field(default=1, ge=0)
    objectness: float = Field(default=1, ge=0)
