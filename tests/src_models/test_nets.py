"""One contract for every net of the catalogue, then what makes each one itself.

The golden numbers are logits of nets whose weights follow a formula, so that no random
generator has a say. After a wanted change: ``python tests/src_models/test_nets.py``
writes them anew; look at the difference before you keep it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import InstanceNorm, crop_to, mirror, to_multiple
from src_models.catalog import CARDS, create_model
from src_models.errors import InputError
from src_models.nets.unet import UNet
from src_models.nets.vnet import VNet
from src_models.outputs import answer as answer_of
from src_models.outputs import judge
from src_models.weights import save_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parents[1] / "golden" / "nets.npz"
ROWS = [(name, *row) for name, card in CARDS.items() for row in card.presets]
COMPACT = [row for row in ROWS if row[1] == "compact"]
Row = tuple[str, str, int]


def build(row: Row, in_channels: int = 1, classes: int = 2) -> nn.Module:
    name, preset, ndim = row
    torch.manual_seed(0)
    return create_model(
        name, ndim=ndim, in_channels=in_channels, classes=classes, preset=preset
    )


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@cache
def shared(row: Row) -> nn.Module:
    """The net of a row, built once; no test may leave it changed."""
    return build(row).eval()


@cache
def answer(row: Row) -> tuple[Tensor, Tensor]:
    """An input of odd sides, and the shared net's logits."""
    net, x = shared(row), noise(1, 1, *(3, 1, 4, 2)[: axes(row)])
    with torch.inference_mode():
        return x, net(x)


def axes(row: Row) -> int:
    """Of space, and time before them."""
    return row[2] + CARDS[row[0]].frames


def named(row: Row) -> str:
    return "-".join(map(str, row))


# Hundreds of megabytes of weights each; a smaller row of the same code stands for them.
GIANT = {row for row in ROWS if row[0].startswith("fcn") and row[1] == "paper"}
GIANT |= {("danet", "paper", 3), ("ms-dual-guided", "paper", 3), ("segan", "paper", 2)}
GIANT -= {("fcn8s", "paper", 2)}
GIANT |= {("residual-attention", "paper-92", 2), ("residual-attention", "paper", 3)}
GIANT |= {("pan", "paper-wide", 2), ("pan", "paper", 3)}
GIANT |= {(name, "paper", 3) for name in ("attention-to-scale", "segnet")}
# Hundreds of small convolutions: a minute to learn; their 2D rows stand for them.
GIANT |= {("fc-densenet", "paper", 3), ("fc-densenet", "paper-67", 3)}
GIANT |= {("fcslstm", "paper", 2), ("fcslstm", "paper", 3)}
# The unpadded 3D net looks at 92³ voxels to say a word on one.
HEAVY = GIANT | {("unet", "paper", 3)}


# Factors that begin at 0, by the last part of their name: until the first step has moved
# them, nothing that lies behind them learns.
GATES = {"danet": "gamma", "ms-dual-guided": "gamma"}


def open_gates(row: Row, net: nn.Module) -> nn.Module:
    """The same net as if it had learnt a little; only what is at 0 is touched."""
    if row[0] in GATES:
        gates = [
            weights
            for name, weights in net.named_parameters()
            if name.rpartition(".")[2] == GATES[row[0]]
        ]
        assert gates
        for weights in gates:
            assert not weights.any()
            nn.init.constant_(weights, 0.5)
    return net


def rows(*, slow: set[Row]) -> list[object]:
    return [
        pytest.param(row, marks=[pytest.mark.slow] * (row in slow), id=named(row))
        for row in ROWS
    ]


# PAN's single map of its first look may be 0 at the four voxels that lie on 32² pixels.
LEARNING_SIDE = {("unet", "paper", 3): 4, ("pan", "compact", 2): 64}


def energy(logits: Tensor, labels: Tensor) -> Tensor:
    """Every logit has a say in it."""
    assert labels.shape == (len(logits), *logits.shape[2:])
    return logits.square().sum()


def learning_batch(row: Row) -> Tensor:
    """Large enough that no unit stays silent everywhere."""
    name, _, ndim = row
    frames = (2,) * CARDS[name].frames
    # One voxel is left at the bottom of FC-DenseNet, and of one there is no statistic.
    images = 2 if name == "fc-densenet" else 1
    side = LEARNING_SIDE.get(row, 32)
    return noise(images, 1, *frames, *(side,) * ndim)


