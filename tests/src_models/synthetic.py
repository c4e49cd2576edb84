"""Small runs of the methods that make images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file
from zoo import discs, make_recipe

from src_models.catalog.methods.synthesis import CARDS
from src_models.data.splits import Split
from src_models.training.method_spec import MethodSpec

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from src_models.training.config import Recipe

METHODS = tuple(card.name for card in CARDS)


def method_recipe(
    name: str, options: dict[str, Any] | None = None, **train: Any
) -> Recipe:
    """The discs' recipe, by a method, with a net of two levels."""
    recipe = make_recipe(**{"steps": 2, **train})
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


def state(run: Path) -> dict[str, Tensor]:
    """All weights of a run's nets, as saved."""
    facts = json.loads((run / "state.json").read_text())
    found: dict[str, Tensor] = load_file(run / facts["tensors"])
    return {
        k: v for k, v in found.items() if k.startswith(("net/", "ema/", "optimizer/"))
    }
