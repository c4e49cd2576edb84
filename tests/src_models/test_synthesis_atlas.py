"""One atlas and learnt transforms: what is alike, what is smooth, what may be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from synthetic import method_recipe, sides, state

from src_models.data.loader import Key
from src_models.errors import InputError
from src_models.progress import drain
from src_models.synthesis.atlas import Pairs, centred, chosen, fit
from src_models.synthesis.options import LearnedTransforms
from src_models.synthesis.registration import (
    colour_net,
    flow_net,
    inside,
    roughness,
    unlike,
)
from src_models.training.turns import FOR_USE

if TYPE_CHECKING:
    from pathlib import Path

NAME = "learned-transforms"


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class TestAlike:
    @pytest.mark.parametrize("shape", [(12, 12), (8, 8, 8)])
    def test_a_linear_change_of_grey_is_alike(self, shape: tuple[int, ...]) -> None:
        image = noise(1, 1, *shape)
        assert unlike(image, image, 5) == pytest.approx(0, abs=0.01)
        assert unlike(image, 3 - 2 * image, 5) == pytest.approx(0, abs=0.01)
        assert 0.8 < unlike(image, noise(1, 1, *shape, seed=1), 7) <= 1

    def test_one_window_is_the_squared_correlation(self) -> None:
        one, other = noise(1, 1, 9, 9), noise(1, 1, 9, 9, seed=1)
        other = other + one
        # In the middle of 9 × 9 the window of 9 sees all: compare there by cropping.
        found = 1 - unlike(one[..., :1, :], other[..., :1, :], 17)
        wanted = np.corrcoef(one[0, 0, 0], other[0, 0, 0])[0, 1] ** 2
        assert float(found) == pytest.approx(wanted, abs=0.01)

    def test_flat_images_say_nothing_and_break_nothing(self) -> None:
        flat = torch.ones(1, 1, 6, 6, requires_grad=True)
        loss = unlike(flat, noise(1, 1, 6, 6), 3)
        loss.backward()
        assert float(loss.detach()) == pytest.approx(1, abs=1e-3)
        assert flat.grad is not None
        assert flat.grad.isfinite().all()


class TestSmooth:
    def test_by_hand(self) -> None:
        x = torch.tensor([[0.0, 2.0, 2.0], [0.0, 2.0, 5.0]])[None, None]
        # down: 0 0 9, mean 3; right: 4 0 4 9, mean 4.25
        assert roughness(x) == pytest.approx((3 + 4.25) / 2)
        assert roughness(torch.ones(1, 2, 3, 3)) == 0

    def test_borders_are_free(self) -> None:
        labels = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1]])
        assert inside(labels).tolist() == [[1, 0, 1, 1]] * 2
        step = labels.float()[None, None]
        assert roughness(step) > 0
        assert roughness(step, inside(labels)) == 0


def test_nets_change_nothing_at_first() -> None:
    for net, channels in (
        (flow_net("compact", 3, 1), 3),
        (colour_net("paper", 2, 2), 2),
    ):
        x = noise(1, net.in_channels, *[8] * net.ndim)
        said = net(x)
        assert said.shape == (1, channels, *x.shape[2:])
        assert said.abs().max() < 0.01


class TestAtlas:
    def test_the_first_with_every_structure(self) -> None:
        cases = list(sides().train)
        cases[0] = replace(cases[0], labels=np.zeros_like(cases[0].labels))
        assert chosen(cases, "", 2).name == "disc01"
        assert chosen(cases, "disc03", 2).name == "disc03"
        with pytest.raises(InputError, match="holds a structure"):
            chosen(cases, "disc00", 2)
        with pytest.raises(InputError, match="no training case 'disc05'"):
            chosen(cases, "disc05", 2)
        with pytest.raises(InputError, match="every structure"):
            chosen(cases, "", 3)

    @pytest.mark.parametrize("size", [(4, 6), (24, 24), (31, 50)])
    def test_centred(self, size: tuple[int, int]) -> None:
        case = sides().train[0]
        found = centred(case, size)
        assert found.labels.shape == size
        assert found.image.shape == (1, *size)
        if size == (24, 24):
            assert np.array_equal(found.image, case.image)
        if size == (4, 6):
            assert np.array_equal(found.labels, case.labels[10:14, 9:15])

    def test_labels_of_the_others_are_never_read(self, tmp_path: Path) -> None:
        held = sides()
        first, *rest = held.train
        swapped = [replace(one, labels=np.zeros_like(one.labels)) for one in rest]
        other = replace(held, train=(first, *swapped))
        for folder, cases in (("one", held), ("two", other)):
            drain(fit(method_recipe(NAME), cases, tmp_path / folder, accelerator="cpu"))
        one, two = state(tmp_path / "one"), state(tmp_path / "two")
        assert all(torch.equal(one[k], two[k]) for k in one)

    def test_one_epoch_is_not_enough(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="give more train"):
            drain(fit(method_recipe(NAME, epochs=1), sides(), tmp_path))


def pairs(**options: Any) -> Pairs:
    train = sides().train
    recipe = method_recipe(NAME)
    return Pairs(recipe, LearnedTransforms(**options), train[0], train[1:], before=1)


def nets() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    return {
        FOR_USE: torch.nn.Conv2d(1, 2, 1),
        "flow": flow_net("compact", 2, 1),
        "colour": colour_net("compact", 2, 1),
    }


class TestPairs:
    key = Key(1, 1, range(2))

    def test_still_nets_give_the_atlas(self) -> None:
        made, held = pairs(), nets()
        for name in ("flow", "colour"):
            torch.nn.init.zeros_(held[name].head.weight)  # type: ignore[union-attr,arg-type]
        image, labels = made.pair(held, made.make(self.key))
        torch.testing.assert_close(image[0], made.image, atol=1e-5, rtol=1e-4)
        assert torch.equal(labels[0], made.labels)

    def test_move_and_colour_are_drawn_apart(self) -> None:
        made = pairs()
        drawn = [made.make(Key(1, step, range(2))) for step in range(1, 30)]
        same = [torch.equal(one["moves"], one["colours"]) for one in drawn]
        assert not all(same)
        again = made.make(Key(1, 1, range(2)))
        assert all(torch.equal(again[k], drawn[0][k]) for k in again)

    @pytest.mark.parametrize(
        ("learn_from", "count"), [("both", 4), ("made", 2), ("atlas", 2)]
    )
    def test_what_a_step_holds(self, learn_from: str, count: int) -> None:
        made, held = pairs(learn_from=learn_from), nets()
        seen: list[int] = []
        held[FOR_USE].register_forward_hook(lambda *at: seen.append(len(at[1][0])))
        first = [turn.nets for turn in made.turns(held, made.make(self.key), self.key)]
        later = [
            turn.nets
            for turn in made.turns(held, made.make(self.key), Key(2, 1, range(2)))
        ]
        assert (first, later) == ([("flow",), ("colour",)], [(FOR_USE,)])
        assert seen == [count]

    def test_colour_leaves_the_flow_alone_and_both_learn(self) -> None:
        made, held = pairs(), nets()
        step = made.make(self.key)
        made.colouring(held, step).backward()
        assert all(p.grad is None for p in held["flow"].parameters())
        assert any(
            p.grad is not None and p.grad.any() for p in held["colour"].parameters()
        )
        made.moving(held, step).backward()
        assert any(
            p.grad is not None and p.grad.any() for p in held["flow"].parameters()
        )

    def test_the_transforms_are_learnt(self) -> None:
        """The atlas comes nearer to the scans than it was."""
        made, held = pairs(smooth=0.1), nets()
        step = made.make(self.key)
        start = float(made.moving(held, step).detach())
        optimizer = torch.optim.Adam(held["flow"].parameters(), 3e-3)
        for _ in range(60):
            optimizer.zero_grad()
            loss = made.moving(held, step)
            loss.backward()
            optimizer.step()
        assert float(loss.detach()) < 0.8 * start

    def test_random_fields_in_their_place(self) -> None:
        made = pairs(transforms="random")
        image, labels = made.pair({}, made.make(self.key))
        assert image.shape == (2, 1, 16, 16)
        assert set(labels.unique().tolist()) <= {0, 1}
        assert not torch.equal(image[0], image[1])
