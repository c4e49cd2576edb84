"""A recipe: all that makes a trained model, in one small TOML file."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from src_models.card import (
    Binarise,
    Intensity,
    LabelRow,
    NetSpec,
    Pattern,
    Record,
    parse,
)
from src_models.catalog.methods import find_method
from src_models.data.options import Augment
from src_models.errors import InputError
from src_models.losses import loss_by_name
from src_models.training.memory import empty_net
from src_models.training.method_spec import MethodSpec, options_of

if TYPE_CHECKING:
    from pathlib import Path


class About(Record):
    """Words for the person who chooses the model."""

    title: str
    task: str
    wants: str
    modalities: tuple[str, ...]


class DataSpec(Record):
    """Where cases are, below the data folder, and how they are split.

    `group` is a regular expression on the case's name; its first group (patient, child)
    is what the split keeps together. `values` maps values in the label files to labels,
    or to −1: nothing is known there, e.g. `{ 0 = -1, 9 = 0 }` where 0 was not looked at
    and 9 is background. `blank_frames`: what frames without any label are; where only some
    phases of a beat were drawn, "unknown". `split_slices` puts the slices of a patient on
    different sides, for sets of a single one; neighbours are alike, so that scores say
    less. `instances`: each value above 0 is an object of the only
    structure. `unlabelled` are images without label files, for methods that learn from
    such too.
    """

    folder: str
    images: str
    labels: str
    group: Pattern = "(.*)"
    values: dict[str, int] = Field(default_factory=dict)
    instances: bool = False
    blank_frames: Literal["background", "unknown"] = "background"
    split_slices: bool = False
    unlabelled: str = ""
    name: str
    licence: str
    credit: str
    salt: str = "segreview"
    validation: float = Field(gt=0, lt=0.5)
    locked: float = Field(gt=0, lt=0.5)


class Patches(Record):
    """What one training step sees.

    `size` has the number of frames first where the net reads them together. `batch`
    patches at a time on each device; `foreground` is the share of them that is centred on
    a structure, which `class_balance` draws from the whole set before it draws a case, so
    that a structure of few cases is seen as often as the others.
    """

    size: tuple[PositiveInt, ...]
    batch: int = Field(ge=1)
    foreground: float = Field(default=0.5, ge=0, le=1)
    class_balance: bool = False


class Schedule(Record):
    """How long, how fast, in which precision.

    Attributes
    ----------
    epochs, steps : int
        An epoch is `steps` steps of the optimizer, each on `accumulate` batches.
    optimizer : {"adamw", "sgd"}
        "sgd" is with Nesterov's `momentum`.
    schedule : {"cosine", "poly", "plateau"}
        After `warmup` steps: half a cosine to 0; (1 − t)^`power`; or `plateau_factor`
        times as fast after each `plateau` epochs without a better validation Dice.
    patience : int
        Epochs without a better validation Dice after which training stops; 0: never.
    deep_supervision : float
        Times the weights that a net gives its auxiliary outputs; 0 leaves them out.
    sync_loss : bool
        With several processes: take the loss over the batches of all of them, as
        losses that sum over the batch (Dice) are meant, instead of the mean of each
        one's loss. Costs the transfer of the logits.
    channels_last : bool
        Keep channels innermost in memory; quicker for 16-bit on many GPUs.
    workers : int, optional
        Threads that make patches while the net learns; none given: by the machine.
        They change nothing but the speed.
    """

    loss: str = "dice + ce"
    epochs: int = Field(ge=1)
    steps: int = Field(ge=1)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    momentum: float = Field(default=0.9, gt=0, lt=1)
    schedule: Literal["cosine", "poly", "plateau"] = "cosine"
    warmup: int = Field(default=100, ge=0)
    power: float = Field(default=0.9, gt=0)
    plateau: int = Field(default=10, ge=1)
    plateau_factor: float = Field(default=0.2, gt=0, lt=1)
    patience: int = Field(default=0, ge=0)
    accumulate: int = Field(default=1, ge=1)
    ema: float = Field(default=0.99, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    deep_supervision: float = Field(default=1.0, ge=0)
    sync_loss: bool = False
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    channels_last: bool = False
    workers: int | None = Field(default=None, ge=0)
    seed: int = Field(default=0, ge=0)


class Recipe(Record):
    """A validated recipe. `labels` lists the structures; background is not listed.

    `cyclic`: a sequence's last frame is followed by its first, as in a heart beat. Without
    a `method` the net learns from whole masks by the loss alone.
    """

    name: str
    about: About
    data: DataSpec
    net: NetSpec
    labels: tuple[LabelRow, ...]
    intensity: Intensity
    spacing: tuple[PositiveFloat, ...] | None = None
    orientation: str = ""
    tolerance: float = Field(default=2.0, gt=0)
    mirror: bool = False
    binarise: Binarise = "likeliest"
    cyclic: bool = False
    patches: Patches
    augment: Augment = Augment()
    train: Schedule
    method: MethodSpec | None = None


def read_recipe(path: Path) -> Recipe:
    """Read and validate.

    Raises
    ------
    InputError
        If the file is not TOML, a key is unknown (it says which was meant), there is no
        such net or loss, or values do not fit each other.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error})") from None
    recipe = parse(Recipe, values, str(path))
    classes, method = recipe.net.classes, recipe.method
    for key, check in (
        ("net", lambda: empty_net(recipe.net)),
        ("train.loss", lambda: loss_by_name(recipe.train.loss).check(classes)),
        ("method", lambda: method and options_of(method)),
    ):
        try:
            check()
        except InputError as error:
            raise InputError(f"{path}: {key}: {error}") from None
    for holds, wanted in (*_rules_of_frames(recipe), *_rules(recipe)):
        if not holds:
            raise InputError(f"{path}: {wanted}")
    return recipe


