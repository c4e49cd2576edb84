"""DANet: two attentions that begin as nothing, three judged answers, its dilations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from src_models.blocks import rise, to_lattice
from src_models.catalog import create_model
from src_models.nets.atrous import Layers, ResNet
from src_models.nets.danet import DANet
from src_models.nets.dual_attention import (
    ChannelAttention,
    PositionAttention,
    attend,
)
from src_models.outputs import Outputs, judge


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def small(ndim: int = 2, **options: object) -> DANet:
    torch.manual_seed(0)
    wish = {
        "ndim": ndim,
        "in_channels": 1,
        "classes": 3,
        "blocks": (1, 1, 1, 3),
        "stem": 8,
        "width": 16,
        "norm": "group",
    }
    return DANet(**wish | options)  # type: ignore[arg-type]


class TestPositionAttention:
    @pytest.mark.parametrize("ndim", [2, 3])
    @pytest.mark.parametrize("pool", [1, 2])
    def test_it_begins_as_nothing(self, ndim: int, pool: int) -> None:
        x = noise(2, 8, *(5, 4, 3)[:ndim])
        assert torch.equal(PositionAttention(ndim, 8, pool=pool)(x), x)

    def test_every_voxel_by_itself(self) -> None:
        """One voxel after the other, as the paper's equation (2) has it."""
        torch.manual_seed(0)
        attention, x = PositionAttention(2, 16), noise(2, 16, 3, 4)
        with torch.no_grad():
            attention.gamma.fill_(0.7)
            query, key, value = (
                layer(x).flatten(2)
                for layer in (attention.query, attention.key, attention.value)
            )
            got = attention(x).flatten(2)
        assert query.shape == (2, 2, 12)
        for image in range(2):
            for j in range(12):
                energy = [query[image, :, j] @ key[image, :, i] for i in range(12)]
                share = torch.stack(energy).exp()  # no root of the channels
                share = share / share.sum()
                seen = sum(share[i] * value[image, :, i] for i in range(12))
                wanted = 0.7 * seen + x.flatten(2)[image, :, j]
                torch.testing.assert_close(got[image, :, j], wanted)

    @pytest.mark.parametrize("ndim", [2, 3])
    def test_pooled_keys_are_averages_of_what_is_there(self, ndim: int) -> None:
        attention, x = PositionAttention(ndim, 8, pool=2), noise(1, 8, *(5,) * ndim)
        x[:] = torch.arange(5.0).view(5, *[1] * (ndim - 1))  # rows 0 … 4 by the value
        seen: list[Tensor] = []
        attention.key.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        attention(x)
        assert seen[0].shape == (1, 8, *(3,) * ndim)
        assert seen[0].flatten(3)[0, 0, :, 0].tolist() == [0.5, 2.5, 4.0]

    def test_queries_are_not_pooled(self) -> None:
        attention = PositionAttention(2, 8, pool=2)
        with torch.no_grad():
            attention.gamma.fill_(1.0)
            x = noise(1, 8, 4, 4)
            added = attention(x) - x
        assert added[0, 0].unique().numel() == 16

    @pytest.mark.parametrize("held", [1, 6, 7, 20, 47])
    def test_in_parts_it_is_the_same(self, held: int) -> None:
        query, key, value = noise(2, 3, 8), noise(2, 3, 6), noise(2, 5, 6)
        whole = attend(query, key, value)
        assert whole.shape == (2, 5, 8)
        torch.testing.assert_close(
            attend(query, key, value, held=held), whole, rtol=1e-6, atol=1e-6
        )

    def test_no_more_weights_are_held_than_said(self) -> None:
        query, key, value = noise(1, 3, 100), noise(1, 3, 50), noise(1, 5, 50)
        with torch.autograd.profiler.profile() as profile:
            attend(query, key, value, held=1000)
        calls = {event.key: event.count for event in profile.key_averages()}
        assert calls["aten::_softmax"] == 5  # 20 of the 100 at a time

    def test_equal_keys_give_the_mean(self) -> None:
        query, value = noise(1, 3, 8), noise(1, 5, 6)
        mean = value.mean(-1, keepdim=True).expand(-1, -1, 8)
        torch.testing.assert_close(attend(query, torch.zeros(1, 3, 6), value), mean)


