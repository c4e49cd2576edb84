"""Click-to-segment: image, prompts and previous mask in, mask out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from src_models.interactive.fallback import WalkPredictor
    from src_models.interactive.predictor import ClickPredictor
    from src_models.interactive.volume import VolumePredictor

__all__ = ["bench_predictor", "click_predictor", "volume_predictor"]


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


def volume_predictor(folder: Path | None = None) -> VolumePredictor:
    """The click net of volumes in a folder, else the bundled one.

    Raises
    ------
    InputError
        If there is no sound click net of volumes in it.
    """
    from src_models.errors import InputError
    from src_models.inference.predict import computes_half
    from src_models.interactive.volume import VolumeManner, VolumePredictor
    from src_models.interactive.weights import BUNDLED_3D, load_click_net

    net, card = load_click_net(folder or BUNDLED_3D)
    if card.ndim != 3:
        raise InputError(f"{folder}: a click net of pictures, wanted one of volumes")
    return VolumePredictor(net, VolumeManner(half=computes_half("cpu")))
