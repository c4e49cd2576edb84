"""Many cases scored: what is known of each, and the summary. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from napari_segreview.core.charts import quartiles
from napari_segreview.core.table import Cell, Table
from src_models.metrics import DEFINITIONS, Interval, Paired, Report, bootstrap, paired
from src_models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from src_models.metrics import LabelScore

KEYS = {"dice": "Dice", "nsd": "NSD", "hd95": "HD95"}  # what is summed up
BY_RULE = "Cases in which one or both sides are empty: a rule, not a measure"
TEST = (
    "Two-sided Wilcoxon signed-rank test over the cases; not corrected for looking at "
    "several structures"
)
MOST_BOXES = 30  # structures that are drawn
BOXES = "Quartiles, median, whiskers to 1.5 interquartile ranges, cases as dots"
INTERVAL = "mean ± sd [95 % bootstrap interval of the mean over cases]"


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """The files of one case.

    `second` is the other model's prediction, `image` what all were drawn on.
    """

    case: str
    prediction: Path
    reference: Path
    second: Path | None = None
    image: Path | None = None


@dataclass(frozen=True, slots=True)
class CaseScore:
    """One case: its report, or in one line why there is none.

    `second` is the report of the second model, where two are compared.
    """

    case: str
    report: Report | None = None
    second: Report | None = None
    error: str = ""

    @property
    def dice(self) -> float:
        """Mean over the structures, as in `Report.mean`; −1 without a report."""
        return self.report.mean.get("dice", 0.0) if self.report else -1.0


@dataclass(frozen=True, slots=True)
class CasesDone(Progress):
    """Progress with the cases that are finished so far."""

    scores: tuple[CaseScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """One number of one structure over the cases.

    Attributes
    ----------
    interval : Interval
        Mean with its bootstrap interval.
    sd : float
        Standard deviation over cases (n − 1); 0 for one case.
    by_rule : int
        Cases whose number is the rule for an empty label, not a measure.
    values : tuple of float
        By case.
    """

    structure: str
    key: str
    interval: Interval
    sd: float
    by_rule: int
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Second − first model in the Dice of one structure."""

    structure: str
    test: Paired


def structures(cases: Sequence[CaseScore]) -> tuple[str, ...]:
    """All names, in the order they come."""
    rows = (row.name for one in cases if one.report for row in one.report.rows)
    return tuple(dict.fromkeys(rows))


def summaries(cases: Sequence[CaseScore]) -> tuple[Summary, ...]:
    """Each structure and each of `KEYS`; cases without the structure are left out."""
    found = []
    for structure in structures(cases):
        rows = [row for one in cases for row in _rows(one.report, structure)]
        by_rule = sum(row.case != "both present" for row in rows)
        for key in KEYS:
            values = tuple(float(getattr(row, key)) for row in rows)
            sd = stdev(values) if len(values) > 1 else 0.0
            found.append(
                Summary(structure, key, bootstrap(values), sd, by_rule, values)
            )
    return tuple(found)


def differences(cases: Sequence[CaseScore]) -> tuple[Difference, ...]:
    """The two models' Dice, structure by structure, then of the means of the cases.

    Cases that only one of them has are left out; nothing without a second model.
    """
    both = [one for one in cases if one.report and one.second]
    found = []
    for structure in structures(both):
        pairs = [
            (first.dice, second.dice)
            for one in both
            for first in _rows(one.report, structure)
            for second in _rows(one.second, structure)
        ]
        if pairs:
            found.append(Difference(structure, _test(pairs)))
    means = [
        (one.report.mean["dice"], one.second.mean["dice"])
        for one in both
        if one.report and one.second and one.report.rows and one.second.rows
    ]
    if means:
        found.append(Difference("mean of all", _test(means)))
    return tuple(found)


def box_groups(cases: Sequence[CaseScore]) -> dict[str, tuple[float, ...]]:
    """Dice by case of each structure, and of each model where there are two.

    At most `MOST_BOXES` structures, those with the lowest mean.
    """
    both = any(one.second for one in cases)
    names = structures(cases)
    means = {
        name: fmean(row.dice for one in cases for row in _rows(one.report, name))
        for name in names
    }
    kept = {*sorted(names, key=means.__getitem__)[:MOST_BOXES]}
    groups = {}
    for name in names:
        if name not in kept:
            continue
        rows = [row for one in cases for row in _rows(one.report, name)]
        groups[f"{name} · 1" if both else name] = tuple(row.dice for row in rows)
        if both:
            rows = [row for one in cases for row in _rows(one.second, name)]
            groups[f"{name} · 2"] = tuple(row.dice for row in rows)
    return groups


