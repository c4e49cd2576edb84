"""Attention to Scale."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="attention-to-scale",
    title="Attention to Scale",
    family="Attention",
    paper="Chen, Yang, Wang, Xu & Yuille, CVPR 2016",
    reference="https://arxiv.org/abs/1511.03339",
    year=2016,
    distinctive="One net reads the image at several scales; at each voxel "
    "it is learnt which scale to believe.",
    build="attention_to_scale:AttentionToScale",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper-3", 2): options(scales=(1, 0.75, 0.5)),
        ("paper", 3): options(axes=3),
        ("compact", 2): options(
            widths=(32, 64, 128, 160, 160),
            fc_width=256,
            rate=6,
            attention_width=128,
            norm="group",
            dropout=0.1,
        ),
        ("compact", 3): options(
            widths=(16, 32, 64, 80, 80),
            fc_width=128,
            rate=3,
            attention_width=48,
            norm="group",
            dropout=0.1,
        ),
    },
    published_parameters={},
    compact_parameters={2: 2_800_804, 3: 1_955_652},
    evidence="No count is published. Counted from the published layers, RGB and 21 "
    "classes: the net of one scale 20,505,429; the attention 9,438,722 for two scales "
    "and 14,157,827 for three.",
    results=(
        Result(
            "VOC 2012 test",
            "mIoU %",
            "75.7",
            "COCO, CRF",
            source="second hand",
        ),
        Result(
            "VOC 2012 test",
            "mIoU %",
            "76.3",
            "COCO, and a learnt domain transform in place of the CRF: another system, "
            "though often quoted for this one",
            source="second hand",
        ),
        Result(
            "VOC 2012 validation",
            "mIoU %",
            "about 69",
            "scales 1 and 0.5, each supervised; from ImageNet weights; without "
            "attention 62.3",
            source="recalled",
        ),
    ),
)
