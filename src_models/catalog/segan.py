"""SegAN's segmentor."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

BRATS = "whole, core and enhancing tumour; to be checked before it is quoted"

CARD = ModelCard(
    name="segan",
    title="SegAN",
    family="Encoder-decoder",
    paper="Xue, Xu, Zhang, Long & Huang, Neuroinformatics 16, 2018",
    reference="https://arxiv.org/abs/1706.01805",
    year=2018,
    distinctive="The segmentor of an adversarial pair: seven strided levels down to one "
    "place, and large kernels made of two lines on the way up.",
    build="segan:SegAN",
    dims=(2,),
    presets={
        ("paper", 2): options(),
        ("compact", 2): options(width=8, norm="group"),
    },
    # One sigmoid map; with the normalisations that are declared and never called.
    published_parameters={("paper", 2): (3, 1, 156_265_344)},
    compact_parameters={2: 2_444_792},
    evidence="Counted from the released layers, of which 30,080 are never called and "
    "left out here; the paper gives none, and describes a smaller net.",
    results=(
        Result("BraTS 2013 leaderboard", "Dice", "0.84 / 0.70 / 0.65", BRATS),
        Result("BraTS 2015 test", "Dice", "0.85 / 0.70 / 0.66", BRATS),
    ),
)
