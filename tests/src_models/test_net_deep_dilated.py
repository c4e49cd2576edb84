"""Deep dilated convolutions: what is theirs alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from src_models.nets.deep_dilated import DeepDilated


def small(ndim: int = 2, **options: object) -> DeepDilated:
    torch.manual_seed(0)
    wish = {"ndim": ndim, "in_channels": 1, "classes": 2, "width": 4} | options
    return DeepDilated(**wish).eval()  # type: ignore[arg-type]


def reach(net: nn.Module, ndim: int, side: int) -> Tensor:
    """Which voxels of the input the middle voxel of the output listens to."""
    x = torch.ones(1, 1, *(side,) * ndim, requires_grad=True)
    middle = (0, slice(None), *(side // 2,) * ndim)
    net(x)[middle].sum().backward()
    assert x.grad is not None
    return x.grad[0, 0] != 0


def positive(net: DeepDilated) -> DeepDilated:
    """Weights above 0, so that no ReLU and no chance hides a path."""
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(weights.abs() + 0.01)
    return net


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_branch_sees_as_far_as_its_rates_say(ndim: int) -> None:
    """Two 3-wide convolutions of rate r reach 2r; before them 1 + 1 + 2 + 2."""
    for rates in ((6,), (4, 7)):
        net = positive(small(ndim, rates=rates))
        for branch, far in zip(net.branches, (1, *(2 * r for r in rates)), strict=True):
            tower = nn.Sequential(net.near, net.wider, branch)
            seen = reach(tower, ndim, side := 2 * (far + 6) + 5)
            line = seen[(slice(None), *(side // 2,) * (ndim - 1))].nonzero().flatten()
            assert line.min() == side // 2 - far - 6
            assert line.max() == side // 2 + far + 6


def test_published_rates_order_and_settings() -> None:
    net = DeepDilated(ndim=2, in_channels=1, classes=1)
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    dilated = [c.dilation[0] for c in convs]
    assert dilated == [1, 1, 2, 2, 1, 1, 6, 6, 12, 12, 18, 18, 24, 24, 1, 1]
    assert all(c.stride == (1, 1) for c in convs)
    kinds = [type(m).__name__ for m in net.near]
    assert kinds == ["Conv2d", "ReLU", "BatchNorm2d", "Dropout"] * 2
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {m.momentum for m in norms} == {0.9}  # Keras 0.1
    assert sum(m.weight.numel() + m.bias.numel() for m in norms) == 1_408


def test_no_branch_takes_its_own_input_along() -> None:
    """A branch whose last convolution is silent gives nothing of what went in."""
    net = small()
    x = torch.randn(1, 4, 12, 12)
    for branch in net.branches:
        last = [m for m in branch if isinstance(m, nn.Conv2d)][-1]
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        assert not branch(x).any()


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_average_is_of_the_first_pair_and_differs_between_images(norm: str) -> None:
    net = small(norm=norm, groups=2)
    seen: list[Tensor] = []
    net.settle.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = torch.randn(2, 1, 10, 12)
    with torch.inference_mode():
        net(x)
        wanted = net.near(x).mean((2, 3))
    pooled = seen[0][:, -4:]
    torch.testing.assert_close(pooled, wanted[..., None, None].expand(2, 4, 10, 12))
    assert not torch.allclose(pooled[0], pooled[1], atol=1e-4)


def test_far_from_the_edge_it_moves_with_the_image() -> None:
    """Nothing is pooled or strided, so one voxel's shift is one voxel's shift."""
    net = small(rates=(2, 3))
    with torch.inference_mode():
        net.settle[0].weight[-4:] = 0  # the average is of the whole image
        x = torch.randn(1, 1, 41, 20)
        whole, moved = net(x[:, :, :-1]), net(x[:, :, 1:])
    margin = 6 + 2 * 3
    torch.testing.assert_close(
        whole[:, :, margin + 1 : -margin],
        moved[:, :, margin : -margin - 1],
        rtol=1e-4,
        atol=1e-5,
    )
