"""Attention to Scale: one net at every scale, what is believed where, whose place."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from src_models.catalog import CARDS
from src_models.nets.attention_to_scale import (
    AttentionToScale,
    Average,
    LargeFOV,
    ScaleAttention,
    merge,
)
from src_models.outputs import Outputs, judge, on_grid

SCALES = {2: (1, 0.5), 3: (1, 0.75, 0.5)}


def small(scales: int = 2, *, ndim: int = 2, axes: int = 2) -> AttentionToScale:
    torch.manual_seed(0)
    return AttentionToScale(
        ndim=ndim,
        in_channels=1,
        classes=3,
        scales=SCALES[scales],
        axes=axes,
        widths=(8, 8, 8, 8, 8),
        fc_width=16,
        rate=2,
        attention_width=8,
        norm="group",
        dropout=0,
    )


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def constant_attention(net: AttentionToScale, logits: Tensor) -> None:
    last = net.attention.layers[-1]
    assert isinstance(last, _ConvNd)
    assert last.bias is not None
    last.weight.zero_()
    last.bias.copy_(logits)


def seen_by(net: AttentionToScale, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Images and scores of each scale while the net answers."""
    images: list[Tensor] = []
    scores: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Tensor], out: tuple[Tensor, Tensor]) -> None:
        images.append(args[0])
        scores.append(out[1])

    with net.net.register_forward_hook(keep), torch.inference_mode():
        net(x)
    return images, scores


def corners(x: Tensor, sides: tuple[int, ...]) -> Tensor:
    return F.interpolate(x, sides, mode="bilinear", align_corners=True)


class TestTrunk:
    def test_strides_and_rates_are_the_published_ones(self) -> None:
        with torch.device("meta"):
            options = CARDS["attention-to-scale"].presets["paper", 2]
            net = AttentionToScale(ndim=2, in_channels=3, classes=21, **options).net
            features, scores = net(torch.empty(1, 3, 321, 321))
        assert features.shape == (1, 1024, 41, 41)
        assert scores.shape == (1, 21, 41, 41)
        convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
        assert [(c.out_channels, c.kernel_size[0], c.dilation[0]) for c in convs] == [
            *[(64, 3, 1)] * 2,
            *[(128, 3, 1)] * 2,
            *[(256, 3, 1)] * 3,
            *[(512, 3, 1)] * 3,
            *[(512, 3, 2)] * 3,
            (1024, 3, 12),
            (1024, 1, 1),
            (21, 1, 1),
        ]
        pools = [m for m in net.modules() if isinstance(m, nn.MaxPool2d)]
        assert [(p.kernel_size, p.stride) for p in pools] == [
            *[(3, 2)] * 3,
            *[(3, 1)] * 2,
        ]
        assert [m.p for m in net.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5]

    def test_features_lie_on_the_voxels_of_the_lattice(self) -> None:
        """Kernels that know no side: what is mirrored in comes out mirrored."""
        net = small(3).eval()
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                mean = layer.weight.data.mean((2, 3), keepdim=True)
                layer.weight.data = mean.expand_as(layer.weight).contiguous()
        x = noise(1, 1, 65, 33)
        with torch.inference_mode():
            wanted, got = net(x).flip(2, 3), net(x.flip(2, 3))
        loud = wanted.abs().max().item()
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-3 * loud)

    def test_at_stride_4_one_stride_more_becomes_dilation(self) -> None:
        coarse, fine = (
            LargeFOV(
                ndim=2,
                in_channels=1,
                classes=2,
                widths=(2, 2, 2, 2, 2),
                fc_width=2,
                stride=stride,
                rate=1,
                norm="none",
                dropout=0,
            )
            for stride in (8, 4)
        )
        assert coarse(noise(1, 1, 33, 65))[1].shape[2:] == (5, 9)
        assert fine(noise(1, 1, 33, 65))[1].shape[2:] == (9, 17)
        rates = [
            m.dilation[0] for m in fine.levels.modules() if isinstance(m, nn.Conv2d)
        ]
        assert rates == [*[1] * 7, *[2] * 3, *[4] * 3]
        fine.load_state_dict(coarse.state_dict())

    @pytest.mark.parametrize("ndim", [2, 3])
    def test_the_average_is_pytorchs(self, ndim: int) -> None:
        x = noise(1, 2, *(5,) * ndim)
        pool = {2: nn.AvgPool2d, 3: nn.AvgPool3d}[ndim]
        torch.testing.assert_close(Average(ndim)(x), pool(3, 1, 1)(x))
        thin = Average(ndim)(torch.ones(1, 1, *(2,) * ndim))
        torch.testing.assert_close(thin, torch.full_like(thin, (2 / 3) ** ndim))

    def test_one_net_reads_every_scale(self) -> None:
        net = small(3)
        assert [type(m) for m in net.children()] == [LargeFOV, ScaleAttention]
        images, _ = seen_by(net.eval(), noise(1, 1, 65, 33))
        assert [tuple(image.shape[2:]) for image in images] == [
            (65, 33),
            (49, 25),
            (33, 17),
        ]

    def test_scores_of_a_scale_are_its_own(self) -> None:
        """Scale 1 says the same whatever the other scale reads, and the reverse."""
        net = small().eval()
        x = noise(1, 1, 33, 33)
        _, (first, second) = seen_by(net, x)
        other = x.clone()
        other[:, :, 1::2] += 1  # rows that the smaller image leaves out
        _, (changed, same) = seen_by(net, other)
        assert torch.equal(second, same)
        assert not torch.equal(first, changed)
        with torch.inference_mode():
            assert torch.equal(net.net(x)[1], first)
            assert torch.equal(net.net(x[:, :, ::2, ::2])[1], second)


