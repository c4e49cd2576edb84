"""Which way of training a recipe asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from src_models.catalog.methods import find_method
from src_models.training.method_spec import found

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from torch import nn

    from src_models.card import NetSpec
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.training.config import Recipe
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
    fit: Fit = found(name)
    return fit


def baseline_of(recipe: Recipe) -> NetSpec:
    """The net that is trained beside, where the method trains one."""
    name = find_method(recipe.method.name).baseline if recipe.method else ""
    if not name:
        return recipe.net
    spec: NetSpec = found(name)(recipe)
    return spec


def sides_of(recipe: Recipe, cases: Split) -> Split:
    """The cases that the method learns from and is measured on; mostly all."""
    name = find_method(recipe.method.name).sides if recipe.method else ""
    if not name:
        return cases
    sides: Split = found(name)(recipe, cases)
    return sides
