"""Which of the answers at all scales is shown: what each promises, how they agree."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from torch import Tensor

    from src_models.interactive.net import ClickNet

    Mask = npt.NDArray[np.bool_]


class Answer(Protocol):
    """What the net says through a window of a picture or a cube of a volume.

    Attributes
    ----------
    raw, valid : (*S) float32, bool
        Logits as the net saw it; where there is something to see.
    facts : (F)
        What a judge reads of it: `net.Judge.facts`.
    side : float
        Of the view, in pixels or mm.
    """

    @property
    def raw(self) -> Tensor: ...

    @property
    def valid(self) -> Tensor: ...

    @property
    def facts(self) -> Tensor: ...

    @property
    def side(self) -> float: ...

    def agreement(self, closer: Self, /) -> float:
        """The IoU with the answer of a closer view, in that view; 1 if both are empty."""
        ...


DOUBT = 0.15  # an answer that promises so much less is e times less likely

A = TypeVar("A", bound=Answer)


def promises(net: ClickNet, looks: Sequence[A]) -> list[float]:
    """The IoU with the whole structure that each answer promises, in [0, 1].

    By the net's judge or, if it has none, by the answers' own probabilities.

    Parameters
    ----------
    looks : sequence of Answer
        At all scales, the widest first.
    """
    if net.judge is None:
        return [expected_iou(one.raw, one.valid) for one in looks]
    with torch.inference_mode():
        found: list[float] = net.judge(judged_by(looks)).sigmoid().tolist()
    return found


def judged_by(looks: Sequence[A]) -> Tensor:
    """What a judge reads of answers at all scales, the widest first: (looks, F + 3).

    The net's own facts; how often the view is halved; the IoU with the next wider answer
    and with the next narrower one, where both look, −1 if there is none.
    """
    halved = [np.log2(looks[0].side / one.side) for one in looks]
    alike = [wide.agreement(close) for wide, close in pairwise(looks)]
    view = np.stack([halved, [-1.0, *alike], [*alike, -1.0]], 1).astype(np.float32)
    facts = torch.stack([one.facts for one in looks])
    return torch.cat([facts, torch.from_numpy(view)], 1)


def overlap(one: Mask, other: Mask) -> float:
    """The IoU of two masks; 1 if both are empty."""
    both = np.count_nonzero(one & other)
    either = np.count_nonzero(one) + np.count_nonzero(other) - both
    return both / either if either else 1.0


def most_agreed(promised: Sequence[float], masks: Sequence[Mask]) -> int:
    """Which of the answers has the greatest IoU to be expected with the structure.

    As if one of the answers were the structure, each the likelier the more it promises:
    minimum Bayes risk (Kumar & Byrne, NAACL 2004). The one that promises most, unless
    others that promise little less agree with each other.

    Parameters
    ----------
    promised : sequence of float
        The IoU with the structure that each answer promises, in [0, 1].
    masks : sequence of (y, x) bool
        The answers.
    """
    odds = np.exp((np.array(promised) - max(promised)) / DOUBT)
    odds /= odds.sum()
    alike = np.eye(len(masks))
    for i, j in combinations(range(len(masks)), 2):
        alike[i, j] = alike[j, i] = overlap(masks[i], masks[j])
    return int(np.argmax(alike @ odds))


def expected_iou(logits: Tensor, valid: Tensor) -> float:
    """The IoU that an answer expects of itself, in [0, 1]; 0 of an empty one.

    Of probabilities p that are true: the sum of p inside the mask over the mask's size
    and the sum of p beyond it. Only where `valid`.
    """
    p = logits.sigmoid()
    mask = valid & (p > 0.5)
    beyond = float(p[valid & ~mask].sum())
    return float(p[mask].sum()) / (int(mask.sum()) + beyond) if mask.any() else 0.0
