"""A U-Net that is given a memory, taught from a few annotated frames of each sequence.

Bai et al., "Recurrent neural networks for aortic image sequence segmentation with sparse
annotations", MICCAI 2018, sections 2.2 and 2.3. https://arxiv.org/abs/1808.00273
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from src_models.catalog import create_net
from src_models.errors import InputError
from src_models.inference.windows import time_weights
from src_models.sequences.clips import sequences_of
from src_models.sequences.course import SINGLE, Course, Made, frame_by_frame, take_over
from src_models.sequences.propagate import propagated
from src_models.training.method_spec import options_of
from src_models.training.taught import method_of, segmentor_of
from src_models.training.turns import BASELINE, FOR_USE, Work, learn, one_device

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from torch import nn

    from src_models.data.cases import Case
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.sequences.options import SparseSequence
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch
    from src_models.training.turns import Turn


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """As `src_models.training.fit.fit`, on one device; the U-Net alone is taught beside.

    For the first epochs that one learns by itself, from annotated frames. Then the net
    for use takes over its weights, adds the memory, and learns from windows round
    annotated frames, to whose other frames the labels were propagated.

    Raises
    ------
    InputError
        If the net has no memory, no sequence has a labelled frame or a second one, no
        epoch is left for one of the stages, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    options: SparseSequence = options_of(method_of(recipe))
    before = _alone(recipe, options)
    cases = sequences_of(recipe, cases, options.annotated)
    filled = cases.train
    if options.propagate:
        filled = yield from _filled(recipe, cases.train, options)
    course = Course.of(
        recipe,
        cases.train,
        filled,
        frames=options.frames,
        weights=time_weights(recipe.patches.size[0], options.power).tolist(),
        before=before,
    )
    nets = {FOR_USE: segmentor_of(recipe)}
    torch.manual_seed(recipe.train.seed)
    nets[BASELINE] = create_net(frame_by_frame(recipe))

    def turns(nets: Mapping[str, nn.Module], made: Made, key: Key) -> Iterator[Turn]:
        if (key.epoch, key.step) == (before + 1, 1):
            take_over(nets[FOR_USE], nets[BASELINE])
        yield from course.turns(nets, made, key)

    work = Work(
        nets=nets,
        make=course.make,
        turns=turns,
        rate=recipe.train.learning_rate,
        before=before,
    )
    return (yield from learn(recipe, cases, run, work, fabric))


def _alone(recipe: Recipe, options: SparseSequence) -> int:
    """Epochs frame by frame; raises InputError if recipe and method do not fit."""
    before = round(options.alone * recipe.train.epochs)
    if not 0 < before < recipe.train.epochs:
        raise InputError(
            f"{recipe.name}: of {recipe.train.epochs} epochs the net learns {before} "
            "frame by frame, and the rest with its memory; give more train.epochs or "
            "another method.options.alone"
        )
    has_memory = recipe.net.options.get("memory") != SINGLE["memory"]
    if recipe.net.system != "unet-convlstm" or not has_memory:
        raise InputError(
            f"{recipe.name}: this method adds a memory to a U-Net; net.system must be "
            '"unet-convlstm", with net.options.memory "both" or "forward"'
        )
    return before


def _filled(
    recipe: Recipe, cases: tuple[Case, ...], options: SparseSequence
) -> Generator[Progress, None, tuple[Case, ...]]:
    """The cases with labels in all their frames."""
    filled = []
    for case in cases:
        whole = yield from propagated(
            case, cyclic=recipe.cyclic, jump=options.jump, spacing=options.spacing
        )
        filled.append(whole)
    return tuple(filled)
