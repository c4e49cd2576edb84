"""DANet."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="danet",
    title="DANet",
    family="Attention",
    paper="Fu, Liu, Tian, Li, Bao, Fang & Lu, CVPR 2019",
    reference="https://arxiv.org/abs/1809.02983",
    year=2019,
    distinctive="Two attentions side by side, over positions and over channels, each "
    "behind a factor that begins at 0; channels attend to those least like them.",
    build="danet:DANet",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(pool=2),
        # Trained from nothing, a finer grid learns in far fewer steps. Keys at stride 8
        # (in 3D 16) keep the attention at the published cost.
        ("compact", 2): options(
            blocks=(1, 1, 1, 3),
            stem=16,
            output_stride=4,
            width=64,
            pool=2,
            norm="group",
        ),
        # 64³ leaves a grid of 17³: larger dilations would meet the margin only.
        ("compact", 3): options(
            blocks=(1, 1, 1, 3),
            stem=8,
            output_stride=4,
            multi_grid=(1, 2, 4),
            width=32,
            pool=4,
            norm="group",
        ),
    },
    published_parameters={},
    compact_parameters={2: 1_734_600, 3: 1_015_576},
    evidence="Only the head is counted, from the released layer list: 23,957,697 "
    "with 2048 channels in and 21 classes.",
    results=(
        Result(
            "Cityscapes test",
            "mIoU %",
            "81.5",
            "ResNet-101",
            source="the authors' release",
        ),
        Result(
            "Cityscapes validation",
            "mIoU %",
            "79.93",
            "ResNet-101, one scale",
            source="the authors' release",
        ),
        Result("VOC 2012 test", "mIoU %", "82.6", "without COCO", source="second hand"),
        Result("PASCAL Context", "mIoU %", "52.6", source="second hand"),
        Result("COCO-Stuff 10k", "mIoU %", "39.7", source="second hand"),
    ),
)
