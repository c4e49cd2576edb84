"""What the adversarial methods share: who learns when, and from what.

In each step the baseline learns from the batch by the recipe's loss alone; then each critic
from the labels and the segmentor's answers; then the segmentor from the recipe's loss and
from what the critics, standing still, say of the same answers.

Shape letters: B batch, C channels, K classes, S spatial axes.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from src_models.adversaries.collapse import Referee, right_answers, symptom
from src_models.errors import InputError
from src_models.losses import IGNORE
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
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    from lightning_fabric import Fabric
    from torch import Tensor, nn

    from src_models.adversaries.collapse import Symptom
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.outputs import Outputs
    from src_models.progress import Progress
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

    Nets = Mapping[str, nn.Module]

CRITIC = "critic"


@dataclass(frozen=True, slots=True)
class Game:
    """A run's recipe, cases, device, the method's options, and who looks on."""

    recipe: Recipe
    cases: Split
    fabric: Fabric
    options: Any
    referee: Referee

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        cases: Split,
        devices: tuple[str, int, int],
        critics: tuple[str, ...] = (CRITIC,),
        symptom: Symptom = symptom,
        also: tuple[str, ...] = (),
    ) -> Game:
        """Checked and ready.

        `devices`: accelerator, devices, nodes; the rest as of `Referee`.

        Raises
        ------
        InputError
            If cases, schedule or devices do not fit, or no epoch is left for the critics.
        """
        fabric = one_device(recipe, *devices)
        check_all(recipe, cases)
        options = options_of(method_of(recipe))
        alone = epochs_of(recipe, "alone", options.alone, "the critic")
        return cls(
            recipe,
            cases,
            fabric,
            options,
            Referee(critics, options, alone, symptom, also),
        )

    def play(
        self,
        run: Path,
        critics: dict[str, nn.Module],
        turns: Callable[[Nets, Any, Key], Iterator[Turn]],
        *,
        make: Callable[[Key], Any] | None = None,
        rounds: int = 1,
        peers: frozenset[str] = frozenset(),
    ) -> Generator[Progress | Epoch, None, nn.Module]:
        """Train segmentor, baseline and critics; returns the segmentor.

        `make`, `peers`: as of `Work`; the plain batches of the training cases if no
        `make` is given.
        """
        segmentor = segmentor_of(self.recipe)
        nets = {FOR_USE: segmentor, BASELINE: deepcopy(segmentor), **critics}
        if make is None:
            maker = maker_of(self.recipe, self.cases.train)

            def make(key: Key) -> Any:
                return tuple(maker.make(key))

        work = Work(
            nets=nets,
            make=make,
            turns=turns,
            rate=self.options.learning_rate,
            rounds=rounds,
            peers=peers,
            watch=self.referee,
        )
        return (yield from learn(self.recipe, self.cases, run, work, self.fabric))

    def supervised(self, said: Tensor | Outputs, batch: Any, key: Key) -> Tensor:
        """The recipe's loss of what a net has said of a plain batch."""
        _, labels_BS, maps = batch
        return judged(self.recipe, said, labels_BS, key.epoch, maps)

    def baseline(self, nets: Nets, batch: Any, key: Key) -> Turn:
        """The turn of the net that is taught by the recipe's loss alone."""
        said = nets[BASELINE](batch[0])
        return Turn((BASELINE,), self.supervised(said, batch, key))

    def teach(
        self, name: str, nets: Nets, real: Tensor, made: Tensor, *beside: Tensor
    ) -> Iterator[Turn]:
        """A critic's turn, if it is one to judge: to tell what is real from what is made.

        No gradient goes into either; `beside` is given to the critic with both.
        """
        if not self.referee.judges(name):
            return
        manual, guess = (nets[name](one.detach(), *beside) for one in (real, made))
        self.referee.saw(name, right_answers(manual, guess))
        if self.referee.judges(name):
            yield Turn((name,), told_apart(manual, guess))

    def hear(self, name: str, nets: Nets, made: Tensor, *beside: Tensor) -> Tensor:
        """A critic's word on what was made, −log D; 0 while it is not to judge.

        A word that is no number sends the critic away.
        """
        if self.referee.judges(name):
            word = believed(nets[name](made, *beside))
            if word.isfinite():
                return word
            self.referee.saw(name, math.nan)
        return torch.zeros((), device=made.device)


def epochs_of(recipe: Recipe, option: str, share: float, later: str) -> int:
    """How many of the first epochs a share of them is.

    `option`, `later`: its name, and what all other epochs are for.

    Raises
    ------
    InputError
        If no other is left.
    """
    epochs = recipe.train.epochs
    first = round(share * epochs)
    if first >= epochs:
        raise InputError(
            f"{recipe.name}: of {epochs} epochs method.options.{option} takes the first "
            f"{first}, which leaves none for {later}; give more train.epochs or a smaller "
            f"method.options.{option}"
        )
    return first


def told_apart(real: Tensor, made: Tensor) -> Tensor:
    """Cross entropy of a critic that should say 1 of `real` and 0 of `made`; in nats.

    Each is averaged over all its logits, then they are added.

    References
    ----------
    Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, eq. 1.
    """
    return F.softplus(-real).mean() + F.softplus(made).mean()


def believed(made: Tensor) -> Tensor:
    """−log D(made), averaged over all logits: what the other side wants small; ≥ 0.

    Not log(1 − D): that has no slope where the critic is sure (ibid., section 3).
    """
    return F.softplus(-made).mean()


def known_of(labels_BS: Tensor) -> Tensor:
    """(B, 1, *S) bool: where labels are known. All else is 0 in what critics read."""
    return labels_BS[:, None] != IGNORE


def one_hot(labels_BS: Tensor, classes: int) -> Tensor:
    """(B, K, *S) float32; 0 in every class where nothing is known."""
    shape = (1, classes, *(1,) * (labels_BS.ndim - 1))
    values = torch.arange(classes, device=labels_BS.device).view(shape)
    return (labels_BS[:, None] == values).float()
