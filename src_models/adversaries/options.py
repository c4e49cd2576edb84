"""What a recipe may say of each adversarial method. Wakes no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from src_models.card import Record

Size = Literal["compact", "paper"]


class Criticised(Record):
    """What all methods with critics have in common.

    Attributes
    ----------
    weight : float
        Of the critic's term beside the recipe's loss.
    learning_rate : float
        Of the critics.
    size : {"compact", "paper"}
        Widths of the critics: as published, or a quarter of it.
    on_collapse : {"report", "dismiss"}
        What happens when a critic says nothing any more: a note in each epoch, or the
        segmentor goes on without it. One whose answers are no numbers always goes.
    patience : int
        Epochs in a row with the same symptom before it counts as collapsed.
    """

    weight: float = Field(default=0.1, ge=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    size: Size = "compact"
    on_collapse: Literal["report", "dismiss"] = "report"
    patience: int = Field(default=3, ge=1)


class Adversarial(Criticised):
    """What methods that judge a segmentor's answers have in common.

    Attributes
    ----------
    alone : float
        Share of the epochs, at the start, in which the segmentor learns without them.
    """

    alone: float = Field(default=0, ge=0, lt=1)


class Luc(Adversarial):
    """A critic of image and label map.

    Attributes
    ----------
    input : {"product", "basic", "scaling"}
        What it reads: each class map times each channel of the image; the image and the
        maps; the same, but manual labels softened so that softness tells nothing.
    tau : float
        For "scaling": the least probability of the true class in the softened labels.
    """

    alone: float = Field(default=0.25, ge=0, lt=1)
    input: Literal["product", "basic", "scaling"] = "product"
    tau: float = Field(default=0.9, gt=0, le=1)


class VGan(Adversarial):
    """A critic of image and map at one of four scales; whole epochs in turn.

    Attributes
    ----------
    critic : {"image", "patch-2", "patch-1", "pixel"}
        One answer for the whole patch; one for each 64th or each 8th of its side; one for
        each pixel.
    """

    critic: Literal["image", "patch-2", "patch-1", "pixel"] = "image"


class SegAN(Adversarial):
    """Critics that see images masked by each answer, and find what sets them apart.

    Attributes
    ----------
    weight : float
        Of the distance that the critics see, averaged over the structures.
    supervised : float
        Of the recipe's loss beside it; 0: the distance alone, as in the paper.
    limit : float
        Largest size of every parameter of a critic.
    average : {"layers", "features"}
        Of the distance: the mean of the levels' means, as in the paper; of all features,
        weighed by level, as in the release.
    """

    weight: float = Field(default=1, ge=0)
    supervised: float = Field(default=1, ge=0)
    limit: float = Field(default=0.05, gt=0)
    average: Literal["layers", "features"] = "layers"


class ASDNet(Adversarial):
    """A confidence network for each voxel; unlabelled cases teach where it believes.

    Attributes
    ----------
    semi : float
        Weight of what is learnt from the unlabelled.
    later : float
        Share of the epochs after which they teach; not before the critic has begun.
    threshold : float or "adaptive"
        Confidence above which a voxel teaches; "adaptive": 1 − the last validation Dice.
    beta : float
        Each image's loss is weighed by (1 − its Dice)^beta; 0: all alike.
    labelled : float
        Share of the training patients whose labels are used, to compare with all; the
        others' are not read.
    """

    weight: float = Field(default=0.05, ge=0)
    learning_rate: float = Field(default=1e-4, gt=0)
    alone: float = Field(default=0.25, ge=0, lt=1)
    semi: float = Field(default=0.5, ge=0)
    later: float = Field(default=0.5, ge=0, lt=1)
    threshold: Annotated[float, Field(ge=0, le=1)] | Literal["adaptive"] = "adaptive"
    beta: float = Field(default=1, ge=0)
    labelled: float = Field(default=1, gt=0, le=1)


class Projective(Adversarial):
    """A critic of slices and one of projections of the whole volume.

    Attributes
    ----------
    weight : float
        Of what the critic of slices says.
    projected : float
        Of what the critic of projections says.
    projection : {"mean", "soft maximum"}
        The share of the way through the volume that lies in the structure, or the chance
        that any of it does.
    axes : tuple of {"z", "y", "x"}
        Along which the volume is projected; each has a critic of its own.
    """

    weight: float = Field(default=0.01, ge=0)
    projected: float = Field(default=0.01, ge=0)
    alone: float = Field(default=0.25, ge=0, lt=1)
    projection: Literal["mean", "soft maximum"] = "mean"
    axes: tuple[Literal["z", "y", "x"], ...] = Field(default=("z",), min_length=1)
