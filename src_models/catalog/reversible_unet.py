"""The partially reversible U-Net."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="reversible-unet",
    title="Partially reversible U-Net",
    family="Reversible",
    paper="Brügger, Baumgartner & Konukoglu, MICCAI 2019",
    reference="https://arxiv.org/abs/1906.06148",
    year=2019,
    distinctive="Activations are worked out anew from each stage's output: "
    "a deeper net takes no more memory to train.",
    build="reversible_unet:ReversibleUNet",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(),
        ("paper-2", 3): options(depth=2),
        ("paper-3", 3): options(depth=3),
        ("paper-4", 3): options(depth=4),
        ("compact", 2): options(widths=(40, 80, 160, 240, 320)),
        ("compact", 3): options(widths=(24, 48, 96, 144, 192)),
    },
    published_parameters={
        ("paper", 3): (4, 3, 12_365_283),
        ("paper-2", 3): (4, 3, 18_248_403),
        ("paper-3", 3): (4, 3, 24_131_523),
        ("paper-4", 3): (4, 3, 30_014_643),
    },
    compact_parameters={2: 2_009_922, 3: 1_979_762},
    evidence="Counted from the released code, with encoders of depth 1 to 4.",
    results=(
        Result(
            "BraTS 2018 validation",
            "Dice % ET/WT/TC",
            "80.56 / 90.61 / 85.71",
            source="second hand",
        ),
        Result(
            "BraTS 2018 validation",
            "HD95 mm ET/WT/TC",
            "3.35 / 5.61 / 7.83",
            source="second hand",
        ),
    ),
)
