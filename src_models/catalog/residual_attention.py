"""Residual Attention Network as an encoder."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="residual-attention",
    title="Residual Attention Network",
    family="Attention",
    paper="Wang, Jiang, Qian, Yang, Li, Zhang, Wang & Tang, CVPR 2017",
    reference="https://arxiv.org/abs/1704.06904",
    year=2017,
    distinctive="A small hourglass beside each trunk weighs every channel at every "
    "place; 1 is added to the weight, so that depth loses no signal.",
    build="residual_attention:ResidualAttentionNet",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(),
        ("paper-92", 2): options(modules=(1, 2, 3)),
        ("compact", 2): options(stem=16, width=64, norm="group"),
        ("compact", 3): options(stem=12, width=32, norm="group"),
    },
    published_parameters={
        ("paper", 2): (3, 1000, 31_810_728),
        ("paper-92", 2): (3, 1000, 52_466_344),
    },
    compact_parameters={2: 2_157_586, 3: 2_175_958},
    evidence="Counted from the released layer list: the encoder and the linear "
    "classifier of ImageNet, which the decoder replaces here; the paper rounds to "
    "31.9 and 51.3 million (recalled).",
    results=(
        Result(
            "ImageNet validation",
            "top-1 / top-5 error %",
            "21.76 / 5.9",
            "classification, Attention-56, 224 × 224",
            source="the authors' release",
        ),
        Result(
            "ImageNet validation",
            "top-1 / top-5 error %",
            "19.5 / 4.8",
            "classification, Attention-92, 320 × 320",
            source="the authors' release",
        ),
        Result(
            "ImageNet validation",
            "top-1 / top-5 error %",
            "21.2 / 5.6",
            "classification, AttentionNeXt-56, not built here",
            source="the authors' release",
        ),
        Result(
            "CIFAR-10 / CIFAR-100",
            "error %",
            "3.90 / 20.45",
            "classification, Attention-452, not built here",
            source="recalled",
        ),
    ),
)