class TestAttention:
    @settings(max_examples=20, deadline=None)
    @given(st.sampled_from([2, 3]), st.integers(1, 9), st.floats(0.1, 100))
    def test_weights_sum_to_one_at_every_voxel(
        self, scales: int, side: int, loud: float
    ) -> None:
        features = [loud * noise(2, 4, side, 3) + at for at in range(scales)]
        with torch.inference_mode():
            weights = ScaleAttention(2, scales, 4, 8, 0.5).eval()(features)
        assert weights.shape == (2, scales, side, 3)
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(1), torch.ones(2, side, 3))

    def test_merging_by_hand(self) -> None:
        """Two voxels, two classes, two scales; the weight is that of the voxel."""
        weights = torch.tensor([[[0.25, 1.0]], [[0.75, 0.0]]]).movedim(0, 1)
        one = torch.tensor([[[4.0, 8.0]], [[-4.0, 2.0]]]).movedim(0, 1)
        two = torch.tensor([[[0.0, 5.0]], [[8.0, 5.0]]]).movedim(0, 1)
        merged = merge(
            weights.view(1, 2, 1, 2), [s.view(1, 2, 1, 2) for s in (one, two)]
        )
        assert merged.view(2, 2).tolist() == [[1.0, 8.0], [5.0, 2.0]]

    @pytest.mark.parametrize("scales", [2, 3])
    def test_undecided_it_averages(self, scales: int) -> None:
        net = small(scales).eval()
        constant_attention(net, torch.zeros(scales))
        x = noise(1, 1, 65, 33)
        _, seen = seen_by(net, x)
        grid = (9, 5)
        average = torch.stack([corners(s, grid) for s in seen]).mean(0)
        with torch.inference_mode():
            torch.testing.assert_close(net(x), corners(average, (65, 33)))

    @pytest.mark.parametrize("chosen", [0, 1, 2])
    def test_decided_it_is_that_scale_alone(self, chosen: int) -> None:
        net = small(3).eval()
        constant_attention(net, 1000 * F.one_hot(torch.tensor(chosen), 3).float())
        x = noise(1, 1, 65, 33)
        _, seen = seen_by(net, x)
        alone = corners(corners(seen[chosen], (9, 5)), (65, 33))
        with torch.inference_mode():
            torch.testing.assert_close(net(x), alone)

    def test_it_reads_the_features_of_all_scales_on_one_grid(self) -> None:
        net = small().eval()
        read: list[Tensor] = []
        features: list[Tensor] = []
        net.net.register_forward_hook(lambda *args: features.append(args[2][0]))
        net.attention.layers.register_forward_pre_hook(
            lambda _, args: read.append(args[0])
        )
        with torch.inference_mode():
            net(noise(1, 1, 33, 49))
        fine, coarse = features
        assert coarse.shape[2:] == (3, 4)
        assert torch.equal(read[0], torch.cat([fine, corners(coarse, (5, 7))], 1))


