"""Which way of training a recipe asks for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from src_models.card import Record, parse
from src_models.catalog.methods import find_method
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from torch import nn

    from src_models.card import NetSpec
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.training.config import MethodSpec, Recipe
    from src_models.training.curves import Epoch


class Fit(Protocol):
    """From cases to the net that is used, as `src_models.training.fit.fit`."""

    def __call__(
        self,
        recipe: Recipe,
        cases: Split,
        run: Path,
        *,
        accelerator: str = "auto",
        devices: int = 1,
        nodes: int = 1,
    ) -> Generator[Progress | Epoch, None, nn.Module]: ...


def fit_of(recipe: Recipe) -> Fit:
    """The recipe's method; plain supervised training if it names none."""
    name = "training.fit:fit"
    if recipe.method is not None:
        name = find_method(recipe.method.name).fit
    fit: Fit = _found(name)
    return fit


def baseline_of(recipe: Recipe) -> NetSpec:
    """The net that is trained beside, where the method trains one."""
    name = find_method(recipe.method.name).baseline if recipe.method else ""
    if not name:
        return recipe.net
    spec: NetSpec = _found(name)(recipe)
    return spec


def options_of(method: MethodSpec) -> Any:
    """The method's options, validated: an instance of the card's record.

    Raises
    ------
    InputError
        If there is no such method or option, or a value does not fit.
    """
    card = find_method(method.name)
    kind = _found(card.options)
    if not issubclass(kind, Record):
        raise TypeError(f"{card.options} is no Record")
    try:
        return parse(kind, method.options, "method.options")
    except InputError as error:
        raise InputError(f"{card.title}: {error}") from None


def _found(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"src_models.{module}"), attribute)
