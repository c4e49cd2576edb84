"""U-Net, as in 2015 for images and as in 2016 for volumes."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CARD = ModelCard(
    name="unet",
    title="U-Net",
    family="Encoder-decoder",
    paper="Ronneberger, Fischer & Brox, MICCAI 2015; 3D: Çiçek et al., MICCAI 2016",
    reference="https://arxiv.org/abs/1505.04597",
    year=2015,
    distinctive="Unpadded convolutions on mirrored tiles; cropped encoder "
    "features are concatenated on the way up.",
    build="unet:UNet",
    dims=(2, 3),
    presets={
        ("paper", 2): options(
            widths=(
                (64, 64),
                (128, 128),
                (256, 256),
                (512, 512),
                (1024, 1024),
            ),
            valid=True,
            norm="none",
            halve_up=True,
            dropout=0.5,
        ),
        ("paper", 3): options(
            widths=((32, 64), (64, 128), (128, 256), (256, 512)),
            valid=True,
            norm="batch",
            halve_up=False,
        ),
        ("compact", 2): options(
            widths=((24, 24), (48, 48), (96, 96), (192, 192)),
        ),
        ("compact", 3): options(
            widths=((16, 16), (32, 32), (64, 64), (128, 128)),
        ),
    },
    published_parameters={
        ("paper", 2): (1, 2, 31_030_658),
        ("paper", 3): (3, 3, 19_069_955),
    },
    compact_parameters={2: 1_085_330, 3: 1_401_986},
    evidence="Counted from the layer lists of both papers.",
    results=(
        Result("ISBI 2012 EM", "warping error", "0.000353", source="recalled"),
        Result("ISBI 2012 EM", "Rand error", "0.0382", source="recalled"),
        Result("ISBI 2012 EM", "pixel error", "0.0611", source="recalled"),
        Result("PhC-U373", "IoU", "0.9203", source="recalled"),
        Result("DIC-HeLa", "IoU", "0.7756", source="recalled"),
    ),
)
