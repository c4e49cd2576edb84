"""A trained click net on disk: safetensors beside a card of its own kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from src_models.card import CARD_FILE, WEIGHTS_FILE, Record
from src_models.errors import InputError
from src_models.interactive.net import ClickNet
from src_models.interactive.prompt_maps import CHANNELS
from src_models.weights import save_tensors, sha256_of

if TYPE_CHECKING:
    from torch import Tensor

BUNDLED = Path(__file__).parent / "bundled" / "click-2d"
BUNDLED_3D = BUNDLED.with_name("click-3d")


class SetInfo(Record):
    """A set that was learnt from; patients by side, as the split's hash put them."""

    name: str
    licence: str
    credit: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    locked: tuple[str, ...]


class SetScores(Record):
    """A line of the bench: mean clicks, share of failures, IoU after 1, 3, 5, 10."""

    name: str
    targets: int
    clicks: tuple[float, ...]
    failures: tuple[float, ...]
    ious: tuple[float, ...]


class ClickCard(Record):
    """What is known of a click net.

    Attributes
    ----------
    channels : int
        Of its input; those of `prompt_maps.stack` or `volume_maps.stack` when it was
        trained.
    steps : int
        Batches it has learnt from.
    seen, unseen : tuple of SetScores
        On locked patients of the sets learnt from; on sets never learnt from.
    """

    schema_version: Literal[1] = 1
    kind: Literal["click"] = "click"
    name: str
    title: str
    use: str = "Research use, not a diagnosis."
    ndim: Literal[2, 3] = 2
    channels: int = CHANNELS
    widths: tuple[int, ...]
    depth: tuple[int, ...]
    attention: int
    judge: bool = False
    steps: int = Field(ge=0)
    sets: tuple[SetInfo, ...]
    seen: tuple[SetScores, ...] = ()
    unseen: tuple[SetScores, ...] = ()
    precision: Literal["float32", "float16"] = "float16"
    sha256: str = ""
    versions: dict[str, str]
    recipe: dict[str, Any]

    def build(self) -> ClickNet:
        """The net, untrained."""
        return ClickNet(
            in_channels=self.channels,
            ndim=self.ndim,
            widths=self.widths,
            depth=self.depth,
            attention=self.attention,
            judge=self.judge,
        )


def save_click_net(net: ClickNet, card: ClickCard, folder: Path) -> ClickCard:
    """Write weights (in the card's precision) and card; returns the card with its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    dtype = getattr(torch, card.precision)
    tensors = {k: v.to(dtype) for k, v in net.state_dict().items()}
    save_tensors(tensors, folder / WEIGHTS_FILE)
    card = card.model_copy(update={"sha256": sha256_of(folder / WEIGHTS_FILE)})
    write_card(card, folder)
    return card


def write_card(card: ClickCard, folder: Path) -> None:
    """Put the card beside its weights; the old one stays if it cannot be written."""
    fresh = folder / (CARD_FILE + ".new")
    fresh.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(fresh, folder / CARD_FILE)


def load_click_net(folder: Path) -> tuple[ClickNet, ClickCard]:
    """The net with its weights, in float32 and evaluation mode.

    Raises
    ------
    InputError
        If a file is missing or damaged, the card is of another kind, or the weights are
        not the card's.
    """
    try:
        text = (folder / CARD_FILE).read_text(encoding="utf-8")
        card = ClickCard.model_validate_json(text)
        found = sha256_of(folder / WEIGHTS_FILE)
    except OSError as error:
        raise InputError(
            f"{folder}: no readable click net ({error.strerror}); it is a folder with "
            f"{CARD_FILE} and {WEIGHTS_FILE}"
        ) from None
    except (ValidationError, UnicodeDecodeError) as error:
        line = str(error).splitlines()[0]
        raise InputError(
            f"{folder / CARD_FILE}: no click net's card ({line})"
        ) from None
    if found != card.sha256:
        raise InputError(
            f"{folder}: the weights are not those of the card (SHA-256 {found[:12]}… "
            f"instead of {card.sha256[:12]}…); install the click net again"
        )
    net = card.build()
    _fill(net, folder / WEIGHTS_FILE)
    return net.float().eval(), card


def _fill(net: ClickNet, path: Path) -> None:
    """Give the net the file's weights."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
        net.load_state_dict(tensors)
    except (SafetensorError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise InputError(f"{path}: not the weights of this net ({line})") from None
