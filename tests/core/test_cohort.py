"""What is summed up over cases: means, intervals, paired tests, worst first."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from napari_segreview.core.cohort import (
    CaseScore,
    case_table,
    difference_table,
    differences,
    facts,
    structures,
    summaries,
    summary_table,
    worst_first,
)
from src_models.metrics import Report, bootstrap, score_all

TRUTH = np.zeros((1, 10, 30), np.uint8)
TRUTH[0, 2:8, :20] = 1


def report(cut: int, *, other: bool = False) -> Report:
    """Columns cut off label 1; label 2 only where `other`."""
    guess, truth = TRUTH.copy(), TRUTH.copy()
    guess[..., :cut] = 0
    if other:
        truth[0, 0, :5] = 2
    names = {1: "cup"} | ({2: "disc"} if other else {})
    return score_all(guess, truth, spacing=(1, 1, 1), labels=names)


CASES = (
    CaseScore("a", report(0), report(1)),
    CaseScore("b", report(4), report(3)),
    CaseScore("c", report(8, other=True), report(8, other=True)),
    CaseScore("d", error="d.nii: the file is damaged"),
    CaseScore("e", report(2), report(1)),
)


def test_the_worst_first_and_those_without_a_score_before_them() -> None:
    assert [one.case for one in worst_first(CASES)] == ["d", "c", "b", "e", "a"]
    rows = case_table(CASES).rows
    assert [cell.text for cell in rows[0]][1:] == ["–", "–", "–", "–", CASES[3].error]
    assert rows[1][4].text == "disc (0.000)"
    assert rows[-1][1].text == "1.000"


def test_summaries() -> None:
    cup = next(one for one in summaries(CASES) if one.structure == "cup")
    dice = [2 * (20 - cut) / (40 - cut) for cut in (0, 4, 8, 2)]
    assert cup.values == pytest.approx(dice)
    assert cup.interval == bootstrap(cup.values)
    assert cup.sd == pytest.approx(np.std(dice, ddof=1))
    disc = next(one for one in summaries(CASES) if one.structure == "disc")
    assert (disc.interval.cases, disc.by_rule, disc.sd) == (1, 1, 0.0)
    assert structures(CASES) == ("cup", "disc")
    table = summary_table(CASES)
    assert [row[1].text for row in table.rows] == ["4", "1"]
    assert table.headers[-1] == "HD95 (mm)"


def test_two_models() -> None:
    cup, disc, mean = differences(CASES)
    assert (cup.structure, disc.structure, mean.structure) == (
        "cup",
        "disc",
        "mean of all",
    )
    assert (cup.test.higher, cup.test.lower, cup.test.same) == (2, 1, 1)
    first = [one.report.rows[0].dice for one in CASES if one.report]
    second = [one.second.rows[0].dice for one in CASES if one.second]
    moved = np.subtract(second, first)
    assert cup.test.p == stats.wilcoxon(moved[moved != 0]).pvalue
    assert difference_table(CASES).rows[0][3].text == "2"


def test_every_number_says_what_it_is() -> None:
    """Formula, rule for empty labels, interval or test; or why there is none."""
    for table in (case_table(CASES), summary_table(CASES), difference_table(CASES)):
        for row, cells in enumerate(table.rows):
            assert all(table.hover(row, column) for column in range(len(cells)))
    assert "damaged" in case_table(CASES).hover(0, 1)
    assert "Both empty: 1. One empty: 0." in case_table(CASES).hover(1, 1)
    assert "bootstrap" in summary_table(CASES).hover(0, 3)
    assert "Wilcoxon" in difference_table(CASES).hover(0, 2)


def test_one_model() -> None:
    alone = [CaseScore(one.case, one.report) for one in CASES]
    assert differences(alone) == ()
    assert difference_table(alone).rows == ()


def test_no_case_has_a_score() -> None:
    failed = [CaseScore("a", error="broken")]
    assert summaries(failed) == ()
    assert summary_table(failed).rows == ()
    assert len(case_table(failed).rows) == 1


def test_a_case_without_any_label() -> None:
    empty = score_all(TRUTH * 0, TRUTH * 0, spacing=(1, 1, 1))
    rows = case_table([CaseScore("a", empty, empty)]).rows
    assert rows[0][-1].text == "no label on either side"
    assert differences([CaseScore("a", empty, empty)]) == ()


def test_facts_are_json() -> None:
    found = json.loads(json.dumps(facts(CASES), allow_nan=False))
    assert found["cases"][0]["case"] == "d"
    assert found["summary"][0]["interval"]["cases"] == 4