def _rules(recipe: Recipe) -> tuple[tuple[bool, str], ...]:
    """Whether values fit each other, and what to say if not."""
    data, ndim, classes = recipe.data, recipe.net.ndim, recipe.net.classes
    size, spacing, axes = (
        recipe.patches.size,
        recipe.spacing,
        recipe.augment.mirror_axes,
    )
    sides, first = recipe.net.axes, ", frames first" * recipe.net.frames
    labels, wanted = [row.value for row in recipe.labels], list(range(1, classes))
    return (
        (
            len(size) == sides,
            f"patches.size needs {sides} sides{first}, got {len(size)}",
        ),
        (
            spacing is None or len(spacing) == ndim,
            f"spacing needs {ndim} values, got {spacing and len(spacing)}",
        ),
        (
            labels == wanted,
            f"labels must have the values {wanted}, in that order; got {labels}",
        ),
        (
            all(-1 <= value < classes for value in data.values.values()),
            f"data.values must map to 0 … {classes - 1}, got {data.values}; or to -1 "
            "where nothing is known",
        ),
        (
            not data.instances or (classes == 2 and not data.values),
            f"data.instances needs net.classes = 2 and no data.values, got {classes} and "
            f"{data.values}",
        ),
        (
            set(axes) <= set(range(ndim)),
            f"augment.mirror_axes must be in 0 … {ndim - 1}, got {list(axes)}",
        ),
        (
            recipe.binarise != "otsu" or classes == 2,
            f'binarise = "otsu" tells one structure from the rest, there are {classes - 1}',
        ),
        (
            re.compile(data.group).groups > 0,
            f"data.group needs brackets round what names the patient, e.g. "
            f"(case\\d+), got {data.group!r}",
        ),
        (
            data.validation + data.locked < 0.9,
            "the split leaves too few cases for training",
        ),
    )


def _rules_of_frames(recipe: Recipe) -> tuple[tuple[bool, str], ...]:
    """The same of single images and of frames that are read together."""
    data, plan, frames = recipe.data, recipe.train, recipe.net.frames
    system = recipe.net.system
    method = find_method(recipe.method.name) if recipe.method else None
    kinds = {True: "nets that read frames together", False: "nets of single images"}
    return (
        (
            method is None or method.frames == frames,
            f"method {method and method.name!r} teaches {kinds[not frames]}, {system} is "
            f"one of {kinds[frames]}",
        ),
        (
            frames or not (data.split_slices or recipe.cyclic),
            f"data.split_slices and cyclic are for {kinds[True]}; {system} is none",
        ),
        (
            not frames or not (data.instances or plan.channels_last),
            f"data.instances and train.channels_last are for {kinds[False]}",
        ),
        (
            not frames or not loss_by_name(plan.loss).maps,
            f"train.loss = {plan.loss!r} reads maps of single images, {system} reads "
            "frames; choose one that reads labels alone",
        ),
    )
