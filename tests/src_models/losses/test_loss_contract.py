"""What every row of the table must do."""

from __future__ import annotations

import inspect

import pytest
import torch
from toys import draw, loss_of, maps_of

from src_models.data.maps import MAPS
from src_models.losses import IGNORE, LOSSES, LossCard, loss_by_name


def check_gradient(logits: torch.Tensor, loss: torch.Tensor) -> torch.Tensor:
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    return logits.grad


@pytest.mark.parametrize("card", LOSSES.values(), ids=lambda card: card.name)
class TestEveryLoss:
    def test_the_row_is_what_the_function_takes(self, card: LossCard) -> None:
        keywords = [
            one
            for one in inspect.signature(card.function).parameters.values()
            if one.kind == one.KEYWORD_ONLY
        ]
        maps = [one.name for one in keywords if one.default is one.empty]
        options = {one.name: one.default for one in keywords if one.name not in maps}
        assert tuple(maps) == card.maps
        assert set(maps) <= set(MAPS)
        assert set(options) == set(card.options)
        for name, default in options.items():
            assert card.options[name].fits(default)
        assert card.reference.startswith("https://")
        assert card.when.endswith(".")

    @pytest.mark.parametrize("classes", [2, 5])
    @pytest.mark.parametrize("shape", [(6, 5), (4, 3, 5)], ids=["2D", "3D"])
    def test_is_a_finite_number_above_its_bound(
        self, card: LossCard, shape: tuple[int, ...], classes: int
    ) -> None:
        logits, labels = draw(0, classes, shape, ignored=0.2)
        logits.requires_grad_()
        loss = loss_of(card.name, logits, labels)
        assert loss.shape == ()
        assert loss.dtype == torch.float32
        gradient = check_gradient(logits, loss)
        assert gradient.any()
        assert not gradient.movedim(1, -1)[labels == IGNORE].any()
        if card.lowest is not None:
            assert loss >= card.lowest

    @pytest.mark.parametrize("classes", [2, 4])
    def test_learns(self, card: LossCard, classes: int) -> None:
        _, labels = draw(1, classes, (6, 6))
        logits = torch.zeros(2, classes, 6, 6, requires_grad=True)
        optimizer = torch.optim.Adam([logits], lr=0.2)
        losses = []
        for _ in range(21):
            loss = loss_of(card.name, logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0] - 0.1 * abs(losses[0])
        assert (logits.argmax(1) == labels).float().mean() > 0.9

    @pytest.mark.parametrize("height", [1e4, -1e4])
    @pytest.mark.parametrize("value", [0, 1, 2, IGNORE])
    @pytest.mark.parametrize("side", [1, 4])
    def test_extremes(
        self, card: LossCard, height: float, value: int, side: int
    ) -> None:
        logits = torch.zeros(1, 3, side, side)
        logits[:, 1] = height
        logits.requires_grad_()
        labels = torch.full((1, side, side), value)
        loss = loss_of(card.name, logits, labels)
        gradient = check_gradient(logits, loss)
        if value == IGNORE:
            assert loss == 0
            assert not gradient.any()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_is_summed_in_single(
        self, card: LossCard, dtype: torch.dtype
    ) -> None:
        logits, labels = draw(2, 3, (8, 8))
        half = logits.to(dtype).requires_grad_()
        loss = loss_of(card.name, half, labels)
        torch.testing.assert_close(loss, loss_of(card.name, half.float(), labels))
        check_gradient(half, loss)

    def test_many_voxels_do_not_overflow_half_precision(self, card: LossCard) -> None:
        logits = torch.zeros(1, 2, 300, 300, dtype=torch.float16)  # 90 000 > 65 504
        labels = torch.ones(1, 300, 300, dtype=torch.int64)
        assert loss_of(card.name, logits, labels).isfinite()

    def test_autocast_changes_nothing(self, card: LossCard) -> None:
        logits, labels = draw(3, 4, (8, 8), ignored=0.1)
        plain = loss_of(card.name, logits, labels)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(loss_of(card.name, logits, labels), plain)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
    def test_any_integer_labels(self, card: LossCard, dtype: torch.dtype) -> None:
        logits, labels = draw(4, 3, (6, 6))
        torch.testing.assert_close(
            loss_of(card.name, logits, labels.to(dtype)),
            loss_of(card.name, logits, labels),
        )

    @pytest.mark.parametrize("classes", [2, 3])
    def test_the_gradient_is_that_of_the_value(
        self, card: LossCard, classes: int
    ) -> None:
        # Lovász losses have kinks, but not at random logits.
        logits, labels = draw(5, classes, (2, 4), ignored=0.2)
        maps = maps_of(card.maps, labels, classes)
        exact = logits.double().requires_grad_()
        loss = loss_by_name(card.name)
        assert loss(exact, labels, maps).dtype == torch.float64
        assert torch.autograd.gradcheck(lambda z: loss(z, labels, maps), exact)
