"""How the learning rate moves, and when there is nothing more to gain.

Each is a function of the step, or of the validation scores so far, and of nothing else: a
run that is taken up again goes on as it would have gone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from src_models.training.config import Schedule

LEAST = 1e-3


def factor_of(plan: Schedule, step: int, scores: Sequence[float]) -> float:
    """Times the plan's learning rate, in (0, 1], at a step (0-based) of the whole run.

    `scores`: the validation Dice of each finished epoch.
    """
    if step < plan.warmup:
        return (step + 1) / (plan.warmup + 1)
    if plan.schedule == "plateau":
        return plateau(scores, patience=plan.plateau, factor=plan.plateau_factor)
    total = plan.epochs * plan.steps
    if plan.schedule == "poly":
        return poly(step, total=total, warmup=plan.warmup, power=plan.power)
    return warm_cosine(step, total=total, warmup=plan.warmup)


def warm_cosine(step: int, *, total: int, warmup: int) -> float:
    """Factor in (0, 1]: a linear rise over `warmup` steps, then half a cosine to ~0.

    References
    ----------
    Loshchilov & Hutter, "SGDR", ICLR 2017, section 3, eq. 5, without restarts.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return max(LEAST, 0.5 * (1 + math.cos(math.pi * _along(step, total, warmup))))


def poly(step: int, *, total: int, warmup: int, power: float = 0.9) -> float:
    """Factor in (0, 1]: a linear rise over `warmup` steps, then (1 − t)^power.

    References
    ----------
    Chen et al., "DeepLab", TPAMI 2018, section 4.1.1.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return max(LEAST, math.pow(1 - _along(step, total, warmup), power))


def plateau(scores: Sequence[float], *, patience: int, factor: float) -> float:
    """Factor in (0, 1]: a `factor` for each `patience` epochs in a row without a gain."""
    drops, best, waited = 0, -math.inf, 0
    for score in scores:
        waited += 1
        if score > best:
            best, waited = score, 0
        elif waited == patience:
            drops, waited = drops + 1, 0
    return max(LEAST, math.pow(factor, drops))


def since_best(scores: Sequence[float]) -> int:
    """Epochs since the best one (the first of equals); 0 without any."""
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0


def _along(step: int, total: int, warmup: int) -> float:
    """Share of the way from the warm-up's end to the last step, in 0..1."""
    return min(1.0, (step - warmup) / max(1, total - warmup))
