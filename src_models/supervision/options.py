"""What a recipe may say of each method. Wakes no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from src_models.card import Pattern, Record


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


class Boxes(Kernel):
    """A box round each object.

    Labels hold the boxes filled: a structure's value inside, 0 outside all.

    Attributes
    ----------
    rounds : int
        Learn, and cut the boxes' content anew by what was learnt; the epochs are divided
        among them. 1: boxes are learnt as if they were masks, to compare with.
    smooth : float
        How much a voxel's neighbours of the same grey count beside the net.
    steps : int
        Of the mean field.
    least : float
        Share of each box that stays the structure's, whatever the net says.
    """

    rounds: int = Field(default=3, ge=1)
    smooth: float = Field(default=3, ge=0)
    steps: int = Field(default=5, ge=1)
    least: float = Field(default=0.1, ge=0, le=1)


class Sizes(Marks):
    """Strokes, and about how large each structure is.

    Attributes
    ----------
    bounds : mapping
        Value of each structure → least and most voxels, on the grid of the net.
    own : bool
        With `draw`: each case's own size and a tenth to both sides, in place of bounds
        that hold for all training cases.
    weight : float
        Of the squared voxels beyond the bounds, divided by those of the image; 0: strokes
        alone, to compare with.
    """

    bounds: dict[str, tuple[float, float]] = Field(default_factory=dict)
    own: bool = False
    weight: float = Field(default=0.01, ge=0)


class Teacher(Record):
    """Unlabelled cases.

    Attributes
    ----------
    labelled : float
        Share of the training patients whose labels are used, to compare with all; the
        others' are not read.
    weight : float
        Of the difference between student and teacher, once it is fully counted.
    ramp : float
        Share of the epochs in which its weight rises.
    decay : float
        Of the teacher's weights, once there were many steps.
    """

    labelled: float = Field(default=1, gt=0, le=1)
    weight: float = Field(default=10, ge=0)
    ramp: float = Field(default=0.3, ge=0, le=1)
    decay: float = Field(default=0.99, ge=0, lt=1)


class MultiTask(Record):
    """A second task beside the masks.

    Attributes
    ----------
    weight : float
        Of the second task's loss, the recipe's own being 1.
    balance : {"fixed", "uncertainty", "gradnorm"}
        Whether the weights stay, or are learnt: by each task's uncertainty, or so that
        all tasks pull equally strongly at the shared layers.
    alpha : float
        GradNorm: how much more a task pulls that is behind in learning.
    """

    weight: float = Field(default=1, ge=0)
    balance: Literal["fixed", "uncertainty", "gradnorm"] = "fixed"
    alpha: float = Field(default=1.5, ge=0)


class Contours(MultiTask):
    """Regions and contours.

    Attributes
    ----------
    radius : float
        Half the width of a contour, voxels.
    """

    radius: float = Field(default=3, ge=0)


class Distances(MultiTask):
    """Regions and how far each voxel is from their surface.

    Attributes
    ----------
    truncate : float
        Voxels from which on all distances are the same.
    """

    truncate: float = Field(default=10, gt=0)


class Diagnoses(MultiTask):
    """Regions and a word on the whole image.

    Attributes
    ----------
    diagnoses : mapping
        Name of each diagnosis → a regular expression at the start of the names of its
        cases. A case that none fits has no diagnosis, and teaches none.
    alone : float
        Share of the epochs, at the start, in which the masks are learnt alone.
    """

    diagnoses: dict[str, Pattern] = Field(default_factory=dict)
    alone: float = Field(default=0.5, ge=0, lt=1)
