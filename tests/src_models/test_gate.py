"""The gate: by hand, laws, and everything that must not pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src_models.errors import InputError
from src_models.training.gate import CaseScore, Rules, gate

RULES = Rules(margin=0.01, tolerance=0.02, cases=3)


def scores(*dice: float, structure: str = "a", nsd: float = 0.9) -> list[CaseScore]:
    return [CaseScore(f"case {i}", structure, one, nsd) for i, one in enumerate(dice)]


BEFORE = scores(0.80, 0.82, 0.78, 0.80)


def test_better_everywhere_is_accepted() -> None:
    verdict = gate(BEFORE, scores(0.83, 0.85, 0.80, 0.84), RULES)
    assert verdict.decision == "accepted"
    assert verdict.gain is not None
    assert verdict.gain.mean == pytest.approx(0.03)
    (reason,) = verdict.reasons
    assert reason.startswith("better on 4 of 4 locked cases: Dice +0.030 [+0.0")
    dice, nsd = verdict.changes
    assert (dice.metric, dice.active, dice.candidate) == ("Dice", 0.8, 0.83)
    assert (nsd.metric, nsd.difference.mean) == ("NSD", 0)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (scores(0.80, 0.82, 0.78, 0.80), "not better by 0.01: Dice +0.000"),
        (scores(0.805, 0.825, 0.785, 0.805), "not better by 0.01: Dice +0.005"),
        (scores(0.70, 0.72, 0.68, 0.70), "not better by 0.01: Dice −0.100"),
        # one case carries it all
        (scores(0.99, 0.81, 0.77, 0.79), "the gain may be chance: Dice +0.040 [−0.010"),
        # overlap better, surface worse
        (
            scores(0.83, 0.85, 0.80, 0.84, nsd=0.85),
            "a got worse: NSD 0.900 → 0.850, at most 0.02 may be lost",
        ),
    ],
)
def test_what_does_not_pass(after: list[CaseScore], reason: str) -> None:
    verdict = gate(BEFORE, after, RULES)
    assert verdict.decision == "rejected"
    assert any(one.startswith(reason) for one in verdict.reasons), verdict.reasons


def test_a_gain_on_one_structure_does_not_pay_for_another() -> None:
    before = [*scores(0.5, 0.5, 0.5), *scores(0.9, 0.9, 0.9, structure="b")]
    after = [*scores(0.8, 0.8, 0.8), *scores(0.85, 0.85, 0.85, structure="b")]
    verdict = gate(before, after, RULES)
    assert verdict.decision == "rejected"
    assert verdict.reasons == (
        "b got worse: Dice 0.900 → 0.850, at most 0.02 may be lost",
    )


def test_a_structure_that_is_forgotten_is_a_loss() -> None:
    before = [*BEFORE, *scores(0.9, 0.9, 0.9, 0.9, structure="b")]
    assert gate(before, scores(1, 1, 1, 1), RULES).decision == "rejected"


def test_a_new_structure_judges_nothing() -> None:
    better = scores(0.83, 0.85, 0.80, 0.84)
    new = scores(0.1, 0.1, 0.1, 0.1, structure="new")
    with_new = gate(BEFORE, [*better, *new], RULES)
    assert with_new == gate(BEFORE, better, RULES)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_cases_decide_nothing(count: int) -> None:
    verdict = gate(scores(*[0.5] * count), scores(*[0.9] * count), RULES)
    assert verdict.decision == "provisional"
    assert verdict.reasons[0].startswith(f"{count} of the 3 locked cases")
    assert (verdict.gain is None) == (count == 0)


shares = st.floats(0, 1)


@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=8))
def test_laws(pairs: list[tuple[float, float]]) -> None:
    before = scores(*(one for one, _ in pairs))
    after = scores(*(one for _, one in pairs))
    there, back = gate(before, after, RULES), gate(after, before, RULES)
    assert there == gate(before, after, RULES)  # the same numbers, the same verdict
    assert {there.decision, back.decision} != {"accepted"}  # never both ways
    assert gate(before, before, RULES).decision != "accepted"
    if there.decision == "accepted":
        assert sum(b for _, b in pairs) > sum(a for a, _ in pairs)
        assert len(pairs) >= RULES.cases


@pytest.mark.parametrize(
    ("after", "says"),
    [
        (scores(0.9, 0.9), "same locked cases; only one of them has 'case 2'"),
        (scores(0.9, 0.9, 0.9, float("nan")), "between 0 and 1 are wanted, got nan"),
        (scores(0.9, 0.9, 0.9, 1.2), "score both models again"),
    ],
)
def test_bad_input(after: list[CaseScore], says: str) -> None:
    with pytest.raises(InputError, match=says):
        gate(BEFORE, after, RULES)