@pytest.mark.parametrize("row", rows(slow=GIANT))
class TestEveryNet:
    def test_size_out_is_size_in(self, row: Row) -> None:
        x, logits = answer(row)
        assert logits.shape == (1, 2, *x.shape[2:])
        assert logits.isfinite().all()

    def test_every_parameter_learns(self, row: Row) -> None:
        net = open_gates(row, build(row)).train()
        x = learning_batch(row)
        labels = torch.zeros(len(x), *x.shape[2:], dtype=torch.long)
        judge(energy, net(x), labels).backward()
        for name, weights in net.named_parameters():
            assert weights.grad is not None, name
            assert weights.grad.isfinite().all(), name
            assert weights.grad.any(), name

    @pytest.mark.parametrize(
        "shape",
        [lambda s: (1, 2, *s), lambda s: (1, 1, 8, *s), lambda s: (1, *s)],
        ids=["channels", "one axis more", "no batch"],
    )
    def test_other_inputs_are_refused_in_words(
        self, row: Row, shape: Callable[[tuple[int, ...]], tuple[int, ...]]
    ) -> None:
        with pytest.raises(InputError, match=f"batch of {row[2]}D images with 1 chan"):
            shared(row)(torch.zeros(shape((8,) * axes(row))))


@pytest.mark.parametrize("row", rows(slow=HEAVY))
class TestEveryAnswer:
    def test_an_answer_is_given_twice(self, row: Row) -> None:
        x, logits = answer(row)
        with torch.inference_mode():
            assert torch.equal(shared(row)(x), logits)

    def test_saved_and_loaded_it_answers_the_same(
        self, row: Row, tmp_path: Path
    ) -> None:
        save_tensors(shared(row).state_dict(), tmp_path / "net.safetensors")
        name, preset, ndim = row
        torch.manual_seed(1)
        other = create_model(name, ndim=ndim, in_channels=1, classes=2, preset=preset)
        other.load_state_dict(load_file(tmp_path / "net.safetensors"))
        x, logits = answer(row)
        with torch.inference_mode():
            assert torch.equal(other.eval()(x), logits)

    def test_sixteen_bit_is_close(self, row: Row) -> None:
        x, logits = answer(row)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            half = shared(row)(x).float()
        apart = (half - logits).abs()
        # A near tie of SegNet's maxima may fall the other way, and a value moves.
        off = apart.mean() if row[0].startswith("segnet") else apart.max()
        assert off < 0.1 * logits.abs().max()


@pytest.mark.parametrize("row", COMPACT, ids=named)
class TestEveryCompactNet:
    @pytest.mark.parametrize("side", [1, 2, 7, 15, 16, 17, 33])
    def test_any_side(self, row: Row, side: int) -> None:
        sides = (side, 9, 5, 3)[: axes(row)]
        net = shared(row)
        with torch.inference_mode():
            assert net(noise(2, 1, *sides)).shape == (2, 2, *sides)

    @pytest.mark.parametrize("train", [True, False])
    def test_a_single_voxel(self, row: Row, train: bool) -> None:
        net = build(row).train(train)
        logits = answer_of(net(noise(1, 1, *(1,) * axes(row))))
        assert logits.numel() == 2
        assert logits.isfinite().all()

    @pytest.mark.parametrize("in_channels", [1, 3, 4])
    @pytest.mark.parametrize("classes", [2, 8])
    def test_channels_and_classes(
        self, row: Row, in_channels: int, classes: int
    ) -> None:
        net = build(row, in_channels, classes).eval()
        with torch.inference_mode():
            logits = net(noise(1, in_channels, *(9,) * axes(row)))
        assert logits.shape == (1, classes, *(9,) * axes(row))

    def test_images_of_a_batch_do_not_see_each_other(self, row: Row) -> None:
        net = shared(row)
        x = noise(2, 1, *(16,) * axes(row))
        with torch.inference_mode():
            together, alone = net(x)[:1], net(x[:1])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)

    def test_it_can_be_exported(self, row: Row) -> None:
        net = shared(row)
        x = noise(1, 1, *(16,) * axes(row))
        with torch.no_grad():
            exported = torch.export.export(net, (x,)).module()(x)
            torch.testing.assert_close(exported, net(x), rtol=1e-4, atol=1e-4)

    def test_golden(self, row: Row) -> None:
        with np.load(GOLDEN) as golden:
            wanted = golden[named(row)]
        np.testing.assert_allclose(golden_logits(row), wanted, rtol=1e-3, atol=1e-4)


