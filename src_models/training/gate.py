"""May a candidate take the place of the active model? Decided on locked cases alone.

Both models are scored on the same cases, none of which either has learnt from. The
candidate passes only if it is better on the whole, by a stated margin that chance does
not explain, and no structure has become worse by more than a tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from src_models.errors import InputError
from src_models.metrics import Interval, bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Decision = Literal["accepted", "rejected", "provisional"]
METRICS = {"dice": "Dice", "nsd": "NSD"}


@dataclass(frozen=True, slots=True)
class CaseScore:
    """How a model did on one structure of one case; Dice and NSD in [0, 1]."""

    case: str
    structure: str
    dice: float
    nsd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What passing means.

    Attributes
    ----------
    margin : float
        Mean Dice that must be gained over all structures.
    tolerance : float
        Mean Dice, and mean NSD, that any one structure may lose.
    cases : int
        Locked cases that are needed to decide at all.
    level : float
        Of the bootstrap interval whose lower end must not lie below 0.
    """

    margin: float = 0.005
    tolerance: float = 0.01
    cases: int = 4
    level: float = 0.95
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """How one number of one structure has changed, over the paired cases."""

    structure: str
    metric: str
    active: float
    candidate: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, why, and the numbers it rests on.

    Attributes
    ----------
    reasons : tuple of str
        In plain words; never empty.
    gain : Interval or None
        Of the mean Dice of a case; None without a case.
    changes : tuple of Change
        One for each structure and metric.
    """

    decision: Decision
    reasons: tuple[str, ...]
    gain: Interval | None
    changes: tuple[Change, ...]
    rules: Rules


Pair = tuple[CaseScore, CaseScore]


def gate(
    active: Sequence[CaseScore],
    candidate: Sequence[CaseScore],
    rules: Rules | None = None,
) -> Verdict:
    """Compare two models on the same locked cases.

    A structure that only the candidate knows is new, and judges nothing. One that it no
    longer knows counts as 0 everywhere.

    Returns
    -------
    Verdict
        "provisional" with fewer than `rules.cases` cases, whatever the numbers are.

    Raises
    ------
    InputError
        If the cases are not the same, or a value is not in [0, 1].
    """
    rules = rules or Rules()
    pairs = _paired(active, candidate)
    cases = sorted({before.case for before, _ in pairs})
    gains = [_gain(pairs, case) for case in cases]
    gain = _interval(gains, rules) if gains else None
    changes = tuple(
        _change(structure, metric, pairs, rules)
        for structure in sorted({before.structure for before, _ in pairs})
        for metric in METRICS
    )
    if gain is None or len(cases) < rules.cases:
        few = (
            f"{len(cases)} of the {rules.cases} locked cases with labels that are needed "
            "to decide: it may be used on this scan, by choice"
        )
        return Verdict("provisional", (few,), gain, changes, rules)
    if faults := tuple(_faults(gain, changes, rules)):
        return Verdict("rejected", faults, gain, changes, rules)
    better = sum(one > 0 for one in gains)
    reason = f"better on {better} of {len(cases)} locked cases: {_told(gain)}"
    return Verdict("accepted", (reason,), gain, changes, rules)


def _paired(active: Sequence[CaseScore], candidate: Sequence[CaseScore]) -> list[Pair]:
    cases = {one.case for one in active} ^ {one.case for one in candidate}
    if cases:
        raise InputError(
            "both models must be scored on the same locked cases; only one of them has "
            f"{min(cases)!r}"
        )
    for one in (*active, *candidate):
        if not (0 <= one.dice <= 1 and 0 <= one.nsd <= 1):
            raise InputError(
                f"{one.case}, {one.structure}: Dice and NSD between 0 and 1 are wanted, "
                f"got {one.dice} and {one.nsd}; score both models again"
            )
    found = {(one.case, one.structure): one for one in candidate}
    return [
        (
            one,
            found.get(
                (one.case, one.structure), CaseScore(one.case, one.structure, 0, 0)
            ),
        )
        for one in active
    ]


def _gain(pairs: Sequence[Pair], case: str) -> float:
    """Mean change of the Dice over the structures of a case."""
    return fmean(
        after.dice - before.dice for before, after in pairs if before.case == case
    )


def _change(structure: str, metric: str, pairs: Sequence[Pair], rules: Rules) -> Change:
    values = [
        (getattr(before, metric), getattr(after, metric))
        for before, after in pairs
        if before.structure == structure
    ]
    return Change(
        structure,
        METRICS[metric],
        fmean(before for before, _ in values),
        fmean(after for _, after in values),
        _interval([after - before for before, after in values], rules),
    )


def _interval(values: Sequence[float], rules: Rules) -> Interval:
    return bootstrap(values, level=rules.level, seed=rules.seed)


def _faults(gain: Interval, changes: Sequence[Change], rules: Rules) -> Iterator[str]:
    """Why it does not pass; nothing if it does."""
    if gain.mean < rules.margin:
        yield f"not better by {rules.margin:g}: {_told(gain)}"
    elif gain.low < 0:
        yield f"the gain may be chance: {_told(gain)}"
    for change in changes:
        if change.difference.mean < -rules.tolerance:
            yield (
                f"{change.structure} got worse: {change.metric} {change.active:.3f} → "
                f"{change.candidate:.3f}, at most {rules.tolerance:g} may be lost"
            )


def _told(gain: Interval) -> str:
    """E.g. "Dice +0.031 [+0.012, +0.050]"."""
    return f"Dice {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]".replace(
        "-", "−"
    )
