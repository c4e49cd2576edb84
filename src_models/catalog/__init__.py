"""The zoo, as a table. Importing it imports no torch."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from src_models.catalog import (
    asdnet,
    attention_to_scale,
    danet,
    dcan,
    deep_dilated,
    deeplab,
    dual_guided,
    fcdensenet,
    fcn,
    fcslstm,
    nas_unet,
    pan,
    residual_attention,
    reversible_unet,
    scu_net,
    segan,
    segnet,
    slices,
    unet,
    unet_convlstm,
    vgan,
    vnet,
)
from src_models.catalog.card import ModelCard
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["CARDS", "ModelCard", "create_model", "create_net", "find_card"]

ALWAYS = ("ndim", "in_channels", "classes")

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
            dcan.CARD,
            asdnet.CARD,
            dual_guided.CARD,
            vgan.CARD,
            segan.CARD,
            slices.CARD,
            unet_convlstm.CARD,
            fcslstm.CARD,
            scu_net.CARD,
        )
    }
)


class Spec(Protocol):
    """Which net, and its arguments; see `create_model`."""

    @property
    def system(self) -> str: ...
    @property
    def preset(self) -> str: ...
    @property
    def ndim(self) -> int: ...
    @property
    def in_channels(self) -> int: ...
    @property
    def classes(self) -> int: ...
    @property
    def options(self) -> Mapping[str, Any]: ...


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
    options: Mapping[str, Any] | None = None,
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
    options : mapping, optional
        Arguments of the net's class in place of the preset's.

    Returns
    -------
    torch.nn.Module
        (B, C, *S) → logits (B, K, *S), for every S the net can take; margins and
        padding are its own business. (B, C, T, *S) → (B, K, T, *S) for those that read
        frames.

    Raises
    ------
    InputError
        If no card, preset, dimension or option fits; it says which there are.
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
    known = [one for one in signature(make).parameters if one not in ALWAYS]
    for option in options or ():
        if option not in known:
            raise InputError(
                f"{card.title} has no option {option!r}; there are {', '.join(known)}"
            )
    values = {**card.presets[preset, ndim], **(options or {})}
    try:
        net: nn.Module = make(
            ndim=ndim, in_channels=in_channels, classes=classes, **values
        )
    except (TypeError, ValueError, LookupError) as error:
        if not options or isinstance(error, InputError):
            raise
        raise InputError(
            f"{card.title} cannot be built with the options {dict(options)}: {error}"
        ) from None
    return net


def create_net(spec: Spec) -> nn.Module:
    """Build the net that a recipe or a card of a trained model asks for."""
    return create_model(
        spec.system,
        ndim=spec.ndim,
        in_channels=spec.in_channels,
        classes=spec.classes,
        preset=spec.preset,
        options=spec.options,
    )


def _either(values: tuple[int, ...]) -> str:
    return " or ".join(str(value) for value in values)
