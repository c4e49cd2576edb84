"""The table of systems: what it names, what it builds, what it refuses."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import get_args

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from src_models import CARDS, create_model
from src_models.card import NetSpec
from src_models.catalog import create_net, find_card
from src_models.catalog.card import Source
from src_models.errors import InputError
from src_models.nets.nas_genotype import GENOTYPES

ROWS = [(name, *row) for name, card in CARDS.items() for row in card.presets]
COUNTS = {  # U-Net 2015 and 2016 by their layer lists, V-Net by its released code
    ("unet", "paper", 2): 31_030_658,
    ("unet", "paper", 3): 19_069_955,
    ("vnet", "paper", 3): 61_982_682,
    ("fcn32s", "paper", 2): 134_346_581,  # without the fixed enlarging kernels
    ("fcn16s", "paper", 2): 134_357_354,
    ("fcn8s", "paper", 2): 134_362_751,
    ("segnet", "paper", 2): 29_449_355,
    ("segnet-basic", "paper", 2): 1_416_587,
    ("fc-densenet", "paper", 2): 9_322_091,
    ("fc-densenet", "paper-67", 2): 3_463_243,
    ("fc-densenet", "paper-56", 2): 1_376_795,
    ("deep-dilated", "paper", 2): 124_769,
    ("reversible-unet", "paper", 3): 12_365_283,
    ("reversible-unet", "paper-2", 3): 18_248_403,
    ("reversible-unet", "paper-3", 3): 24_131_523,
    ("reversible-unet", "paper-4", 3): 30_014_643,
    ("deeplabv3-plus", "paper", 2): 59_344_309,
    ("deeplabv3-plus", "paper-resnet50", 2): 40_352_181,
    ("deeplabv3-plus", "paper-xception", 2): 41_055_413,
    ("nas-unet", "paper", 2): 485_746,
    ("nas-unet", "paper-c16-d4", 2): 101_095,
    ("nas-unet", "paper-c16-d5", 2): 123_611,
    ("nas-unet", "paper-c32-d4", 2): 396_938,
    ("nas-unet", "paper-c48-d5", 2): 1_093_023,
    ("nas-unet", "paper-c64-d6", 2): 2_278_320,
    ("residual-attention", "paper", 2): 31_810_728,
    ("residual-attention", "paper-92", 2): 52_466_344,
    ("vgan", "paper", 2): 7_849_601,
    ("segan", "paper", 2): 156_265_344,
    ("unet-convlstm", "paper", 2): 2_197_203,
}
PARTS = {  # of systems without a count of their own, what a part comes to:
    # (module, channels, classes, count)
    ("attention-to-scale", "paper", 2): (
        ("net", 3, 21, 20_505_429),  # LargeFOV, "about 20.5M"
        ("attention", 3, 21, 9_438_722),
    ),
    ("attention-to-scale", "paper-3", 2): (("attention", 3, 21, 14_157_827),),
    ("fcslstm", "paper", 2): (("levels", 3, 2, 61_305_856),),
    ("danet", "paper", 2): (("head", 3, 21, 23_957_697),),
    ("ms-dual-guided", "paper", 2): (("head", 3, 5, 16_819_999),),
}
WITHOUT_NORM = {"deep-dilated"}  # the paper counts convolutions only
# For each class (one map): norms that the releases declare and do not use.
NEVER_CALLED = {"nas-unet": 2, "segan": 30_080}


def classifier(net: nn.Module, classes: int) -> nn.Module:
    """The encoder with the layer that makes the published net of it; no decoder."""
    encoder = net.get_submodule("encoder")
    return nn.Sequential(encoder, nn.Linear(encoder.channels[-1], classes))  # type: ignore[index]


COUNTED = {"residual-attention": classifier}  # what was published is not the whole net


def build(
    name: str, preset: str, ndim: int, in_channels: int, classes: int
) -> nn.Module:
    """Without weights; one sigmoid map (classes = 1) too."""
    card = CARDS[name]
    module, _, attribute = card.build.partition(":")
    make = getattr(import_module(f"src_models.nets.{module}"), attribute)
    with torch.device("meta"):
        net: nn.Module = make(
            ndim=ndim,
            in_channels=in_channels,
            classes=classes,
            **card.presets[preset, ndim],
        )
    return net


def size(net: nn.Module, *, norm: bool = True) -> int:
    """Parameters, with or without those of the normalisations."""
    return sum(
        weights.numel()
        for layer in net.modules()
        if norm or not isinstance(layer, _NormBase)
        for weights in layer.parameters(recurse=False)
    )


def test_every_published_count_is_known_here_too() -> None:
    published = {
        (name, *row): count
        for name, card in CARDS.items()
        for row, (_, _, count) in card.published_parameters.items()
    }
    assert published == COUNTS


@pytest.mark.parametrize("key", COUNTS, ids=str)
def test_parameters_are_those_published_to_the_last(key: tuple[str, str, int]) -> None:
    name, preset, ndim = key
    given, classes, _ = CARDS[name].published_parameters[preset, ndim]
    net = build(name, preset, ndim, given, classes)
    if name in COUNTED:
        with torch.device("meta"):
            net = COUNTED[name](net, classes)
    idle = NEVER_CALLED.get(name, 0) * classes
    assert size(net, norm=name not in WITHOUT_NORM) + idle == COUNTS[key]


@pytest.mark.parametrize("key", PARTS, ids=str)
def test_parts_have_the_parameters_of_their_layers(key: tuple[str, str, int]) -> None:
    for part, given, classes, count in PARTS[key]:
        assert size(build(*key, given, classes).get_submodule(part)) == count
        assert f"{count:,}" in CARDS[key[0]].evidence
    assert key[1:] not in CARDS[key[0]].published_parameters


@pytest.mark.parametrize("row", [row for row in ROWS if row[1] == "compact"], ids=str)
def test_compact_is_small_and_as_large_as_the_card_says(
    row: tuple[str, str, int],
) -> None:
    assert 100_000 < size(build(*row, 4, 8)) <= 3_000_000
    said = CARDS[row[0]].compact_parameters[row[2]]
    net = create_model(row[0], ndim=row[2], in_channels=1, classes=2)
    assert size(net) == said


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_complete(name: str) -> None:
    card = CARDS[name]
    assert card.name == name
    assert card.reference.startswith("https://")
    assert str(card.year) in card.paper
    assert card.title
    assert card.distinctive.endswith(".")
    presets = {(preset, ndim) for preset in ("paper", "compact") for ndim in card.dims}
    assert set(card.presets) >= presets
    assert {ndim for _, ndim in card.presets} == set(card.dims)
    assert set(card.compact_parameters) == set(card.dims)
    assert card.evidence.endswith(".")
    assert {result.source for result in card.results} <= set(get_args(Source))
    assert all(result.data and result.value for result in card.results)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CARDS["mine"] = CARDS["unet"]  # type: ignore[index]
    with pytest.raises(TypeError):
        CARDS["unet"].presets["compact", 2]["widths"] = ()  # type: ignore[index]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": "unett"}, "no model 'unett'; did you mean 'unet'?"),
        ({"name": "Vnet"}, "did you mean 'vnet'?"),
        ({"name": "zzz"}, "no model 'zzz'; there are fcn32s, fcn16s"),
        ({"ndim": 4}, "U-Net exists in 2 or 3D, not in 4D"),
        ({"preset": "huge"}, "no preset 'huge'; there are ['compact', 'paper']"),
        ({"in_channels": 0}, "at least 1 channel"),
        ({"classes": 1}, "2 classes (background and one more) are needed"),
        ({"options": {"width": 3}}, "U-Net has no option 'width'; there are widths, "),
        ({"options": {"ndim": 2}}, "U-Net has no option 'ndim'"),
        (
            {"options": {"widths": 3}},
            "U-Net cannot be built with the options {'widths'",
        ),
        (
            {"name": "nas-unet", "options": {"genotype": "v9"}},
            "no genotype 'v9'; there are v1, v2, v3",
        ),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(
    wrong: dict[str, object], says: str
) -> None:
    wish: dict[str, object] = {"name": "unet", "ndim": 2, "in_channels": 1}
    with pytest.raises(InputError) as caught:
        create_model(**wish | {"classes": 2} | wrong)  # type: ignore[arg-type]
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_listing_wakes_no_torch() -> None:
    code = (
        "import sys; from src_models import CARDS; from src_models.catalog import *; "
        "assert find_card('unet').title; sys.exit('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert run.returncode == 0


def test_find_card_gives_the_row() -> None:
    assert find_card("vnet") is CARDS["vnet"]


def test_options_take_the_place_of_the_presets() -> None:
    wish = {"ndim": 2, "in_channels": 1, "classes": 2}
    net = create_model("fcn8s", **wish, options={"fc_width": 7})  # type: ignore[arg-type]
    assert 7 in {weights.shape[0] for weights in net.parameters()}


def test_a_searched_cell_goes_through_a_recipe() -> None:
    found = GENOTYPES["v3"].to_dict()
    spec = NetSpec(
        system="nas-unet",
        ndim=2,
        in_channels=1,
        classes=2,
        options={"genotype": found, "channels": 16},
    )
    spec = NetSpec.model_validate_json(spec.model_dump_json())
    by_name = create_model(
        "nas-unet",
        ndim=2,
        in_channels=1,
        classes=2,
        options={"genotype": "v3", "channels": 16},
    )
    there = {k: v.shape for k, v in create_net(spec).state_dict().items()}
    assert there == {k: v.shape for k, v in by_name.state_dict().items()}
