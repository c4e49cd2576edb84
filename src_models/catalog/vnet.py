"""V-Net."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="vnet",
    title="V-Net",
    family="Encoder-decoder",
    paper="Milletari, Navab & Ahmadi, 3DV 2016",
    reference="https://arxiv.org/abs/1606.04797",
    year=2016,
    distinctive="Residual stages of 5-wide convolutions, strided instead of "
    "pooled; the first net trained on the Dice loss.",
    build="vnet:VNet",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(),
        ("compact", 2): options(width=12, kernel=3, norm=True),
        ("compact", 3): options(width=6, kernel=3, norm=True),
    },
    published_parameters={("paper", 3): (1, 2, 61_982_682)},
    compact_parameters={2: 2_706_934, 3: 1_973_500},
    evidence="Counted from the released layer list, one PReLU slope a channel.",
    results=(
        Result(
            "PROMISE12, 30 test cases",
            "Dice",
            "0.869 ± 0.033",
            "Dice loss",
            source="recalled",
        ),
        Result(
            "PROMISE12, 30 test cases",
            "Dice",
            "0.739 ± 0.088",
            "logistic loss",
            source="recalled",
        ),
        Result(
            "PROMISE12, 30 test cases",
            "Hausdorff distance, mm",
            "5.71 ± 1.20",
            "Dice loss",
            source="recalled",
        ),
    ),
)
