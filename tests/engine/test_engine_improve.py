"""A candidate is judged before it is used; the active model is never touched by hand."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from corrections import QUICK, disc, discs, installed
from tiny_model import tiny_card

from napari_segreview.core.labels import LabelTable
from napari_segreview.core.protocols import Improved, TuneWish
from napari_segreview.engine import LocalEngine, case_store
from napari_segreview.engine.case_store import corrected
from napari_segreview.engine.doubts import doubts
from napari_segreview.engine.finetune import (
    UNJUDGED,
    Lessons,
    _what_is_left,
    improve,
)
from napari_segreview.engine.judging import (
    blank_scores,
    compare_models,
    judged,
    on_new,
)
from napari_segreview.engine.lessons import as_cases, new_rows
from napari_segreview.engine.models import BASE, VARIABLE, active_id, models, own_folder
from napari_segreview.engine.versions import version_folder, versions
from src_models.card import LabelRow, read_card
from src_models.errors import InputError
from src_models.progress import Curve, Progress, drain
from src_models.training.extend import NEW_RATE
from src_models.training.finetune import Tuning
from src_models.training.gate import CaseScore, Rules, gate

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

LOCKED = discs(20, 21, 22, 23)
CARD3 = tiny_card(2).model_copy(
    update={"net": tiny_card(2).net.model_copy(update={"classes": 3})}
)


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def model(tmp_path: Path) -> str:
    return installed(tmp_path)


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ── the gate run ───────────────────────────────────────────────────────────────────


def test_better_on_locked_cases_becomes_active_and_spoiled_does_not(model: str) -> None:
    base = models()[model]
    before = written(base)
    good = Lessons(fresh=discs(1, 2, 3, 4), locked=LOCKED)
    first = drain(improve(model, good, QUICK))
    assert first.standing == "accepted", first.reasons
    assert active_id(model) == first.version
    assert written(base) == before
    active = models()[model]
    before = written(active)

    bad = Lessons(fresh=discs(5, 6, 7, 8, spoil=True), locked=LOCKED)
    second = drain(improve(model, bad, QUICK))
    assert second.standing == "rejected"
    assert any("got worse" in one for one in second.reasons)
    assert active_id(model) == first.version
    assert written(active) == before
    kept = versions(model)
    assert [one.id for one in kept] == [BASE, first.version, second.version]
    record = kept[2].record
    assert record is not None
    assert record.parent == read_card(active).sha256
    assert record.reasons == second.reasons
    assert set(record.cases) == {one.group for one in bad.fresh}
    assert set(record.earlier) == {one.group for one in good.fresh}
    assert [(one.structure, one.metric) for one in record.numbers] == [
        ("blob", "Dice"),
        ("blob", "NSD"),
    ]
    assert record.numbers[0].candidate < record.numbers[0].active
    assert record.tuning["steps"] == QUICK.steps

    folders = (
        version_folder(model, first.version),
        version_folder(model, second.version),
    )
    assert drain(compare_models(*folders, LOCKED, "cpu")).decision == "rejected"
    assert drain(compare_models(base, folders[0], LOCKED, "cpu")).decision == "accepted"

    # What an ancestor has learnt from can judge nobody any more.
    spent = good.fresh[0]
    with pytest.raises(InputError, match="has learnt from it"):
        drain(improve(model, Lessons(fresh=discs(9), locked=(*LOCKED, spent)), QUICK))
    with pytest.raises(InputError, match="has learnt from it"):
        drain(compare_models(*folders, (*LOCKED, spent), "cpu"))


def test_with_few_locked_cases_it_is_provisional_and_judged_by_folds(
    model: str, tmp_path: Path
) -> None:
    lessons = Lessons(fresh=discs(1, 2), locked=LOCKED[:1])
    tuning = replace(QUICK, steps=18)
    told: list[Progress] = []

    def heard() -> Generator[Progress, None, Improved]:
        steps = improve(model, lessons, tuning, out=tmp_path / "out")
        while True:
            try:
                told.append(next(steps))
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            yield told[-1]

    found = drain(heard())
    assert found.standing == "provisional"
    along = [one.done / one.total for one in told if one.total == 1000]
    assert along == sorted(along)  # one way from 0 to 1, not one for each part
    assert along[-1] == 1
    notes = [one.note for one in told]
    assert "judging by part 3 of 3: step 3" in notes
    assert "step 18" in notes
    assert "1 of the 4 locked cases" in found.reasons[0]
    assert "3 separate parts" in found.reasons[1]
    assert active_id(model) == BASE
    assert "(provisional)" in read_card(tmp_path / "out").title
    with pytest.raises(InputError, match="provisional"):
        LocalEngine().activate(model, found.version)
    wish = LocalEngine().version_wish(model, found.version, "cpu")
    answer = drain(LocalEngine().segment(disc(9).scan, wish))
    assert "(provisional)" in answer.said


def test_judging_is_part_of_the_budget() -> None:
    """Of 100 s, 40 s are spent: 60 s to learn; in the worst case a quarter."""
    tuning = Tuning(budget_seconds=100)
    assert _what_is_left(tuning, 40).budget_seconds == 60
    assert _what_is_left(tuning, 500).budget_seconds == 25


def test_on_a_slow_machine_it_is_judged_by_fewer_parts(model: str) -> None:
    """The first part takes longer than all may: the other two are left out."""
    tuning = replace(QUICK, steps=None, budget_seconds=0.01)
    found = drain(improve(model, Lessons(fresh=discs(1, 2)), tuning))
    assert found.reasons[1].startswith("on 1 separate part of what was checked")


def test_the_budget_runs_from_the_moment_it_was_asked_for(model: str) -> None:
    """With 100 of 4 s gone a quarter is left to learn in."""
    lessons = Lessons(fresh=discs(1, 2), locked=LOCKED)
    tuning = replace(QUICK, steps=None, budget_seconds=4)
    drain(improve(model, lessons, tuning, began=time.monotonic() - 100))
    record = versions(model)[1].record
    assert record is not None
    assert record.tuning["budget_seconds"] == 1


@pytest.mark.parametrize("same", ["scan", "patient"])
def test_a_locked_case_is_never_learnt_from(model: str, same: str) -> None:
    locked = disc(20, patient="p")
    taught = locked if same == "scan" else disc(1, patient="p")
    with pytest.raises(InputError, match="locked cases"):
        drain(improve(model, Lessons(fresh=(taught,), locked=(locked,)), QUICK))
    assert len(versions(model)) == 1


def test_stopped_the_best_so_far_is_kept_and_nothing_else_changes(model: str) -> None:
    before = written(models()[model])
    steps = improve(
        model,
        Lessons(fresh=discs(1, 2, 3, 4), locked=LOCKED),
        replace(QUICK, steps=400, checks=20),
    )
    for event in steps:
        if isinstance(event, Curve) and event.best > event.points[0].dice + 0.1:
            break
    steps.close()
    (_, kept) = versions(model)
    assert kept.record is not None
    assert (kept.record.standing, kept.record.reasons) == ("provisional", (UNJUDGED,))
    assert active_id(model) == BASE
    assert written(models()[model]) == before


def test_a_model_learns_a_structure_it_did_not_know(model: str) -> None:
    fresh = tuple(disc(seed, value=2) for seed in (1, 2, 3))
    lessons = Lessons(fresh=fresh)
    found = drain(improve(model, lessons, replace(QUICK, steps=6, learning_rate=5e-4)))
    card = read_card(version_folder(model, found.version))
    record = versions(model)[1].record
    assert record is not None
    assert record.tuning["learning_rate"] == NEW_RATE  # more than for what it knows
    assert card.net.classes == 3
    assert [row.name for row in card.labels] == ["blob", "second"]


def test_a_new_structure_that_locked_cases_hold_is_judged(model: str) -> None:
    fresh = tuple(disc(seed, value=2) for seed in (1, 2, 3, 4))
    locked = tuple(disc(seed, value=2) for seed in (20, 21, 22, 23))
    found = drain(improve(model, Lessons(fresh=fresh, locked=locked), QUICK))
    assert found.standing == "accepted", found.reasons
    record = versions(model)[1].record
    assert record is not None
    second = next(one for one in record.numbers if one.structure == "second")
    assert second.active == 0  # it did not know it
    assert second.candidate > 0.3


def rows(*values: int) -> tuple[LabelRow, ...]:
    return tuple(LabelRow(value=v, name=f"part {v}", color=(1, 0, 0)) for v in values)


def test_a_new_structure_that_no_locked_case_holds_is_provisional() -> None:
    cases = judged(LOCKED, tiny_card(2))
    same = [CaseScore(case.group, "blob", 0.8, 0.8) for case, _ in cases]
    verdict = gate(same, same)
    assert verdict.decision == "rejected"
    assert on_new(verdict, cases, ()) == verdict
    assert on_new(verdict, cases, rows(1)) == verdict  # they hold label 1
    softer = on_new(verdict, cases, rows(2))
    assert softer.decision == "provisional"
    assert "no locked case holds part 2" in softer.reasons[0]
    worse = [replace(one, dice=0.5) for one in same]
    assert on_new(gate(same, worse), cases, rows(2)).decision == "rejected"


def test_of_a_model_that_does_not_know_it_by_hand() -> None:
    cases = judged(
        (disc(1), replace(disc(2, value=2), known=2), disc(3, value=2)), CARD3
    )
    found = {one.case: one.dice for one in blank_scores(cases, rows(2))}
    assert found == {disc(1).group: 1.0, disc(3).group: 0.0}  # unknown in the second


def test_background_may_be_what_did_not_exist_when_it_was_checked() -> None:
    earlier = replace(disc(1), known=2)
    (taught,), (judging,) = (
        as_cases(earlier, CARD3, judging=one) for one in (False, True)
    )
    assert set(np.unique(taught.labels)) == {-1, 1}
    assert set(np.unique(judging.labels)) == {0, 1}
    assert not judging.blank
    (again,) = as_cases(earlier, CARD3, again=True)
    assert set(np.unique(again.labels)) == {0, 1}
    assert again.blank
    (whole,) = as_cases(replace(earlier, known=3), CARD3)
    assert set(np.unique(whole.labels)) == {0, 1}


def test_what_existed_is_kept_with_a_case(model: str, brief: None) -> None:
    engine, wish = LocalEngine(), TuneWish(model=model, device="cpu")
    for seed, value, known in ((1, 1, 2), (2, 2, 3)):
        one = disc(seed, value=value)
        drain(engine.improve(one.scan, one.labels, one.checked, wish))
        assert case_store.load(one.id).known == known


def test_one_number_has_one_name() -> None:
    one = disc(1, value=2)
    table = LabelTable.of({1: "blob", 2: "third"})
    other = replace(disc(2, value=2), labels=replace(one.labels, table=table))
    with pytest.raises(InputError, match="label 2 is 'third' in working"):
        new_rows([one, other], tiny_card(2))


def test_values_without_a_row_before_them_are_refused() -> None:
    card = tiny_card(2)
    with pytest.raises(InputError, match=r"values \[7\].*from 2 on"):
        new_rows([disc(1, value=7)], card)
    assert new_rows([disc(1)], card) == ()


# ── cases ──────────────────────────────────────────────────────────────────────────


def test_what_was_not_checked_does_not_reach_training() -> None:
    one = disc(1)
    checked = one.checked.copy()
    checked[12:] = False
    other = one.labels.data.copy()
    other[12:] = 1 - other[12:]  # drawn otherwise where nobody has looked
    first = replace(one, checked=checked)
    second = replace(first, labels=replace(one.labels, data=other))
    (a,), (b,) = (as_cases(case, tiny_card(2)) for case in (first, second))
    assert np.array_equal(a.labels, b.labels)
    assert (a.labels[12:] == -1).all()
    assert (a.labels[:12] >= 0).all()


def test_of_a_volume_a_flat_model_gets_the_checked_slices() -> None:
    flat = disc(1)
    grid = flat.scan.grid.from_spacing((3, 24, 24), (1.0, 1.0, 1.0))
    data = np.stack([flat.labels.data] * 3)
    checked = np.zeros(data.shape, bool)
    checked[1] = True
    one = replace(
        flat,
        scan=replace(flat.scan, data=data.astype("f4"), grid=grid),
        labels=replace(flat.labels, data=data, grid=grid),
        checked=checked,
    )
    (case,) = as_cases(one, tiny_card(2))
    assert case.name.endswith("/1")
    assert case.image.shape == (1, 24, 24)
    assert np.array_equal(case.labels, flat.labels.data)


def test_a_kept_case_comes_back_and_names_nobody(own: Path) -> None:
    one = disc(1, patient="Doe^Jane 1970")
    assert case_store.keep(one, "tiny") == "train"  # the first one is learnt from
    back = case_store.load(one.id)
    for name in ("data", "grid", "has_time", "has_channels", "modality"):
        mine, theirs = getattr(one.scan, name), getattr(back.scan, name)
        if name == "grid":
            assert not mine.difference(theirs)
        else:
            assert np.array_equal(mine, theirs)
    assert np.array_equal(back.labels.data, one.labels.data)
    assert np.array_equal(back.checked, one.checked)
    assert dict(back.labels.table) == dict(one.labels.table)
    assert (back.id, back.group) == (one.id, one.group)
    for path in own.rglob("*"):
        assert "Doe" not in path.name
        assert path.is_dir() or b"Doe" not in path.read_bytes()


def test_a_case_kept_again_takes_its_own_place() -> None:
    one = disc(1)
    case_store.keep(one, "tiny")
    checked = np.zeros_like(one.checked)
    checked[3] = True
    case_store.keep(replace(one, checked=checked), "tiny")
    assert case_store.kept("train", "tiny") == (one.id,)
    assert np.array_equal(case_store.load(one.id).checked, checked)
    files = [path.name for path in (case_store.folder() / one.id).iterdir()]
    assert len(files) == 2


def test_sides_are_decided_once_and_by_patient() -> None:
    sides = {
        seed: case_store.keep(disc(seed, patient=f"p{seed}"), "tiny")
        for seed in range(30)
    }
    assert 4 <= list(sides.values()).count("locked") <= 16
    for seed, side in sides.items():
        assert case_store.keep(disc(seed, patient=f"p{seed}"), "tiny") == side
        assert case_store.keep(disc(seed + 100, patient=f"p{seed}"), "tiny") == side


def test_the_latest_cases_are_shown_again_as_far_as_they_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(case_store, "decide_side", lambda *_: "train")
    size = 0
    for seed in (1, 2, 3):
        case_store.keep(disc(seed), "tiny")
        home = case_store.folder() / disc(seed).id
        os.utime(home / case_store.FACTS_FILE, (seed, seed))
        (voxels,) = home.glob("*.safetensors")
        size = voxels.stat().st_size
    ids = [disc(seed).id for seed in (3, 2, 1)]
    assert list(case_store.shown_again("tiny", ())) == ids
    assert list(case_store.shown_again("tiny", ids[:1])) == ids[1:]
    assert list(case_store.shown_again("tiny", (), size + 1)) == ids[:1]
    assert list(case_store.shown_again("tiny", (), 0)) == ids[:1]
    assert case_store.shown_again("another", ()) == ()


def test_a_damaged_case_says_so() -> None:
    one = disc(1)
    case_store.keep(one, "tiny")
    (voxels,) = (case_store.folder() / one.id).glob("*.safetensors")
    voxels.write_bytes(voxels.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        case_store.load(one.id)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs of the window end after a few steps."""
    from napari_segreview.engine import finetune

    monkeypatch.setattr(finetune, "Tuning", lambda **_: replace(QUICK, steps=4))
    return None


