"""Li 2019: a U-Net of blocks of slices, and a BiCLSTM over them."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, options

CARD = ModelCard(
    name="scu-net",
    title="SCU-Net with BiCLSTM",
    family="Recurrent",
    paper="Li, Li, Lin & Qian, arXiv 2019",
    reference="https://arxiv.org/abs/1903.00832",
    year=2019,
    distinctive="A 2D U-Net segments blocks of neighbouring slices at once; a ConvLSTM "
    "over all slices, there and back, repairs its borders.",
    build="scu_net:SCUNet",
    dims=(3,),
    presets={
        ("paper", 3): options(
            widths=((64, 64), (128, 128), (256, 256), (512, 512), (1024, 1024)),
        ),
        ("compact", 3): options(
            widths=((16, 16), (32, 32), (64, 64), (96, 96)), hidden=12
        ),
    },
    published_parameters={},
    compact_parameters={3: 389_948},
    evidence="The paper gives no count; the widths of its U-Net are taken for those of "
    "2015, and the BiCLSTM's are not established.",
)
