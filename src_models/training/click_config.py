"""The recipe of a click net."""

from __future__ import annotations

import tomllib
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from src_models.card import Record, parse
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class SetSpec(Record):
    """A set below the data folder.

    `group` is a regular expression at the start of a file's name; its first group is the
    patient. `labels` may name {stem} and {group}. With `instances` each value is an
    object, with `pieces` each connected piece of a value.
    """

    folder: str
    images: str
    labels: str
    group: str = "([^.]*)"
    instances: bool = False
    pieces: bool = False
    licence: str
    credit: str


class SplitSpec(Record):
    """Shares of patients kept out of training, by the hash of set, salt and patient."""

    salt: str = "click"
    validation: float = Field(ge=0, lt=0.5)
    locked: float = Field(ge=0, lt=0.5)


class ClickNetSpec(Record):
    """Arguments of `ClickNet`: pictures and slices if `ndim` is 2, volumes if 3.

    With `judge` it learns how good its answers are, to choose between scales.
    """

    ndim: Literal[2, 3] = 2
    widths: tuple[PositiveInt, ...] = (32, 64, 128, 192)
    depth: tuple[PositiveInt, ...] = (1, 2, 2, 2)
    attention: int = Field(default=2, ge=0)
    judge: bool = False


class SamplesSpec(Record):
    """What a simulated user is shown.

    `size` is a sample's side in pixels or voxels, `final_size` that of the last
    `final_share` of a cycle, where it differs: small samples first teach more of them
    in the same time. `shapes` and `regions` are the shares of made-up shapes and, in
    pictures, of superpixels.
    """

    size: int = Field(default=96, ge=16)
    final_size: int | None = Field(default=None, ge=16)
    final_share: float = Field(default=0.3, ge=0, le=1)
    shapes: float = Field(default=0.15, ge=0, le=1)
    regions: float = Field(default=0.12, ge=0, le=1)


class ClickSchedule(Record):
    """How long and how fast.

    `cycles` are steps: in each cycle the rate falls from `learning_rate` to 0 (Loshchilov
    & Hutter, "SGDR", ICLR 2017), so that a run can be prolonged by one more. From
    the answers to `judged` clicks a net with a judge learns, at its end, to judge them.
    The net is the mean of the last `averaged` cycles' ends (Izmailov et al., "Averaging
    Weights Leads to Wider Optima and Better Generalization", UAI 2018).
    """

    batch: PositiveInt = 8
    cycles: tuple[PositiveInt, ...] = Field(min_length=1)
    learning_rate: PositiveFloat = 1e-3
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: int = Field(default=1000, ge=0)
    ema: float = Field(default=0.9995, ge=0, lt=1)
    averaged: PositiveInt = 1
    clip: PositiveFloat = 1.0
    judged: PositiveInt = 5000
    precision: Literal["float32", "bf16"] = "float32"
    seed: int = 0
    save_minutes: float = Field(default=4, ge=0)
    check_minutes: float = Field(default=20, ge=0)

    @property
    def steps(self) -> int:
        """Of all cycles."""
        return sum(self.cycles)

    @property
    def ends(self) -> tuple[int, ...]:
        """The last step of each cycle."""
        return tuple(accumulate(self.cycles))

    def in_cycle(self, number: int) -> tuple[int, int]:
        """Steps of its cycle before step `number` (1-based), and of the whole cycle."""
        before = number - 1
        for cycle in self.cycles:
            if before < cycle:
                return before, cycle
            before -= cycle
        raise ValueError(f"step {number} of {self.steps}")


class ClickRecipe(Record):
    """A validated recipe. The sets `unseen` are never learnt from, only measured on."""

    name: str
    split: SplitSpec
    net: ClickNetSpec = ClickNetSpec()
    samples: SamplesSpec = SamplesSpec()
    train: ClickSchedule
    sets: tuple[SetSpec, ...]
    unseen: tuple[SetSpec, ...] = ()

    def without(self, left_out: Collection[str]) -> ClickRecipe:
        """The recipe without some of its sets.

        Raises
        ------
        InputError
            If it does not name one of them, or none would be left.
        """
        known = [one.folder for one in self.sets]
        for name in left_out:
            if name not in known:
                raise InputError(f"no set {name!r}; there are {', '.join(known)}")
        kept = tuple(one for one in self.sets if one.folder not in left_out)
        if not kept:
            raise InputError("every set is left out; leave one in to learn from")
        return self.model_copy(update={"sets": kept})

    def decisive(self) -> dict[str, Any]:
        """What a run in progress may not change: its net, and who is never seen.

        Length, rate and samples may: a run can be prolonged, or go on with larger ones.
        """
        values = self.model_dump(mode="json", include={"name", "split", "net"})
        values["sets"] = [one.folder for one in self.sets]
        return values


def read_click_recipe(path: Path) -> ClickRecipe:
    """Read and validate.

    Raises
    ------
    InputError
        If the file is not TOML, or a key or value is not a recipe's.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error})") from None
    return parse(ClickRecipe, values, str(path))
