"""V-GAN's generator."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="vgan",
    title="V-GAN",
    family="Encoder-decoder",
    paper="Son, Park & Jung, arXiv 2017",
    reference="https://arxiv.org/abs/1706.09318",
    year=2017,
    distinctive="The generator of an adversarial pair for retinal vessels: a U-Net that "
    "enlarges by repeating pixels, without a learnt kernel.",
    build="vgan:VGan",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(),
        ("compact", 2): options(widths=(12, 24, 48, 96, 192), norm="group"),
        ("compact", 3): options(widths=(8, 16, 32, 64, 128), norm="group"),
    },
    # One sigmoid map.
    published_parameters={("paper", 2): (3, 1, 7_849_601)},
    compact_parameters={2: 1_106_342, 3: 1_472_970},
    evidence="Counted from the released layers; the paper gives none.",
    results=(
        Result("DRIVE", "Dice", "0.829", "with the image critic", source="second hand"),
        Result("STARE", "Dice", "0.834", "with the image critic", source="second hand"),
        Result("DRIVE", "Dice", "0.7957", "a port's best", source="second hand"),
    ),
)
