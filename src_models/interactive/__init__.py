"""Click-to-segment: image, prompts and previous mask in, mask out. Wakes torch."""

from __future__ import annotations
