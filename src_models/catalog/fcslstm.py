"""Gao 2018: a fully convolutional net whose every block is an LSTM cell."""

from __future__ import annotations

from src_models.catalog.card import ModelCard, options

CARD = ModelCard(
    name="fcslstm",
    title="FCSLSTM",
    family="Recurrent",
    paper="Gao, Phillips, Zheng, Min, Fletcher & Gerig, ISBI 2018",
    reference="https://doi.org/10.1109/ISBI.2018.8363764",
    year=2018,
    distinctive="Every block of a fully convolutional net is the input's part of an LSTM "
    "cell, four clones of it for the gates, so that all levels remember earlier visits.",
    build="fcslstm:FCSLSTM",
    dims=(2, 3),
    frames=True,
    presets={
        ("paper", 2): options(),
        ("paper", 3): options(fc_kernel=3),
        ("compact", 2): options(
            widths=(12, 24, 48, 64, 64), fc_width=128, fc_kernel=3, dropout=0.1
        ),
        ("compact", 3): options(
            widths=(8, 16, 24, 32, 32), fc_width=64, fc_kernel=3, dropout=0.1
        ),
    },
    published_parameters={},
    compact_parameters={2: 1_230_918, 3: 924_278},
    evidence="The paper gives no count. A class of its name and structure, found in "
    "Torch7, has 61,305,856 parameters in its five recurrent levels for three channels; "
    "whether it is the authors' is not established.",
)
