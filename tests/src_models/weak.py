"""Small runs of the methods that learn from marks, and of several tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo import discs, make_recipe

from src_models.data.splits import Split
from src_models.training.method_spec import MethodSpec

if TYPE_CHECKING:
    from src_models.training.config import Recipe


def method_recipe(
    name: str, options: dict[str, Any] | None = None, **train: Any
) -> Recipe:
    """The discs' recipe, by a method, with a net of two levels."""
    recipe = make_recipe(**{"steps": 2, "loss": "ce", **train})
    tiny = {"widths": ((4, 4), (8, 8))}
    return recipe.model_copy(
        update={
            "net": recipe.net.model_copy(update={"options": tiny}),
            "method": MethodSpec(name=name, options=options or {}),
        }
    )


def sides() -> Split:
    made = discs(7)
    return Split(tuple(made[:4]), tuple(made[4:6]), tuple(made[6:]))
