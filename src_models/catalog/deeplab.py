"""DeepLabv3+."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="deeplabv3-plus",
    title="DeepLabv3+",
    family="Dilated",
    paper="Chen, Zhu, Papandreou, Schroff & Adam, ECCV 2018",
    reference="https://arxiv.org/abs/1802.02611",
    year=2018,
    distinctive="Dilations that go with the output stride, the whole image "
    "pooled beside them, and 48 channels of edges for the decoder.",
    build="deeplab:DeepLabV3Plus",
    dims=(2,),
    presets={
        ("paper", 2): options(),
        ("paper-resnet50", 2): options(blocks=(3, 4, 6, 3)),
        ("paper-xception", 2): options(encoder="xception"),
        ("compact", 2): options(blocks=(2, 2, 2, 2), stem=16, width=96, norm="group"),
    },
    published_parameters={
        ("paper", 2): (3, 21, 59_344_309),
        ("paper-resnet50", 2): (3, 21, 40_352_181),
        ("paper-xception", 2): (3, 21, 41_055_413),
    },
    compact_parameters={2: 2_561_362},
    evidence="Counted from the published layers; with Xception the head is separable.",
    results=(
        Result(
            "VOC 2012 test", "mIoU %", "87.8", "Xception, COCO", source="second hand"
        ),
        Result(
            "VOC 2012 test",
            "mIoU %",
            "89.0",
            "Xception, COCO and JFT-300M (not public)",
            source="second hand",
        ),
        Result(
            "VOC 2012 validation",
            "mIoU %",
            "78.85",
            "ResNet-101, predicted at output stride 16",
            source="second hand",
        ),
        Result(
            "VOC 2012 validation",
            "mIoU %",
            "79.35",
            "ResNet-101, predicted at output stride 8",
            source="second hand",
        ),
        Result(
            "Cityscapes test", "mIoU %", "82.1", "Xception-71", source="second hand"
        ),
    ),
)
