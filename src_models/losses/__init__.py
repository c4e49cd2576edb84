"""Losses: logits (B, K, *S) and integer labels (B, *S) in, one number out."""

from __future__ import annotations

from src_models.losses.compose import Loss, loss_by_name
from src_models.losses.table import LOSSES, LossCard
from src_models.losses.voxels import IGNORE

__all__ = ["IGNORE", "LOSSES", "Loss", "LossCard", "loss_by_name"]
