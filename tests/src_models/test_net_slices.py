"""The U-Net over slices: each by itself, and in the memory of a group."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from src_models.nets.slices import SliceUNet, looking_at
from src_models.training.memory import stored_bytes

WIDTHS = ((4, 4), (8, 8), (8, 8))


def build(at_once: int) -> SliceUNet:
    torch.manual_seed(0)
    return SliceUNet(in_channels=2, classes=3, widths=WIDTHS, at_once=at_once)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_a_slice_is_answered_as_by_the_net_in_2d() -> None:
    net, x = build(2).eval(), noise(2, 2, 5, 12, 9)
    with torch.no_grad():
        said = net(x)
        for z in range(5):
            torch.testing.assert_close(said[:, :, z], net.unet(x[:, :, z]))


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_groups_change_neither_answer_nor_gradients(at_once: int) -> None:
    x, found = noise(1, 2, 7, 8, 8).double(), []
    for one in (build(at_once), build(7)):
        net: nn.Module = one.double().train()
        said = net(x)
        said.square().sum().backward()
        found.append((said.detach(), [p.grad for p in net.parameters()]))
    (answer, gradients), (wanted, others) = found
    torch.testing.assert_close(answer, wanted)
    torch.testing.assert_close(gradients, others)


def test_memory_does_not_grow_with_the_slices() -> None:
    """What is kept for the way back is the input and the answer alone."""
    net = build(2).train()
    few, many = (stored_bytes(net, noise(1, 2, n, 16, 16))[0] for n in (4, 40))
    each = 4 * 16 * 16 * (2 + 3 * 3)  # input; answer, its logarithm, joined groups
    assert many - few <= 36 * each
    plain = stored_bytes(net.unet, noise(4, 2, 16, 16))[0]
    assert few < plain / 3


def test_its_deepest_features_by_groups() -> None:
    net, x = build(2).train(), noise(1, 2, 5, 8, 8).requires_grad_()
    with looking_at(net) as groups:
        net(x)
    assert [tuple(one.shape) for one in groups] == [(2, 8, 2, 2)] * 2 + [(1, 8, 2, 2)]
    assert not any(one.requires_grad for one in groups)
    net(x)
    assert len(groups) == 3  # it looks no more
    assert net.features == 8
