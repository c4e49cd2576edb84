"""FC-DenseNet, the Tiramisu."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="fc-densenet",
    title="FC-DenseNet",
    family="Encoder-decoder",
    paper="Jégou, Drozdzal, Vazquez, Romero & Bengio, CVPR Workshops 2017",
    reference="https://arxiv.org/abs/1611.09326",
    year=2017,
    distinctive="Every layer reads all maps of its block; on the way up "
    "only the maps that a block adds are enlarged.",
    build="fcdensenet:FCDenseNet",
    dims=(2, 3),
    presets={
        **{
            (preset, ndim): options(layers=layers, growth=growth)
            for preset, layers, growth in (
                ("paper", (4, 5, 7, 10, 12, 15, 12, 10, 7, 5, 4), 16),
                ("paper-67", (5,) * 11, 16),
                ("paper-56", (4,) * 11, 12),
            )
            for ndim in (2, 3)
        },
        ("compact", 2): options(
            layers=(3, 4, 5, 7, 5, 4, 3),
            growth=16,
            first=32,
            batch_norm=False,
        ),
        ("compact", 3): options(
            layers=(2, 3, 4, 5, 4, 3, 2),
            growth=12,
            first=24,
            batch_norm=False,
        ),
    },
    published_parameters={
        ("paper", 2): (3, 11, 9_322_091),
        ("paper-67", 2): (3, 11, 3_463_243),
        ("paper-56", 2): (3, 11, 1_376_795),
    },
    compact_parameters={2: 1_259_250, 3: 1_162_166},
    evidence="Counted from the released layer list. With running statistics, as the "
    "authors count, 67 and 103 layers have the paper's 3.5 and 9.4 million; its 1.5 "
    "million of 56 layers do not follow from its layers.",
    results=(
        Result(
            "CamVid, 11 classes",
            "mIoU %",
            "58.9",
            "56 layers; global accuracy 88.9",
            source="recalled",
        ),
        Result(
            "CamVid, 11 classes",
            "mIoU %",
            "65.8",
            "67 layers; global accuracy 90.8",
            source="second hand",
        ),
        Result(
            "CamVid, 11 classes",
            "mIoU %",
            "66.9",
            "103 layers; global accuracy 91.5",
            source="second hand",
        ),
    ),
)
