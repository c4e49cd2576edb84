"""SegReview: segment, correct, compare and fine-tune in napari."""

from __future__ import annotations

__version__ = "0.1.0"
