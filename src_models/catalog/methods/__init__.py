"""The ways of training, as a table. Importing it imports no torch."""

from __future__ import annotations

from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING

from src_models.catalog.methods import (
    adversarial,
    multitask,
    sequences,
    synthesis,
    weak,
)
from src_models.catalog.methods.card import MethodCard
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["METHODS", "MethodCard", "find_method"]

METHODS: Mapping[str, MethodCard] = MappingProxyType(
    {
        card.name: card
        for card in (
            *adversarial.CARDS,
            *sequences.CARDS,
            *weak.CARDS,
            *multitask.CARDS,
            *synthesis.CARDS,
        )
    }
)


def find_method(name: str) -> MethodCard:
    """The card of that name.

    Raises
    ------
    InputError
        If there is none; the message names the nearest.
    """
    if name in METHODS:
        return METHODS[name]
    near = get_close_matches(name, METHODS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(METHODS)}"
    raise InputError(f"no method {name!r}; {hint}")