def test_the_window_keeps_what_it_learns_from(model: str, brief: None) -> None:
    engine, wish = LocalEngine(), TuneWish(model=model, device="cpu")
    one, other = disc(1), disc(2)
    for case in (one, other):
        found = drain(engine.improve(case.scan, case.labels, case.checked, wish))
        assert found.standing == "provisional"
    kept = {*case_store.kept("train", "tiny"), *case_store.kept("locked", "tiny")}
    assert kept == {one.id, other.id}
    rows = engine.versions(model)
    assert [row.standing for row in rows] == ["accepted", "provisional", "provisional"]
    assert engine.versions("nothing") == ()


def test_a_locked_scan_judges_and_others_teach(
    model: str, brief: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, wish = LocalEngine(), TuneWish(model=model, device="cpu")
    monkeypatch.setattr(case_store, "decide_side", lambda *_: "locked")
    one, other = disc(1), disc(2)
    with pytest.raises(InputError, match="check slices of another scan too"):
        drain(engine.improve(one.scan, one.labels, one.checked, wish))
    monkeypatch.setattr(case_store, "decide_side", lambda *_: "train")
    case_store.keep(other, "tiny")
    monkeypatch.setattr(case_store, "decide_side", lambda *_: "locked")
    found = drain(engine.improve(one.scan, one.labels, one.checked, wish))
    assert "was not learnt from" in found.reasons[-1]
    record = versions(model)[1].record
    assert record is not None
    assert record.cases == (other.group,)


def test_nothing_checked_is_said_and_nothing_kept(model: str) -> None:
    one, wish = disc(1), TuneWish(model=model, device="cpu")
    steps = LocalEngine().improve(
        one.scan, one.labels, np.zeros_like(one.checked), wish
    )
    with pytest.raises(InputError, match="nothing was checked"):
        drain(steps)
    assert not (own_folder() / "cases").exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.full((24, 24), np.nan, "f4"), "not numbers"),
        (np.zeros((24, 24, 2), "f4"), r"with 1 channel\(s\)"),
    ],
)
def test_what_a_model_cannot_read_is_refused_before_it_is_kept(
    model: str, data: Any, words: str
) -> None:
    one, wish = disc(1), TuneWish(model=model, device="cpu")
    scan = replace(one.scan, data=data, has_channels=data.ndim == 3)
    with pytest.raises(InputError, match=words):
        drain(LocalEngine().improve(scan, one.labels, one.checked, wish))
    strange = replace(one.labels, data=one.labels.data * np.uint8(7))
    with pytest.raises(InputError, match=r"values \[7\]"):
        drain(LocalEngine().improve(one.scan, strange, one.checked, wish))
    assert not case_store.folder().exists()


