"""A net that reads frames, taught end to end; every known frame counts alike.

Gao et al., "Fully convolutional structured LSTM networks for joint 4D medical image
segmentation", ISBI 2018. https://doi.org/10.1109/ISBI.2018.8363764
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from src_models.card import NetSpec
from src_models.catalog import create_net
from src_models.sequences.clips import sequences_of
from src_models.sequences.course import SINGLE, Course, frame_by_frame
from src_models.training.method_spec import options_of
from src_models.training.taught import method_of, segmentor_of
from src_models.training.turns import BASELINE, FOR_USE, Work, learn, one_device

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from torch import nn

    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.sequences.options import WholeSequence
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch


def beside(recipe: Recipe) -> NetSpec:
    """A small U-Net frame by frame, or the recipe's own net without memory."""
    options: WholeSequence = options_of(method_of(recipe))
    net = recipe.net
    if options.beside == "no memory":
        return frame_by_frame(recipe)
    return NetSpec(
        system="unet-convlstm",
        ndim=net.ndim,
        in_channels=net.in_channels,
        classes=net.classes,
        options=SINGLE,
    )


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """As `src_models.training.fit.fit`, on one device; one net is taught single frames.

    Raises
    ------
    InputError
        If no sequence has a labelled frame or a second one, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    options: WholeSequence = options_of(method_of(recipe))
    cases = sequences_of(recipe, cases, options.annotated)
    course = Course.of(
        recipe,
        cases.train,
        cases.train,
        frames=options.frames,
        weights=(1.0,) * recipe.patches.size[0],
    )
    nets = {FOR_USE: segmentor_of(recipe)}
    torch.manual_seed(recipe.train.seed)
    nets[BASELINE] = create_net(beside(recipe))
    work = Work(
        nets=nets,
        make=course.make,
        turns=course.turns,
        rate=recipe.train.learning_rate,
    )
    return (yield from learn(recipe, cases, run, work, fabric))