def golden_logits(row: Row) -> np.ndarray:
    """Eight logits of the net whose weights are a cosine of their index."""
    net = build(row, in_channels=2, classes=3).eval()
    with torch.no_grad():
        for at, weights in enumerate(net.parameters()):
            fan_in = max(1, weights[0].numel())
            wave = np.cos(np.arange(weights.numel()) * 0.7 + at) * fan_in**-0.5
            shift = float(weights.ndim == 1)  # scales and slopes stay near 1
            weights.copy_(
                torch.from_numpy(wave).view_as(weights) * (1 - 0.9 * shift)
                + 0.2 * shift
            )
        shape = (1, 2, *(9,) * axes(row))
        x = torch.from_numpy(np.sin(np.arange(np.prod(shape)) * 0.3)).float()
        flat = net(x.view(shape)).flatten()
    return flat[:: len(flat) // 8][:8].numpy()


class TestUNet:
    def test_the_published_tile(self) -> None:
        net = shared(("unet", "paper", 2))
        assert isinstance(net, UNet)
        assert net.margin == 92
        with torch.inference_mode():
            for side, out in ((572, 388), (540, 356), (188, 4)):
                rows = torch.empty(1, 1, side, 188, device="meta")
                assert meta_tile((64, 128, 256, 512, 1024), rows) == (out, 4)

    def test_the_published_depth(self) -> None:
        """23 convolutional layers: 18 of 3, 4 that enlarge, and the head."""
        net = shared(("unet", "paper", 2))
        convs = [m for m in net.modules() if isinstance(m, _ConvNd)]
        kernels = [conv.kernel_size[0] for conv in convs]
        assert (kernels.count(3), kernels.count(2), kernels.count(1)) == (18, 4, 1)

    def test_padded_it_computes_what_the_unpadded_does_inside(self) -> None:
        same, valid = narrow(2, valid=False).eval(), narrow(2, valid=True).eval()
        same.load_state_dict(valid.state_dict())
        x, lost = noise(1, 1, 36, 28), valid.margin
        with torch.inference_mode():
            inside = same(x)[:, :, lost:-lost, lost:-lost]
            torch.testing.assert_close(inside, valid.tile(x))

    def test_padded_it_keeps_the_size_of_a_tile(self) -> None:
        net = narrow(3, valid=False)
        with torch.inference_mode():
            assert net.tile(noise(1, 1, 12, 8)).shape == (1, 2, 12, 8)

    def test_the_published_3d_tile(self) -> None:
        x = torch.empty(1, 3, 132, 132, 116, device="meta")
        assert meta_tile((2, 4, 8, 16), x) == (44, 44, 28)

    @pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
    def test_margin_and_bottom_are_those_of_the_layers(self, levels: int) -> None:
        net = narrow(levels, valid=True)
        side = 2 * net.margin + net.bottom + net.stride
        assert (
            meta_tile((2,) * levels, torch.empty(1, 1, side, side))
            == (side - 2 * net.margin,) * 2
        )

    @pytest.mark.parametrize("sides", [(1, 6), (5, 23), (40, 41)])
    def test_mirrored_margins_are_numpys(self, sides: tuple[int, int]) -> None:
        net = narrow(3, valid=True).eval()
        x = noise(1, 1, *sides)
        lost = net.margin
        around = [(lost, lost + -(side - net.bottom) % net.stride) for side in sides]
        padded = np.pad(x.numpy(), [(0, 0), (0, 0), *around], mode="reflect")
        with torch.inference_mode():
            by_hand = net.tile(torch.from_numpy(padded))
            assert torch.equal(net(x), by_hand[:, :, : sides[0], : sides[1]])

    def test_unpadded_it_moves_with_the_image(self) -> None:
        net = narrow(3, valid=True).eval()
        x = noise(1, 1, 60, 60)
        with torch.inference_mode():
            whole, moved = net.tile(x), net.tile(x[:, :, net.stride :])
        torch.testing.assert_close(whole[:, :, net.stride :], moved)

    def test_tiles_fit_together_without_a_seam(self) -> None:
        """The paper's overlap-tile: two tiles give what one large one gives."""
        net = narrow(3, valid=True).eval()
        x = noise(1, 1, 56, 44)
        with torch.inference_mode():
            whole = net.tile(x)
            parts = [net.tile(x[:, :, a : a + 48]) for a in (0, 8)]
        torch.testing.assert_close(whole[:, :, :8], parts[0])
        torch.testing.assert_close(whole[:, :, 8:], parts[1])

    def test_the_finest_skip_goes_round_the_bottom(self) -> None:
        net = narrow(3, valid=False).eval()
        x = noise(1, 1, 16, 16)
        with torch.no_grad():
            net.up[-1].weight.zero_()
            net.up[-1].bias.zero_()
            cut = net.join[-1](torch.cat([net.stem(x), torch.zeros(1, 1, 16, 16)], 1))
            assert torch.equal(net(x), net.head(cut))

    def test_skips_are_cut_round_their_centre(self) -> None:
        net = narrow(2, valid=True).eval()
        x = noise(1, 1, 20, 20)
        with torch.no_grad():
            net.up[0].weight.zero_()
            net.up[0].bias.zero_()
            skip = net.stem(x)[:, :, 4:12, 4:12]  # the inner 8 of 16
            cut = net.join[0](torch.cat([skip, torch.zeros(1, 1, 8, 8)], 1))
            assert torch.equal(net.tile(x), net.head(cut))

    def test_dropout_is_at_the_bottom_and_off_in_use(self) -> None:
        net = shared(("unet", "paper", 2))
        assert isinstance(net, UNet)
        assert net.dropout.p == 0.5
        assert not net.dropout.training

    def test_the_3d_net_doubles_before_it_pools(self) -> None:
        net = shared(("unet", "paper", 3))
        assert isinstance(net, UNet)
        convs = [m for m in net.stem if isinstance(m, nn.Conv3d)]
        assert [c.out_channels for c in convs] == [32, 64]
        assert [u.in_channels == u.out_channels for u in net.up] == [True] * 3
        assert all(u.bias is None for u in net.up)


def narrow(levels: int, *, valid: bool) -> UNet:
    torch.manual_seed(0)
    return UNet(
        ndim=2,
        in_channels=1,
        classes=2,
        widths=((2, 2),) * levels,
        valid=valid,
        norm="none",
    )


def meta_tile(widths: tuple[int, ...], x: Tensor) -> tuple[int, ...]:
    """Spatial shape of a tile's logits, worked out without computing any."""
    with torch.device("meta"):
        net = UNet(
            ndim=x.ndim - 2,
            in_channels=x.shape[1],
            classes=2,
            widths=tuple((w, w) for w in widths),
            valid=True,
            norm="none",
        )
        return tuple(net.tile(x.to("meta")).shape[2:])


class TestVNet:
    @pytest.mark.parametrize("in_channels", [1, 3])
    def test_the_input_itself_is_added_to_the_stem(self, in_channels: int) -> None:
        net = VNet(ndim=2, in_channels=in_channels, classes=2, width=4, kernel=3)
        seen: list[Tensor] = []
        net.stem_act.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        x = noise(1, in_channels, 16, 16)
        with torch.inference_mode():
            net(x)
            added = [0, 0, 0, 0] if in_channels == 1 else [0, 1, 2, 0]
            assert torch.equal(seen[0], net.stem(x) + x[:, added])

    @pytest.mark.parametrize("ndim", [2, 3])
    def test_one_slope_for_each_channel(self, ndim: int) -> None:
        net = build(("vnet", "paper", ndim))
        slopes = [m.num_parameters for m in net.modules() if isinstance(m, nn.PReLU)]
        # stem; down: strided convolution and 1, 2, 3, 3 convolutions; up: 3, 2, 1, 1
        down = [
            c for c, n in ((32, 1), (64, 2), (128, 3), (256, 3)) for _ in range(n + 1)
        ]
        up = [
            c
            for below, n in ((256, 3), (128, 2), (64, 1), (32, 1))
            for c in (below // 2, *[below] * n)
        ]
        assert sorted(slopes) == sorted([16, *down, *up, 2])

    @pytest.mark.parametrize(("ndim", "total"), [(2, 12_636_314), (3, 61_982_682)])
    def test_parameters_by_the_layer_list(self, ndim: int, total: int) -> None:
        """2D has the graph of the published 3D net, with 5×5 kernels."""

        def conv(c_in: int, c_out: int, kernel: int = 5) -> int:
            return c_in * c_out * kernel**ndim + c_out + c_out  # bias, PReLU

        stem = conv(1, 16)
        down = sum(
            conv(c // 2, c, 2) + n * conv(c, c)
            for c, n in ((32, 1), (64, 2), (128, 3), (256, 3))
        )
        up = sum(
            conv(below, c // 2, 2) + n * conv(c, c)
            for below, c, n in ((256, 256, 3), (256, 128, 2), (128, 64, 1), (64, 32, 1))
        )
        head = conv(32, 2) + 2 * 2 + 2  # no PReLU after the last
        with torch.device("meta"):
            net = build(("vnet", "paper", ndim))
        counted = sum(weights.numel() for weights in net.parameters())
        assert counted == stem + down + up + head == total

    @pytest.mark.parametrize("ndim", [2, 3])
    def test_kernels_are_five_wide_and_two_between_levels(self, ndim: int) -> None:
        with torch.device("meta"):
            net = build(("vnet", "paper", ndim))
        kernels = [m.kernel_size for m in net.modules() if isinstance(m, _ConvNd)]
        assert kernels.count((5,) * ndim) == 1 + 9 + 7 + 1
        assert kernels.count((2,) * ndim) == 4 + 4
        assert kernels[-1] == (1,) * ndim
        assert len(kernels) == 18 + 8 + 1

    @pytest.mark.parametrize("side", ["down_stage", "up_stage"])
    def test_a_stage_without_convolutions_is_its_input(self, side: str) -> None:
        net = VNet(ndim=2, in_channels=1, classes=2, width=2, kernel=3)
        for stage in getattr(net, side):
            for weights in stage.convs.parameters():
                nn.init.zeros_(weights)
            x = noise(1, stage.act.num_parameters, 8, 8)
            assert torch.equal(stage(x), stage.act(x))

    def test_up_stages_read_the_risen_and_the_skip(self) -> None:
        net = VNet(ndim=2, in_channels=1, classes=2, width=2, kernel=3)
        seen: dict[str, Tensor] = {}
        for name, module in (
            ("skip", net.stem_act),
            ("risen", net.up[3]),
            ("joined", net.up_stage[3]),
        ):
            module.register_forward_hook(
                lambda _, args, out, name=name: seen.update(
                    {name: args[0] if name == "joined" else out}
                )
            )
        with torch.inference_mode():
            net(noise(1, 1, 16, 16))
        assert torch.equal(seen["joined"], torch.cat([seen["risen"], seen["skip"]], 1))

    def test_nothing_is_pooled_or_normalised_as_published(self) -> None:
        kinds = {type(m).__name__ for m in shared(("vnet", "paper", 3)).modules()}
        assert not {kind for kind in kinds if "Pool" in kind or "Norm" in kind}


class TestBlocks:
    @settings(max_examples=50)
    @given(
        hnp.arrays("f4", hnp.array_shapes(min_dims=1, max_dims=3, max_side=6)),
        st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=3),
    )
    def test_mirror_is_numpys_reflect(
        self, image: np.ndarray, margins: list[tuple[int, int]]
    ) -> None:
        margins = margins[: image.ndim]
        wanted = np.pad(image, margins, mode="reflect")
        got = mirror(torch.from_numpy(image)[None, None], margins)
        np.testing.assert_array_equal(got[0, 0].numpy(), wanted)

    def test_to_multiple_repeats_the_last(self) -> None:
        x = torch.arange(3.0).view(1, 1, 1, 3)
        wanted = [[0, 1, 2, 2]] * 4
        assert to_multiple(x, 4)[0, 0].tolist() == wanted
        assert to_multiple(x, 1) is x

    def test_crop_from_the_first_and_round_the_centre(self) -> None:
        x = torch.arange(6).view(1, 1, 6)
        assert crop_to(x, (2,)).flatten().tolist() == [0, 1]
        assert crop_to(x, (2,), centre=True).flatten().tolist() == [2, 3]

    def test_instance_norm_is_pytorchs(self) -> None:
        x = noise(2, 3, 5, 4) * 7 + 3
        norm = InstanceNorm(3)
        torch.testing.assert_close(norm(x), nn.InstanceNorm2d(3)(x))
        voxel = norm(x[:, :, :1, :1])  # its own mean
        torch.testing.assert_close(voxel, torch.zeros_like(voxel), rtol=0, atol=1e-3)


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez(GOLDEN, **{named(row): golden_logits(row) for row in COMPACT})
