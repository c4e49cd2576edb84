"""Small runs of a click net."""

from __future__ import annotations

from typing import Any

import torch

from src_models.interactive.net import Judge
from src_models.training.click_config import ClickRecipe


def recipe(*cycles: int, ndim: int = 2, **train: Any) -> ClickRecipe:
    """A recipe of a tiny net on the made-up sets "discs" and "slabs"."""
    return ClickRecipe.model_validate(
        {
            "name": "tiny",
            "split": {"validation": 0.1, "locked": 0.1},
            "net": {
                "ndim": ndim,
                "widths": [8, 16],
                "depth": [1, 1],
                "attention": 1,
                "judge": True,
            },
            "samples": {"size": 32 if ndim == 2 else 16},
            "train": {
                "batch": 2,
                "cycles": cycles or (4,),
                "warmup": 1,
                "learning_rate": 3e-3,
                "ema": 0.5,
                "judged": 4,
                **train,
            },
            "sets": [
                {
                    "folder": name,
                    "images": "",
                    "labels": "",
                    "licence": "",
                    "credit": "",
                }
                for name in ("discs", "slabs")
            ],
        }
    )


class FirstFact(Judge):
    """Promises the first of the facts."""

    def __init__(self) -> None:
        super().__init__(0)

    def forward(self, facts_BF: torch.Tensor) -> torch.Tensor:
        return torch.logit(facts_BF[:, 0], 0.01)
