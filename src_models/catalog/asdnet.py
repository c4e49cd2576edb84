"""ASDNet."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

RECALLED = "50 labelled and 20 unlabelled cases; to be checked before it is quoted"

CARD = ModelCard(
    name="asdnet",
    title="ASDNet",
    family="Attention",
    paper="Nie, Gao, Wang & Shen, MICCAI 2018",
    reference="https://doi.org/10.1007/978-3-030-00937-3_43",
    year=2018,
    distinctive="A residual net taught by a second one, which says of every voxel "
    "of an answer whether it looks real.",
    build="asdnet:ASDNet",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(),
        ("compact", 2): options(norm="group", dropout=0.1),
        ("compact", 3): options(widths=(16, 32, 64, 128), norm="group", dropout=0.1),
    },
    published_parameters={},
    compact_parameters={2: 1_161_190, 3: 954_582},
    evidence="No count is published. Ours leaves out the release's biases before "
    "normalisation.",
    results=tuple(
        Result(f"Pelvic MR, {organ}", "Dice", value, RECALLED)
        for organ, value in (
            ("bladder", "about 0.970"),
            ("prostate", "about 0.911"),
            ("rectum", "about 0.906"),
        )
    ),
)
