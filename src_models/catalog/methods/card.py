"""What the catalogue says of a published way of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from src_models.catalog.card import Result

Theme = Literal[
    "Adversarial",
    "Sequence",
    "Weak supervision",
    "Multi-task",
    "Synthesis",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCard:
    """One published method: how a net of the catalogue, or its own, is trained.

    Attributes
    ----------
    fit : str
        "module:function" below ``src_models``. Called as `src_models.training.fit.fit`
        is, with the same steps on the way and the net for use at the end.
    options : str
        "module:Record" below ``src_models``: what ``[method.options]`` of a recipe may
        hold.
    baseline : str
        "module:function" below ``src_models``: from a recipe to the `NetSpec` of the net
        that is trained beside, where it is not the recipe's own.
    sides : str
        "module:function" below ``src_models``: from a recipe and the split cases to those
        that are learnt from and measured on, where that is not all of them.
    frames : bool
        Whether it teaches nets that read frames together, instead of single images.
    choices : tuple of str
        Where the paper is silent or out of reach: what was chosen, a sentence each.
    results : tuple of Result
        What was published of it, with what one must know to compare.
    """

    name: str
    title: str
    theme: Theme
    paper: str
    reference: str
    year: int
    distinctive: str
    fit: str
    options: str
    baseline: str = ""
    sides: str = ""
    frames: bool = False
    choices: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()
