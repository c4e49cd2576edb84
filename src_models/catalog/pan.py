"""Pyramid Attention Network."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

RESNET50 = (3, 4, 6, 3)

CARD = ModelCard(
    name="pan",
    title="PAN",
    family="Attention",
    paper="Li, Xiong, An & Wang, BMVC 2018",
    reference="https://arxiv.org/abs/1805.10180",
    year=2018,
    distinctive="Three coarser looks with large kernels multiply the deepest "
    "features; their mean then gates the channels of each finer level.",
    build="pan:PAN",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(),
        ("paper-resnet50", 2): options(blocks=RESNET50),
        ("paper-wide", 2): options(blocks=RESNET50, width=None),
        ("compact", 2): options(blocks=(2, 2, 2, 2), stem=24, width=96, norm="group"),
        ("compact", 3): options(blocks=(2, 2, 2, 2), stem=16, width=48, norm="group"),
    },
    published_parameters={},
    compact_parameters={2: 2_765_003, 3: 2_481_989},
    evidence="The paper gives no count and leaves the pyramid's width open. Heads are "
    "checked against public code: paper has the 751,495 of segmentation_models.pytorch "
    "less its 262 biases before normalisations, paper-wide the 143,406,869 of a third "
    "party's (21 classes).",
    results=(
        Result("VOC 2012 test", "mIoU %", "84.0", "without COCO", source="second hand"),
        Result(
            "Cityscapes test",
            "mIoU %",
            "78.6",
            "fine annotations only",
            source="recalled",
        ),
        Result(
            "VOC 2012 validation",
            "mIoU %",
            "78.50",
            "ResNet-50, a third party's wide head",
            source="second hand",
        ),
    ),
)
