"""Losses: worked by hand, against MONAI, laws, and the cases where they break."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import DiceLoss
from torch import Tensor

from src_models.errors import InputError
from src_models.losses import LOSSES, loss_by_name
from src_models.losses.overlap import dice_loss
from src_models.losses.pixel import cross_entropy

P = torch.tensor([0.9, 0.6, 0.3, 0.2])  # of the structure, in four pixels
G = torch.tensor([[1, 1, 0, 0]])


def logits_of(p: Tensor) -> Tensor:
    """(1, 2, n) logits whose softmax gives `p` to class 1."""
    return torch.stack([torch.zeros_like(p), torch.logit(p)])[None]


def draw(seed: int, classes: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn((2, classes, *shape), generator=random) * 3
    return logits, torch.randint(classes, (2, *shape), generator=random)


def test_cross_entropy_by_hand() -> None:
    # −(ln .9 + ln .6 + ln .7 + ln .8) / 4
    assert cross_entropy(logits_of(P), G).item() == pytest.approx(0.29900, abs=5e-6)


@pytest.mark.parametrize(
    ("smooth", "wanted"),
    [
        (1e-9, 0.25),  # 1 − 2·1.5 / (2 + 2)
        (1.0, 0.2),  # 1 − (3 + 1) / (4 + 1)
    ],
)
def test_dice_by_hand(smooth: float, wanted: float) -> None:
    assert dice_loss(logits_of(P), G, smooth=smooth).item() == pytest.approx(wanted)


def test_dice_sums_over_the_batch() -> None:
    logits = torch.cat(
        [logits_of(torch.tensor([0.9, 0.8])), logits_of(torch.tensor([0.1, 0.1]))]
    )
    truth = torch.tensor([[1, 1], [0, 0]])
    # 1 − 2·1.7 / (1.9 + 2); image by image it would be .54052
    loss = dice_loss(logits, truth, smooth=1e-9)
    assert loss.item() == pytest.approx(0.12820, abs=1e-5)


def test_an_absent_structure_learns_to_be_absent() -> None:
    p = P.clone().requires_grad_()
    loss = dice_loss(logits_of(p), torch.zeros_like(G))
    loss.backward()
    assert loss.item() == pytest.approx(1 - 1 / 3)  # Σp = 2
    assert torch.allclose(p.grad, torch.full((4,), 1 / 9), atol=1e-5)


def test_both_empty_is_no_loss() -> None:
    empty = torch.stack([torch.full((4,), 50.0), torch.full((4,), -50.0)])[None]
    assert dice_loss(empty, torch.zeros_like(G)).item() == pytest.approx(0, abs=1e-6)


def test_perfect_is_no_loss() -> None:
    perfect = torch.stack([100.0 * (G[0] == 0), 100.0 * (G[0] == 1)])[None]
    assert loss_by_name("dice + ce")(perfect, G).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shape", [(7,), (6, 5), (4, 3, 5)], ids=str)
@pytest.mark.parametrize("classes", [2, 5])
def test_dice_is_monais(classes: int, shape: tuple[int, ...]) -> None:
    logits, truth = draw(0, classes, shape)
    oracle = DiceLoss(
        include_background=False,
        to_onehot_y=True,
        softmax=True,
        batch=True,
        smooth_nr=1.0,
        smooth_dr=1.0,
    )
    torch.testing.assert_close(dice_loss(logits, truth), oracle(logits, truth[:, None]))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("height", [1e4, -1e4])
@pytest.mark.parametrize("value", [0, 1, 2])
def test_gradients_stay_finite(name: str, height: float, value: int) -> None:
    logits = torch.zeros(1, 3, 4, 4)
    logits[:, 1] = height
    logits.requires_grad_()
    loss = LOSSES[name](logits, torch.full((1, 4, 4), value))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_sixteen_bit_logits_are_summed_in_thirty_two(name: str) -> None:
    logits = torch.zeros(1, 2, 300, 300, dtype=torch.float16)  # 90 000 > 65 504
    loss = LOSSES[name](logits, torch.ones(1, 300, 300, dtype=torch.int64))
    assert loss.dtype == torch.float32
    assert loss.isfinite()


@settings(max_examples=30)
@given(
    st.sampled_from(sorted(LOSSES)), st.integers(0, 10_000), st.permutations(range(12))
)
def test_the_order_of_voxels_does_not_matter(
    name: str, seed: int, order: list[int]
) -> None:
    logits, truth = draw(seed, 3, (12,))
    mixed = LOSSES[name](logits[..., order], truth[..., order])
    torch.testing.assert_close(mixed, LOSSES[name](logits, truth))


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.permutations([1, 2, 3]))
def test_the_names_of_structures_do_not_matter(seed: int, order: list[int]) -> None:
    logits, truth = draw(seed, 4, (12,))
    places = [0, *order]
    renamed = torch.tensor(places).argsort()[truth]
    for loss in LOSSES.values():
        torch.testing.assert_close(
            loss(logits[:, places], renamed), loss(logits, truth)
        )


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_bounds(seed: int) -> None:
    logits, truth = draw(seed, 3, (4, 4))
    assert 0 <= dice_loss(logits, truth) <= 1
    assert cross_entropy(logits, truth) >= 0


def test_names_add_up() -> None:
    logits, truth = draw(3, 3, (5, 5))
    both = dice_loss(logits, truth) + cross_entropy(logits, truth)
    torch.testing.assert_close(loss_by_name("dice+ce")(logits, truth), both)
    torch.testing.assert_close(
        loss_by_name(" ce ")(logits, truth), both - dice_loss(logits, truth)
    )


@pytest.mark.parametrize("names", ["dise", "dice + ", "", "dice, ce"])
def test_unknown_names_are_refused(names: str) -> None:
    with pytest.raises(InputError, match="there are ce, dice"):
        loss_by_name(names)
