"""FCN: where its maps lie on the image, and what it does not learn."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from src_models.nets.fcn import FCN, Enlarge, bilinear

Stride = Literal[32, 16, 8]
OFFSETS: dict[Stride, tuple[tuple[int, ...], int]] = {  # of the released nets
    32: ((), 19),
    16: ((5,), 27),
    8: ((5, 9), 31),
}


def thin(stride: Stride, *, ndim: int = 2, fc_kernel: int = 7) -> FCN:
    return FCN(
        ndim=ndim,
        in_channels=1,
        classes=2,
        stride=stride,
        widths=(1, 1, 1, 1, 1),
        fc_width=1,
        fc_kernel=fc_kernel,
    )


@torch.no_grad()
def see_through(net: FCN) -> FCN:
    """Each convolution hands on the voxel at its middle, each pool the mean."""
    mean = {2: nn.AvgPool2d, 3: nn.AvgPool3d}[net.ndim]
    for level in net.levels:
        assert isinstance(level, nn.Sequential)
        level[-1] = mean(2, ceil_mode=True)
    for layer in net.modules():
        if isinstance(layer, _ConvNd):
            layer.weight.zero_()
            layer.weight[(..., *(side // 2 for side in layer.kernel_size))] = 1
            if layer.bias is not None:
                layer.bias.zero_()
    return net.eval()


def ramp(side: int, ndim: int, axis: int) -> Tensor:
    """Each voxel is its place along the axis."""
    shape = [1] * (ndim + 2)
    shape[axis + 2] = side
    return torch.arange(float(side)).view(shape).expand(1, 1, *(side,) * ndim)


class TestWhereItLooks:
    @pytest.mark.parametrize("stride", OFFSETS)
    def test_crops_are_the_released_ones(self, stride: Stride) -> None:
        net = thin(stride)
        assert net.padding == 100
        assert (net.skip_offsets, net.image_offset) == OFFSETS[stride]

    @pytest.mark.parametrize("stride", OFFSETS)
    @pytest.mark.parametrize("fc_kernel", [3, 5, 7])
    @pytest.mark.parametrize("axis", [0, 1])
    def test_no_map_is_shifted(self, stride: Stride, fc_kernel: int, axis: int) -> None:
        """Inside, a ramp comes out of each scored map at the place it went in."""
        net = see_through(thin(stride, fc_kernel=fc_kernel))
        x = ramp(224, 2, axis)
        last = net.score[-1]
        scores = [last, *net.skip_score]
        for seen in scores:
            with torch.no_grad():
                for score in scores:
                    score.weight.fill_(float(score is seen))
                inside = net(x)[:, :, 80:144, 80:144]
            wanted = x[:, :, 80:144, 80:144].expand_as(inside)
            torch.testing.assert_close(inside, wanted, rtol=0, atol=1e-3)

    @pytest.mark.parametrize("axis", [0, 2])
    def test_no_map_is_shifted_in_3d_and_all_are_summed(self, axis: int) -> None:
        net = see_through(thin(8, ndim=3, fc_kernel=3))
        x = ramp(112, 3, axis)
        inside = (slice(None), slice(None), *(slice(58, 63),) * 3)
        with torch.no_grad():
            got = net(x)[inside]
        torch.testing.assert_close(got, 3 * x[inside].expand_as(got))

    @settings(max_examples=40, deadline=None)
    @given(
        st.sampled_from([32, 16, 8]),
        st.sampled_from([3, 5, 7]),
        st.tuples(st.integers(1, 400), st.integers(1, 400)),
    )
    def test_any_side(
        self, stride: Stride, fc_kernel: int, sides: tuple[int, int]
    ) -> None:
        with torch.device("meta"):
            net = thin(stride, fc_kernel=fc_kernel)
            assert net(torch.empty(1, 1, *sides)).shape == (1, 2, *sides)

    @pytest.mark.parametrize("stride", OFFSETS)
    def test_the_published_net_takes_its_photographs(self, stride: Stride) -> None:
        with torch.device("meta"):
            net = FCN(ndim=2, in_channels=3, classes=21, stride=stride)
            assert net(torch.empty(1, 3, 500, 375)).shape == (1, 21, 500, 375)
        assert net.score[0].weight.shape == (4096, 512, 7, 7)


class TestEnlarge:
    def test_the_kernel_by_hand(self) -> None:
        row = torch.tensor([0.25, 0.75, 0.75, 0.25])
        assert torch.equal(bilinear(2, 2)[0, 0], row[:, None] * row)

    @pytest.mark.parametrize("stride", [2, 8, 16, 32])
    def test_the_kernel_is_the_papers_formula(self, stride: int) -> None:
        side = 2 * stride
        factor = (side + 1) // 2
        at = 1 - abs(np.arange(side) - (factor - 0.5)) / factor
        np.testing.assert_allclose(bilinear(1, stride)[0, 0].numpy(), at)
        kernel = bilinear(3, stride)[0, 0].numpy()
        np.testing.assert_allclose(kernel, np.einsum("i,j,k", at, at, at), rtol=1e-6)

    @pytest.mark.parametrize(("ndim", "mode"), [(2, "bilinear"), (3, "trilinear")])
    def test_inside_it_is_pytorchs_interpolation(self, ndim: int, mode: str) -> None:
        x = torch.randn(2, 3, *(5,) * ndim, generator=torch.Generator().manual_seed(0))
        got = Enlarge(ndim, 4)(x)
        assert got.shape == (2, 3, *(24,) * ndim)
        inside = (slice(None), slice(None), *(slice(2, 18),) * ndim)
        margin = (slice(None), slice(None), *(slice(4, 20),) * ndim)
        torch.testing.assert_close(
            got[margin], F.interpolate(x, scale_factor=4, mode=mode)[inside]
        )

    def test_it_is_neither_learnt_nor_stored(self) -> None:
        net = thin(8)
        learnt, stored = dict(net.named_parameters()), net.state_dict()
        assert learnt.keys() == stored.keys()
        assert not [name for name in stored if "kernel" in name]
        assert [n for n, _ in net.named_buffers()] == ["twice.kernel", "enlarge.kernel"]
