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
VGG16 = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)


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
        (preset, ndim) → keyword arguments of the class. "paper" and "compact" in every
        dimension, "paper-…" for what else was published.
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


def _fcn(stride: int, count: int) -> ModelCard:
    """One of the three published nets, by the stride of its finest scored map."""
    return ModelCard(
        name=f"fcn{stride}s",
        title=f"FCN-{stride}s",
        paper="Long, Shelhamer & Darrell, CVPR 2015",
        reference="https://arxiv.org/abs/1411.4038",
        year=2015,
        distinctive="A classifier (VGG-16) made convolutional; its class scores are "
        f"enlarged by a fixed kernel, the finest from every {stride} voxels.",
        build="fcn:FCN",
        dims=(2, 3),
        presets={
            ("paper", 2): _options(stride=stride),
            ("paper", 3): _options(stride=stride, fc_kernel=3),
            ("compact", 2): _options(
                stride=stride, widths=(16, 32, 64, 128, 128), fc_width=256
            ),
            ("compact", 3): _options(
                stride=stride, widths=(8, 16, 32, 64, 64), fc_width=128, fc_kernel=3
            ),
        },
        published_parameters={("paper", 2): (3, 21, count)},
    )


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
            _fcn(32, 134_346_581),
            _fcn(16, 134_357_354),
            _fcn(8, 134_362_751),
            ModelCard(
                name="segnet",
                title="SegNet",
                paper="Badrinarayanan, Kendall & Cipolla, arXiv 2015, PAMI 2017",
                reference="https://arxiv.org/abs/1511.00561",
                year=2015,
                distinctive="Only the places of the pools' maxima go to the decoder, "
                "which puts its values back there and convolves the gaps shut.",
                build="segnet:SegNet",
                dims=(2, 3),
                presets={
                    ("paper", 2): _options(widths=VGG16),
                    ("paper", 3): _options(widths=VGG16),
                    ("compact", 2): _options(
                        widths=((24,) * 2, (48,) * 2, (96,) * 3, *((128,) * 3,) * 2),
                        batch_norm=False,
                    ),
                    ("compact", 3): _options(
                        widths=((12,) * 2, (24,) * 2, (48,) * 3, *((72,) * 3,) * 2),
                        batch_norm=False,
                    ),
                },
                published_parameters={("paper", 2): (3, 11, 29_449_355)},
            ),
            ModelCard(
                name="segnet-basic",
                title="SegNet-Basic",
                paper="Badrinarayanan, Kendall & Cipolla, arXiv 2015, PAMI 2017",
                reference="https://arxiv.org/abs/1511.00561",
                year=2015,
                distinctive="Four levels of one wide convolution each way; the decoder "
                "puts values back where the pools' maxima were and has no ReLU.",
                build="segnet:SegNet",
                dims=(2, 3),
                presets={
                    ("paper", 2): _options(widths=((64,),) * 4, basic=True),
                    ("paper", 3): _options(widths=((64,),) * 4, basic=True),
                    ("compact", 2): _options(
                        widths=((32,),) * 4, basic=True, batch_norm=False
                    ),
                    ("compact", 3): _options(
                        widths=((12,),) * 4, basic=True, batch_norm=False
                    ),
                },
                published_parameters={("paper", 2): (3, 11, 1_416_587)},
            ),
            ModelCard(
                name="fc-densenet",
                title="FC-DenseNet",
                paper="Jégou, Drozdzal, Vazquez, Romero & Bengio, CVPR Workshops 2017",
                reference="https://arxiv.org/abs/1611.09326",
                year=2017,
                distinctive="Every layer reads all maps of its block; on the way up "
                "only the maps that a block adds are enlarged.",
                build="fcdensenet:FCDenseNet",
                dims=(2, 3),
                presets={
                    **{
                        (preset, ndim): _options(layers=layers, growth=growth)
                        for preset, layers, growth in (
                            ("paper", (4, 5, 7, 10, 12, 15, 12, 10, 7, 5, 4), 16),
                            ("paper-67", (5,) * 11, 16),
                            ("paper-56", (4,) * 11, 12),
                        )
                        for ndim in (2, 3)
                    },
                    ("compact", 2): _options(
                        layers=(3, 4, 5, 7, 5, 4, 3),
                        growth=16,
                        first=32,
                        batch_norm=False,
                    ),
                    ("compact", 3): _options(
                        layers=(2, 3, 4, 5, 4, 3, 2),
                        growth=12,
                        first=24,
                        batch_norm=False,
                    ),
                },
                published_parameters={
                    ("paper", 2): (3, 11, 9_322_091),
                    ("paper-67", 2): (3, 11, 3_463_243),
                    ("paper-56", 2): (3, 11, 1_376_795),
                },
            ),
            ModelCard(
                name="deep-dilated",
                title="Deep dilated convolutions",
                paper="Perone, Calabrese & Cohen-Adad, Scientific Reports 2018",
                reference="https://arxiv.org/abs/1710.01269",
                year=2018,
                distinctive="Never pooled or strided: parallel convolutions of growing "
                "dilation see far at full resolution.",
                build="deep_dilated:DeepDilated",
                dims=(2, 3),
                presets={
                    ("paper", 2): _options(),
                    ("paper", 3): _options(),
                    ("compact", 2): _options(norm="group", dropout=0.1),
                    ("compact", 3): _options(width=20, norm="group", dropout=0.1),
                },
                # One sigmoid map; the paper counts without its batch normalisation.
                published_parameters={("paper", 2): (1, 1, 124_769)},
            ),
            ModelCard(
                name="reversible-unet",
                title="Partially reversible U-Net",
                paper="Brügger, Baumgartner & Konukoglu, MICCAI 2019",
                reference="https://arxiv.org/abs/1906.06148",
                year=2019,
                distinctive="Activations are worked out anew from each stage's output: "
                "a deeper net takes no more memory to train.",
                build="reversible_unet:ReversibleUNet",
                dims=(2, 3),
                presets={
                    ("paper", 2): _options(),
                    ("paper", 3): _options(),
                    ("paper-2", 3): _options(depth=2),
                    ("paper-3", 3): _options(depth=3),
                    ("paper-4", 3): _options(depth=4),
                    ("compact", 2): _options(widths=(40, 80, 160, 240, 320)),
                    ("compact", 3): _options(widths=(24, 48, 96, 144, 192)),
                },
                published_parameters={
                    ("paper", 3): (4, 3, 12_365_283),
                    ("paper-2", 3): (4, 3, 18_248_403),
                    ("paper-3", 3): (4, 3, 24_131_523),
                    ("paper-4", 3): (4, 3, 30_014_643),
                },
            ),
            ModelCard(
                name="deeplabv3-plus",
                title="DeepLabv3+",
                paper="Chen, Zhu, Papandreou, Schroff & Adam, ECCV 2018",
                reference="https://arxiv.org/abs/1802.02611",
                year=2018,
                distinctive="Dilations that go with the output stride, the whole image "
                "pooled beside them, and 48 channels of edges for the decoder.",
                build="deeplab:DeepLabV3Plus",
                dims=(2,),
                presets={
                    ("paper", 2): _options(),
                    ("paper-resnet50", 2): _options(blocks=(3, 4, 6, 3)),
                    ("paper-xception", 2): _options(encoder="xception"),
                    ("compact", 2): _options(
                        blocks=(2, 2, 2, 2), stem=16, width=96, norm="group"
                    ),
                },
                published_parameters={
                    ("paper", 2): (3, 21, 59_344_309),
                    ("paper-resnet50", 2): (3, 21, 40_352_181),
                    ("paper-xception", 2): (3, 21, 41_055_413),
                },
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
