"""Weights on disk: safetensors beside a card. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from src_models.card import CARD_FILE, WEIGHTS_FILE, TrainedCard, read_card
from src_models.catalog import create_net
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file; the earlier one stays until the new one is whole."""
    fresh = path.with_name(path.name + ".new")
    try:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, fresh)
        os.replace(fresh, path)
    except SafetensorError as error:  # its own word for a full disk
        raise OSError(
            f"{path} was not saved: {error}; make room and try again"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)


def save_model(net: nn.Module, card: TrainedCard, folder: Path) -> TrainedCard:
    """Write weights (in the card's precision) and card; returns the card with its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    dtype = getattr(torch, card.precision)
    state = net.state_dict()
    save_tensors(
        {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()},
        folder / WEIGHTS_FILE,
    )
    card = card.model_copy(update={"sha256": sha256_of(folder / WEIGHTS_FILE)})
    fresh = folder / (CARD_FILE + ".new")
    fresh.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(fresh, folder / CARD_FILE)
    return card


def check_weights(folder: Path, card: TrainedCard) -> Path:
    """The file with a model's weights, once it is known to be the card's.

    Raises
    ------
    InputError
        If the file is missing or its hash is not the card's.
    """
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise InputError(
            f"{folder}: {WEIGHTS_FILE} is missing; install the model again"
        )
    found = sha256_of(path)
    if found != card.sha256:
        raise InputError(
            f"{path}: the weights are not those of the card (SHA-256 {found[:12]}… "
            f"instead of {card.sha256[:12]}…); install the model again"
        )
    return path


def load_model(folder: Path) -> tuple[nn.Module, TrainedCard]:
    """The net with its weights, in float32 and evaluation mode.

    Raises
    ------
    InputError
        If a file is missing or damaged, the hash is not the card's, or names or shapes
        of the weights are not the net's.
    """
    card = read_card(folder)
    path = check_weights(folder, card)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None
    net = create_net(card.net)
    wanted = {k: tuple(v.shape) for k, v in net.state_dict().items()}
    given = {k: tuple(v.shape) for k, v in tensors.items()}
    if wanted != given:
        key = min(
            k for k in wanted.keys() | given.keys() if wanted.get(k) != given.get(k)
        )
        raise InputError(
            f"{path}: the weights do not fit the card's net: {key} is "
            f"{given.get(key, 'missing')}, wanted {wanted.get(key, 'nothing')}"
        )
    net.load_state_dict(tensors)
    return net.float().eval(), card
