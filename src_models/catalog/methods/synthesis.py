"""Methods that make images to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from src_models.catalog.methods.card import MethodCard

CARDS: tuple[MethodCard, ...] = ()
