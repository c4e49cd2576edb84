"""Bai 2018: a U-Net whose features are followed over time."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="unet-convlstm",
    title="U-Net with ConvLSTM",
    family="Recurrent",
    paper="Bai et al., MICCAI 2018",
    reference="https://arxiv.org/abs/1808.00273",
    year=2018,
    distinctive="The features of a small U-Net are followed over the frames, there and "
    "back, by a ConvLSTM, so that every frame is segmented knowing all others.",
    build="unet_convlstm:UNetConvLSTM",
    dims=(2, 3),
    frames=True,
    presets={
        ("paper", 2): options(widths=(16, 32, 64, 128, 256)),
        ("paper", 3): options(widths=(16, 32, 64, 128, 256), level=1),
        ("compact", 2): options(widths=(16, 32, 64, 128), norm="instance"),
        ("compact", 3): options(
            widths=(8, 16, 32, 64), norm="instance", hidden=8, level=1
        ),
    },
    published_parameters={("paper", 2): (1, 3, 2_197_203)},
    compact_parameters={2: 573_362, 3: 443_482},
    evidence="2,160,112 of the U-Net and 37,091 of memory and last layer, counted from "
    "the authors' release.",
    results=(
        Result(
            "UK Biobank aortic cine, ascending / descending",
            "Dice",
            "0.960 / 0.953",
            source="second hand",
        ),
        Result(
            "UK Biobank aortic cine, ascending / descending",
            "Dice",
            "0.953 / 0.944",
            "the U-Net alone",
        ),
    ),
)
