"""The one error a user can cause, for layers and panels too."""

from __future__ import annotations

from src_models.errors import InputError

__all__ = ["InputError"]
