"""The zoo, as a table. Importing it imports no torch."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from src_models.catalog import (
    asdnet,
    attention_to_scale,
    danet,
    deep_dilated,
    deeplab,
    dual_guided,
    fcdensenet,
    fcn,
    nas_unet,
    pan,
    residual_attention,
    reversible_unet,
    segnet,
    unet,
    vnet,
)
from src_models.catalog.card import ModelCard
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["CARDS", "ModelCard", "create_model", "find_card"]

CARDS: Mapping[str, ModelCard] = MappingProxyType(
    {
        card.name: card
        for card in (
            *fcn.CARDS,
            segnet.SEGNET,
            segnet.SEGNET_BASIC,
            unet.CARD,
            vnet.CARD,
            fcdensenet.CARD,
            deeplab.CARD,
            residual_attention.CARD,
            danet.CARD,
            pan.CARD,
            attention_to_scale.CARD,
            nas_unet.CARD,
            reversible_unet.CARD,
            deep_dilated.CARD,
            asdnet.CARD,
            dual_guided.CARD,
        )
    }
)


def find_card(name: str) -> ModelCard:
    """The card of that name.

    Raises
    ------
    InputError
        If there is none; the message names the nearest.
    """
    if name in CARDS:
        return CARDS[name]
    near = get_close_matches(name, CARDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(CARDS)}"
    raise InputError(f"no model {name!r}; {hint}")


def create_model(
    name: str,
    *,
    ndim: int,
    in_channels: int,
    classes: int,
    preset: str = "compact",
) -> nn.Module:
    """Build a net with random weights.

    Parameters
    ----------
    name : str
        A key of `CARDS`.
    ndim : {2, 3}
    in_channels, classes : int
        Channels of the input; channels of the logits, background included.
    preset : str
        "paper": as published; "paper-…": what else the card has of it. "compact": the
        same idea at a size for a CPU.

    Returns
    -------
    torch.nn.Module
        (B, C, *S) → logits (B, K, *S), for every S the net can take; margins and
        padding are its own business.

    Raises
    ------
    InputError
        If no card, preset or dimension fits; it says which there are.
    """
    card = find_card(name)
    if ndim not in card.dims:
        raise InputError(
            f"{card.title} exists in {_either(card.dims)}D, not in {ndim}D"
        )
    if (preset, ndim) not in card.presets:
        known = list(card.preset_names)
        raise InputError(f"{card.title} has no preset {preset!r}; there are {known}")
    if in_channels < 1 or classes < 2:
        raise InputError(
            f"at least 1 channel and 2 classes (background and one more) are needed, "
            f"got {in_channels} and {classes}"
        )
    module, _, attribute = card.build.partition(":")
    make = getattr(import_module(f"src_models.nets.{module}"), attribute)
    net: nn.Module = make(
        ndim=ndim,
        in_channels=in_channels,
        classes=classes,
        **card.presets[preset, ndim],
    )
    return net


def _either(values: tuple[int, ...]) -> str:
    return " or ".join(str(value) for value in values)
