"""A trained net over whole images."""

from __future__ import annotations

from src_models.inference.predict import Options, count_windows, predict

__all__ = ["Options", "count_windows", "predict"]