def box_words(groups: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """The same in a line a group."""
    return tuple(
        f"{name}: Dice {middle:.3f} (median), {low:.3f} to {high:.3f} (quartiles), "
        f"{len(values)} case{'s' * (len(values) != 1)}"
        for name, values in groups.items()
        for low, middle, high in [quartiles(values)]
    )


def worst_first(cases: Sequence[CaseScore]) -> tuple[CaseScore, ...]:
    """Cases without a score, then by rising mean Dice."""
    return tuple(sorted(cases, key=lambda one: (one.dice, one.case)))


def case_table(cases: Sequence[CaseScore]) -> Table:
    """A row a case, the worst first; where there is no score it says why."""
    unit, tolerance = _terms(cases)
    return Table(
        headers=(
            "Case",
            "Dice",
            f"NSD{tolerance}",
            f"HD95{unit}",
            "Worst structure",
            "Note",
        ),
        hovers=(
            "The case",
            *(_mean_of(key) for key in KEYS),
            "The structure of the lowest Dice, and that Dice",
            "Why the case has no score, or what was done to its labels",
        ),
        rows=tuple(_case_cells(one) for one in worst_first(cases)),
        keys=tuple(one.case for one in worst_first(cases)),
    )


def summary_table(cases: Sequence[CaseScore]) -> Table:
    """A row a structure: mean, sd and interval of each number."""
    found = summaries(cases)
    rows = []
    for structure in dict.fromkeys(one.structure for one in found):
        own = {one.key: one for one in found if one.structure == structure}
        first = own["dice"]
        rows.append(
            (
                Cell(structure, structure),
                Cell(f"{first.interval.cases}", float(first.interval.cases)),
                Cell(f"{first.by_rule}", float(first.by_rule)),
                *(Cell(_told(own[key]), own[key].interval.mean) for key in KEYS),
            )
        )
    unit, tolerance = _terms(cases)
    return Table(
        headers=(
            "Structure", "Cases", "By rule", "Dice", f"NSD{tolerance}", f"HD95{unit}",
        ),
        hovers=(
            "The structure",
            "Cases that have it",
            BY_RULE,
            *(f"{INTERVAL}. {DEFINITIONS[key]}" for key in KEYS),
        ),
        rows=tuple(rows),
    )  # fmt: skip


def difference_table(cases: Sequence[CaseScore]) -> Table:
    """A row a structure: second − first model."""
    return Table(
        headers=("Structure", "Δ Dice", "p", "Better", "Worse", "Same"),
        hovers=(
            "The structure",
            f"Second − first, {INTERVAL}",
            TEST,
            "Cases in which the second model has the higher Dice",
            "Cases in which the second model has the lower Dice",
            "Cases in which both have the same Dice",
        ),
        rows=tuple(
            (
                Cell(one.structure, one.structure),
                Cell(_signed(one.test.difference), one.test.difference.mean),
                Cell(f"{one.test.p:.3g}", one.test.p),
                Cell(f"{one.test.higher}", float(one.test.higher)),
                Cell(f"{one.test.lower}", float(one.test.lower)),
                Cell(f"{one.test.same}", float(one.test.same)),
            )
            for one in differences(cases)
        ),
    )


def meanings(cases: Sequence[CaseScore]) -> dict[str, str]:
    """Each column → what it is, its rule for empty labels, its interval or test."""
    unit, tolerance = _terms(cases)
    units = {"nsd": tolerance, "hd95": unit}
    told = {
        f"{title}{units.get(key, '')}": DEFINITIONS[key] for key, title in KEYS.items()
    }
    told["± and brackets"] = f"{INTERVAL}."
    told["By rule"] = f"{BY_RULE}."
    if any(one.second for one in cases):
        told["p"] = f"{TEST}."
    return told


def facts(cases: Sequence[CaseScore]) -> dict[str, object]:
    """All of it for a JSON file."""
    return {
        "format": "segreview cohort 1",
        "cases": [asdict(one) for one in worst_first(cases)],
        "summary": [asdict(one) for one in summaries(cases)],
        "differences": [asdict(one) for one in differences(cases)],
    }


def _rows(report: Report | None, structure: str) -> list[LabelScore]:
    return [row for row in report.rows if row.name == structure] if report else []


def _test(pairs: list[tuple[float, float]]) -> Paired:
    return paired([first for first, _ in pairs], [second for _, second in pairs])


def _terms(cases: Sequence[CaseScore]) -> tuple[str, str]:
    """Unit and tolerance for headers; nothing where no case has a score."""
    report = next((one.report for one in cases if one.report), None)
    if report is None:
        return "", ""
    return f" ({report.unit})", f" ({report.tolerance:g} {report.unit})"


def _signed(one: Interval) -> str:
    told = f"{one.mean:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
    return told.replace("-", "−")


def _told(one: Summary) -> str:
    digits = 2 if one.key == "hd95" else 3
    mean, low, high = one.interval.mean, one.interval.low, one.interval.high
    return (
        f"{mean:.{digits}f} ± {one.sd:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
    )


def _case_cells(one: CaseScore) -> tuple[Cell, ...]:
    name = Cell(one.case, one.case)
    if one.report is None or not one.report.rows:
        none = (Cell("–", -1.0, one.error or "No label on either side"),) * 3
        said = one.error or "no label on either side"
        return (name, *none, Cell("–", ""), Cell(said, said))
    mean = one.report.mean
    worst = min(one.report.rows, key=lambda row: row.dice)
    return (
        name,
        Cell(f"{mean['dice']:.3f}", mean["dice"]),
        Cell(f"{mean['nsd']:.3f}", mean["nsd"]),
        Cell(f"{mean['hd95']:.2f}", mean["hd95"]),
        Cell(f"{worst.name} ({worst.dice:.3f})", worst.name),
        Cell(" ".join(one.report.notes), " ".join(one.report.notes)),
    )


def _mean_of(key: str) -> str:
    return f"Mean over the structures of the case. {DEFINITIONS[key]}"