def test_cases_of_another_model_neither_teach_nor_judge(
    model: str, brief: None
) -> None:
    """Label 1 of one model is another structure than label 1 of another."""
    one, other = disc(1), disc(2)
    case_store.keep(one, "another")
    wish = TuneWish(model=model, device="cpu")
    drain(LocalEngine().improve(other.scan, other.labels, other.checked, wish))
    record = versions(model)[1].record
    assert record is not None
    assert record.cases == (other.group,)
    drain(LocalEngine().improve(one.scan, one.labels, one.checked, wish))
    assert case_store.kept("train", "another") == (one.id,)
    assert case_store.kept("train", model) == tuple(sorted((one.id, other.id)))


def test_two_scans_of_a_patient_are_one_group() -> None:
    one, other = (
        corrected(replace(x.scan, subject="p"), x.labels, x.checked)
        for x in discs(1, 2)
    )
    assert one.id != other.id
    assert one.group == other.group == "p"


def test_doubts_have_a_number_a_plane(model: str) -> None:
    scan = disc(1).scan
    wish = LocalEngine().version_wish(model, BASE, "cpu")
    found = drain(doubts(scan, wish))
    assert len(found.planes) == scan.grid.shape[0]
    assert found.voxels.shape == scan.data.shape
    assert (found.voxels >= 0).all()
    assert (found.voxels <= np.log(2) + 1e-6).all()
    assert found.planes == pytest.approx(found.voxels.sum(axis=1).tolist(), abs=1e-3)


def test_the_rules_are_the_gates() -> None:
    assert Rules().cases == len(LOCKED)
