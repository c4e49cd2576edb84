"""Partially reversible U-Net: back from the output, equal gradients, flat memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from src_models.catalog import create_model
from src_models.nets.reversible_unet import RevBlock, ReversibleUNet, RevSequence

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 2**20


def sequence(ndim: int = 3, blocks: int = 3, channels: int = 8) -> RevSequence:
    torch.manual_seed(0)
    return RevSequence(*(RevBlock(ndim, channels, 2) for _ in range(blocks)))


def stored(net: nn.Module, x: Tensor) -> int:
    """Bytes kept between forward and backward, parameters apart, each storage once."""
    own = {weights.untyped_storage()._cdata for weights in net.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        net(x)
    return sum(storage.nbytes() for storage in kept.values())


def gradients(
    run: Callable[[Tensor], Tensor], net: nn.Module, x: Tensor
) -> tuple[Tensor, ...]:
    """Output; gradient of the input and of what learns, for a loss that is not even."""
    x = x.clone().requires_grad_()
    y = run(x)
    weight = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    learning = [weights for weights in net.parameters() if weights.requires_grad]
    return (y.detach(), *torch.autograd.grad((y * weight).sum(), [x, *learning]))


def test_a_block_by_hand() -> None:
    block = RevBlock(2, 4, 1)
    x1, x2 = torch.randn(2, 1, 2, 5, 5)
    with torch.no_grad():
        y1, y2 = block(x1, x2)
        assert torch.equal(y1, x1 + block.f(x2))
        assert torch.equal(y2, x2 + block.g(y1))
    assert [type(m).__name__ for m in block.f] == ["GroupNorm", "LeakyReLU", "Conv2d"]


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_input_comes_back_from_the_output(ndim: int) -> None:
    net = sequence(ndim, blocks=4)
    x = torch.randn(2, 8, *(9, 8, 7)[:ndim])
    with torch.no_grad():
        y = net(x)
        assert (net.inverse(y) - x).abs().max() < 1e-5
        assert (y - x).abs().max() > 0.1


@pytest.mark.parametrize("ndim", [2, 3])
def test_gradients_are_those_of_the_plain_twin(ndim: int) -> None:
    net = sequence(ndim).double()
    x = torch.randn(2, 8, *(6, 5, 4)[:ndim], dtype=torch.double)
    for got, wanted in zip(
        gradients(net, net, x), gradients(net.plain, net, x), strict=True
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    net = sequence(2, blocks=2, channels=4).double()
    x = torch.randn(1, 4, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(net, (x,))


def test_the_whole_net_learns_as_its_plain_twin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    net = ReversibleUNet(
        ndim=3, in_channels=2, classes=3, widths=(8, 16, 24), depth=2
    ).double()
    x = torch.randn(1, 2, 8, 8, 12, dtype=torch.double)
    got = gradients(net, net, x)
    monkeypatch.setattr(RevSequence, "forward", RevSequence.plain)
    for mine, wanted in zip(got, gradients(net, net, x), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-9, atol=1e-11)


def test_frozen_blocks_pass_the_gradient_on() -> None:
    net = sequence(2).double()
    for weights in net[1].parameters():
        weights.requires_grad_(False)
    net[2].f[2].weight.requires_grad_(False)
    x = torch.randn(1, 8, 5, 5, dtype=torch.double)
    for got, wanted in zip(
        gradients(net, net, x), gradients(net.plain, net, x), strict=True
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


def test_in_mixed_precision_it_goes_back_on_the_way_it_came() -> None:
    """Backward, called outside autocast, must compute in 16 bit what forward did."""
    net = sequence(2)
    x = torch.randn(1, 8, 16, 16)
    cast = partial(torch.autocast, "cpu", torch.bfloat16)

    def under(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        with cast():
            return run(x)

    got = gradients(partial(under, net), net, x)
    wanted = gradients(partial(under, net.plain), net, x)
    assert got[0].dtype == torch.float32
    assert torch.equal(got[0], wanted[0])
    for mine, plain in zip(got[1:], wanted[1:], strict=True):
        assert (mine - plain).abs().max() < 0.02 * plain.abs().max()
    with cast():  # halves of 16 bits are widened before they are summed
        assert net(x.bfloat16()).dtype == torch.float32


def test_memory_is_flat_in_depth() -> None:
    x = torch.randn(1, 1, 16, 16, 16)
    bytes_of = [
        stored(
            ReversibleUNet(
                ndim=3, in_channels=1, classes=2, widths=(8, 16), depth=depth
            ),
            x,
        )
        for depth in (1, 2, 5)
    ]
    assert len(set(bytes_of)) == 1


@pytest.mark.parametrize("preset", ["paper", "paper-2", "paper-3", "paper-4"])
def test_memory_of_the_published_net(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """128³ of four modalities, worked out on shapes alone; the twin keeps 3× and more."""
    with torch.device("meta"):
        net = create_model(
            "reversible-unet", ndim=3, in_channels=4, classes=3, preset=preset
        )
        x = torch.empty(1, 4, 128, 128, 128)
    assert round(stored(net, x) / MIB) == 1_543
    monkeypatch.setattr(RevSequence, "forward", RevSequence.plain)
    assert stored(net, x) > 3 * 1_543 * MIB


def test_skips_are_added_and_only_whole_stages_reversible() -> None:
    torch.manual_seed(0)
    net = ReversibleUNet(ndim=2, in_channels=1, classes=2, widths=(4, 8), depth=1)
    x = torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        fine = net.down_stage[0](net.stem(x))
        low = net.up_stage[0](net.down_stage[1](net.down[0](fine)))
        assert torch.equal(net(x), net.head(net.up_stage[1](net.up[0](low) + fine)))
