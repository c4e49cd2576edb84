"""SCU-Net: blocks of slices; the BiCLSTM that reads what it says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from src_models.catalog import create_model
from src_models.errors import InputError
from src_models.nets.scu_net import FEATURES, SCUNet, likely
from src_models.outputs import Outputs


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def built(classes: int = 2, **options: object) -> SCUNet:
    torch.manual_seed(0)
    small = {"widths": ((4, 4), (6, 6)), "hidden": 3, "block": 3}
    net = create_model(
        "scu-net", ndim=3, in_channels=1, classes=classes, options={**small, **options}
    )
    assert isinstance(net, SCUNet)
    return net.eval()


class TestBlocks:
    def test_by_hand(self) -> None:
        """Each block through the U-Net, slice by slice through the shared layer."""
        net, x = built(), noise(2, 1, 6, 8, 8)
        with torch.inference_mode():
            for start in (0, 3):
                features = net.unet(x[:, 0, start : start + 3])
                assert features.shape == (2, FEATURES * 3, 8, 8)
                for at in range(3):
                    of_slice = features.unflatten(1, (FEATURES, 3))[:, :, at]
                    wanted = net.score(of_slice[:, :, None])[:, :, 0]
                    found = net.first(x)[:, :, start + at]
                    torch.testing.assert_close(found, wanted)

    @pytest.mark.parametrize("slices", [1, 2, 4, 7])
    def test_the_last_slice_is_repeated_where_blocks_do_not_come_out_even(
        self, slices: int
    ) -> None:
        net, x = built(), noise(1, 1, slices, 8, 8)
        more = torch.cat([x, *[x[:, :, -1:]] * (-slices % 3)], 2)
        with torch.inference_mode():
            torch.testing.assert_close(net.first(x), net.first(more)[:, :, :slices])

    def test_alone_it_knows_its_block_and_no_other(self) -> None:
        net, x = built(memory="none"), noise(1, 1, 6, 8, 8)
        other = x.clone()
        other[:, :, 1] += 1
        with torch.inference_mode():
            apart = (net(x) != net(other)).flatten(3).any(3).any(1)[0]
        assert apart.tolist() == [True, True, True, False, False, False]

    def test_channels_of_a_slice_stay_together(self) -> None:
        """The channels of a block are the slices of the first, then of the second."""
        seen: list[Tensor] = []
        torch.manual_seed(0)
        net = SCUNet(
            ndim=3, in_channels=2, classes=2, block=3, widths=((2, 2), (2, 2)), hidden=2
        )
        net.unet.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        x = noise(1, 2, 3, 4, 4)
        net.eval()(x)
        assert torch.equal(seen[0][0], torch.cat([x[0, 0], x[0, 1]]))

    def test_no_slice_at_all_is_no_block(self) -> None:
        with pytest.raises(InputError, match="one slice at least"):
            built(block=0)


class TestMemory:
    def test_every_slice_knows_of_all_blocks(self) -> None:
        net, x = built(), noise(1, 1, 9, 8, 8)
        other = x.clone()
        other[:, :, 4] += 1
        with torch.inference_mode():
            assert (net(x) != net(other)).flatten(3).any(3).any(1).all()

    def test_what_it_reads(self) -> None:
        net, x = built(classes=3), noise(1, 1, 5, 8, 8)
        seen: list[Tensor] = []
        net.memory.register_forward_pre_hook(  # type: ignore[union-attr]
            lambda _, args: seen.append(args[0])
        )
        with torch.inference_mode():
            net(x)
            wanted = torch.cat([x, likely(net.first(x))], 1)
        torch.testing.assert_close(seen[0], wanted)

    def test_likely_by_hand(self) -> None:
        """Of one structure the softmax; of several each against background alone."""
        logits = noise(2, 2, 3, 3)
        torch.testing.assert_close(likely(logits), logits.softmax(1)[:, 1:])
        found = likely(torch.tensor([[1.0, 1.0, 3.0, -5.0]])[..., None])
        wanted = torch.tensor([0.5, 1 / (1 + torch.e**-2), 1 / (1 + torch.e**6)])
        torch.testing.assert_close(found[0, :, 0], wanted)

    def test_the_two_learn_apart(self) -> None:
        net = built().train()
        said = net(noise(1, 1, 4, 8, 8))
        assert isinstance(said, Outputs)
        (other,) = said.auxiliary
        said.logits.square().sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
        moved = {name.partition(".")[0] for name, one in grads(net)}
        assert moved == {"memory", "answer"}
        net.zero_grad()
        other.logits.square().sum().backward()  # type: ignore[no-untyped-call]
        assert {name.partition(".")[0] for name, _ in grads(net)} == {"unet", "score"}

    def test_without_it_the_first_answer_is_the_answer(self) -> None:
        alone, net, x = built(memory="none"), built(), noise(1, 1, 4, 8, 8)
        state = net.state_dict()
        alone.load_state_dict({name: state[name] for name in alone.state_dict()})
        with torch.inference_mode():
            torch.testing.assert_close(alone(x), net.first(x))
        assert isinstance(alone.train()(x), Tensor)


def grads(net: nn.Module) -> list[tuple[str, Tensor]]:
    return [
        (name, one.grad) for name, one in net.named_parameters() if one.grad is not None
    ]
