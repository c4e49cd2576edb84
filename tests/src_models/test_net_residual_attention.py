"""Residual attention: what the mask does, the sizes it meets, the stages it lives in."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from src_models.catalog import CARDS
from src_models.nets.atrous import Layers, Norm
from src_models.nets.residual_attention import (
    AttentionModule,
    Mask,
    ResidualAttention,
    ResidualAttentionNet,
    Unit,
)

GROUP = Layers(2, "group")


def module(ndim: int = 2, depth: int = 3, norm: Norm = "group") -> AttentionModule:
    torch.manual_seed(0)
    return AttentionModule(Layers(ndim, norm), 16, depth).eval()


def encoder(**options: tuple[int, ...]) -> ResidualAttention:
    torch.manual_seed(0)
    return ResidualAttention(GROUP, 1, width=4, **options).eval()


def weighed(net: AttentionModule, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the trunk says, and what its last unit is given of it."""
    seen: dict[str, Tensor] = {}
    net.trunk.register_forward_hook(lambda *args: seen.update(trunk=args[2]))
    net.after.register_forward_pre_hook(lambda _, args: seen.update(after=args[0]))
    with torch.inference_mode():
        net(x)
    return seen["trunk"], seen["after"]


class TestAttentionResidual:
    def test_a_mask_that_does_not_know_says_one_half(self) -> None:
        net = module()
        nn.init.zeros_(net.mask.weigh[-1].weight)
        trunk, after = weighed(net, torch.randn(1, 16, 9, 9))
        torch.testing.assert_close(after, 1.5 * trunk)

    @pytest.mark.parametrize(("logit", "factor"), [(-torch.inf, 1), (torch.inf, 2)])
    def test_a_closed_mask_leaves_the_trunk_and_an_open_one_doubles_it(
        self, logit: float, factor: int
    ) -> None:
        net = module()
        net.mask.register_forward_hook(lambda *args: torch.full_like(args[2], logit))
        trunk, after = weighed(net, torch.randn(1, 16, 9, 9))
        assert torch.equal(after, factor * trunk)

    def test_the_mask_differs_by_channel_and_by_place(self) -> None:
        trunk, after = weighed(module(), torch.randn(1, 16, 9, 9))
        mask = (after / trunk - 1).nan_to_num(0.5)
        assert (mask.std((2, 3)) > 1e-3).all()
        assert (mask.std(1) > 1e-3).all()

    def test_trunk_and_mask_read_the_same(self) -> None:
        net, seen = module(), []
        for part in (net.trunk, net.mask):
            part.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        x = torch.randn(1, 16, 9, 9)
        with torch.inference_mode():
            net(x)
            assert all(torch.equal(read, net.before(x)) for read in seen)
        assert len(seen) == 2


