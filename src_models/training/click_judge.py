"""What a click net learns last: how good its first answers are, at all scales.

The net itself stands still by then. Simulated users click on structures seen through
windows of all the scales that a first answer is sought at; what the judge reads of each
answer is kept, and the judge learns from it which IoU was reached.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src_models.data.click_samples import Shares
from src_models.data.loader import ahead
from src_models.training.click_users import MEMORY, PRACTICE

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from src_models.data.click_cache import Planes
    from src_models.interactive.net import ClickNet, Judge
    from src_models.training.click_config import ClickRecipe
    from src_models.training.click_users import AnySample

MADE_UP = Shares(shapes=0.05, regions=0.05)  # few: they would deceive about scale
KEPT_BACK = 0.15  # share of the looks that say when to stop
EPOCHS = 60
PATIENCE = 8  # epochs without a gain on what was kept back
BATCH = 128
RATE = 1e-3


@dataclass(frozen=True, slots=True)
class JudgeStep:
    """First answers looked at so far."""

    number: int
    of: int


def teach_judge(
    recipe: ClickRecipe, net: ClickNet, train: Sequence[Planes]
) -> Generator[JudgeStep, None, None]:
    """Give the net's judge its weights; nothing if it has none."""
    if net.judge is None:
        return
    facts, reached = [], []
    plan, practice = recipe.train, PRACTICE[net.ndim]
    size = recipe.samples.final_size or recipe.samples.size
    source = practice.source(train, size, MADE_UP, first=True)
    batches = range(1, max(1, plan.looks // plan.batch) + 1)

    def draw(number: int) -> list[AnySample]:
        random = np.random.default_rng([plan.seed, number, 2])
        return [source.draw(random) for _ in range(plan.batch)]

    for number, samples in zip(batches, ahead(draw, batches, workers=1), strict=True):
        found = first_answers(net, samples, [plan.seed, number, 3], plan.precision)
        facts.append(found[0])
        reached.append(found[1])
        yield JudgeStep(number * plan.batch, len(batches) * plan.batch)
    fit_judge(net.judge, torch.cat(facts), torch.cat(reached), plan.seed)


@torch.no_grad()
def first_answers(
    net: ClickNet, samples: Sequence[AnySample], seed: Sequence[int], precision: str
) -> tuple[Tensor, Tensor]:
    """Facts of the answers to a click each, (B, F), and the IoU reached, (B)."""
    random = np.random.default_rng(seed)
    users = [PRACTICE[net.ndim].user(sample) for sample in samples]
    for user in users:
        user.click(random)
    weight = next(net.parameters())
    x_BCS = torch.from_numpy(np.stack([user.seen() for user in users]))
    x_BCS = x_BCS.to(weight.device, memory_format=MEMORY[net.ndim])
    half = precision == "bf16"
    with torch.autocast(weight.device.type, torch.bfloat16, enabled=half):
        logits_BS, facts_BF = net.answer_and_facts(x_BCS)
    truth = torch.from_numpy(np.stack([sample.target for sample in samples]))
    hidden = torch.tensor([sample.hidden for sample in samples])
    return facts_BF.cpu(), reached_iou(logits_BS.cpu(), truth, hidden)


def reached_iou(logits_BS: Tensor, truth_BS: Tensor, hidden_B: Tensor) -> Tensor:
    """IoU with the whole structure, of which `hidden_B` pixels are not shown: (B)."""
    mask = logits_BS > 0
    both = (mask & truth_BS).flatten(1).sum(1)
    either = (mask | truth_BS).flatten(1).sum(1) + hidden_B
    return both / either.clamp(min=1)


def fit_judge(judge: Judge, facts_NF: Tensor, reached_N: Tensor, seed: int) -> float:
    """Learn the IoU reached from the facts; returns the mean error on those kept back.

    From the beginning, whatever it knew. Cross-entropy; the weights of the best epoch on
    what was kept back stay.
    """
    device = next(judge.parameters()).device
    facts_NF, reached_N = facts_NF.float().to(device), reached_N.float().to(device)
    random = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    judge.requires_grad_(True)
    judge.score.apply(_afresh)
    order = torch.randperm(len(facts_NF), generator=random)
    count = max(1, int(KEPT_BACK * len(order)))
    back, rest = order[:count], order[count:] if len(order) > 1 else order
    judge.mean.copy_(facts_NF[rest].mean(0))
    judge.std.copy_(facts_NF[rest].std(0, correction=0).clamp(min=1e-3))
    optimizer = torch.optim.AdamW(judge.parameters(), RATE, weight_decay=0.05)
    best, waited, kept = float("inf"), 0, deepcopy(judge.state_dict())
    for _ in range(EPOCHS):
        shuffled = rest[torch.randperm(len(rest), generator=random)]
        for batch in torch.split(shuffled, BATCH):
            loss = F.binary_cross_entropy_with_logits(
                judge(facts_NF[batch]), reached_N[batch]
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            promise = judge(facts_NF[back])
            now = float(F.binary_cross_entropy_with_logits(promise, reached_N[back]))
        waited = 0 if now < best else waited + 1
        if now < best:
            best, kept = now, deepcopy(judge.state_dict())
        if waited == PATIENCE:
            break
    judge.load_state_dict(kept)
    judge.requires_grad_(False)
    with torch.no_grad():
        return float((judge(facts_NF[back]).sigmoid() - reached_N[back]).abs().mean())


def _afresh(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        layer.reset_parameters()
