"""DeepLabv3+: strides exchanged for dilation, grids on the same corners, the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from src_models.blocks import rise, to_lattice
from src_models.catalog import create_model
from src_models.nets.atrous import (
    BatchNorm,
    Layers,
    ResNet,
    Separables,
    Xception,
    exchange,
)
from src_models.nets.deeplab import DeepLabV3Plus

if TYPE_CHECKING:
    from collections.abc import Callable


def small(ndim: int = 2, output_stride: int = 16, **options: object) -> DeepLabV3Plus:
    torch.manual_seed(0)
    wish = {
        "ndim": ndim,
        "in_channels": 1,
        "classes": 2,
        "blocks": (1, 2, 2, 2),
        "stem": 8,
        "width": 16,
        "low": 8,
        "norm": "group",
    }
    return DeepLabV3Plus(**wish | options, output_stride=output_stride)  # type: ignore[arg-type]


def resnet(output_stride: int) -> ResNet:
    return ResNet(Layers(2, "batch"), 1, output_stride, blocks=(1, 2, 2, 2), width=8)


def xception(output_stride: int) -> Xception:
    return Xception(Layers(2, "batch"), 1, output_stride)


def test_strides_beyond_the_output_stride_become_rates() -> None:
    strides = (1, 2, 2, 2)
    assert list(exchange(strides, 4, 32)) == [(1, 1, 1), *[(2, 1, 1)] * 3]
    assert list(exchange(strides, 4, 16))[2:] == [(2, 1, 1), (1, 1, 2)]
    assert list(exchange(strides, 4, 8))[2:] == [(1, 1, 2), (1, 2, 4)]


@pytest.mark.parametrize("make", [resnet, xception])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilated_it_computes_what_the_strided_net_does_at_more_places(
    make: Callable[[int], nn.Module], output_stride: int
) -> None:
    torch.manual_seed(0)
    strided, dilated = make(32).eval(), make(output_stride).eval()
    with torch.no_grad():  # far from 0, or a mean of nothing is compared with nothing
        for weights in strided.parameters():
            if weights.ndim > 1:
                nn.init.kaiming_normal_(weights)
    dilated.load_state_dict(strided.state_dict())
    x = torch.randn(1, 1, 65, 97)
    with torch.inference_mode():
        (low, wanted), (same_low, got) = strided(x), dilated(x)
    more = 32 // output_stride
    assert low.shape[2:] == (17, 25)
    assert wanted.shape[2:] == (3, 4)
    assert torch.equal(low, same_low)
    torch.testing.assert_close(
        got[:, :, ::more, ::more],
        wanted,
        rtol=1e-3,
        atol=1e-4 * wanted.abs().max().item(),
    )


@pytest.mark.parametrize(
    ("output_stride", "rates"), [(16, (6, 12, 18)), (8, (12, 24, 36))]
)
def test_the_pyramids_rates_go_with_the_output_stride(
    output_stride: int, rates: tuple[int, ...]
) -> None:
    net = small(output_stride=output_stride)
    convs = [m for m in net.aspp.branches.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.kernel_size[0], c.dilation[0]) for c in convs] == [
        (1, 1),
        *((3, rate) for rate in rates),
    ]


def test_trained_at_16_it_predicts_at_8() -> None:
    coarse, fine = small(output_stride=16).eval(), small(output_stride=8).eval()
    fine.load_state_dict(coarse.state_dict())
    seen: list[tuple[int, ...]] = []
    for net in (coarse, fine):
        net.aspp.register_forward_pre_hook(
            lambda _, args: seen.append(tuple(args[0].shape[2:]))
        )
        with torch.inference_mode():
            assert net(torch.randn(1, 1, 64, 50)).shape == (1, 2, 64, 50)
    assert seen == [(5, 5), (9, 9)]


@pytest.mark.parametrize("side", [1, 2, 16, 17, 18, 512, 513])
def test_sides_are_padded_to_a_lattice(side: int) -> None:
    x = torch.arange(float(side)).view(1, 1, side, 1)
    padded = to_lattice(x)
    rows = padded.shape[2]
    assert rows == {1: 17, 2: 17, 16: 17, 17: 17, 18: 33, 512: 513, 513: 513}[side]
    assert torch.equal(padded[:, :, :side, :1], x)
    assert (padded[:, :, side:] == side - 1).all()
    assert padded.shape[3] == 17


def test_what_is_thinned_out_rises_to_where_it_was() -> None:
    """A ramp taken at each 16th voxel and risen is the ramp: no shift, no stretch."""
    ramp = torch.arange(33.0).view(1, 1, 33, 1) + 100 * torch.arange(49.0)
    torch.testing.assert_close(rise(ramp[:, :, ::16, ::16], (33, 49)), ramp)


def test_the_decoder_reads_the_pyramid_and_the_low_branch() -> None:
    net = create_model("deeplabv3-plus", ndim=2, in_channels=3, classes=4).eval()
    assert isinstance(net, DeepLabV3Plus)
    seen: dict[str, Tensor] = {}
    net.low.register_forward_hook(lambda *args: seen.update(low=args[2]))
    net.aspp.register_forward_hook(lambda *args: seen.update(aspp=args[2]))
    net.refine.register_forward_pre_hook(lambda _, args: seen.update(joined=args[0]))
    with torch.inference_mode():
        net(torch.randn(1, 3, 65, 65))
    assert seen["low"].shape == (1, 48, 17, 17)
    assert seen["aspp"].shape[2:] == (5, 5)
    risen = rise(seen["aspp"], (17, 17))
    assert torch.equal(seen["joined"], torch.cat([risen, seen["low"]], 1))


def test_the_image_branch_is_the_same_everywhere_and_sees_all() -> None:
    net = small().eval()
    seen: list[Tensor] = []
    net.aspp.project.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = torch.randn(1, 1, 65, 65, requires_grad=True)
    net(x)
    pooled = seen[0][:, -16:]
    assert torch.equal(pooled, pooled[:, :, :1, :1].expand_as(pooled))
    pooled.square().sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0, ::16, ::16].all()


def test_in_3d_too() -> None:
    with torch.inference_mode():
        assert small(3).eval()(torch.randn(1, 1, 9, 20, 17)).shape == (1, 2, 9, 20, 17)


def test_a_single_value_is_normalised_by_the_running_averages() -> None:
    norm = BatchNorm(3).train()
    norm.running_mean.fill_(1.0)  # type: ignore[union-attr]
    norm.running_var.fill_(4.0)  # type: ignore[union-attr]
    x = torch.tensor([1.0, 3.0, -1.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(norm(x).flatten(), torch.tensor([0.0, 1.0, -1.0]))
    assert norm.running_mean.tolist() == [1.0] * 3  # type: ignore[union-attr]
    more = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(norm(more), nn.BatchNorm2d(3)(more))


class TestXception:
    def test_the_published_blocks(self) -> None:
        net = xception(16)
        kinds = [
            "none" if b.shortcut is None else type(b.shortcut).__name__
            for b in net.blocks
        ]
        middle = ["Identity"] * 16
        assert kinds == [*["Sequential"] * 3, *middle, "Sequential", "none"]
        assert net.low_channels == 256
        assert not [m for m in net.modules() if "Pool" in type(m).__name__]
        deep = [
            c.dilation[0]
            for c in net.blocks[-1].modules()
            if isinstance(c, nn.Conv2d) and c.groups > 1
        ]
        assert deep == [2, 2, 2]

    def test_relu_comes_first_and_spares_the_shortcut(self) -> None:
        block = Separables(Layers(2, "group"), 8, (8, 8, 8), 1, 1, True)
        x = -torch.rand(1, 8, 5, 5)
        kept = x.clone()
        with torch.no_grad():
            silent = block(torch.zeros_like(x))[1]
            assert torch.equal(block(x)[1], silent + x)
        assert torch.equal(x, kept)

    def test_the_low_features_are_signed(self) -> None:
        """They are taken before ReLU, and the next ReLU does not write on them."""
        torch.manual_seed(0)
        with torch.inference_mode():
            low, _ = xception(16).train()(torch.randn(2, 1, 33, 33))
        assert low.shape == (2, 256, 9, 9)
        assert (low < 0).any()
