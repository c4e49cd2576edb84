"""Sums of losses with weights, read from text such as "0.7*tversky(beta=.8) + 0.3*ce"."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from src_models.errors import InputError
from src_models.losses.options import POSITIVE, SHARE
from src_models.losses.table import LOSSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from src_models.losses.options import Option

Values = tuple[tuple[str, Any], ...]
LONGEST = 1000  # characters of an expression


@dataclass(frozen=True, slots=True)
class Schedule:
    """A weight that changes with the epoch.

    "fall" goes from 1 down by `step` each epoch, not below `low`; "rise" is 1 − fall.
    """

    name: str
    step: float = 0.01
    low: float = 0.01

    def at(self, epoch: int) -> float:
        """In [0, 1]; the first epoch is 0."""
        fall = max(self.low, 1 - self.step * epoch)
        return fall if self.name == "fall" else 1 - fall

    def __str__(self) -> str:
        given = (("step", self.step), ("low", self.low))
        plain = Schedule(self.name)
        return _call(
            self.name, tuple(one for one in given if one[1] != getattr(plain, one[0]))
        )


SCHEDULES: Mapping[str, Mapping[str, Option]] = MappingProxyType(
    {name: {"step": POSITIVE, "low": SHARE} for name in ("fall", "rise")}
)


@dataclass(frozen=True, slots=True)
class Term:
    """A number, schedules and at most one loss, multiplied.

    Attributes
    ----------
    name : str
        A key of `LOSSES`; "" while the text is read and only a weight has been seen.
    options : tuple of (name, value)
        Those that are not the loss's own defaults, in the order of its signature.
    """

    name: str = ""
    options: Values = ()
    weight: float = 1.0
    schedules: tuple[Schedule, ...] = ()

    def at(self, epoch: int) -> float:
        """The weight in an epoch."""
        weight = self.weight
        for schedule in self.schedules:
            weight *= schedule.at(epoch)
        return weight

    def __call__(
        self, logits_BKS: Tensor, labels_BS: Tensor, maps: Mapping[str, Tensor]
    ) -> Tensor:
        """The loss without its weight."""
        card = LOSSES[self.name]
        missing = [name for name in card.maps if name not in maps]
        if missing:
            raise InputError(
                f"the loss {self.name!r} needs the map {missing[0]!r} of each patch; "
                "let the data loader make it (src_models.data.maps)"
            )
        needed = {name: maps[name] for name in card.maps}
        try:
            return card.function(logits_BKS, labels_BS, **needed, **dict(self.options))
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None

    def __str__(self) -> str:
        weight = [] if self.weight == 1 else [_text(self.weight)]
        schedules = [str(schedule) for schedule in self.schedules]
        return "*".join([*weight, *schedules, _call(self.name, self.options)])


@dataclass(frozen=True, slots=True)
class Loss:
    """A weighted sum of losses.

    `str` gives an expression that reads back as the same loss; options that are defaults
    are left out.
    """

    terms: tuple[Term, ...]

    def __call__(
        self,
        logits_BKS: Tensor,
        labels_BS: Tensor,
        maps: Mapping[str, Tensor] | None = None,
        epoch: int = 0,
    ) -> Tensor:
        """Logits (B, K, *S), labels (B, *S), the `maps` it asks for → a number.

        `epoch`, the first being 0, moves the weights `fall` and `rise`.

        Raises
        ------
        InputError
            If a map is missing, shapes or the number of classes do not fit, or a label
            is neither a class nor ignored.
        """
        parts = [
            term.at(epoch) * term(logits_BKS, labels_BS, maps or {})
            for term in self.terms
        ]
        return sum(parts[1:], start=parts[0])

    @property
    def maps(self) -> frozenset[str]:
        """Keys of `src_models.data.maps.MAPS` that the data loader must make."""
        return frozenset(name for term in self.terms for name in LOSSES[term.name].maps)

    def check(self, classes: int) -> None:
        """Refuse options that do not fit the number of classes, before any work.

        Raises
        ------
        InputError
        """
        logits_BKS, labels_BS = torch.zeros(1, classes, 2), torch.zeros(1, 2).long()
        maps = {"border": torch.ones(1, 2), "distance": torch.zeros(1, classes, 2)}
        self(logits_BKS, labels_BS, maps)

    def __str__(self) -> str:
        return " + ".join(str(term) for term in self.terms)


def loss_by_name(expression: str) -> Loss:
    """Read a sum of losses.

    Names are those of `LOSSES`, options go into parentheses by name, a weight stands
    before `*`: a number above 0, `fall`, `rise`, or several of these. Parentheses round
    a sum share its weight out.

    Raises
    ------
    InputError
        In one line: an unknown name with the nearest one, an unknown option with those
        there are, a value that does not fit, or that the text is no such sum.
    """
    text = " ".join(expression.split())
    wrong = InputError(
        f"{text[:80]!r} is not a sum of losses such as 'dice + 0.5*focal(gamma=2)'"
    )
    if len(text) > LONGEST:
        raise wrong
    # A hyphen inside a name would be a minus.
    plain = re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])", "_", text)
    try:
        terms = tuple(_terms(ast.parse(plain, mode="eval").body))
    except InputError:
        raise
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise wrong from None
    if not all(term.name for term in terms):
        raise wrong
    return Loss(terms)


def _terms(node: ast.expr) -> Iterator[Term]:
    """The terms of a sum; ValueError if it is none."""
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _terms(left)
            yield from _terms(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            ones, others = tuple(_terms(left)), tuple(_terms(right))
            if len(ones) > 1 and len(others) > 1:
                raise ValueError(ast.unparse(node))
            yield from (_times(one, other) for one in ones for other in others)
        case ast.Name(id=name):
            yield _named(name.replace("_", "-"), [])
        case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords):
            yield _named(name.replace("_", "-"), keywords)
        case ast.Call(func=ast.Name(id=name)):
            raise InputError(
                f"options of {name.replace('_', '-')} go by name, as in dice(smooth=1)"
            )
        case _:
            yield Term(weight=_weight(ast.literal_eval(node)))


def _weight(value: object) -> float:
    """A weight; ValueError if it is not even a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)
    if not 0 < value <= sys.float_info.max:
        raise InputError(f"a weight must be finite and above 0, got {value}"[:100])
    return float(value)


