"""Staying close to an earlier model: by hand, and what holds whatever the logits are."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src_models.training.distil import distil


def logits(*probabilities: float) -> torch.Tensor:
    """One voxel."""
    return torch.tensor(probabilities).log().reshape(1, -1, 1)


def label(*values: int) -> torch.Tensor:
    return torch.tensor([values])


def test_by_hand() -> None:
    """¼ ln(¼ / ½) + ¾ ln(¾ / ½), of one voxel of a structure."""
    wanted = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    found = distil(logits(0.5, 0.5), logits(0.25, 0.75), label(1))
    assert found.item() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("truth", [0, -1, 2])
def test_where_it_was_wrong_or_nothing_is_known_it_is_no_target(truth: int) -> None:
    found = distil(logits(0.5, 0.2, 0.3), logits(0.25, 0.75), label(truth))
    assert found.item() == 0


def test_it_is_a_mean_over_the_structures_not_over_the_image() -> None:
    """Four voxels of a structure; any amount of background beside them."""
    one = torch.cat([logits(0.5, 0.5)] * 4, dim=2)
    earlier = torch.cat([logits(1e-6, 1 - 1e-6)] * 4, dim=2)
    sure = torch.cat([logits(1 - 1e-7, 1e-7)] * 96, dim=2)
    alone = distil(one, earlier, label(1, 1, 1, 1))
    both = (torch.cat([x, sure], dim=2) for x in (one, earlier))
    among = distil(*both, label(*[1] * 4, *[0] * 96))
    assert alone.item() == pytest.approx(math.log(2), abs=1e-4)
    assert among.item() == pytest.approx(alone.item(), abs=1e-4)


def test_new_classes_are_part_of_what_was_background() -> None:
    """0.6 of background, divided into 0.1 of background and two new classes."""
    found = distil(logits(0.1, 0.4, 0.3, 0.2), logits(0.6, 0.4), label(0))
    assert found.item() == pytest.approx(0, abs=1e-6)
    assert distil(logits(0.6, 0.1, 0.3), logits(0.6, 0.4), label(0)).item() > 0.1


numbers = st.lists(st.floats(-8, 8), min_size=3, max_size=3)


@given(numbers, numbers, st.floats(-5, 5), st.integers(-1, 2))
def test_it_is_0_for_the_same_answer_and_never_less(
    one: list[float], other: list[float], shift: float, truth: int
) -> None:
    a, b = (torch.tensor(v).reshape(1, 3, 1) for v in (one, other))
    assert distil(a, b, label(truth)).item() >= -1e-5
    same = distil(b + shift, b, label(truth)).item()
    assert same == pytest.approx(0, abs=1e-5)


def test_its_gradient_leads_back_to_the_earlier_answer() -> None:
    earlier = logits(0.2, 0.5, 0.3)
    mine = torch.zeros(1, 4, 1, requires_grad=True)  # a fourth class is new
    for _ in range(300):
        (slope,) = torch.autograd.grad(distil(mine, earlier, label(1)), mine)
        mine = (mine - slope).detach().requires_grad_()
    p = mine.softmax(dim=1).flatten()
    assert p[1:3].tolist() == pytest.approx([0.5, 0.3], abs=1e-3)
    assert (p[0] + p[3]).item() == pytest.approx(0.2, abs=1e-3)


def test_no_class_can_be_forgotten() -> None:
    with pytest.raises(ValueError, match="2 classes cannot answer for 3"):
        distil(logits(0.5, 0.5), logits(0.2, 0.3, 0.5), label(1))
