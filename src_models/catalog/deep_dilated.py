"""Deep dilated convolutions for the grey matter of the spinal cord."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="deep-dilated",
    title="Deep dilated convolutions",
    family="Dilated",
    paper="Perone, Calabrese & Cohen-Adad, Scientific Reports 2018",
    reference="https://arxiv.org/abs/1710.01269",
    year=2018,
    distinctive="Never pooled or strided: parallel convolutions of growing "
    "dilation see far at full resolution.",
    build="deep_dilated:DeepDilated",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(),
        ("compact", 2): options(norm="group", dropout=0.1),
        ("compact", 3): options(width=20, norm="group", dropout=0.1),
    },
    # One sigmoid map; the paper counts without its batch normalisation.
    published_parameters={("paper", 2): (1, 1, 124_769)},
    compact_parameters={2: 126_242, 3: 136_622},
    evidence="The paper's own figure; it leaves batch normalisation out.",
    results=(
        Result(
            "Spinal cord grey matter challenge",
            "Dice",
            "0.85",
            "best in 8 of 10 metrics",
            source="second hand",
        ),
    ),
)