class TestSupervision:
    @pytest.mark.parametrize("scales", [2, 3])
    def test_the_answer_and_each_scale_are_judged_alike(self, scales: int) -> None:
        net = small(scales).train()
        said = net(noise(2, 1, 40, 56))
        assert isinstance(said, Outputs)
        assert said.logits.shape == (2, 3, 40, 56)
        assert said.weight == 1
        assert [part.weight for part in said.auxiliary] == [1] * scales
        grids = {1: (5, 7), 0.75: (4, 6), 0.5: (3, 4)}  # sides · scale / 8, rounded up
        assert [tuple(part.logits.shape[2:]) for part in said.auxiliary] == [
            grids[scale] for scale in SCALES[scales]
        ]

    def test_the_loss_is_the_sum(self) -> None:
        net = small().train()
        x, labels = noise(1, 1, 20, 20), torch.randint(0, 3, (1, 20, 20))
        said = net(x)
        by_hand = F.cross_entropy(said.logits, labels)
        for part in said.auxiliary:
            grid = tuple(part.logits.shape[2:])
            by_hand = by_hand + F.cross_entropy(part.logits, on_grid(labels, grid))
        torch.testing.assert_close(judge(F.cross_entropy, said, labels), by_hand)

    @pytest.mark.parametrize("sides", [(33, 33), (40, 57), (7, 1)])
    @pytest.mark.parametrize("scale", SCALES[3])
    def test_scores_and_labels_lie_at_the_same_voxels(
        self, sides: tuple[int, int], scale: float
    ) -> None:
        net = small(3)
        at = list(SCALES[3]).index(scale)
        numbered = torch.arange(sides[0] * sides[1]).view(1, *sides)
        scores = net.at_labels(numbered[:, None].float(), net.scales[at])
        grid = tuple(scores.shape[2:])
        assert torch.equal(scores[:, 0].long(), on_grid(numbered, grid))

    def test_in_use_there_is_one_answer(self) -> None:
        assert isinstance(small().eval()(noise(1, 1, 9, 9)), Tensor)


class TestLattice:
    @pytest.mark.parametrize(
        ("scales", "side", "padded"),
        [
            (2, 1, 17),
            (2, 17, 17),
            (2, 18, 33),
            (3, 1, 33),
            (3, 321, 321),
            (3, 322, 353),
        ],
    )
    def test_sides(self, scales: int, side: int, padded: int) -> None:
        net = small(scales)
        x = torch.arange(float(side)).view(1, 1, side, 1)
        y = net.to_lattice(x)
        assert y.shape[2] == padded
        assert torch.equal(y[:, :, :side, :1], x)
        assert (y[:, :, side:] == side - 1).all()

    def test_thick_slices_stay(self) -> None:
        net = small(ndim=3, axes=2).eval()
        images, scores = seen_by(net, noise(1, 1, 9, 33, 17))
        assert [tuple(i.shape[2:]) for i in images] == [(9, 33, 17), (9, 17, 9)]
        assert [tuple(s.shape[2:]) for s in scores] == [(2, 5, 3), (2, 3, 2)]

    def test_voxels_of_equal_sides_are_rescaled_on_every_axis(self) -> None:
        net = small(ndim=3, axes=3).eval()
        images, _ = seen_by(net, noise(1, 1, 17, 17, 33))
        assert [tuple(i.shape[2:]) for i in images] == [(17, 17, 33), (9, 9, 17)]
