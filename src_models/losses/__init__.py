"""Losses: logits (B, K, *S) and integer labels (B, *S) in, one number out."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

from src_models.errors import InputError
from src_models.losses.overlap import dice_loss
from src_models.losses.pixel import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[["Tensor", "Tensor"], "Tensor"]

LOSSES: MappingProxyType[str, Loss] = MappingProxyType(
    {"ce": cross_entropy, "dice": dice_loss}
)


def loss_by_name(names: str) -> Loss:
    """The sum of losses by name, e.g. "dice + ce".

    Raises
    ------
    InputError
        If a name is not in `LOSSES`.
    """
    parts = [name.strip() for name in names.split("+")]
    for name in parts:
        if name not in LOSSES:
            raise InputError(f"no loss {name!r}; there are {', '.join(LOSSES)}")

    def total(logits_BKS: Tensor, labels_BS: Tensor) -> Tensor:
        terms = [LOSSES[name](logits_BKS, labels_BS) for name in parts]
        return sum(terms[1:], start=terms[0])

    return total
