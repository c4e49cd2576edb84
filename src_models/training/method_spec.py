"""What a recipe says of its way of training."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pydantic import Field

from src_models.card import Record, parse
from src_models.catalog.methods import find_method
from src_models.errors import InputError


class MethodSpec(Record):
    """Which way of training, of `src_models.catalog.methods`, and its own options."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


def options_of(method: MethodSpec) -> Any:
    """The method's options, validated: an instance of the card's record.

    Raises
    ------
    InputError
        If there is no such method or option, or a value does not fit.
    """
    card = find_method(method.name)
    kind = found(card.options)
    if not issubclass(kind, Record):
        raise TypeError(f"{card.options} is no Record")
    try:
        return parse(kind, method.options, "method.options")
    except InputError as error:
        raise InputError(f"{card.title}: {error}") from None


def found(name: str) -> Any:
    """What a card names: "module:attribute" of this package."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"src_models.{module}"), attribute)
