"""SegNet: what crosses over are places, and nothing else."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from src_models.catalog import create_model
from src_models.nets.segnet import SegNet


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def narrow(ndim: int, *, levels: int, basic: bool = False) -> SegNet:
    torch.manual_seed(0)
    net = SegNet(
        ndim=ndim,
        in_channels=1,
        classes=2,
        widths=((8, 8),) * levels,
        basic=basic,
        batch_norm=False,
    )
    return net.eval()


def watched(net: SegNet, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """What each encoder level gave, and what each decoder level got; finest first."""
    given: list[Tensor] = []
    got: list[Tensor] = []
    hooks = [
        *(
            m.register_forward_hook(lambda _, a, out: given.append(out))
            for m in net.down
        ),
        *(m.register_forward_pre_hook(lambda _, a: got.append(a[0])) for m in net.up),
    ]
    with torch.inference_mode():
        net(x)
    for hook in hooks:
        hook.remove()
    return given, got[::-1]


def maxima_only(features: np.ndarray) -> np.ndarray:
    """All but the greatest of each block of two a side becomes zero."""
    out = np.zeros_like(features)
    blocks = product(*(range(0, side, 2) for side in features.shape))
    for block in blocks:
        box = tuple(slice(start, start + 2) for start in block)
        inside = features[box]
        at = np.unravel_index(inside.argmax(), inside.shape)
        out[box][at] = inside[at]
    return out


class TestUnpooling:
    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.integers(1, 7), min_size=2, max_size=3))
    def test_values_land_where_the_maxima_were(self, sides: list[int]) -> None:
        net = narrow(len(sides), levels=1)
        (features,), (unpooled,) = watched(net, noise(1, 1, *sides))
        for channel, back in zip(features[0], unpooled[0], strict=True):
            np.testing.assert_array_equal(back.numpy(), maxima_only(channel.numpy()))

    def test_nothing_but_places_crosses(self) -> None:
        """Below the maxima the fine features may be anything."""
        net, x = narrow(2, levels=2), noise(1, 1, 12, 12)

        def hollow(_: nn.Module, args: object, out: Tensor) -> Tensor:
            above_zero = (out[0] + 1).numpy()  # after the ReLU
            kept = np.stack([maxima_only(channel) for channel in above_zero])
            return torch.from_numpy(kept - 1)[None]

        with torch.inference_mode():
            before = net(x)
            net.down[0].register_forward_hook(hollow)
            assert not torch.equal(net.down[0](x), net.down[0][:](x))
            torch.testing.assert_close(net(x), before)

    @pytest.mark.parametrize("basic", [False, True])
    def test_the_paper_frame_goes_down_and_comes_back(self, basic: bool) -> None:
        net = narrow(2, levels=4 if basic else 5, basic=basic)
        x = noise(1, 1, 360, 480)
        given, got = watched(net, x)
        sides = [(360, 480), (180, 240), (90, 120), (45, 60), (23, 30)]
        assert [tuple(y.shape[2:]) for y in given] == sides[: len(net.down)]
        assert [tuple(y.shape[2:]) for y in got] == sides[: len(net.down)]
        with torch.inference_mode():
            assert net(x).shape == (1, 2, 360, 480)


class TestLayers:
    def test_the_decoder_is_the_encoder_mirrored(self) -> None:
        with torch.device("meta"):
            net = create_model(
                "segnet", ndim=2, in_channels=3, classes=11, preset="paper"
            )
        assert isinstance(net, SegNet)
        widths = [
            [m.out_channels for m in level if isinstance(m, nn.Conv2d)]
            for level in reversed(net.up)
        ]
        assert widths == [
            [512, 512, 512],
            [512, 512, 256],
            [256, 256, 128],
            [128, 64],
            [64],
        ]
        assert net.head.kernel_size == (3, 3)

    def test_basic_has_no_relu_on_the_way_up(self) -> None:
        with torch.device("meta"):
            net = create_model(
                "segnet-basic", ndim=2, in_channels=3, classes=11, preset="paper"
            )
        assert isinstance(net, SegNet)
        assert not [m for m in net.up.modules() if isinstance(m, nn.ReLU)]
        assert len([m for m in net.down.modules() if isinstance(m, nn.ReLU)]) == 4
        convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
        assert [c.kernel_size for c in convs] == [(7, 7)] * 8 + [(1, 1)]

    def test_basic_normalises_its_input_over_channels(self) -> None:
        net = narrow(2, levels=1, basic=True)
        x = torch.full((1, 1, 2, 2), 100.0)
        by_hand = 100 / (1 + 1e-4 / 5 * 100**2) ** 0.75
        torch.testing.assert_close(net.normalise(x), torch.full_like(x, by_hand))
