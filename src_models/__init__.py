"""The zoo: nets, losses, metrics, training and inference. Arrays in, arrays out."""

from __future__ import annotations

from src_models.catalog import CARDS, create_model

__all__ = ["CARDS", "create_model"]
