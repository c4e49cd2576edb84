"""Every row of the catalogue learns from real images and runs in the Segment panel."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from napari_segreview._training import read_cases
from napari_segreview._widgets import session_of
from napari_segreview.layers.shelf import NapariShelf
from napari_segreview.scans import read_one
from src_models.catalog import CARDS
from src_models.progress import drain
from src_models.training.config import Recipe
from src_models.training.run import train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The FCNs see 36 voxels of margin on each side: minutes in 3D.
pytestmark = [pytest.mark.slow, pytest.mark.gui, pytest.mark.timeout(1800)]
# Beats of volumes of three patients are not at hand: small ones are learnt in
# src_models/test_sequences.py.
ROWS = [
    (name, ndim)
    for name, card in CARDS.items()
    for ndim in card.dims
    if not (card.frames and ndim == 3)
]
EPOCHS, STEPS = 3, 20
COMMON = {
    "augment": {"rotate": 0, "scale": 0, "blur": 0, "low_resolution": 0, "noise": 0},
    "train": {
        "epochs": EPOCHS,
        "steps": STEPS,
        "learning_rate": 2e-3,
        "warmup": 5,
        "ema": 0.9,
    },
}
SETS: dict[int, dict[str, Any]] = {
    2: {
        "data": {
            "folder": "wbc_smear",
            "images": "images/*0.*",
            "labels": "labels/{stem}.png",
            "values": {"128": 1, "255": 2},
            "name": "blood smears",
        },
        "names": ("cytoplasm", "nucleus"),
        "in_channels": 3,
        "modality": "OT",
        "patches": {"size": [96, 96], "batch": 4},
    },
    3: {
        "data": {
            "folder": "mri_hippocampus",
            "images": "images/*_[01][0-2]*.nii.gz",
            "labels": "labels/{name}",
            "name": "hippocampus",
        },
        "names": ("anterior", "posterior"),
        "in_channels": 1,
        "modality": "MR",
        "patches": {"size": [24, 32, 24], "batch": 2},
    },
}

# Of nets that read frames together: one animal, its slices on different sides.
CINE: dict[str, Any] = {
    "data": {
        "folder": "cine_pig_lv",
        "images": "images/*.nii.gz",
        "labels": "labels/{name}",
        "split_slices": True,
        "salt": "pig12",
        "name": "a pig's heart",
    },
    "names": ("cavity", "muscle"),
    "in_channels": 1,
    "modality": "MR",
    "patches": {"size": [3, 64, 64], "batch": 1},
}

# A plain chain of 15 convolutions that answers on every 8th voxel: larger patches, and
# smaller steps, as its page advises.
SLOWER = {"patches": {"size": [32, 48, 32], "batch": 2}, "learning_rate": 3e-4}

# A score for every 32 or 16 voxels of an axis: each structure is about one of them, and
# after sixty steps the loss has fallen but nothing may be found yet.
COARSE = {("fcn32s", 3), ("fcn16s", 3)}


def recipe(system: str, ndim: int) -> Recipe:
    chosen, common = CINE if CARDS[system].frames else SETS[ndim], COMMON
    if (system, ndim) == ("attention-to-scale", 3):
        chosen = {**chosen, "patches": SLOWER["patches"]}
        rate = {"learning_rate": SLOWER["learning_rate"]}
        common = {**COMMON, "train": {**COMMON["train"], **rate}}
    labels = [
        {"value": value, "name": name, "color": (1.0, 0.5, 0.0)}
        for value, name in enumerate(chosen["names"], 1)
    ]
    values = {
        "name": f"{system}-{ndim}d",
        "about": {
            "title": system,
            "task": "a trial",
            "wants": "what it has seen",
            "modalities": [chosen["modality"]],
        },
        "data": {
            "licence": "see the set",
            "credit": "see the set",
            "validation": 0.2,
            "locked": 0.2,
            **chosen["data"],
        },
        "net": {
            "system": system,
            "ndim": ndim,
            "in_channels": chosen["in_channels"],
            "classes": 3,
        },
        "labels": labels,
        "intensity": {"kind": "zscore"},
        "patches": chosen["patches"],
        **({"spacing": [1.6, 1.6]} if CARDS[system].frames else {}),
        **common,
    }
    return Recipe.model_validate(values)


@pytest.mark.parametrize(("system", "ndim"), ROWS, ids=lambda value: str(value))
def test_sixty_steps_then_the_segment_panel(
    system: str,
    ndim: int,
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_napari_viewer: Callable[[], Any],
    qtbot: Any,
) -> None:
    monkeypatch.setenv("SEGREVIEW_MODELS", str(tmp_path / "own"))
    plan = recipe(system, ndim)
    cases = list(read_cases(plan, data_dir))
    drain(
        train(
            plan, cases, run=tmp_path / "run", out=tmp_path / "model", accelerator="cpu"
        )
    )
    with (tmp_path / "run" / "history.csv").open(encoding="utf-8") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == EPOCHS
    assert losses[-1] < 0.95 * losses[0]

    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-segreview", "SegReview")
    session = session_of(viewer)
    session.add_model(tmp_path / "model")
    image = sorted((data_dir / plan.data.folder).glob(plan.data.images))[0]
    NapariShelf(viewer).add(read_one(image))
    session.choose_model(plan.name)
    dock.panels["Segment"].run.click()
    qtbot.waitUntil(lambda: session.state.running is None, timeout=120_000)
    assert not session.state.fault
    labels = next(one for one in viewer.layers if type(one).__name__ == "Labels")
    shape = viewer.layers[0].data.shape
    assert labels.data.shape == (shape if CARDS[system].frames else shape[:ndim])
    assert labels.data.any() or (system, ndim) in COARSE
