"""Click-to-segment: image, prompts and previous mask in, mask out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from src_models.interactive.fallback import WalkPredictor
    from src_models.interactive.predictor import ClickPredictor

__all__ = ["bench_predictor", "click_predictor"]


def click_predictor(folder: Path | None = None) -> ClickPredictor:
    """The click net in a folder, else the bundled one; bfloat16 where the CPU has it.

    Raises
    ------
    InputError
        If there is no sound click net in it.
    """
    from src_models.inference.predict import computes_half
    from src_models.interactive.predictor import ClickPredictor, Manner
    from src_models.interactive.weights import BUNDLED, load_click_net

    net, _ = load_click_net(folder or BUNDLED)
    return ClickPredictor(net, Manner(half=computes_half("cpu")))


def bench_predictor() -> ClickPredictor | WalkPredictor:
    """What a user gets: the bundled click net, or a random walk where it is absent."""
    from src_models.interactive.fallback import WalkPredictor
    from src_models.interactive.weights import BUNDLED

    return click_predictor() if BUNDLED.is_dir() else WalkPredictor()
