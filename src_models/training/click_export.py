"""From a run, finished or not, to a click net's folder."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from src_models.errors import InputError
from src_models.interactive.weights import ClickCard, SetInfo, save_click_net
from src_models.training.click_fit import begin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from src_models.data.click_cache import Entry
    from src_models.training.click_config import ClickRecipe

PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "safetensors")

TITLES = {
    2: "Click to segment, pictures and slices",
    3: "Click to segment, volumes",
}


def export(
    recipe: ClickRecipe, run: Path, out: Path, sides: Mapping[str, Sequence[Entry]]
) -> ClickCard:
    """Save the run's averaged net as it is now; scores are added by the bench.

    Parameters
    ----------
    sides : mapping
        "train", "validation", "locked" → their entries.

    Raises
    ------
    InputError
        If the folder holds no run, or one of other settings.
    """
    if not (run / "state.json").is_file():
        raise InputError(f"{run} holds no saved state yet; train first")
    _, ema, _, facts = begin(recipe, run, "cpu")
    card = ClickCard(
        name=recipe.name,
        title=TITLES[recipe.net.ndim],
        ndim=recipe.net.ndim,
        channels=ema.in_channels,
        widths=recipe.net.widths,
        depth=recipe.net.depth,
        attention=recipe.net.attention,
        judge=recipe.net.judge,
        steps=facts["epoch"],
        sets=tuple(
            SetInfo(
                name=spec.folder,
                licence=spec.licence,
                credit=spec.credit,
                **{side: _groups(held, spec.folder) for side, held in sides.items()},
            )
            for spec in recipe.sets
        ),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        recipe=recipe.model_dump(mode="json"),
    )
    return save_click_net(ema, card, out)


def _groups(entries: Sequence[Entry], name: str) -> tuple[str, ...]:
    """Patients of a set, sorted."""
    return tuple(sorted({entry.group for entry in entries if entry.set == name}))
