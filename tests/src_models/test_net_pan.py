"""PAN: a pyramid that multiplies, a gate from above, heads counted against others'."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import rise
from src_models.catalog import CARDS
from src_models.nets.atrous import Layers
from src_models.nets.pan import FPA, GAU, PAN, Pyramid, Up, image_mean

GROUP = Layers(2, "group")


def small(ndim: int = 2, width: int | None = 16) -> PAN:
    torch.manual_seed(0)
    return PAN(
        ndim=ndim,
        in_channels=1,
        classes=2,
        blocks=(1, 1, 1, 1),
        stem=4,
        width=width,
        norm="group",
    ).eval()


def fpa(mid: int | None = None) -> FPA:
    torch.manual_seed(0)
    return FPA(GROUP, 16, 16, mid).eval()


def gau(c_high: int = 16, *, finer: bool = True) -> GAU:
    torch.manual_seed(0)
    return GAU(GROUP, c_high, 8, 16, finer=finer).eval()


def silence(layer: nn.Module) -> None:
    """Make its normalisation, the last but ReLU, say 0 everywhere."""
    norm = [m for m in layer.modules() if isinstance(m, nn.GroupNorm)][-1]
    nn.init.zeros_(norm.weight)
    nn.init.zeros_(norm.bias)


def answer_with(layer: nn.Module, value: float) -> None:
    layer.register_forward_hook(lambda *args: torch.full_like(args[2], value))


def built(preset: str) -> PAN:
    with torch.device("meta"):
        return PAN(ndim=2, in_channels=3, classes=21, **CARDS["pan"].presets[preset, 2])


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


class TestCounts:
    @pytest.mark.parametrize("preset", ["paper", "paper-resnet50"])
    def test_the_narrow_head_is_segmentation_models(self, preset: str) -> None:
        """Theirs has a bias too in each convolution that is normalised next."""
        net = built(preset)
        convs = [
            m
            for part in (net.fpa, net.gaus)
            for m in part.modules()
            if isinstance(m, _ConvNd)
        ]
        assert all(conv.bias is None for conv in convs)
        biases = sum(conv.out_channels for conv in convs)
        assert count(net.fpa, net.gaus) + biases == 751_495

    def test_the_wide_head_is_the_third_partys(self) -> None:
        net = built("paper-wide")
        assert count(net.fpa) == 115_625_984
        assert count(net.fpa, net.gaus, net.head) == 143_406_869


class TestPyramid:
    def test_it_multiplies(self) -> None:
        net, x = fpa(), torch.randn(1, 16, 11, 9)
        answer_with(net.pyramid, 2.5)
        with torch.inference_mode():
            wanted = 2.5 * net.main(x) + net.image(image_mean(x))
            torch.testing.assert_close(net(x), wanted)

    def test_where_it_sees_nothing_only_the_image_is_left(self) -> None:
        net, x = fpa(), torch.randn(2, 16, 11, 9)
        answer_with(net.pyramid, 0)
        with torch.inference_mode():
            got = net(x)
            assert torch.equal(got, net.image(image_mean(x)).expand_as(got))

    def test_the_image_is_added(self) -> None:
        net, x = fpa(), torch.randn(1, 16, 9, 9)
        silence(net.image)
        with torch.inference_mode():
            torch.testing.assert_close(net(x), net.main(x) * net.pyramid(x))

    @pytest.mark.parametrize(("mid", "channels"), [(None, 1), (4, 16)])
    def test_one_map_for_all_channels_or_one_each(
        self, mid: int | None, channels: int
    ) -> None:
        with torch.inference_mode():
            weights = fpa(mid).pyramid(torch.randn(1, 16, 17, 25))
        assert weights.shape == (1, channels, 17, 25)
        assert (weights >= 0).all()
        assert weights.std() > 0

    def test_kernels_and_grids_of_the_three_levels(self) -> None:
        levels = [m for m in fpa().modules() if isinstance(m, Pyramid)]
        seen: list[tuple[int, ...]] = []
        kernels = []
        for level in levels:
            level.look.register_forward_pre_hook(
                lambda _, args: seen.append(tuple(args[0].shape[2:]))
            )
            kernels.append([c.kernel_size[0] for c in (level.down[0], level.look[0])])
        with torch.inference_mode():
            levels[0](torch.randn(1, 16, 17, 33))
        assert kernels == [[7, 7], [5, 5], [3, 3]]
        assert seen == [(9, 17), (5, 9), (3, 5)]

    def test_levels_are_added_from_the_bottom_to_the_top(self) -> None:
        net, x = fpa().pyramid, torch.randn(1, 16, 17, 17)
        middle = net.below
        assert middle is not None
        assert middle.below is not None
        with torch.inference_mode():
            a = net.down(x)
            b = middle.down(a)
            c = middle.below.down(b)
            low = middle.look(b) + rise(middle.below.look(c), (5, 5))
            wanted = rise(net.look(a) + rise(low, (9, 9)), (17, 17))
            torch.testing.assert_close(net(x), wanted)

    @pytest.mark.parametrize("mid", [None, 4])
    @pytest.mark.parametrize("shape", [(1, 1), (2, 7), (8, 9), (10, 31)])
    def test_any_size(self, mid: int | None, shape: tuple[int, int]) -> None:
        with torch.inference_mode():
            got = fpa(mid)(torch.randn(1, 16, *shape))
        assert got.shape == (1, 16, *shape)
        assert got.isfinite().all()


class TestGate:
    def test_closed_it_lets_only_the_high_through(self) -> None:
        net = gau()
        answer_with(net.gate, -torch.inf)
        high, low = torch.randn(1, 16, 5, 4), torch.randn(1, 8, 9, 7)
        with torch.inference_mode():
            assert torch.equal(net(high, low), rise(high, (9, 7)).relu())

    def test_open_it_lets_all_of_the_low_in(self) -> None:
        net = gau()
        answer_with(net.gate, torch.inf)
        high, low = torch.randn(1, 16, 5, 4), torch.randn(1, 8, 9, 7)
        with torch.inference_mode():
            assert torch.equal(
                net(high, low), (rise(high, (9, 7)) + net.low(low)).relu()
            )

    def test_it_depends_on_the_mean_of_the_high_alone(self) -> None:
        net, seen = gau(), []
        net.gate.register_forward_hook(lambda *args: seen.append(args[2]))
        high, low = torch.randn(1, 16, 6, 6), torch.randn(1, 8, 12, 12)
        shuffled = high.flatten(2)[..., torch.randperm(36)].view_as(high)
        with torch.inference_mode():
            for a, b in ((high, low), (high, -low), (shuffled, low), (-high, low)):
                net(a, b)
        assert seen[0].shape == (1, 16, 1, 1)
        assert torch.equal(seen[0], seen[1])
        torch.testing.assert_close(seen[0], seen[2])
        assert not torch.allclose(seen[0], seen[3])

    def test_on_one_grid_nothing_is_enlarged(self) -> None:
        net = gau(finer=False)
        answer_with(net.gate, -torch.inf)
        high, low = torch.randn(1, 16, 5, 5), torch.randn(1, 8, 5, 5)
        with torch.inference_mode():
            assert torch.equal(net(high, low), high.relu())

    def test_a_learned_rise_changes_the_width(self) -> None:
        high = torch.randn(1, 24, 5, 4)
        with torch.inference_mode():
            finer = gau(24)(high, torch.randn(1, 8, 9, 7))
            same = gau(24, finer=False)(high, torch.randn(1, 8, 5, 4))
        assert finer.shape == (1, 16, 9, 7)
        assert same.shape == (1, 16, 5, 4)


class TestNet:
    @pytest.mark.parametrize("width", [16, None])
    def test_from_c5_to_stride_4(self, width: int | None) -> None:
        net = small(width=width)
        grids: list[tuple[Tensor, Tensor]] = []
        for g in net.gaus:
            g.register_forward_pre_hook(lambda _, args: grids.append(args))
        with torch.inference_mode():
            assert net(torch.randn(1, 1, 60, 97)).shape == (1, 2, 60, 97)
        sizes = [(tuple(h.shape[2:]), tuple(low.shape[2:])) for h, low in grids]
        assert sizes == [
            ((5, 7), (5, 7)),  # C5 lies on the grid of C4
            ((5, 7), (9, 13)),
            ((9, 13), (17, 25)),
        ]
        assert [low.shape[1] for _, low in grids] == [64, 32, 16]

    def test_only_the_wide_one_learns_to_rise(self) -> None:
        for width, kernels in ((16, []), (None, [4, 4, 4, 1, 4, 4])):
            ups = [m for m in small(width=width).modules() if isinstance(m, Up)]
            convs = [up.convs[0] for up in ups if up.convs is not None]
            assert sorted(c.kernel_size[0] for c in convs) == sorted(kernels)

    def test_in_3d_a_short_axis_is_padded(self) -> None:
        with torch.inference_mode():
            got = small(3)(torch.randn(1, 1, 3, 40, 33))
        assert got.shape == (1, 2, 3, 40, 33)
        assert got.isfinite().all()

    def test_the_four_features_are_those_of_the_resnet(self) -> None:
        encoder = small().encoder
        x = torch.randn(1, 1, 65, 65)
        with torch.inference_mode():
            features = encoder.features(x)
            low, top = encoder(x)
        assert [f.shape[1] for f in features] == [16, 32, 64, 128]
        assert [f.shape[2] for f in features] == [17, 9, 5, 5]
        assert torch.equal(features[0], low)
        assert torch.equal(features[3], top)
