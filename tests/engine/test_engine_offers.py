"""Which model fits which scan, in the user's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_model import SCORES, grid_to, tiny_card, tiny_frames

from napari_segreview.core.geometry import Grid
from napari_segreview.core.scan import Scan
from napari_segreview.engine.offers import about, kind, misfit, offer, offers
from src_models import card as cards

if TYPE_CHECKING:
    from pathlib import Path

    from src_models.card import TrainedCard

MM3 = Grid.from_spacing((3, 4, 5), (1.0, 1.0, 1.0))
PX3 = Grid.from_spacing((3, 4, 5), (1.0, 1.0, 1.0), "px")
PX2 = Grid.from_spacing((4, 5), (1.0, 1.0), "px")


def scan(grid: Grid, channels: int = 0, frames: int = 0, modality: str = "") -> Scan:
    lead, last = (frames,) * bool(frames), (channels,) * bool(channels)
    return Scan(
        data=np.zeros((*lead, *grid.shape, *last), np.uint8),
        grid=grid,
        name="s",
        has_time=bool(frames),
        has_channels=bool(channels),
        modality=modality,
    )


MR3 = tiny_card(3, modalities=["MR"], spacing=[1.0, 1.0, 1.0])
GREY2 = tiny_card(2)
COLOUR2 = tiny_card(2, 3, modalities=["OP"])
TWO3 = tiny_card(3, 2, modalities=["MR", "CT"])
CINE2 = tiny_card(2, **tiny_frames(2))
CINE3 = tiny_card(3, **tiny_frames(3))


@pytest.mark.parametrize(
    ("card", "given", "words"),
    [
        (MR3, scan(MM3, modality="MR"), ""),
        (MR3, scan(MM3), ""),
        (MR3, scan(MM3, frames=2, modality="MR"), ""),
        (MR3, scan(PX2), "Tiny reads 3D MR; this layer is 2D grey."),
        (MR3, scan(MM3, modality="CT"), "Tiny reads 3D MR; this layer is 3D CT."),
        (MR3, scan(MM3, modality="XA"), "Tiny reads 3D MR; this layer is 3D XA."),
        (
            MR3,
            scan(PX3, modality="MR"),
            "Tiny needs the voxel size in mm; this layer is 3D MR without it.",
        ),
        (
            MR3,
            scan(MM3, channels=2, modality="MR"),
            "Tiny reads 3D MR with 1 channel(s); this layer is 3D with 2 channels MR.",
        ),
        (TWO3, scan(MM3, channels=2, modality="CT"), ""),
        (
            TWO3,
            scan(MM3, modality="CT"),
            "Tiny reads 3D MR/CT with 2 channel(s); this layer is 3D CT.",
        ),
        (COLOUR2, scan(PX2, channels=3), ""),
        (COLOUR2, scan(PX2, channels=4), ""),
        (
            COLOUR2,
            scan(PX2),
            "Tiny reads 2D fundus photograph in colour; this layer is 2D grey.",
        ),
        (
            COLOUR2,
            scan(PX2, channels=2),
            "Tiny reads 2D fundus photograph in colour; this layer is 2D with 2 "
            "channels.",
        ),
        (GREY2, scan(PX2), ""),
        (GREY2, scan(MM3, modality="CT"), ""),  # slice by slice
        (CINE2, scan(MM3, frames=4), ""),
        (CINE3, scan(MM3), ""),
        (
            CINE3,
            scan(PX2, frames=4),
            "Tiny reads 3D over time; this layer is 2D over time grey.",
        ),
        (
            GREY2,
            scan(PX2, channels=3, frames=5),
            "Tiny reads 2D with 1 channel(s); this layer is 2D over time colour.",
        ),
    ],
)
def test_misfits_in_words(card: TrainedCard, given: Scan, words: str) -> None:
    assert misfit(card, given) == words
    assert offer(card, given).reason == words


def test_without_a_scan_every_model_is_offered() -> None:
    one = offer(MR3, None)
    assert (one.reason, one.note) == ("", "")
    assert one.mirrors
    assert not offer(tiny_card(mirror_axes=[]), None).mirrors


def test_what_a_model_is_for() -> None:
    assert kind(TWO3) == "3D MR/CT"
    assert kind(GREY2) == "2D"
    assert kind(tiny_card(2, modalities=["MR"], **tiny_frames())) == "2D MR over time"
    assert about(MR3) == (
        "Blobs: blob. Wants: anything. Learnt from 2 cases (made up, CC0). Dice 0.90 on "
        "3 cases it has never seen. Research use, not a diagnosis."
    )


FAR = grid_to("LPS", (3, 4, 5), (5.0, 1.0, 1.0))
TURNED = grid_to("SRA", (3, 4, 5), (1.0, 1.0, 5.0))  # the same 5 mm head to foot


@pytest.mark.parametrize(
    ("card", "given", "note"),
    [
        (MR3, scan(MM3, modality="MR"), ""),
        (
            TWO3,
            scan(MM3, channels=2),
            "The file does not say what it shows; check that it is MR or CT.",
        ),
        (GREY2, scan(MM3, modality="CT"), "Runs on each slice by itself."),
        (
            CINE2,
            scan(MM3, frames=2),
            "Runs on each slice by itself, all its frames together.",
        ),
        (CINE3, scan(MM3, frames=2), ""),
        (
            CINE3,
            scan(MM3),
            "Reads frames together; this scan has one, so there is no motion.",
        ),
        (
            MR3,
            scan(FAR, modality="MR"),
            "Voxels differ up to 5.0-fold from those it learnt from; expect less.",
        ),
        (tiny_card(spacing=[5.0, 1.0, 1.0]), scan(TURNED), ""),
        (
            tiny_card(2, spacing=[1.0, 1.0]),
            scan(FAR),
            "Runs on each slice by itself.",  # the 5 mm lie across the slices
        ),
    ],
)
def test_notes(card: TrainedCard, given: Scan, note: str) -> None:
    assert offer(card, given).note == note


def test_a_misfit_has_no_note() -> None:
    assert offer(MR3, scan(FAR, modality="CT")).note == ""


def bundle(folder: Path, name: str, **changes: Any) -> None:
    card = tiny_card(name=name, **changes)
    (folder / name).mkdir()
    (folder / name / cards.CARD_FILE).write_text(card.model_dump_json())


def test_a_dice_of_marks_alone_is_told_and_ranks_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strokes = {**SCORES, "mean_dice": 0.99, "known": 0.0132}
    said = about(tiny_card(locked=strokes))
    assert (
        "Dice 0.99 on 3 cases it has never seen (1.3 % of their voxels are marked, the "
        "Dice is of these alone)."
    ) in said
    monkeypatch.setattr(cards, "BUNDLED", tmp_path)
    bundle(tmp_path, "strokes", locked=strokes)
    bundle(tmp_path, "masks", locked={**SCORES, "mean_dice": 0.5})
    assert [one.name for one in offers(scan(MM3))] == ["masks", "strokes"]


def test_models_of_frames_come_first_where_there_are_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "BUNDLED", tmp_path)
    bundle(tmp_path, "still", locked={**SCORES, "mean_dice": 0.8})
    two_of_twenty = {**SCORES, "mean_dice": 0.6, "known": 0.1}
    bundle(tmp_path, "beat", **{**tiny_frames(3), "locked": two_of_twenty})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / cards.CARD_FILE).write_text("{")
    for frames, wanted in ((0, ["still", "beat"]), (5, ["beat", "still"])):
        names = [one.name for one in offers(scan(MM3, frames=frames))]
        assert names == [*wanted, "broken"]


def test_models_that_fit_come_first_then_the_better_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "BUNDLED", tmp_path)
    assert offers(None) == ()
    bundle(tmp_path, "ct", modalities=["CT"], locked={**SCORES, "mean_dice": 0.95})
    bundle(tmp_path, "fair", locked={**SCORES, "mean_dice": 0.7})
    bundle(tmp_path, "good", locked={**SCORES, "mean_dice": 0.8})
    found = offers(scan(MM3, modality="MR"))
    assert [one.name for one in found] == ["good", "fair", "ct"]
    assert [bool(one.reason) for one in found] == [False, False, True]
    assert [one.name for one in offers(None)] == ["ct", "good", "fair"]