class TestMask:
    @pytest.mark.parametrize("shape", [(9, 9), (7, 10), (5, 1), (1, 1), (6, 11, 13)])
    @pytest.mark.parametrize("depth", [1, 2, 3])
    def test_sizes_come_back_whatever_they_are(
        self, shape: tuple[int, ...], depth: int
    ) -> None:
        net = module(len(shape), depth, "batch")  # takes a single voxel too
        sizes: dict[nn.Module, tuple[int, ...]] = {}
        for unit in net.mask.modules():
            if isinstance(unit, Unit):
                unit.register_forward_hook(
                    lambda m, _, out: sizes.update({m: tuple(out.shape[2:])})
                )
        with torch.inference_mode():
            assert net.mask(torch.randn(1, 16, *shape)).shape[2:] == shape
        halved = [tuple(-(-n // 2**i) for n in shape) for i in range(1, depth + 1)]
        assert [sizes[unit] for unit in net.mask.down] == halved
        assert sizes[net.mask.bottom] == halved[-1]
        assert [sizes[unit] for unit in net.mask.up] == halved[-2::-1]

    def test_each_level_is_added_through_a_unit_of_its_own(self) -> None:
        net = module().mask
        seen: dict[str, list[Tensor]] = {"down": [], "skip": [], "up": []}
        for unit in net.down:
            unit.register_forward_hook(lambda *args: seen["down"].append(args[2]))
        for unit in net.skip:
            unit.register_forward_pre_hook(lambda _, a: seen["skip"].append(a[0]))
        for unit in net.up:
            unit.register_forward_pre_hook(lambda _, a: seen["up"].append(a[0]))
        with torch.inference_mode():
            net(torch.randn(1, 16, 17, 17))
            assert torch.equal(seen["skip"][0], seen["down"][1])
            assert torch.equal(seen["skip"][1], seen["down"][0])
            # The bottom, enlarged on its corners, lies below the coarser skip.
            corner = net.bottom(seen["down"][2])[..., ::2, ::2]
            wanted = corner + net.skip[0](seen["down"][1])[..., ::4, ::4]
            torch.testing.assert_close(seen["up"][0][..., ::4, ::4], wanted)

    @pytest.mark.parametrize("depth", [1, 2, 3])
    def test_two_units_lie_at_the_bottom(self, depth: int) -> None:
        net = Mask(GROUP, 16, depth)
        units = [m for m in net.modules() if isinstance(m, Unit)]
        assert len(units) == depth + 1 + 2 * (depth - 1)


class TestUnit:
    def test_without_convolutions_it_is_its_input(self) -> None:
        unit = Unit(GROUP, 16, 16)
        nn.init.zeros_(unit.convs[-1].weight)
        x = torch.randn(1, 16, 5, 5)
        kept = x.clone()
        assert torch.equal(unit(x), x)
        assert torch.equal(x, kept)

    def test_a_projection_reads_what_is_normalised(self) -> None:
        unit = Unit(GROUP, 16, 32, stride=2)
        nn.init.zeros_(unit.convs[-1].weight)
        x = torch.randn(1, 16, 5, 5)
        assert unit.project is not None
        assert torch.equal(unit(x), unit.project(unit.ready(x)))
        assert unit(x).shape == (1, 32, 3, 3)
        # Normalised, it does not know how bright the input was.
        torch.testing.assert_close(unit(3 * x + 7), unit(x), rtol=1e-3, atol=1e-3)


class TestEncoder:
    def test_strides_and_channels(self) -> None:
        net = encoder()
        with torch.inference_mode():
            features = net(torch.randn(1, 1, 65, 97))
        assert [f.shape[1] for f in features] == net.channels == [16, 32, 64, 128]
        assert [tuple(f.shape[2:]) for f in features] == [
            ((65 - 1) // n + 1, (97 - 1) // n + 1) for n in (4, 8, 16, 32)
        ]
        assert (features[-1] >= 0).all()  # the last is normalised and cut at 0
        assert all((f < 0).any() for f in features[:-1])

    @pytest.mark.parametrize(
        ("preset", "modules"), [("paper", [1, 1, 1, 0]), ("paper-92", [1, 2, 3, 0])]
    )
    def test_modules_and_mask_depths_of_the_stages(
        self, preset: str, modules: list[int]
    ) -> None:
        with torch.device("meta"):
            net = ResidualAttentionNet(
                ndim=2,
                in_channels=3,
                classes=2,
                **CARDS["residual-attention"].presets[preset, 2],
            ).encoder
        attention = [
            [m for m in stage if isinstance(m, AttentionModule)] for stage in net.stages
        ]
        assert list(map(len, attention)) == modules
        for stage, depth in zip(attention, (3, 2, 1), strict=False):
            assert {len(m.mask.down) for m in stage} == {depth}
            assert {len(m.trunk) for m in stage} == {2}
        last = [m for m in net.stages[3] if isinstance(m, Unit)]
        assert len(last) == 3
        assert net.channels == [256, 512, 1024, 2048]

    def test_shallower_masks_for_thin_volumes(self) -> None:
        net = encoder(depths=(1, 1, 1))
        pools = [len(m.down) for m in net.modules() if isinstance(m, Mask)]
        assert pools == [1, 1, 1]
        assert len(net(torch.randn(1, 1, 33, 33))) == 4


class TestDecoder:
    def test_each_level_joins_what_has_risen_with_its_own_feature(self) -> None:
        torch.manual_seed(0)
        net = ResidualAttentionNet(
            ndim=2, in_channels=1, classes=2, stem=4, width=8, norm="group"
        ).eval()
        joined: list[Tensor] = []
        for join in net.join:
            join.register_forward_pre_hook(lambda _, args: joined.append(args[0]))
        x = torch.randn(1, 1, 65, 65)
        with torch.inference_mode():
            net(x)
            features = net.encoder(x)
            sides = [f(y) for f, y in zip(net.side, features, strict=True)]
        assert [j.shape[2] for j in joined] == [5, 9, 17]
        for at, got in enumerate(joined):
            assert torch.equal(got[:, 8:], sides[2 - at])
        torch.testing.assert_close(joined[0][:, :8, ::2, ::2], sides[3])
