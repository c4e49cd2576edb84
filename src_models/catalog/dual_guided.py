"""MS-Dual-Guided."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, Result, options

CHAOS, SETTING = "CHAOS, MRI T1-DUAL", "2D slices, four organs"

CARD = ModelCard(
    name="ms-dual-guided",
    title="MS-Dual-Guided",
    family="Attention",
    paper="Sinha & Dolz, IEEE JBHI 2020",
    reference="https://arxiv.org/abs/1906.02849",
    year=2020,
    distinctive="Both attentions of DANet at four scales and in two steps, guided by "
    "auto-encoders that must agree between the steps.",
    build="dual_guided:MSDualGuided",
    dims=(2, 3),
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(pool=2),
        ("compact", 2): options(
            blocks=(2, 2, 2, 2),
            stem=16,
            groups=8,
            width=24,
            semantic=(48, 96),
            pool=2,
            norm="group",
        ),
        ("compact", 3): options(
            blocks=(2, 2, 2, 2),
            stem=8,
            groups=8,
            width=16,
            semantic=(32, 64),
            pool=2,
            norm="group",
        ),
    },
    published_parameters={},
    compact_parameters={2: 1_962_719, 3: 1_595_647},
    evidence="Only the heads are counted, of 5 classes: 16,819,999. The released code "
    "declares 17,775,411, of which its forward pass never calls 955,412.",
    results=(
        Result(CHAOS, "mean Dice %", "86.75", SETTING),
        Result(CHAOS, "volume similarity %", "about 93.9", SETTING),
        Result(CHAOS, "mean surface distance", "about 0.66", SETTING),
    ),
)
