"""DCAN, the net that draws regions and contours."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

VGG = {"widths": (64, 128, 256, 512, 512, 512), "depths": (2, 2, 3, 3, 3, 3)}
# Half as wide in 3D, where nothing was published.
VGG_3D = {"widths": (32, 64, 128, 256, 256, 256), "depths": (2, 2, 3, 3, 3, 3)}

CARD = ModelCard(
    name="dcan",
    title="DCAN",
    family="Fully convolutional",
    paper="Chen, Qi, Yu & Heng, CVPR 2016; Medical Image Analysis 36, 2017",
    reference="https://arxiv.org/abs/1604.02677",
    year=2016,
    distinctive="Regions and their contours are scored on the same coarse features; what "
    "lies on a contour is background, so objects that touch come apart.",
    build="dcan:DCAN",
    dims=(2, 3),
    presets={
        ("paper", 2): options(**VGG),
        ("paper", 3): options(**VGG_3D, hidden=32),
        ("compact", 2): options(
            widths=(24, 48, 96, 192),
            depths=(2, 2, 2, 2),
            scored=4,
            hidden=24,
            norm="instance",
        ),
        ("compact", 3): options(
            widths=(16, 32, 64, 128),
            depths=(2, 2, 2, 2),
            scored=4,
            hidden=16,
            norm="instance",
        ),
    },
    published_parameters={},
    compact_parameters={2: 816_856, 3: 1_087_456},
    evidence="The paper gives no count. Its trunk is VGG-16's, made convolutional, and "
    "scored at strides 8, 16 and 32; the widths of the coarsest level and of the scores "
    "are ours, and scores are enlarged linearly where the paper learns to.",
    results=(
        Result(
            "GlaS 2015 (MICCAI gland challenge)",
            "rank",
            "1 of 13",
            setting="by F1, object Dice and Hausdorff distance",
            source="second hand",
        ),
    ),
)
