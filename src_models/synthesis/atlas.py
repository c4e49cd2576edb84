"""One labelled atlas, moved and coloured as the unlabelled scans are.

Zhao, Balakrishnan, Durand, Guttag & Dalca, "Data augmentation using learned
transformations for one-shot medical image segmentation", CVPR 2019, section 3.
https://arxiv.org/abs/1902.09383

Shape letters: B batch, C channels, D = number of S axes, S spatial axes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from src_models.data.cases import check_structures
from src_models.errors import InputError
from src_models.synthesis.registration import (
    colour_net,
    flow_net,
    inside,
    roughness,
    unlike,
)
from src_models.synthesis.warp import random_flow, smooth_noise, warp, warp_labels
from src_models.training.method_spec import options_of
from src_models.training.taught import (
    check_all,
    judged,
    maker_of,
    method_of,
    ready,
    segmentor_of,
)
from src_models.training.turns import FOR_USE, Turn, Work, learn, one_device

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from src_models.data.cases import Case
    from src_models.data.loader import BatchMaker, Key
    from src_models.data.splits import Split
    from src_models.progress import Progress
    from src_models.synthesis.options import LearnedTransforms
    from src_models.training.config import Recipe
    from src_models.training.curves import Epoch

# Random changes in place of the learnt ones: degrees, share, voxels; and of grey, in sd.
TOY = {"rotate": 10.0, "scale": 0.1, "bend": 2.0}
TOY_COLOUR, TOY_STEP = 0.3, 10


def fit(
    recipe: Recipe,
    cases: Split,
    run: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Generator[Progress | Epoch, None, nn.Module]:
    """From one labelled training case and the images of the others to a net.

    As `src_models.training.fit.fit`, on one device. In the first epochs two nets learn
    how the atlas is moved and coloured into each scan; then they stand still and make the
    pairs that the net for use learns from.

    Raises
    ------
    InputError
        If the atlas is not there or lacks structures, there is no other training case,
        there is but one epoch, or as `learn`.
    """
    fabric = one_device(recipe, accelerator, devices, nodes)
    check_all(recipe, cases)
    options: LearnedTransforms = options_of(method_of(recipe))
    atlas = chosen(cases.train, options.atlas, recipe.net.classes)
    others = [case for case in cases.train if case.group != atlas.group]
    if not others:
        raise InputError(
            f"{recipe.name}: one training patient alone shows no way to vary the atlas; "
            "give unlabelled scans of others"
        )
    before = round(options.share * recipe.train.epochs)
    if options.transforms == "random" or options.learn_from == "atlas":
        before = 0
    elif not 0 < before < recipe.train.epochs:
        raise InputError(
            f"{recipe.name}: of {recipe.train.epochs} epochs, {before} would learn the "
            "transforms and the rest the net; give more train.epochs or another "
            "method.options.share"
        )
    nets = {FOR_USE: segmentor_of(recipe)}
    shape = recipe.net.ndim, recipe.net.in_channels
    nets["flow"] = flow_net(options.size, *shape)
    nets["colour"] = colour_net(options.size, *shape)
    pairs = Pairs(recipe, options, atlas, others, before)
    work = Work(
        nets=nets,
        make=pairs.make,
        turns=pairs.turns,
        rate=options.learning_rate,
        before=before,
    )
    return (yield from learn(recipe, cases, run, work, fabric))


def chosen(cases: Sequence[Case], name: str, classes: int) -> Case:
    """The case of that name, or the first by name that has every structure.

    Raises
    ------
    InputError
        If there is none.
    """
    if name:
        found = [case for case in cases if case.name == name]
        if not found:
            raise InputError(
                f"no training case {name!r} to be the atlas; those of the validation and "
                "locked sides cannot be"
            )
        check_structures(found)
        return found[0]
    wanted = set(range(1, classes))
    for case in sorted(cases, key=lambda case: case.name):
        if wanted <= set(np.unique(case.labels).tolist()):
            return case
    raise InputError(
        "no training case has every structure, so none can be the atlas; name one in "
        "method.options.atlas"
    )


def centred(case: Case, size: tuple[int, ...]) -> Case:
    """Cut or mirrored to a size round its centre."""
    at = []
    for side, full in zip(size, case.labels.shape, strict=True):
        start, period = (full - side) // 2, max(2 * (full - 1), 1)
        index = np.abs((np.arange(start, start + side) + full - 1) % period - full + 1)
        at.append(np.minimum(index, full - 1))
    image = case.image[np.ix_(np.arange(len(case.image)), *at)]
    return replace(case, image=image, labels=case.labels[np.ix_(*at)], instances=None)


class Pairs:
    """Makes (image, labels) of the atlas, and learns how."""

    def __init__(
        self,
        recipe: Recipe,
        options: LearnedTransforms,
        atlas: Case,
        others: Sequence[Case],
        before: int,
    ) -> None:
        self.recipe, self.options, self.before = recipe, options, before
        size = recipe.patches.size
        kept, *scans = (centred(one, size) for one in ready([atlas, *others], recipe))
        self.image = torch.from_numpy(kept.image)
        self.labels = torch.from_numpy(kept.labels.astype(np.int64))
        self.scans = [torch.from_numpy(scan.image) for scan in scans]
        self.ordinary: BatchMaker = maker_of(recipe, [atlas])

    def make(self, key: Key) -> dict[str, Tensor]:
        """Scans to take the move and the colour from, drawn apart; the atlas, changed."""
        random = np.random.default_rng([self.recipe.train.seed, key.epoch, key.step, 7])
        count = len(key.indices)
        moves, colours = random.integers(len(self.scans), size=(2, count))
        made = {
            "atlas": self.image.expand(count, *self.image.shape),
            "labels": self.labels.expand(count, *self.labels.shape),
            "moves": torch.stack([self.scans[i] for i in moves]),
            "colours": torch.stack([self.scans[i] for i in colours]),
        }
        images, labels, _ = self.ordinary.make(key)
        made |= {"plain": images, "plain_labels": labels}
        if self.options.transforms == "random":
            shape, channels = self.labels.shape, len(self.image)
            flows = [random_flow(shape, random, **TOY) for _ in moves]
            added = [smooth_noise(channels, shape, TOY_STEP, random) for _ in moves]
            made |= {
                "flow": torch.stack(flows),
                "added": TOY_COLOUR * torch.stack(added),
            }
        return made

    def turns(
        self, nets: Mapping[str, nn.Module], made: dict[str, Tensor], key: Key
    ) -> Iterator[Turn]:
        """How to move and how to colour; later what to find in the results."""
        if key.epoch <= self.before:
            yield Turn(("flow",), self.moving(nets, made))
            yield Turn(("colour",), self.colouring(nets, made))
            return
        images, labels = [made["plain"]], [made["plain_labels"]]
        if self.options.learn_from != "atlas":
            pair = self.pair(nets, made)
            kept = self.options.learn_from == "both"
            images = [*images, pair[0]] if kept else [pair[0]]
            labels = [*labels, pair[1]] if kept else [pair[1]]
        said = nets[FOR_USE](torch.cat(images))
        yield Turn((FOR_USE,), judged(self.recipe, said, torch.cat(labels), key.epoch))

    def moving(self, nets: Mapping[str, nn.Module], made: dict[str, Tensor]) -> Tensor:
        """Atlas to scan, and scan to atlas with the same net."""
        atlas, scan = made["atlas"], made["moves"]
        losses = []
        for moved, fixed in ((atlas, scan), (scan, atlas)):
            flow = nets["flow"](torch.cat([moved, fixed], 1))
            apart = unlike(warp(moved, flow), fixed, self.options.window)
            losses.append(apart + self.options.smooth * roughness(flow))
        return (losses[0] + losses[1]) / 2

    def colouring(
        self, nets: Mapping[str, nn.Module], made: dict[str, Tensor]
    ) -> Tensor:
        """What is added to the atlas, for it to look like a scan on its grid."""
        atlas = made["atlas"]
        there = self.on_atlas(nets, made)
        added = nets["colour"](torch.cat([atlas, there], 1))
        rough = roughness(added, inside(made["labels"][0]))
        apart: Tensor = ((atlas + added - there) ** 2).mean()
        return apart + self.options.smooth_colour * rough

    def on_atlas(
        self, nets: Mapping[str, nn.Module], made: dict[str, Tensor]
    ) -> Tensor:
        """The scans that give the colour, moved onto the atlas; no gradient."""
        with torch.no_grad():
            scan = made["colours"]
            return warp(scan, nets["flow"](torch.cat([scan, made["atlas"]], 1)))

    @torch.no_grad()
    def pair(
        self, nets: Mapping[str, nn.Module], made: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Images (B, C, *S) and labels (B, *S): coloured as one scan, moved as another."""
        atlas = made["atlas"]
        if self.options.transforms == "random":
            flow, added = made["flow"], made["added"]
        else:
            flow = nets["flow"](torch.cat([atlas, made["moves"]], 1))
            there = self.on_atlas(nets, made)
            added = nets["colour"](torch.cat([atlas, there], 1))
        return warp(atlas + added, flow), warp_labels(made["labels"], flow)
