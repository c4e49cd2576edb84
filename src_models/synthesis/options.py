"""What a recipe may say of each method. Wakes no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from src_models.adversaries.options import Criticised, Size
from src_models.card import Pattern, Record


class RandomContrasts(Record):
    """Images painted from labels.

    Grey values are in 0 … 1 before the net's own intensity recipe. Every range is drawn
    anew for each patch; 0 turns a part off.

    Attributes
    ----------
    real : float
        Share of patches that stay real, with the recipe's ordinary changes; 0 learns
        from painted images alone, 1 is plain training.
    rotate : float
        Largest turn about each axis, degrees.
    scale, shear : float
        Largest change of each axis, and of one along another.
    bend : float
        Standard deviation of the smooth deformation, voxels.
    regions : int
        Most parts that the background is divided into; at least one.
    texture : float
        Largest standard deviation of grey inside a region.
    bias : float
        Largest standard deviation of the logarithm of the slow shading.
    gamma : float
        Standard deviation of the logarithm of the exponent.
    blur : float
        Largest width of the blur, voxels.
    low_resolution : float
        Largest voxel side of the scan that is played, in voxels; 1: as fine as the grid.
    noise : float
        Largest standard deviation of noise added last.
    """

    real: float = Field(default=0, ge=0, le=1)
    rotate: float = Field(default=20, ge=0, le=180)
    scale: float = Field(default=0.2, ge=0, lt=1)
    shear: float = Field(default=0.015, ge=0, lt=1)
    bend: float = Field(default=2, ge=0)
    regions: int = Field(default=12, ge=1)
    texture: float = Field(default=0.14, ge=0)
    bias: float = Field(default=0.3, ge=0)
    gamma: float = Field(default=0.4, ge=0)
    blur: float = Field(default=1, ge=0)
    low_resolution: float = Field(default=2.5, ge=1)
    noise: float = Field(default=0.05, ge=0)


class LearnedTransforms(Record):
    """One labelled atlas, moved and coloured as the unlabelled scans are.

    Attributes
    ----------
    atlas : str
        Name of the one training case whose labels are used; none given: the first by name
        that has every structure.
    transforms : {"learned", "random"}
        "random": smooth fields drawn at random in place of both nets, to compare with.
    learn_from : {"both", "made", "atlas"}
        Made pairs with the atlas under ordinary changes in each batch, or one of them.
    size : {"compact", "paper"}
        Widths of the two nets that learn the transforms.
    share : float
        Of the epochs, in which the transforms are learnt; the net for use learns after.
    learning_rate : float
        Of the two nets.
    smooth : float
        Weight of the flow's squared slope beside the correlation.
    smooth_colour : float
        Weight of the colour change's squared slope, away from the atlas's borders.
    window : int
        Side of the cube in which correlation is taken, voxels; odd.
    """

    atlas: str = ""
    transforms: Literal["learned", "random"] = "learned"
    learn_from: Literal["both", "made", "atlas"] = "both"
    size: Size = "compact"
    share: float = Field(default=0.4, gt=0, lt=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    smooth: float = Field(default=1, ge=0)
    smooth_colour: float = Field(default=0.02, ge=0)
    window: Literal[3, 5, 7, 9, 11] = 9


class TwoModalities(Criticised):
    """Which training cases are of the labelled modality, and how the two are translated.

    Attributes
    ----------
    source : str
        A regular expression at the start of the names of the labelled modality's cases;
        all others are of the target's. None given: every other patient's.
    contrast : {"as given", "inverted"}
        "inverted": the source's images are made dark where they were bright, to play a
        second modality where a set has one only.
    weight : float
        Of what the critics say.
    learning_rate : float
        Of the translators and critics.
    size : {"compact", "paper"}
        Of the translators and critics.
    cycle : float
        Weight of what a translation there and back has lost, each way.
    """

    source: Pattern = ""
    contrast: Literal["as given", "inverted"] = "as given"
    weight: float = Field(default=1, ge=0)
    cycle: float = Field(default=10, ge=0)


class SynSegNet(TwoModalities):
    """The labels of one modality for a net that reads the other.

    Attributes
    ----------
    learn : {"end to end", "two steps"}
        Whether the segmentation's loss moves the translator too.
    segment : float
        Weight of that loss beside the translation's.
    """

    learn: Literal["end to end", "two steps"] = "end to end"
    segment: float = Field(default=1, gt=0)


class ShapeConsistent(TwoModalities):
    """Segmentors of both modalities see to it that a translation keeps the anatomy.

    Attributes
    ----------
    shape : float
        Weight of the cross entropy of translated images' segmentations; 0: what holds the
        two modalities together is the way back alone.
    synthetic : float
        Weight of translated images beside real ones in the segmentors' loss; 0: real ones
        alone.
    labelled : float
        Share of the target's training patients whose labels are used, to see what the
        source's add.
    apart : float
        Share of the epochs, at the start, in which translators and segmentors learn, but
        not from each other.
    """

    shape: float = Field(default=1, ge=0)
    synthetic: float = Field(default=1, ge=0)
    labelled: float = Field(default=1, gt=0, le=1)
    apart: float = Field(default=0.25, ge=0, lt=1)
