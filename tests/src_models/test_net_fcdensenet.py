"""FC-DenseNet: what each layer reads, and what goes up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from src_models.blocks import InstanceNorm
from src_models.nets.fcdensenet import BatchStatistics, Dense, FCDenseNet

LAYERS = {  # preset → (layers of each block, growth)
    "paper": ((4, 5, 7, 10, 12, 15, 12, 10, 7, 5, 4), 16),
    "paper-67": ((5,) * 11, 16),
    "paper-56": ((4,) * 11, 12),
}


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def small() -> FCDenseNet:
    torch.manual_seed(0)
    net = FCDenseNet(
        ndim=2, in_channels=1, classes=2, layers=(1, 2, 3, 2, 1), growth=2, first=3
    )
    return net.eval()


class Total(nn.Module):
    """One map: the sum of all it reads."""

    def forward(self, x_BCS: Tensor) -> Tensor:
        return x_BCS.sum(1, keepdim=True)


class TestDense:
    def test_each_layer_reads_all_before_it(self) -> None:
        read: list[int] = []

        def layer(channels: int) -> nn.Module:
            read.append(channels)
            return Total()

        block = Dense(layer, channels=1, growth=1, n=4)
        new = block(torch.tensor([3.0]).view(1, 1, 1))
        assert read == [1, 2, 3, 4]
        assert new.flatten().tolist() == [3, 6, 12, 24]  # each the sum of all before


class TestChannels:
    def test_widths_of_the_hundred_layers(self) -> None:
        """Skips and sums as the authors corrected their table."""
        seen = channels("paper")
        assert seen["down"] == [112, 192, 304, 464, 656]
        assert seen["bottom"] == [656]  # reads; 896 with the 240 it adds
        assert seen["up"] == [240, 192, 160, 112, 80]
        assert seen["up_block"] == [896, 656, 464, 304, 192]  # + 192, 160, 112, 80, 64
        assert seen["head"] == [256]

    @pytest.mark.parametrize("preset", LAYERS)
    def test_only_new_maps_go_up(self, preset: str) -> None:
        layers, growth = LAYERS[preset]
        assert channels(preset)["up"] == [n * growth for n in layers[5:10]]

    def test_up_reads_what_the_block_added(self) -> None:
        net = small()
        added: list[Tensor] = []
        risen: list[Tensor] = []
        for block in (net.bottom, *net.up_block):
            block.register_forward_hook(lambda _, args, out: added.append(out))
        for up in (*net.up, net.head):
            up.register_forward_pre_hook(lambda _, args: risen.append(args[0]))
        with torch.inference_mode():
            net(noise(1, 1, 8, 8))
        for new, seen in zip(added[:-1], risen[:-1], strict=True):
            assert torch.equal(new, seen)
        assert risen[-1].shape[1] > added[-1].shape[1]  # the head reads the rest too
        assert torch.equal(risen[-1][:, -added[-1].shape[1] :], added[-1])


def channels(preset: str) -> dict[str, list[int]]:
    """Channels that the parts read, from tensors that hold no numbers."""
    layers, growth = LAYERS[preset]
    seen: dict[str, list[int]] = {}
    with torch.device("meta"):
        net = FCDenseNet(
            ndim=2, in_channels=3, classes=11, layers=layers, growth=growth
        )
        for name, module in net.named_modules():
            part, _, at = name.partition(".")
            if part in ("down", "bottom", "up", "up_block", "head") and "." not in at:
                if part == "bottom" and at:
                    continue
                module.register_forward_pre_hook(
                    lambda _, args, part=part: seen.setdefault(part, []).append(
                        args[0].shape[1]
                    )
                )
        net(torch.empty(1, 3, 64, 64))
    return seen


class TestSizes:
    @pytest.mark.parametrize("sides", [(360, 480), (35, 47), (4, 9), (3, 1)])
    def test_any_frame_comes_back(self, sides: tuple[int, int]) -> None:
        net = small()
        with torch.inference_mode():
            assert net(noise(1, 1, *sides)).shape == (1, 2, *sides)

    def test_what_rises_is_cut_to_the_skip(self) -> None:
        """9 → 4 → 2; up to 5, cut to 4; up to 9, as it is."""
        net = small()
        sides: list[int] = []
        for up in net.up:
            up.register_forward_hook(lambda _, args, out: sides.append(out.shape[-1]))
        with torch.inference_mode():
            net(noise(1, 1, 9, 9))
        assert sides == [5, 9]


class TestBatchStatistics:
    def test_it_is_pytorchs_in_training(self) -> None:
        x = noise(2, 3, 5, 4) * 7 + 3
        torch.testing.assert_close(BatchStatistics(3)(x), nn.BatchNorm2d(3)(x))

    def test_use_is_as_training(self) -> None:
        x = noise(2, 3, 5, 4) * 7 + 3
        norm = BatchStatistics(3)
        assert torch.equal(norm.eval()(x), norm.train()(x))

    def test_of_one_image_it_is_instance_normalisation(self) -> None:
        x = noise(1, 3, 5, 4) * 7 + 3
        torch.testing.assert_close(BatchStatistics(3)(x), InstanceNorm(3)(x))

    def test_a_single_voxel_becomes_the_shift(self) -> None:
        norm = BatchStatistics(2)
        nn.init.constant_(norm.bias, 0.5)
        shift = torch.full((1, 2, 1, 1), 0.5)
        torch.testing.assert_close(norm(noise(1, 2, 1, 1)), shift)

    def test_the_published_net_has_no_running_averages(self) -> None:
        assert not list(small().buffers())
