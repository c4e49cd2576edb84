"""A U-Net over the slices of a volume."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="slice-unet",
    title="U-Net over slices",
    family="Encoder-decoder",
    paper="Khosravan, Mortazi, Wallace & Bagci, MICCAI 2019",
    reference="https://arxiv.org/abs/1906.04378",
    year=2019,
    distinctive="A 2D U-Net that takes a whole volume, slice by slice, in the memory of "
    "a few slices, so that what is learnt can hang on all of them together.",
    build="slices:SliceUNet",
    dims=(3,),
    presets={
        ("paper", 3): options(
            widths=((64, 64), (128, 128), (256, 256), (512, 512), (1024, 1024))
        ),
        ("compact", 3): options(widths=((16, 16), (32, 32), (64, 64), (128, 128))),
    },
    published_parameters={},
    compact_parameters={3: 483_170},
    evidence="The layers of the segmentor are not published; paper has the widths of "
    "the 2015 U-Net.",
    results=(
        Result(
            "NIH pancreas CT, four folds",
            "Dice",
            "85.53",
            "with both critics and attention",
            source="second hand",
        ),
    ),
)
