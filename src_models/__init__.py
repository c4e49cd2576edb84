"""The zoo: nets, losses, metrics, training and inference. Arrays in, arrays out."""

from __future__ import annotations