def _times(one: Term, other: Term) -> Term:
    """Weights multiplied; ValueError if both are losses."""
    if one.name and other.name:
        raise ValueError(one.name, other.name)
    loss = one if one.name else other
    return replace(
        loss,
        weight=_weight(one.weight * other.weight),
        schedules=one.schedules + other.schedules,
    )


def _named(name: str, keywords: list[ast.keyword]) -> Term:
    """A loss or a schedule with its options."""
    if name in SCHEDULES:
        values = _options(name, keywords, SCHEDULES[name])
        return Term(schedules=(Schedule(name, **values),))
    if name not in LOSSES:
        near = get_close_matches(name, [*LOSSES, *SCHEDULES], n=1)
        hint = (
            f"did you mean {near[0]!r}?" if near else f"there are {', '.join(LOSSES)}"
        )
        raise InputError(f"no loss {name!r}; {hint}")
    card = LOSSES[name]
    values = _options(name, keywords, card.options)
    signature = inspect.signature(card.function).parameters
    own = tuple(
        (key, values[key])
        for key in signature
        if key in values and values[key] != signature[key].default
    )
    return Term(name=name, options=own)


def _options(
    name: str, keywords: list[ast.keyword], known: Mapping[str, Option]
) -> dict[str, Any]:
    """Values by option, checked; numbers as float."""
    values: dict[str, Any] = {}
    for keyword in keywords:
        key, text = keyword.arg or "**", ast.unparse(keyword.value)
        if key not in known:
            there = f"there are {', '.join(known)}" if known else "it has none"
            raise InputError(f"{name} has no option {key!r}; {there}")
        if key in values:
            raise InputError(f"{name}: {key} is given twice")
        try:
            value = ast.literal_eval(keyword.value)
        except (ValueError, TypeError):
            value = ...
        if not known[key].fits(value):
            raise InputError(f"{name}: {key} must be {known[key].wanted}, got {text}")
        values[key] = _as_float(value)
    return values


def _as_float(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_as_float, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _call(name: str, values: Values) -> str:
    inside = ", ".join(f"{key}={_text(value)}" for key, value in values)
    return f"{name}({inside})" if inside else name


def _text(value: object) -> str:
    """As it would be typed: 2 for 2.0, "auto" in double quotes."""
    if isinstance(value, tuple):
        return f"({', '.join(_text(one) for one in value)})"
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value).removesuffix(".0")
