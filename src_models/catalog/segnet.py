"""SegNet and its small form."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

VGG16 = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
COUNTED = "Counted from the released layer list; normalisation has scale and shift."

SEGNET = ModelCard(
    name="segnet",
    title="SegNet",
    family="Encoder-decoder",
    paper="Badrinarayanan, Kendall & Cipolla, arXiv 2015, PAMI 2017",
    reference="https://arxiv.org/abs/1511.00561",
    year=2015,
    distinctive="Only the places of the pools' maxima go to the decoder, "
    "which puts its values back there and convolves the gaps shut.",
    build="segnet:SegNet",
    dims=(2, 3),
    presets={
        ("paper", 2): options(widths=VGG16),
        ("paper", 3): options(widths=VGG16),
        ("compact", 2): options(
            widths=((24,) * 2, (48,) * 2, (96,) * 3, *((128,) * 3,) * 2),
            batch_norm=False,
        ),
        ("compact", 3): options(
            widths=((12,) * 2, (24,) * 2, (48,) * 3, *((72,) * 3,) * 2),
            batch_norm=False,
        ),
    },
    published_parameters={("paper", 2): (3, 11, 29_449_355)},
    compact_parameters={2: 2_190_506, 3: 1_956_422},
    evidence=COUNTED,
    results=(
        Result(
            "CamVid",
            "mIoU %",
            "60.1",
            "3.5 thousand images more to train on; boundary F1 46.84",
            source="recalled",
        ),
        Result(
            "CamVid", "mIoU %", "50.2", "367 images to train on", source="second hand"
        ),
        Result("SUN RGB-D, 37 classes", "mIoU %", "31.84", source="recalled"),
        Result(
            "VOC 2012 test",
            "mIoU %",
            "59.9",
            "as on the leaderboard; 59.1 in a later paper of the authors",
            source="recalled",
        ),
    ),
)
SEGNET_BASIC = ModelCard(
    name="segnet-basic",
    title="SegNet-Basic",
    family="Encoder-decoder",
    paper="Badrinarayanan, Kendall & Cipolla, arXiv 2015, PAMI 2017",
    reference="https://arxiv.org/abs/1511.00561",
    year=2015,
    distinctive="Four levels of one wide convolution each way; the decoder "
    "puts values back where the pools' maxima were and has no ReLU.",
    build="segnet:SegNet",
    dims=(2, 3),
    presets={
        ("paper", 2): options(widths=((64,),) * 4, basic=True),
        ("paper", 3): options(widths=((64,),) * 4, basic=True),
        ("compact", 2): options(widths=((32,),) * 4, basic=True, batch_norm=False),
        ("compact", 3): options(widths=((12,),) * 4, basic=True, batch_norm=False),
    },
    published_parameters={("paper", 2): (3, 11, 1_416_587)},
    compact_parameters={2: 353_634, 3: 350_174},
    evidence=COUNTED,
)