class TestChannelAttention:
    @pytest.mark.parametrize("ndim", [2, 3])
    def test_it_begins_as_nothing(self, ndim: int) -> None:
        x = noise(2, 8, *(5, 4, 3)[:ndim])
        assert torch.equal(ChannelAttention()(x), x)

    def test_two_channels_by_hand(self) -> None:
        """X Xᵀ = (5 1; 1 1), so its largest less it is (0 4; 0 0)."""
        x = torch.tensor([[2.0, 1.0], [0.0, 1.0]]).view(1, 2, 1, 2)
        attention = ChannelAttention()
        nn.init.constant_(attention.gamma, 10.0)
        e4 = torch.tensor(4.0).exp()
        first = torch.stack([2.0 / (1 + e4), torch.tensor(1.0)])
        second = torch.tensor([1.0, 1.0])
        wanted = x.view(2, 2) + 10 * torch.stack([first, second])
        with torch.no_grad():
            torch.testing.assert_close(attention(x).view(2, 2), wanted)

    def test_least_like_is_most_seen(self) -> None:
        x = torch.zeros(1, 3, 4, 1)
        x[0, 0, 0], x[0, 1, 0], x[0, 2, 1] = 9.0, 9.0, 9.0  # third: orthogonal to both
        attention = ChannelAttention()
        nn.init.constant_(attention.gamma, 1.0)
        with torch.no_grad():
            added = (attention(x) - x)[0]
        torch.testing.assert_close(added[0], x[0, 2])
        torch.testing.assert_close(added[1], x[0, 2])
        torch.testing.assert_close(added[2], (x[0, 0] + x[0, 1]) / 2)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_sums_beyond_sixteen_bit(self, dtype: torch.dtype) -> None:
        """One product of 60 · 60 · 1024 is 56 times float16's largest number."""
        x = (60 * noise(1, 8, 32, 32)).to(dtype)
        attention = ChannelAttention()
        nn.init.constant_(attention.gamma, 1.0)
        with torch.no_grad():
            wanted = attention(x.float())
            torch.testing.assert_close(
                attention(x).float(), wanted, rtol=1e-2, atol=1e-2
            )
            with torch.autocast("cpu", dtype):
                torch.testing.assert_close(
                    attention(x.float()).float(), wanted, rtol=1e-2, atol=0.5
                )


class TestTheNet:
    @pytest.mark.parametrize(
        ("ndim", "rates"), [(2, [(4, 4), (8, 8), (16, 16)]), (3, [(1,) * 3, (2,) * 3])]
    )
    def test_dilations_of_the_last_stage(
        self, ndim: int, rates: list[tuple[int, ...]]
    ) -> None:
        net = create_model("danet", ndim=ndim, in_channels=1, classes=2)
        assert isinstance(net, DANet)
        *_, third, fourth = net.encoder.stages

        def wide(stage: nn.Module) -> list[tuple[int, ...]]:
            return [
                m.dilation
                for m in stage.modules()
                if isinstance(m, (nn.Conv2d, nn.Conv3d)) and m.kernel_size[0] == 3
            ]

        assert wide(fourth)[: len(rates)] == rates
        assert len(wide(fourth)) == 3
        assert wide(third) == [(2,) * ndim]  # what the left out strides demand

    @pytest.mark.parametrize(("stride", "grid"), [(8, (9, 7)), (4, (17, 13))])
    def test_the_grid_is_as_fine_as_wished(
        self, stride: int, grid: tuple[int, int]
    ) -> None:
        net, seen = small(output_stride=stride).eval(), []
        net.head.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
        with torch.inference_mode():
            net(noise(1, 1, 65, 40))
        assert seen == [(1, 256, *grid)]

    def test_as_published_it_is_an_eighth(self) -> None:
        with torch.device("meta"):
            net = DANet(ndim=2, in_channels=3, classes=21)
        strides = [m.stride[0] for m in net.modules() if isinstance(m, nn.Conv2d)]
        assert strides.count(2) == 3  # stem, and the second stage with its shortcut

    def test_three_answers_are_judged_and_the_fused_one_given(self) -> None:
        net, x = small(), noise(2, 1, 20, 30)
        for dropout in (m for m in net.modules() if isinstance(m, nn.Dropout2d)):
            assert dropout.p == 0.1
            dropout.p = 0.0
        said = net.train()(x)
        assert isinstance(said, Outputs)
        assert said.weight == 1
        assert said.penalty is None
        assert [part.weight for part in said.auxiliary] == [1, 1]
        maps = [said.logits, *(part.logits for part in said.auxiliary)]
        assert {tuple(m.shape) for m in maps} == {(2, 3, 20, 30)}
        labels = torch.randint(0, 3, (2, 20, 30))
        loss = nn.functional.cross_entropy
        torch.testing.assert_close(
            judge(loss, said, labels), sum(loss(m, labels) for m in maps)
        )
        with torch.no_grad():  # group normalisation: the same in use
            torch.testing.assert_close(net.eval()(x), said.logits)

    def test_branches_are_added_before_they_are_read(self) -> None:
        net, x = small().eval(), noise(1, 1, 33, 33)
        with torch.no_grad():
            _, y = net.encoder(to_lattice(x))
            joined = net.head.position(y) + net.head.channel(y)
            wanted = rise(net.head.fused[1](joined), (33, 33))
            torch.testing.assert_close(net(x), wanted)

    def test_each_branch_teaches_itself_alone(self) -> None:
        net = small().train()
        said = net(noise(1, 1, 33, 33))
        assert isinstance(said, Outputs)
        by_position, _ = said.auxiliary
        by_position.logits.square().sum().backward()
        assert all(w.grad is None for w in net.head.channel.parameters())
        assert any(w.grad is not None for w in net.head.position.parameters())

    def test_the_attentions_are_in_their_branches(self) -> None:
        head = small(3, pool=2).head
        assert isinstance(head.position[1], PositionAttention)
        assert isinstance(head.channel[1], ChannelAttention)
        assert head.position[1].pool == 2

    def test_counts_of_the_parts(self) -> None:
        """ResNet-101 has 44,549,160 with its 1000-way classifier."""
        with torch.device("meta"):
            trunk = ResNet(Layers(2, "batch"), 3, 8, multi_grid=(4, 8, 16))
            parts = (PositionAttention(2, 512), ChannelAttention(), trunk)
        counts = [sum(w.numel() for w in part.parameters()) for part in parts]
        assert counts == [328_321, 1, 44_549_160 - 2049 * 1000]
