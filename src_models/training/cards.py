"""The card of a model in the making."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from src_models.card import DataInfo, TrainedCard
from src_models.catalog import find_card

if TYPE_CHECKING:
    from src_models.data.splits import Split
    from src_models.training.config import Recipe

PACKAGES = ("torch", "monai", "lightning-fabric", "numpy", "safetensors")


def draft_card(recipe: Recipe, cases: Split) -> TrainedCard:
    """All that is known before training; not validated, scores and hash are missing."""
    system = find_card(recipe.net.system)
    return TrainedCard.model_construct(
        name=recipe.name,
        title=recipe.about.title,
        task=recipe.about.task,
        wants=recipe.about.wants,
        paper=system.paper,
        reference=system.reference,
        net=recipe.net,
        labels=recipe.labels,
        modalities=recipe.about.modalities,
        spacing=recipe.spacing,
        orientation=recipe.orientation,
        intensity=recipe.intensity,
        patch=recipe.patches.size,
        cyclic=recipe.cyclic,
        mirror_axes=recipe.augment.mirror_axes,
        mirror=recipe.mirror,
        binarise=recipe.binarise,
        data=DataInfo(
            name=recipe.data.name,
            licence=recipe.data.licence,
            credit=recipe.data.credit,
            train=tuple(sorted(case.name for case in cases.train)),
            validation=tuple(sorted(case.name for case in cases.validation)),
            locked=tuple(sorted(case.name for case in cases.locked)),
        ),
        precision="float32",
        sha256="",
        versions=versions(),
        recipe=recipe.model_dump(mode="json"),
    )


def versions() -> dict[str, str]:
    """Of Python and the packages that the weights depend on."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
