"""What a recipe may say of each method that reads an order. Wakes no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from src_models.card import Record


class Frames(Record):
    """What methods that read frames have in common.

    Attributes
    ----------
    annotated : tuple of int
        Frames (from 0) of the training cases whose labels are read; those of all others
        are not looked at. None given: every frame of which something is known.
    frames : int
        Single frames in a step of the net beside it, which is taught frame by frame.
    """

    annotated: tuple[Annotated[int, Field(ge=0)], ...] = ()
    frames: int = Field(default=5, ge=1)


class SparseSequence(Frames):
    """A few annotated frames of each sequence, propagated to the others.

    Attributes
    ----------
    alone : float
        Share of the epochs in which the net is taught frame by frame, before its memory
        is added.
    propagate : bool
        Whether labels are carried to the other frames by registration; if not, those
        frames teach nothing.
    power : float
        r of the weights (1 − |t − s| / R)^r of a window's frames; 0: all alike.
    spacing : float
        Between the points of the free-form deformation, mm.
    jump : int
        Frames after which a label is carried over all of them at once.
    """

    alone: float = Field(default=0.5, gt=0, lt=1)
    propagate: bool = True
    power: float = Field(default=0.1, ge=0)
    spacing: float = Field(default=10, gt=0)
    jump: int = Field(default=5, ge=1)


class WholeSequence(Frames):
    """Clips of neighbouring frames, every known one of which counts alike.

    Attributes
    ----------
    beside : {"unet", "no memory"}
        What is taught frame by frame beside the net: a small U-Net, or the same net
        without its memory.
    """

    beside: Literal["unet", "no memory"] = "unet"


class SlicesInOrder(Record):
    """SCU-Net first, then the BiCLSTM that reads what it says.

    Attributes
    ----------
    alone : float
        Share of the epochs in which SCU-Net is taught, before its BiCLSTM is.
    between_slices : float
        Weight of the term that compares how neighbouring slices differ in the answer
        with how they differ in the labels; 0 leaves it out.
    """

    alone: float = Field(default=0.5, gt=0, lt=1)
    between_slices: float = Field(default=1, ge=0)
