"""Masks, and a word on the whole image from the bottom of the net.

Mehta et al., "Y-Net: Joint Segmentation and Classification for Diagnosis of Breast Biopsy
Images", MICCAI 2018. https://arxiv.org/abs/1806.01313

Shape letters: B batch, T diagnoses.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from src_models.errors import InputError
from src_models.inference.windows import rows_of_windows
from src_models.losses import IGNORE
from src_models.supervision.branches import Diagnosis, Tap, coarsest, tapped
from src_models.supervision.multitask import (
    BRANCH,
    REGION,
    Tasks,
    known,
    learn_tasks,
)
from src_models.supervision.samples import Samples, samples_of_ready
from src_models.training.method_spec import options_of
from src_models.training.taught import (
    check_all,
    judged,
    method_of,
    ready,
    segmentor_of,
)
from src_models.training.turns import FOR_USE, one_device

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from src_models.data.cases import Case
    from src_models.data.loader import Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.supervision.multitask import Losses, Nets
    from src_models.supervision.options import Diagnoses
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

TABLE = "diagnoses.csv"
OVERLAP = 0.25  # of the windows whose words are averaged


@dataclass(frozen=True, slots=True)
class Names:
    """The diagnoses in their order, and which one a case has by its name."""

    patterns: Mapping[str, str]

    def of(self, case: Case) -> int:
        """From 0; −1 where no pattern fits.

        Raises
        ------
        InputError
            If two fit.
        """
        fits = [
            at
            for at, pattern in enumerate(self.patterns.values())
            if re.match(pattern, case.name)
        ]
        if len(fits) > 1:
            names = " and ".join(list(self.patterns)[at] for at in fits)
            raise InputError(
                f"case {case.name} has the diagnoses {names}; one is wanted"
            )
        return fits[0] if fits else IGNORE

    def check(self, cases: Sequence[Case]) -> None:
        """Refuse fewer than two diagnoses among the training cases.

        Raises
        ------
        InputError
        """
        held = {self.of(case) for case in cases} - {IGNORE}
        if len(held) < 2:
            raise InputError(
                "the training cases have "
                f"{', '.join(list(self.patterns)[at] for at in held) or 'no diagnosis'}; "
                "two are needed at least: method.options.diagnoses maps each one's name "
                "to a regular expression of its cases' names"
            )


@dataclass(slots=True, eq=False)
class Reader:
    """Asks the branch about whole cases; its share of right answers is a column."""

    recipe: Recipe
    names: Names
    tap: Tap
    segmentor: nn.Module
    branch: Diagnosis
    cases: Sequence[Case] = field(default_factory=tuple)

    def begin(self, history: Sequence[Mapping[str, float]]) -> None:
        """Nothing to prepare."""

    def end(self) -> tuple[Mapping[str, float], str]:
        """The share of right answers on the validation cases that have a diagnosis."""
        told = [(self.names.of(case), self.said(case)) for case in self.cases]
        right = [int(p.argmax()) == wanted for wanted, p in told if wanted != IGNORE]
        return {"diagnosis": float(np.mean(right)) if right else float("nan")}, ""

    @torch.no_grad()
    def said(self, case: Case) -> Tensor:
        """(T,) probabilities: softmax of the mean over windows of a ready case."""
        was = self.segmentor.training
        self.segmentor.eval(), self.branch.eval()
        window, shape = self.recipe.patches.size, case.labels.shape
        padded = tuple(max(pair) for pair in zip(shape, window, strict=True))
        around = [(0, p - s) for p, s in zip(padded, shape, strict=True)]
        image = np.pad(case.image, [(0, 0), *around], mode="reflect")
        device = next(self.segmentor.parameters()).device
        words = []
        for _, row in rows_of_windows(padded, window, OVERLAP):
            for start in row:
                cut = tuple(slice(a, a + w) for a, w in zip(start, window, strict=True))
                tile = torch.from_numpy(np.ascontiguousarray(image[:, *cut]))
                with tapped(self.segmentor, self.tap.name) as seen:
                    self.segmentor(tile[None].to(device))
                words.append(self.branch(seen[self.tap.name])[0].float().cpu())
        self.segmentor.train(was), self.branch.train(was)
        return torch.stack(words).mean(0).softmax(0)

    def write(self, run: Path, sides: Mapping[str, Sequence[Case]]) -> None:
        """What is said of each case in the end, as CSV: a column for each diagnosis."""
        names = list(self.names.patterns)
        with (run / TABLE).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["side", "case", "diagnosis", "said", *names])
            for side, cases in sides.items():
                for case in ready(cases, self.recipe):
                    p, at = self.said(case), self.names.of(case)
                    true = "" if at == IGNORE else names[at]
                    told = [f"{value:.4f}" for value in p.tolist()]
                    table.writerow(
                        [side, case.name, true, names[int(p.argmax())], *told]
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
    """Masks first, then masks and the diagnosis of the case that a patch is of.

    As `src_models.training.fit.fit`, on one device. The branch is gone in use; what it
    says in the end of the validation and locked cases is left in the run's folder.

    Raises
    ------
    InputError
        If there are not two diagnoses, the loss reads maps, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    check_all(recipe, cases)
    options: Diagnoses = options_of(method_of(recipe))
    reader = reader_of(recipe, cases, options)
    tasks = tasks_of(recipe, cases, options, reader)
    net = yield from learn_tasks(recipe, cases, run, fabric, options, tasks)
    reader.write(run, {"validation": cases.validation, "locked": cases.locked})
    return net


def reader_of(recipe: Recipe, cases: Split, options: Diagnoses) -> Reader:
    """The recipe's net with a branch, and who asks them.

    Raises
    ------
    InputError
        If there are not two diagnoses, or the net has no coarser grid.
    """
    names = Names(options.diagnoses)
    names.check(cases.train)
    segmentor = segmentor_of(recipe)
    tap = coarsest(segmentor, recipe)
    branch = Diagnosis(tap, recipe.net.ndim, len(options.diagnoses))
    seen = ready(cases.validation, recipe)
    return Reader(recipe, names, tap, segmentor, branch, seen)


def tasks_of(recipe: Recipe, cases: Split, options: Diagnoses, reader: Reader) -> Tasks:
    """Masks by the recipe's loss; the diagnosis by cross entropy once its time has come."""
    tap, segmentor = reader.tap, reader.segmentor
    alone = round(options.alone * recipe.train.epochs)
    seen = ready(cases.train, recipe)
    nothing = [
        replace(case, instances=np.zeros(case.labels.shape, np.uint8)) for case in seen
    ]
    maker = samples_of_ready(
        recipe,
        nothing,
        facts=lambda case: torch.tensor(reader.names.of(case)),
        known=False,
    )

    def losses(nets: Nets, batch: Any, key: Key) -> Losses:
        images, labels, _, diagnosis = Samples(*batch)
        with tapped(segmentor, tap.name) as seen:
            said = nets[FOR_USE](images)
        region = judged(recipe, said, labels, key.epoch) if known(labels) else None
        word = None
        if key.epoch > alone and known(diagnosis):
            logits = nets[BRANCH](seen[tap.name])
            word = F.cross_entropy(logits.float(), diagnosis, ignore_index=IGNORE)
        return {REGION: region, "diagnosis": word}

    return Tasks(
        second="diagnosis",
        segmentor=segmentor,
        branch=reader.branch,
        shared=segmentor.get_submodule(tap.shared),
        make=maker.make,
        losses=losses,
        watch=reader,
    )
