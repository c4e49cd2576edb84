"""ASDNet: what is added to what, who is judged, and what a confidence map decides."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.catalog import create_model
from src_models.errors import InputError
from src_models.losses import IGNORE
from src_models.losses.pixel import cross_entropy
from src_models.nets.asdnet import ASDNet
from src_models.nets.atrous import Layers
from src_models.nets.confidence import (
    ConfidenceNet,
    adaptive_threshold,
    region_attention,
    sample_attention,
)
from src_models.outputs import Outputs, judge


def small(ndim: int = 2) -> ASDNet:
    torch.manual_seed(0)
    return ASDNet(
        ndim=ndim,
        in_channels=1,
        classes=3,
        widths=(16, 32, 48, 64),
        norm="group",
        dropout=0,
    )


def critic(ndim: int = 2, norm: Literal["batch", "group"] = "group") -> ConfidenceNet:
    torch.manual_seed(0)
    return ConfidenceNet(ndim=ndim, classes=3, widths=(8, 8, 16, 16), norm=norm)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def logit(*shares: float) -> Tensor:
    return torch.tensor(shares).logit()


class TestSegmentor:
    @pytest.mark.parametrize(("ndim", "total"), [(2, 1_161_644), (3, 3_811_820)])
    def test_parameters_by_the_layer_list(self, ndim: int, total: int) -> None:
        """Of one channel and four classes; two numbers a normalised channel, no bias."""

        def conv(c_in: int, c_out: int, kernel: int = 1) -> int:
            return c_in * c_out * kernel**ndim + 2 * c_out

        def unit(c_in: int, c_out: int, *, project: bool = True) -> int:
            half = c_out // 2
            inner = conv(c_in, half) + conv(half, half, 3) + conv(half, c_out)
            return inner + project * conv(c_in, c_out)

        def up(c_in: int, c_out: int) -> int:
            twice = unit(c_out, c_out, project=False) + unit(c_out, c_out)
            return conv(c_in, c_out, 4) + twice

        down = conv(1, 32, 3) + unit(32, 32) + unit(32, 64) + unit(64, 128)
        bottom = unit(128, 256)
        rise = up(256, 128) + up(128, 64) + up(64, 32)
        heads = sum(4 * c + 4 for c in (32, 64, 128))
        with torch.device("meta"):
            net = create_model(
                "asdnet", ndim=ndim, in_channels=1, classes=4, preset="paper"
            )
        counted = sum(weights.numel() for weights in net.parameters())
        assert counted == down + bottom + rise + heads == total

    def test_deep_supervision_weighs_half_then_a_quarter_of_the_resolution(
        self,
    ) -> None:
        net = small().train()
        coarse: list[Tensor] = []
        for head in net.side:
            head.register_forward_hook(lambda *args: coarse.append(args[2]))
        x, labels = noise(2, 1, 30, 17), torch.randint(0, 3, (2, 30, 17))
        said = net(x)
        assert isinstance(said, Outputs)
        assert [part.weight for part in said.auxiliary] == [0.4, 0.2]
        assert [tuple(c.shape[2:]) for c in coarse] == [(16, 12), (8, 6)]
        for part, scores in zip(said.auxiliary, coarse, strict=True):
            risen = F.interpolate(scores, (32, 24), mode="bilinear")
            assert torch.equal(part.logits, risen[:, :, :30, :17])
        terms = [said.logits, *(part.logits for part in said.auxiliary)]
        main, half, quarter = (F.cross_entropy(term, labels) for term in terms)
        by_hand = main + 0.4 * half + 0.2 * quarter
        torch.testing.assert_close(judge(F.cross_entropy, said, labels), by_hand)

    def test_in_use_there_is_one_answer(self) -> None:
        assert isinstance(small().eval()(noise(1, 1, 9, 9)), Tensor)

    def test_skips_are_added(self) -> None:
        """Nothing from below: the finest join reads what the stem said, no more."""
        net = small().eval()
        x = noise(1, 1, 16, 16)
        with torch.inference_mode():
            for weights in net.up[-1].up.parameters():
                weights.zero_()
            cut = net.head(net.join[-1](F.relu(net.stem(x))))
            assert torch.equal(net(x), cut)

    def test_a_unit_without_convolutions_is_its_shortcut(self) -> None:
        net = small().eval()
        plain, projecting = net.join[-1]
        x = noise(1, 16, 8, 8)
        with torch.inference_mode():
            for unit in (plain, projecting):
                for weights in unit.convs[-1][-1].parameters():
                    weights.zero_()
            assert torch.equal(plain(x), F.relu(x))
            assert torch.equal(projecting(x), F.relu(projecting.shortcut(x)))

    def test_pools_rates_and_dropout_are_the_released_ones(self) -> None:
        net = create_model("asdnet", ndim=3, in_channels=1, classes=4, preset="paper")
        assert isinstance(net, ASDNet)
        wide = [
            (m.in_channels, m.dilation[0])
            for unit in net.down
            for m in unit.modules()
            if isinstance(m, nn.Conv3d) and m.kernel_size[0] == 3
        ]
        assert wide == [(32, 1), (64, 1), (128, 2)]
        pool, dropout = net.pool
        assert isinstance(pool, nn.MaxPool3d)
        assert (pool.kernel_size, pool.stride, pool.padding) == (3, 2, 1)
        assert isinstance(dropout, nn.Dropout3d)  # whole maps
        assert dropout.p == 0.2
        ups = [m for m in net.modules() if isinstance(m, nn.ConvTranspose3d)]
        assert [(m.out_channels, m.kernel_size[0]) for m in ups] == [
            (128, 4),
            (64, 4),
            (32, 4),
        ]


class TestConfidenceNet:
    @pytest.mark.parametrize("ndim", [2, 3])
    @pytest.mark.parametrize("side", [1, 2, 7, 16, 33])
    @pytest.mark.parametrize("train", [True, False])
    def test_it_takes_soft_and_hard_maps_of_any_side(
        self, ndim: int, side: int, train: bool
    ) -> None:
        sides = (side, 9, 5)[:ndim]
        soft = noise(2, 3, *sides).softmax(1)
        hard = F.one_hot(soft.argmax(1), 3).movedim(-1, 1).float()
        net = critic(ndim, norm="batch").train(train)
        for labels in (soft, hard):
            said = net(labels)
            assert said.shape == (2, 1, *sides)
            assert said.isfinite().all()

    def test_every_parameter_learns(self) -> None:
        """The bottom too, which the released wiring leaves without a say."""
        net = critic().train()
        net(noise(2, 3, 32, 32).softmax(1)).square().sum().backward()
        for name, weights in net.named_parameters():
            assert weights.grad is not None, name
            assert weights.grad.any(), name

    def test_it_learns_to_tell_hard_from_soft(self) -> None:
        net = critic().train()
        steps = torch.optim.Adam(net.parameters(), 3e-3)
        soft = noise(2, 3, 16, 16).softmax(1)
        hard = F.one_hot(soft.argmax(1), 3).movedim(-1, 1).float()
        for _ in range(30):
            steps.zero_grad()
            real, fake = net(hard), net(soft)
            loss = F.softplus(-real).mean() + F.softplus(fake).mean()
            loss.backward()
            steps.step()
        assert ((real > 0).float().mean() + (fake < 0).float().mean()) / 2 > 0.9

    @pytest.mark.parametrize("side", [1, 16, 20])
    def test_sixteen_bit_is_close(self, side: int) -> None:
        net = critic().eval()
        soft = noise(1, 3, side, side).softmax(1)
        with torch.inference_mode():
            whole = net(soft)
            with torch.autocast("cpu", torch.bfloat16):
                short = net(soft).float()
        assert (short - whole).abs().max() < 0.1 * whole.abs().max()

    def test_it_reads_no_image(self) -> None:
        with pytest.raises(InputError, match=r"3 channel\(s\)"):
            critic()(torch.zeros(1, 4, 8, 8))

    def test_only_the_way_up_is_normalised(self) -> None:
        net = ConfidenceNet(ndim=2, classes=2)
        kinds = [type(m).__name__ for m in (*net.stem.modules(), *net.down.modules())]
        assert not [kind for kind in kinds if "Norm" in kind]
        ups = sum(isinstance(m, nn.ConvTranspose2d) for m in net.up.modules())
        norms = sum(
            isinstance(m, type(Layers(2, "batch").normed(1))) for m in net.up.modules()
        )
        assert (ups, norms) == (3, 3)


class TestAttention:
    def test_pseudo_labels_by_hand(self) -> None:
        """Four voxels: believed, not, exactly at the threshold (not), believed."""
        logits = torch.tensor([[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]])
        confidence = logit(0.9, 0.2, 0.5, 0.6).view(1, 1, 4)
        labels = region_attention(logits, confidence, 0.5)
        assert labels.tolist() == [[0, IGNORE, IGNORE, 1]]

    def test_the_loss_by_hand(self) -> None:
        logits = torch.tensor([[[0.0, 5.0], [0.0, 1.0]]])  # ln 2 at the first voxel
        loss = cross_entropy(logits, torch.tensor([[1, IGNORE]]))
        torch.testing.assert_close(loss, torch.tensor(2.0).log())

    def test_nothing_believed_costs_nothing(self) -> None:
        logits = noise(1, 2, 3, 3).requires_grad_()
        labels = region_attention(logits, torch.zeros(1, 1, 3, 3), 1.0)
        assert (labels == IGNORE).all()
        loss = cross_entropy(logits, labels)
        loss.backward()
        assert loss == 0
        assert logits.grad is not None
        assert not logits.grad.any()

    def test_no_gradient_through_confidence_and_pseudo_label(self) -> None:
        logits = noise(1, 3, 8, 8).requires_grad_()
        net = critic()
        confidence = net(logits.softmax(1))
        labels = region_attention(logits, confidence, 0.0)
        assert not labels.requires_grad
        cross_entropy(logits, labels).backward()
        assert all(weights.grad is None for weights in net.parameters())
        assert logits.grad is not None
        # (p − pseudo-label) / voxels: of cross entropy with constant labels.
        one_hot = F.one_hot(labels, 3).movedim(-1, 1)
        by_hand = (logits.detach().softmax(1) - one_hot) / 64
        torch.testing.assert_close(logits.grad, by_hand)

    @given(st.floats(0, 1), st.floats(0, 1))
    def test_a_higher_threshold_believes_less(self, one: float, two: float) -> None:
        logits, confidence = noise(1, 2, 4, 4), noise(1, 1, 4, 4)
        low, high = sorted((one, two))
        some = region_attention(logits, confidence, low) != IGNORE
        fewer = region_attention(logits, confidence, high) != IGNORE
        assert not (fewer & ~some).any()

    def test_the_threshold_falls_as_dice_rises(self) -> None:
        assert adaptive_threshold(0.75) == 0.25
        assert adaptive_threshold(0) == 1
        assert adaptive_threshold(1) == 0

    @pytest.mark.parametrize("wrong", [-0.1, 75, float("nan")])
    def test_a_dice_of_other_units_is_refused(self, wrong: float) -> None:
        with pytest.raises(InputError, match="wants a Dice of 0 to 1"):
            adaptive_threshold(wrong)

    def test_hard_images_weigh_most(self) -> None:
        dice = torch.tensor([0.0, 0.5, 1.0], requires_grad=True)
        weights = sample_attention(dice, beta=2)
        assert weights.tolist() == [1, 0.25, 0]
        assert not weights.requires_grad
        assert sample_attention(dice, beta=0).tolist() == [1, 1, 1]
