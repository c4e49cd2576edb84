"""The zoo, as a table. Importing it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

Options = MappingProxyType[str, Any]


def _options(**values: Any) -> Options:
    return MappingProxyType(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """One published system.

    Attributes
    ----------
    build : str
        "module:class" below ``src_models.nets``.
    dims : tuple of int
        Spatial dimensions it exists in.
    presets : mapping
        (preset, ndim) → keyword arguments of the class.
    published_parameters : mapping
        (preset, ndim) → (in_channels, classes, count): what the paper, or its released
        code, gives; tested as an exact integer.
    """

    name: str
    title: str
    paper: str
    reference: str
    year: int
    distinctive: str
    build: str
    dims: tuple[int, ...]
    presets: Mapping[tuple[str, int], Options]
    published_parameters: Mapping[tuple[str, int], tuple[int, int, int]]


CARDS: Mapping[str, ModelCard] = MappingProxyType(
    {
        card.name: card
        for card in (
            ModelCard(
                name="unet",
                title="U-Net",
                paper="Ronneberger, Fischer & Brox, MICCAI 2015; "
                "3D: Çiçek et al., MICCAI 2016",
                reference="https://arxiv.org/abs/1505.04597",
                year=2015,
                distinctive="Unpadded convolutions on mirrored tiles; cropped encoder "
                "features are concatenated on the way up.",
                build="unet:UNet",
                dims=(2, 3),
                presets={
                    ("paper", 2): _options(
                        widths=(
                            (64, 64),
                            (128, 128),
                            (256, 256),
                            (512, 512),
                            (1024, 1024),
                        ),
                        valid=True,
                        norm="none",
                        halve_up=True,
                        dropout=0.5,
                    ),
                    ("paper", 3): _options(
                        widths=((32, 64), (64, 128), (128, 256), (256, 512)),
                        valid=True,
                        norm="batch",
                        halve_up=False,
                    ),
                    ("compact", 2): _options(
                        widths=((24, 24), (48, 48), (96, 96), (192, 192)),
                    ),
                    ("compact", 3): _options(
                        widths=((16, 16), (32, 32), (64, 64), (128, 128)),
                    ),
                },
                published_parameters={
                    ("paper", 2): (1, 2, 31_030_658),
                    ("paper", 3): (3, 3, 19_069_955),
                },
            ),
            ModelCard(
                name="vnet",
                title="V-Net",
                paper="Milletari, Navab & Ahmadi, 3DV 2016",
                reference="https://arxiv.org/abs/1606.04797",
                year=2016,
                distinctive="Residual stages of 5-wide convolutions, strided instead of "
                "pooled; the first net trained on the Dice loss.",
                build="vnet:VNet",
                dims=(2, 3),
                presets={
                    ("paper", 2): _options(),
                    ("paper", 3): _options(),
                    ("compact", 2): _options(width=12, kernel=3, norm=True),
                    ("compact", 3): _options(width=6, kernel=3, norm=True),
                },
                published_parameters={("paper", 3): (1, 2, 61_982_682)},
            ),
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
    preset : {"compact", "paper"}
        "paper": as published. "compact": the same idea at a size for a CPU.

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
        known = sorted({key for key, _ in card.presets})
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
