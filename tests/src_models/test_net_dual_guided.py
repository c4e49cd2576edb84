"""MS-Dual-Guided: four scales, two steps, one auto-encoder a step, eight answers."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from src_models.catalog import CARDS
from src_models.nets.atrous import Layers, ResNet
from src_models.nets.dual_attention import ChannelAttention, PositionAttention
from src_models.nets.dual_guided import (
    GuidedAttention,
    MSDualGuided,
    Pass,
    SemanticModule,
    guided_loss,
)
from src_models.outputs import Outputs, judge

LAYERS = Layers(2, "group")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def small(ndim: int = 2, **options: object) -> MSDualGuided:
    torch.manual_seed(0)
    wish = {
        "ndim": ndim,
        "in_channels": 1,
        "classes": 3,
        "blocks": (1, 1, 1, 1),
        "stem": 8,
        "groups": 4,
        "width": 16,
        "semantic": (24, 40),
        "norm": "group",
    }
    return MSDualGuided(**wish | options)  # type: ignore[arg-type]


def same(value: float, *shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.full(shape, float(value)) for shape in shapes]


def made(latent: float, given: float, rebuilt: float) -> Pass:
    """Four scales of constant maps, on grids of different size."""
    grids = [(2, 4, n, n) for n in (8, 4, 3, 1)]
    return Pass(
        same(given, *grids), same(latent, *grids), same(rebuilt, *grids), attended=[]
    )


class TestGuidedLosses:
    @pytest.mark.parametrize(
        ("first", "second", "wanted"),
        [
            ((1, 2, 2), (1, 3, 3), 0),
            ((1, 0, 0), (3, 0, 0), 0.25 * 4 * 2**2),
            ((0, 5, 2), (0, 1, 1), 0.1 * 4 * 3**2),
            ((0, 1, 1), (0, 5, 2), 0.1 * 4 * 3**2),
            ((1, 1, 2), (3, 2, 4), 0.25 * 4 * 4 + 0.1 * (4 * 1 + 4 * 4)),
        ],
        ids=["at rest", "latents", "rebuilt first", "rebuilt second", "all"],
    )
    def test_by_hand(
        self,
        first: tuple[float, ...],
        second: tuple[float, ...],
        wanted: float,
    ) -> None:
        loss = guided_loss(made(*first), made(*second))
        torch.testing.assert_close(loss, torch.tensor(float(wanted)))

    def test_scales_are_compared_with_themselves(self) -> None:
        one, other = made(0, 0, 0), made(0, 0, 0)
        for level in range(4):
            one.latent[level].fill_(level)
            other.latent[level].fill_(level)
        assert guided_loss(one, other) == 0

    def test_the_net_adds_them_when_it_learns(self) -> None:
        net, passes = small().train(), []
        for step in (net.head.first, net.head.second):
            step.register_forward_hook(lambda *args: passes.append(args[2]))
        said = net(noise(2, 1, 40, 33))
        assert isinstance(said, Outputs)
        first, second = passes
        assert said.penalty is not None
        torch.testing.assert_close(said.penalty, guided_loss(first, second))
        assert said.penalty > 0
        for run in passes:
            assert [g.shape for g in run.given] == [r.shape for r in run.rebuilt]


class TestSemanticModule:
    def test_the_latent_is_a_quarter_and_the_rest_comes_back(self) -> None:
        module = SemanticModule(LAYERS, 16, 24, 40)
        for side, quarter in ((9, 3), (12, 3), (17, 5)):
            latent, rebuilt = module(noise(1, 16, side, 8))
            assert latent.shape == (1, 40, quarter, 2)
            assert rebuilt.shape == (1, 16, side, 8)

    def test_it_learns_to_rebuild(self) -> None:
        """What it is for: the second guided loss can be brought down."""
        torch.manual_seed(0)
        module = SemanticModule(LAYERS, 16, 24, 40)
        x = noise(1, 16, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)
        learn = torch.optim.Adam(module.parameters(), 1e-2)
        losses = []
        for _ in range(40):
            loss = nn.functional.mse_loss(module(x)[1], x)
            losses.append(loss.item())
            learn.zero_grad()
            loss.backward()
            learn.step()
        assert losses[-1] < 0.1 * losses[0]

    def test_one_serves_the_four_scales_of_a_step(self) -> None:
        net, calls = small().eval(), []
        modules = [m for m in net.modules() if isinstance(m, SemanticModule)]
        for module in modules:
            module.register_forward_hook(lambda m, *_: calls.append(m))
        with torch.inference_mode():
            net(noise(1, 1, 33, 33))
        first, second = net.head.first.semantic, net.head.second.semantic
        assert modules == [first, second]
        assert first is not second
        assert calls == [first] * 4 + [second] * 4

    def test_each_scale_and_step_has_attentions_of_its_own(self) -> None:
        net = small()
        for kind in (GuidedAttention, PositionAttention, ChannelAttention):
            assert sum(isinstance(m, kind) for m in net.modules()) == 8


class TestTheNet:
    def test_the_answer_is_the_mean_of_the_refined(self) -> None:
        net, x = small(), noise(2, 1, 40, 33)
        said = net.train()(x)
        assert isinstance(said, Outputs)
        assert said.weight == 0
        assert [part.weight for part in said.auxiliary] == [1.0] * 8
        assert {tuple(p.logits.shape) for p in said.auxiliary} == {(2, 3, 40, 33)}
        refined = torch.stack([part.logits for part in said.auxiliary[4:]])
        torch.testing.assert_close(said.logits, refined.mean(0))
        with torch.no_grad():  # group normalisation: the same in use
            torch.testing.assert_close(net.eval()(x), said.logits)

    def test_eight_maps_and_the_guided_losses_are_judged(self) -> None:
        said = small().train()(noise(1, 1, 33, 33))
        assert isinstance(said, Outputs)
        labels, loss = torch.randint(0, 3, (1, 33, 33)), nn.functional.cross_entropy
        parts = [loss(part.logits, labels) for part in said.auxiliary]
        assert said.penalty is not None
        torch.testing.assert_close(
            judge(loss, said, labels), torch.stack(parts).sum() + said.penalty
        )

    def test_scales_meet_on_the_finest_grid(self) -> None:
        net, given = small().eval(), []
        for step in (net.head.first, net.head.second):
            step.register_forward_pre_hook(lambda _, args: given.append(args[0]))
        with torch.inference_mode():
            net(noise(1, 1, 65, 50))
        first, second = given
        assert {tuple(x.shape) for x in first + second} == {(1, 32, 17, 17)}
        for x, y in pairwise(first):  # each beside the same fused map
            assert torch.equal(x[:, 16:], y[:, 16:])
            assert not torch.equal(x[:, :16], y[:, :16])
        for x, y in zip(first, second, strict=True):  # and beside itself again
            assert torch.equal(x[:, :16], y[:, :16])

    def test_the_second_step_reads_what_the_first_has_picked(self) -> None:
        net, passes = small().eval(), []
        for step in (net.head.first, net.head.second):
            step.register_forward_hook(lambda *args: passes.append(args[2]))
        with torch.inference_mode():
            net(noise(1, 1, 33, 33))
        first, second = passes
        for level in range(4):
            fused = first.given[level][:, 16:]
            wanted = first.attended[level] * fused
            assert torch.equal(second.given[level][:, 16:], wanted)

    def test_attention_is_guided_by_what_was_rebuilt(self) -> None:
        torch.manual_seed(0)
        attention, x = GuidedAttention(LAYERS, 16, 1), noise(1, 32, 9, 9)
        rebuilt = noise(1, 32, 9, 9, seed=1)
        with torch.no_grad():
            seen = attention.position(x) + attention.channel(x)
            wanted = attention.mix(seen * attention.guide(rebuilt))
            assert torch.equal(attention(x, rebuilt), wanted)

    def test_one_slope_for_all_channels(self) -> None:
        slopes = [m for m in small().modules() if isinstance(m, nn.PReLU)]
        # four scales, three of the fusion, two of each of sixteen branches
        assert [m.num_parameters for m in slopes] == [1] * (4 + 3 + 32)

    def test_in_3d_keys_lie_on_an_eighth(self) -> None:
        presets = CARDS["ms-dual-guided"].presets
        assert {presets[name, 3]["pool"] for name in ("paper", "compact")} == {2}
        net, seen = small(3, pool=2).eval(), []
        attention = net.head.first.scales[0].position[1]
        attention.key.register_forward_hook(lambda *args: seen.append(args[2].shape))
        with torch.inference_mode():
            assert net(noise(1, 1, 33, 40, 65)).shape == (1, 3, 33, 40, 65)
        assert seen == [(1, 2, 5, 9, 9)]  # grids of 9, 17, 17 voxels, pooled


def test_the_trunk_is_resnext_101_32x4d() -> None:
    """Each stage's bottlenecks: 1, 3 in 32 groups, 1 wide, and one shortcut."""
    wanted, c_in = 3 * 64 * 49 + 2 * 64, 64
    for level, blocks in enumerate((3, 4, 23, 3)):
        mid, out = 128 * 2**level, 256 * 2**level
        for c in (c_in, *[out] * (blocks - 1)):
            wanted += c * mid + mid * (mid // 32) * 9 + mid * out + 2 * (2 * mid + out)
        wanted += c_in * out + 2 * out
        c_in = out
    with torch.device("meta"):
        net = MSDualGuided(ndim=2, in_channels=3, classes=5)
    assert isinstance(net.encoder, ResNet)
    assert sum(w.numel() for w in net.encoder.parameters()) == wanted
    # 44,177,704 with its 1000-way classifier, as its released weights have it
    assert wanted == 44_177_704 - 2049 * 1000


def test_what_the_release_declares_beyond_this_is_never_called() -> None:
    """Eight 1x1 convolutions behind dropout and eight convolution blocks."""
    with torch.device("meta"):
        head = MSDualGuided(ndim=2, in_channels=3, classes=5).head
    used = sum(w.numel() for w in head.parameters())
    three_convs = 128 * 64 * 9 + 64 * 64 * 9 + 64 * 64 + 3 * (64 + 2 * 64)
    ends_in_softmax, ends_in_prelu = three_convs + 2, three_convs + 3
    silent = 8 * (64 * 64 + 64) + 4 * ends_in_softmax + 4 * ends_in_prelu
    assert (used, silent, used + silent) == (16_819_999, 955_412, 17_775_411)
