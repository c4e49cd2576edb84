"""Trained models, looked at for a scan. Wakes no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segreview.core.orientation import turn_to
from napari_segreview.core.protocols import Offer
from napari_segreview.core.scan import MODALITIES
from napari_segreview.engine.models import models
from src_models.card import TrainedCard, read_card
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_segreview.core.scan import Scan


def offers(scan: Scan | None) -> tuple[Offer, ...]:
    """All models; those that fit the scan first, then by Dice on locked cases.

    Of those that fit, models of frames come first for a scan over time, else last; those
    of which only marks were measured come after the others.
    """
    found = [_offer_of(name, folder, scan) for name, folder in models().items()]
    found.sort(key=lambda pair: pair[1])
    return tuple(one for one, _ in found)


def _offer_of(
    name: str, folder: Path, scan: Scan | None
) -> tuple[Offer, tuple[float, ...]]:
    """The offer and what is small for good ones. A damaged card is one that says so."""
    try:
        card = read_card(folder)
    except InputError as error:
        return Offer(
            name=name, title=name, kind="damaged", about="", reason=f"{error}"
        ), (2,)
    one, frames = offer(card, scan), card.net.frames
    rank = (
        bool(one.reason),
        scan is not None and frames != (scan.frames > 1),
        card.locked.known < 1 and not frames,  # a Dice of strokes alone is no measure
        -card.locked.mean_dice,
    )
    return one, rank


def offer(card: TrainedCard, scan: Scan | None) -> Offer:
    """One model for one scan."""
    reason = misfit(card, scan) if scan else ""
    return Offer(
        name=card.name,
        title=card.title,
        kind=kind(card),
        about=about(card),
        reason=reason,
        note=note(card, scan) if scan and not reason else "",
        mirrors=bool(card.mirror_axes),
        mirror=card.mirror,
    )


def kind(card: TrainedCard) -> str:
    """What it reads, e.g. "3D MR", "2D fundus photograph", "2D MR over time"."""
    words = "/".join(MODALITIES.get(code, code) for code in card.modalities)
    return f"{card.net.ndim}D {words}".rstrip() + " over time" * card.net.frames


def about(card: TrainedCard) -> str:
    """What it is for, what it learnt from, what it reaches, what it may be used for."""
    seen = len(card.data.train)
    structures = ", ".join(row.name for row in card.labels)
    return (
        f"{card.task}: {structures}. Wants: {card.wants}. Learnt from {seen} cases "
        f"({card.data.name}, {card.data.licence}). Dice {card.locked.mean_dice:.2f} on "
        f"{card.locked.cases} cases it has never seen{_marked(card)}. {card.use}"
    )


def _marked(card: TrainedCard) -> str:
    """What a Dice says less than one of whole masks; "" where those were compared."""
    if card.locked.known == 1:
        return ""
    share = f"{100 * card.locked.known:.2g} %"
    return f" ({share} of their voxels are marked, the Dice is of these alone)"


def misfit(card: TrainedCard, scan: Scan) -> str:
    """Why the model cannot read the scan, in the user's words; "" if it can."""
    want = card.net
    came = f"this layer is {_words(scan)}"
    reads = f"{card.title} reads {kind(card)}"
    if want.ndim > scan.grid.ndim:
        return f"{reads}; {came}."
    colour = scan.has_channels and scan.channels in (3, 4)
    if card.needs_colour and not colour:
        return f"{reads} in colour; {came}."
    if not card.needs_colour and scan.channels != want.in_channels:
        return f"{reads} with {want.in_channels} channel(s); {came}."
    if scan.modality and card.modalities and scan.modality not in card.modalities:
        return f"{reads}; {came}."
    if card.spacing is not None and scan.grid.unit != "mm":
        return f"{card.title} needs the voxel size in mm; {came} without it."
    return ""


def _words(scan: Scan) -> str:
    """E.g. "3D CT", "2D colour"."""
    parts = [f"{scan.grid.ndim}D"]
    if scan.has_time:
        parts.append("over time")
    if scan.has_channels:
        colour = scan.channels in (3, 4)
        parts.append("colour" if colour else f"with {scan.channels} channels")
    elif scan.grid.ndim == 2:
        parts.append("grey")
    if scan.modality:
        parts.append(MODALITIES.get(scan.modality, scan.modality))
    return " ".join(parts)


def note(card: TrainedCard, scan: Scan) -> str:
    """What is worth knowing before a run; "" if nothing."""
    notes = []
    if not scan.modality and card.modalities:
        wanted = " or ".join(MODALITIES.get(code, code) for code in card.modalities)
        notes.append(f"The file does not say what it shows; check that it is {wanted}.")
    if card.net.ndim == 2 and scan.grid.ndim == 3:
        together = ", all its frames together" if card.net.frames else ""
        notes.append(f"Runs on each slice by itself{together}.")
    if card.net.frames and scan.frames == 1:
        notes.append("Reads frames together; this scan has one, so there is no motion.")
    if card.spacing is not None:
        spacing = turn_to(scan.grid, card.orientation).of(scan.grid.spacing)
        spacing = spacing[-card.net.ndim :]
        ratio = max(
            max(have / want, want / have)
            for have, want in zip(spacing, card.spacing, strict=True)
        )
        if ratio > 2:
            notes.append(
                f"Voxels differ up to {ratio:.1f}-fold from those it learnt from; expect "
                "less."
            )
    return " ".join(notes)
