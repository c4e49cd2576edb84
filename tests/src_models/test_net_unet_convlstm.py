"""ConvLSTM: gates by hand, order in time; and the U-Net that it follows."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from src_models.catalog import create_model
from src_models.errors import InputError
from src_models.nets.convlstm import (
    BiConvLSTM,
    ConvLSTM,
    ConvLSTMCell,
    fold,
    unfold,
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def cell_of(given_: list[float], held: list[float], bias: list[float]) -> ConvLSTMCell:
    """One channel, 1 × 1 kernels, a number for each of i, f, o, g."""
    cell = ConvLSTMCell(ndim=2, in_channels=1, hidden=1, kernel=1)
    with torch.no_grad():
        for weights, values in (
            (cell.given.weight, given_),
            (cell.held.weight, held),
            (cell.given.bias, bias),
        ):
            weights.copy_(torch.tensor(values).view_as(weights))
    return cell


class TestCell:
    def test_two_steps_by_hand(self) -> None:
        given_, held, bias = (
            [1.0, 2.0, -1.0, 0.5],
            [0.3, -0.2, 0.7, 1.5],
            [0.1, 0, 0, 0],
        )
        cell = cell_of(given_, held, bias)
        h = c = 0.0
        state = None
        for x in (0.8, -1.2):
            i, f, o, g = (
                w * x + u * h + b for w, u, b in zip(given_, held, bias, strict=True)
            )
            c = sigmoid(f + 1) * c + sigmoid(i) * math.tanh(g)  # the forget bias
            h = sigmoid(o) * math.tanh(c)
            state = cell(torch.full((1, 1, 1, 1), x), state)
            assert state[0].item() == pytest.approx(h, abs=1e-6)
            assert state[1].item() == pytest.approx(c, abs=1e-6)

    def test_an_open_gate_remembers_and_a_closed_one_forgets(self) -> None:
        c = noise(1, 1, 4, 4)
        for forget, kept in ((50.0, 1.0), (-50.0, 0.0)):
            cell = cell_of([0.0] * 4, [0.0] * 4, [-50.0, forget, 0.0, 0.0])
            _, after = cell(torch.zeros(1, 1, 4, 4), (torch.zeros_like(c), c))
            torch.testing.assert_close(after, kept * c)

    @pytest.mark.parametrize(("ndim", "count"), [(2, 18_496), (3, 55_360)])
    def test_parameters_of_16_to_16(self, ndim: int, count: int) -> None:
        """3ⁿ · 32 · 64 weights and 64 biases."""
        cell = ConvLSTMCell(ndim=ndim, in_channels=16, hidden=16)
        assert sum(w.numel() for w in cell.parameters()) == count


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))
def test_frames_are_folded_and_unfolded(b: int, t: int, s: int) -> None:
    x = noise(b, 2, t, s, s)
    flat = fold(x)
    assert flat.shape == (b * t, 2, s, s)
    assert torch.equal(flat[t - 1], x[0, :, t - 1])
    assert torch.equal(unfold(flat, t), x)


class TestSequence:
    def test_the_layer_is_the_cell_from_frame_to_frame(self) -> None:
        torch.manual_seed(0)
        layer, x = ConvLSTM(ndim=2, in_channels=2, hidden=3), noise(2, 2, 4, 5, 6)
        state = None
        for t, h in enumerate(layer(x).unbind(2)):
            state = layer.cell(x[:, :, t], state)
            torch.testing.assert_close(h, state[0])

    def test_a_frame_knows_of_those_before_it_alone(self) -> None:
        torch.manual_seed(0)
        layer, x = ConvLSTM(ndim=2, in_channels=1, hidden=2), noise(1, 1, 5, 4, 4)
        other = x.clone()
        other[:, :, 3] += 1
        one, two = layer(x), layer(other)
        assert torch.equal(one[:, :, :3], two[:, :, :3])
        assert not torch.isclose(one[:, :, 3:], two[:, :, 3:]).all(dim=2).any()

    def test_there_and_back_every_frame_knows_all(self) -> None:
        torch.manual_seed(0)
        layer, x = BiConvLSTM(ndim=2, in_channels=1, hidden=2), noise(1, 1, 5, 4, 4)
        other = x.clone()
        other[:, :, 3] += 1
        apart = (layer(x) != layer(other)).flatten(3).any(3)[0]  # (2·H, T)
        assert torch.equal(apart[:2].any(0), torch.tensor([0, 0, 0, 1, 1]).bool())
        assert torch.equal(apart[2:].any(0), torch.tensor([1, 1, 1, 1, 0]).bool())

    @pytest.mark.parametrize("ndim", [2, 3])
    def test_time_run_backwards_swaps_the_two_halves(self, ndim: int) -> None:
        """With their weights swapped too, the mirrored answer is the answer mirrored."""
        torch.manual_seed(0)
        layer = BiConvLSTM(ndim=ndim, in_channels=2, hidden=3)
        swapped = BiConvLSTM(ndim=ndim, in_channels=2, hidden=3)
        swapped.forwards.load_state_dict(layer.backwards.state_dict())
        swapped.backwards.load_state_dict(layer.forwards.state_dict())
        x = noise(1, 2, 4, *(3,) * ndim)
        there, back = layer(x), swapped(x.flip(2)).flip(2)
        torch.testing.assert_close(back, there.roll(3, dims=1))


def built(**options: object) -> nn.Module:
    torch.manual_seed(0)
    small = {"widths": (4, 6, 8), "norm": "instance", "hidden": 3}
    return create_model(
        "unet-convlstm", ndim=2, in_channels=1, classes=2, options={**small, **options}
    ).eval()


class TestNet:
    @pytest.mark.parametrize(
        ("memory", "first", "last"),
        [("both", 0, 5), ("forward", 2, 5), ("none", 2, 3)],
    )
    def test_which_frames_a_frame_is_heard_in(
        self, memory: str, first: int, last: int
    ) -> None:
        net, x = built(memory=memory), noise(1, 1, 5, 8, 8)
        other = x.clone()
        other[:, :, 2] += 1
        with torch.inference_mode():
            apart = (net(x) != net(other)).flatten(3).any(3).any(1)[0]
        assert torch.equal(apart.nonzero()[:, 0], torch.arange(first, last))

    def test_without_memory_it_is_the_net_on_each_frame(self) -> None:
        net, x = built(memory="none"), noise(2, 1, 3, 9, 7)
        with torch.inference_mode():
            one_by_one = [net(x[:, :, t : t + 1]) for t in range(3)]
            torch.testing.assert_close(net(x), torch.cat(one_by_one, 2))

    def test_the_unet_is_the_same_with_and_without_memory(self) -> None:
        """So that the second stage can take over what the first has learnt."""
        alone, with_memory = (
            {k: v.shape for k, v in built(memory=m).state_dict().items()}
            for m in ("none", "both")
        )
        more = {k for k in with_memory if k not in alone}
        assert more
        assert {k.partition(".")[0] for k in more} == {"memory"}
        changed = {k for k in alone if alone[k] != with_memory[k]}
        assert changed == {"head.weight"}

    def test_memory_at_a_coarser_level(self) -> None:
        net = built(level=1)
        seen: list[Tensor] = []
        net.memory.register_forward_hook(lambda _, __, out: seen.append(out))  # type: ignore[union-attr]
        with torch.inference_mode():
            assert net(noise(1, 1, 2, 8, 12)).shape == (1, 2, 2, 8, 12)
        assert seen[0].shape == (1, 6, 2, 4, 6)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"level": 2}, "level must be in 0 … 1"),
            ({"level": 1, "hidden": 4}, "8 chan"),
        ],
    )
    def test_a_level_that_cannot_be_is_refused(
        self, options: dict[str, object], says: str
    ) -> None:
        with pytest.raises(InputError, match=says):
            built(**options)

    def test_an_image_without_frames_is_refused_in_words(self) -> None:
        with pytest.raises(InputError, match=r"over time, \(B, 1, t, y, x\)"):
            built()(noise(1, 1, 8, 8))
