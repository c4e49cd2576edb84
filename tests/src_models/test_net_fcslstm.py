"""FCSLSTM: gates by hand, memory at every level, no knowledge of what comes after."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from src_models.catalog import create_model
from src_models.nets.fcslstm import FCSLSTM, LSTMBlock


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def built(**options: object) -> FCSLSTM:
    torch.manual_seed(0)
    small = {"widths": (3, 4, 5, 6, 7), "fc_width": 8, "fc_kernel": 3, "dropout": 0}
    net = create_model(
        "fcslstm", ndim=2, in_channels=1, classes=2, options={**small, **options}
    )
    assert isinstance(net, FCSLSTM)
    return net.eval()


class TestBlock:
    @pytest.mark.parametrize("depth", [1, 2, 3])
    def test_it_is_an_lstm_cell_of_four_clones(self, depth: int) -> None:
        """The equations, gate by gate, with the convolutions of the clones."""
        torch.manual_seed(0)
        block = LSTMBlock(ndim=2, in_channels=2, hidden=3, depth=depth)
        x = noise(2, 2, 3, 6, 5)
        h = c = torch.zeros(2, 3, 6, 5)
        weights, bias = block.held.weight.chunk(4), block.held.bias.chunk(4)  # type: ignore[union-attr]
        for t, found in enumerate(block(x).unbind(2)):
            gates = [
                clone(x[:, :, t]) + nn.functional.conv2d(h, w, b)
                for clone, w, b in zip(block.given, weights, bias, strict=True)
            ]
            i, f, o = (gate.sigmoid() for gate in gates[:3])
            c = f * c + i * gates[3].tanh()
            h = o * c.tanh()
            torch.testing.assert_close(found, h)

    def test_each_gate_has_a_whole_block_of_its_own(self) -> None:
        block = LSTMBlock(ndim=2, in_channels=2, hidden=3, depth=3)
        for clone in block.given:
            kinds = [type(layer) for layer in clone]  # type: ignore[arg-type]
            assert kinds == [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.Conv2d]
        names = {id(weights) for weights in block.given.parameters()}
        assert len(names) == 4 * 3 * 2

    def test_a_gate_can_close(self) -> None:
        """Below 0 before the sigmoid, as it could not be behind a ReLU."""
        torch.manual_seed(0)
        block = LSTMBlock(ndim=2, in_channels=1, hidden=2, depth=2)
        assert block.given[0](noise(1, 1, 8, 8)).min() < 0


class TestNet:
    def test_a_visit_knows_of_those_before_it_alone(self) -> None:
        net, x = built(), noise(1, 1, 5, 32, 32)
        other = x.clone()
        other[:, :, 2] += 1
        with torch.inference_mode():
            apart = (net(x) != net(other)).flatten(3).any(3).any(1)[0]
        assert apart.tolist() == [False, False, True, True, True]

    def test_every_level_remembers(self) -> None:
        """With the same visit twice, the second state is not the first, anywhere."""
        net, x = built(), noise(1, 1, 1, 64, 64).expand(1, 1, 2, 64, 64)
        states: list[Tensor] = []
        for level in net.levels:
            level.register_forward_hook(lambda _, __, out: states.append(out))
        with torch.inference_mode():
            net(x)
        assert [tuple(h.shape[3:]) for h in states] == [
            (64 >> n,) * 2 for n in range(5)
        ]
        for h in states:
            assert not torch.allclose(h[:, :, 0], h[:, :, 1], atol=1e-4)

    def test_without_memory_each_visit_begins_anew(self) -> None:
        net, alone, x = built(), built(memory="none"), noise(2, 1, 3, 20, 33)
        alone.load_state_dict(net.state_dict())
        with torch.inference_mode():
            first = [net(x[:, :, t : t + 1]) for t in range(3)]
            torch.testing.assert_close(alone(x), torch.cat(first, 2))

    def test_the_scores_of_three_levels_are_summed(self) -> None:
        """With two of the three at 0, what is left is that of the third."""
        net, x = built(), noise(1, 1, 2, 32, 32)
        parts = []
        for kept in range(3):
            one = built()
            one.load_state_dict(net.state_dict())
            heads = [one.score[-1], *one.skip_score]
            for at, head in enumerate(heads):
                if at != kept:
                    nn.init.zeros_(head.weight)  # type: ignore[arg-type]
                    nn.init.zeros_(head.bias)  # type: ignore[arg-type]
            with torch.inference_mode():
                parts.append(one(x))
        with torch.inference_mode():
            torch.testing.assert_close(net(x), sum(parts), rtol=1e-4, atol=1e-5)
