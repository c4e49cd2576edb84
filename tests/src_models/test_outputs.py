"""One form of auxiliary outputs: each part is judged once, on its own grid."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from src_models.losses import loss_by_name
from src_models.outputs import Auxiliary, Outputs, answer, judge, of_images, on_grid

CE = loss_by_name("ce")


def logits(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_plain_logits_are_judged_as_they_are() -> None:
    said, labels = logits(2, 3, 4, 4), torch.ones(2, 4, 4, dtype=torch.long)
    assert judge(CE, said, labels) == CE(said, labels)
    assert answer(said) is said


def test_every_part_counts_with_its_weight() -> None:
    said, labels = logits(1, 2, 4, 4), torch.ones(1, 4, 4, dtype=torch.long)
    outputs = Outputs(said, (Auxiliary(0.4, said),), penalty=torch.tensor(2.0))
    assert judge(CE, outputs, labels).item() == pytest.approx(
        1.4 * CE(said, labels).item() + 2
    )
    assert answer(outputs) is said


def test_of_some_images_alone() -> None:
    said, side = logits(3, 2, 4), logits(3, 2, 2)
    outputs = Outputs(said, (Auxiliary(0.4, side),), penalty=torch.tensor(2.0))
    found = of_images(outputs, slice(1, 2))
    assert torch.equal(answer(found), said[1:2])
    assert isinstance(found, Outputs)
    assert torch.equal(found.auxiliary[0].logits, side[1:2])
    assert found.auxiliary[0].weight == 0.4
    assert found.penalty == 2
    assert torch.equal(answer(of_images(said, slice(2))), said[:2])


def test_an_answer_that_weighs_nothing_learns_nothing() -> None:
    said = logits(1, 2, 4).requires_grad_()
    part = logits(1, 2, 4).requires_grad_()
    outputs = Outputs(said, (Auxiliary(1.0, part),), weight=0)
    judge(CE, outputs, torch.zeros(1, 4, dtype=torch.long)).backward()
    assert said.grad is None
    assert part.grad is not None


def test_a_coarser_part_meets_the_labels_of_its_grid() -> None:
    labels = torch.tensor([[0, 0, 0, 1, 1, 1]])
    coarse = torch.tensor([[[9.0, -9.0], [-9.0, 9.0]]])  # sure, and right
    outputs = Outputs(torch.zeros(1, 2, 6), (Auxiliary(1.0, coarse),), weight=0)
    assert judge(CE, outputs, labels).item() < 1e-6


def test_labels_on_another_grid_are_those_of_the_nearest_voxel() -> None:
    labels = torch.arange(12).view(1, 3, 4)
    assert on_grid(labels, (3, 4)) is labels
    assert on_grid(labels, (1, 2)).tolist() == [[[5, 7]]]  # the middles of its halves
    assert on_grid(labels, (3, 8))[0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert on_grid(labels[None], (2, 3, 4)).dtype == torch.int64
