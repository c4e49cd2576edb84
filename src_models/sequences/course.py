"""A net that reads clips, and one taught frame by frame beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from src_models.data.loader import Key
from src_models.sequences.clips import maker_of_clips, over_time
from src_models.sequences.propagate import annotated_frames
from src_models.training.turns import BASELINE, FOR_USE, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from src_models.card import NetSpec
    from src_models.data.cases import Case
    from src_models.data.loader import BatchMaker
    from src_models.training.config import Recipe

Made = dict[str, tuple["Tensor", "Tensor"]]
SINGLE = {"memory": "none"}  # options of a net that reads an order: it by itself


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What both nets are shown, and how they are judged.

    Attributes
    ----------
    singles, clips : BatchMaker
        Of annotated frames; of windows with one of them in the middle.
    frames : int
        Single frames in a step.
    weights : sequence of float
        Of a clip's frames.
    before : int
        Epochs at the start without clips.
    """

    recipe: Recipe
    singles: BatchMaker
    clips: BatchMaker
    frames: int
    weights: Sequence[float]
    before: int = 0

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        cases: Sequence[Case],
        filled: Sequence[Case],
        *,
        frames: int,
        weights: Sequence[float],
        before: int = 0,
    ) -> Course:
        """`cases` as annotated; `filled`, the same with labels in more frames."""
        marks = [annotated_frames(case) for case in cases]
        size = recipe.patches.size
        return cls(
            recipe,
            maker_of_clips(recipe, cases, marks, (1, *size[1:]), seed=1),
            maker_of_clips(recipe, filled, marks, size, seed=0),
            frames,
            weights,
            before,
        )

    def make(self, key: Key) -> Made:
        """Images and labels of a step."""
        images, labels, _ = self.singles.make(
            Key(key.epoch, key.step, range(self.frames))
        )
        made = {"singles": (images, labels)}
        if key.epoch > self.before:
            images, labels, _ = self.clips.make(key)
            made["clips"] = images, labels
        return made

    def turns(
        self, nets: Mapping[str, nn.Module], made: Made, key: Key
    ) -> Iterator[Turn]:
        """First that of the net beside; then, once there are clips, of that for use."""
        images, labels = made["singles"]
        loss = over_time(self.recipe, nets[BASELINE](images), labels, (1.0,), key.epoch)
        yield Turn((BASELINE,), loss)
        if "clips" in made:
            images, labels = made["clips"]
            said = nets[FOR_USE](images)
            loss = over_time(self.recipe, said, labels, self.weights, key.epoch)
            yield Turn((FOR_USE,), loss)


def frame_by_frame(recipe: Recipe) -> NetSpec:
    """The same net without its memory."""
    options = {**recipe.net.options, **SINGLE}
    return recipe.net.model_copy(update={"options": options})


@torch.no_grad()
def take_over(net: nn.Module, learnt: nn.Module) -> None:
    """Give a net the weights and statistics of another, where both have the same."""
    there = learnt.state_dict()
    for name, own in net.state_dict().items():
        if name in there and there[name].shape == own.shape:
            own.copy_(there[name])
