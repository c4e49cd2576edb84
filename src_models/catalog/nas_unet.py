"""NAS-Unet."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, options

CARD = ModelCard(
    name="nas-unet",
    title="NAS-Unet",
    family="Searched",
    paper="Weng, Zhou, Li & Qiu, IEEE Access 7, 2019",
    reference="https://doi.org/10.1109/ACCESS.2019.2908991",
    year=2019,
    distinctive="Two cells, one down and one up, whose operations were found by "
    "gradient descent; the skip is an input of the cell.",
    build="nas_unet:NASUNet",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(channels=16, depth=4),
        ("paper-c16-d4", 2): options(channels=16, depth=4),
        ("paper-c16-d5", 2): options(channels=16),
        ("paper-c32-d4", 2): options(depth=4),
        ("paper-c48-d5", 2): options(channels=48),
        ("paper-c64-d6", 2): options(channels=64, depth=6),
        ("paper-v3", 2): options(genotype="v3", channels=48, depth=6),
        ("compact", 2): options(depth=4),
        ("compact", 3): options(channels=16, depth=3),
    },
    published_parameters={
        ("paper", 2): (1, 2, 485_746),
        ("paper-c16-d4", 2): (1, 2, 101_095),
        ("paper-c16-d5", 2): (1, 2, 123_611),
        ("paper-c32-d4", 2): (1, 2, 396_938),
        ("paper-c48-d5", 2): (3, 21, 1_093_023),
        ("paper-c64-d6", 2): (1, 2, 2_278_320),
    },
    compact_parameters={2: 396_934, 3: 205_007},
    evidence="Counted from the released code. It declares a normalisation of the head, "
    "two numbers a class, and never calls it: in the counts, not in the net. The "
    "paper's 0.8 million is that of none of its settings; in 3D nothing is published.",
)
