"""How the learning rate moves."""

from __future__ import annotations

import math


def warm_cosine(step: int, *, total: int, warmup: int) -> float:
    """Factor in (0, 1]: a linear rise over `warmup` steps, then half a cosine to ~0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    along = (step - warmup) / max(1, total - warmup)
    return max(1e-3, 0.5 * (1 + math.cos(math.pi * min(1.0, along))))
