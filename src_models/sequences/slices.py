"""SCU-Net with a term between slices, then its BiCLSTM: taught one after the other.

Li, Li, Lin & Qian, "Pancreas segmentation via spatial context based U-net and bidirectional
LSTM", 2019. https://arxiv.org/abs/1903.00832
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from src_models.catalog import create_net
from src_models.errors import InputError
from src_models.losses import IGNORE
from src_models.sequences.course import SINGLE, frame_by_frame, take_over
from src_models.training.method_spec import options_of
from src_models.training.taught import (
    check_all,
    judged,
    maker_of,
    method_of,
    segmentor_of,
)
from src_models.training.turns import (
    BASELINE,
    FOR_USE,
    Turn,
    Work,
    learn,
    one_device,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.outputs import Outputs
    from src_models.progress import Progress
    from src_models.sequences.options import SlicesInOrder
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

Made = tuple["Tensor", "Tensor", "dict[str, Tensor]"]


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """As `src_models.training.fit.fit`, on one device; SCU-Net alone is taught beside.

    For the first epochs that one learns by itself. Then the net for use takes it over as
    it is, and its BiCLSTM learns; SCU-Net beside it goes on learning to the end.

    Raises
    ------
    InputError
        If the net is another, no epoch is left for one of the two, every training volume
        has a single slice, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    check_all(recipe, cases)
    options: SlicesInOrder = options_of(method_of(recipe))
    before = round(options.alone * recipe.train.epochs)
    _check(recipe, cases, before)
    maker = maker_of(recipe, cases.train)
    nets = {FOR_USE: segmentor_of(recipe)}
    torch.manual_seed(recipe.train.seed)
    nets[BASELINE] = create_net(frame_by_frame(recipe))

    def turns(nets: Mapping[str, nn.Module], made: Made, key: Key) -> Iterator[Turn]:
        images, labels, maps = made
        if (key.epoch, key.step) == (before + 1, 1):
            take_over(nets[FOR_USE], nets[BASELINE])
        said = {BASELINE: nets[BASELINE](images)}
        if key.epoch > before:
            both: Outputs = nets[FOR_USE](images)
            said[FOR_USE] = both.logits
        for name, logits in said.items():
            loss = judged(recipe, logits, labels, key.epoch, maps)
            between = between_slices(logits, labels)
            yield Turn((name,), loss + options.between_slices * between)

    work = Work(
        nets=nets,
        make=lambda key: tuple(maker.make(key)),
        turns=turns,
        rate=recipe.train.learning_rate,
        before=before,
    )
    return (yield from learn(recipe, cases, run, work, fabric))


def _check(recipe: Recipe, cases: Split, before: int) -> None:
    """Whether there is something for both to learn, `before` epochs for SCU-Net alone."""
    if not 0 < before < recipe.train.epochs:
        raise InputError(
            f"{recipe.name}: of {recipe.train.epochs} epochs SCU-Net learns {before}, and "
            "the rest its BiCLSTM; give more train.epochs or another method.options.alone"
        )
    has_memory = recipe.net.options.get("memory") != SINGLE["memory"]
    if recipe.net.system != "scu-net" or not has_memory:
        raise InputError(
            f'{recipe.name}: this method teaches net.system = "scu-net", with '
            'net.options.memory = "both"'
        )
    if all(len(case.labels) == 1 for case in cases.train):
        raise InputError(
            f"{recipe.name}: every training volume has a single slice, so there is no "
            "order to learn; give volumes, or take a system that reads single images"
        )


def between_slices(logits_BKZS: Tensor, labels_BZS: Tensor) -> Tensor:
    """Mean |(p(z+1) − p(z)) − (y(z+1) − y(z))| over neighbours, structures and voxels.

    Voxels that are unknown in one of the two slices are left out. 0 for a single slice,
    or where nothing is known; at most 2.
    """
    p = logits_BKZS.float().softmax(1)[:, 1:]
    values = torch.arange(1, logits_BKZS.shape[1], device=labels_BZS.device)
    shape = (1, -1, *[1] * (labels_BZS.ndim - 1))
    y = (labels_BZS[:, None] == values.view(shape)).to(p.dtype)
    known = (labels_BZS != IGNORE)[:, None]
    known = known[:, :, 1:] & known[:, :, :-1]
    apart = ((p - y).diff(dim=2) * known).abs().sum()
    total: Tensor = apart / (known.sum() * p.shape[1]).clamp(min=1)
    return total
