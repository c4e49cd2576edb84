"""What the user chose stays chosen as long as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from session_fakes import a_scan, desk, some_labels

from napari_segreview.core.state import State, view
from src_models.errors import InputError

HEAD, DEEP = a_scan("head"), a_scan("deep", flat=False)
ONE, TWO, THREE = (some_labels(name) for name in ("one", "two", "three"))


def test_an_empty_window() -> None:
    one = desk()
    state = one.state
    assert (state.scan_key, state.scan, state.images, state.labels) == (
        "",
        None,
        (),
        (),
    )
    assert [offer.name for offer in state.offers] == ["flat", "deep"]
    assert state.device == "cuda:0"  # the best
    assert state.samples == (("both.nii", "A sample"),)
    assert not view(state).may_segment


def test_the_first_scan_is_taken_up_with_a_model_that_fits() -> None:
    one = desk(DEEP)
    assert (one.state.scan, one.state.model) == (DEEP, "deep")
    assert view(one.state).may_segment


def test_labels_that_do_not_lie_on_the_scan_are_told() -> None:
    one = desk(HEAD, DEEP, ONE)
    assert view(one.state).warnings == ()
    one.session.choose_scan("key 1")
    assert view(one.state).warnings == ("one: elsewhere",)
    one.shelf.close("key 2")
    assert view(one.state).warnings == ()


def test_a_second_scan_does_not_take_the_place_of_the_first() -> None:
    one = desk(HEAD, DEEP)
    assert (one.state.scan, one.state.model) == (HEAD, "flat")
    assert len(one.state.images) == 2


def test_a_scan_that_closes_gives_way_to_the_last_one_open() -> None:
    one = desk(HEAD, DEEP)
    one.shelf.close("key 0")
    assert (one.state.scan, one.state.model) == (DEEP, "deep")
    one.shelf.close("key 1")
    assert (one.state.scan_key, one.state.scan) == ("", None)


def test_a_model_that_was_chosen_stays_where_it_fits() -> None:
    one = desk(HEAD)
    one.session.choose_model("deep")
    assert view(one.state).why_not_segment == "reads 3D."
    one.shelf.add(DEEP)
    one.session.choose_scan("key 1")
    assert one.state.model == "deep"
    one.session.choose_scan("key 0")
    assert one.state.model == "flat"


def test_renaming_changes_only_the_name() -> None:
    one = desk(HEAD, ONE, TWO)
    before = one.state
    one.shelf.rename("key 0", "Kopf")
    one.shelf.rename("key 2", "meine")
    assert [ref.name for ref in one.state.images] == ["Kopf"]
    assert [ref.name for ref in one.state.labels] == ["one", "meine"]
    for chosen in ("scan_key", "scan", "model", "prediction", "reference"):
        assert getattr(one.state, chosen) == getattr(before, chosen)


def test_labels_are_offered_for_comparison_as_they_come() -> None:
    one = desk(ONE)
    assert (one.state.prediction, one.state.reference) == ("", "key 0")
    one.shelf.add(TWO)
    assert (one.state.prediction, one.state.reference) == ("key 1", "key 0")
    one.shelf.add(THREE)  # the choice stands
    assert (one.state.prediction, one.state.reference) == ("key 1", "key 0")


def test_a_closed_layer_is_replaced_in_the_pair() -> None:
    one = desk(ONE, TWO, THREE)
    one.session.choose_pair("key 0", "key 2")
    one.shelf.close("key 2")
    assert (one.state.prediction, one.state.reference) == ("key 0", "key 1")
    one.shelf.close("key 0")
    assert (one.state.prediction, one.state.reference) == ("", "key 1")


def test_a_scan_that_cannot_be_read_says_why() -> None:
    one = desk(HEAD)
    one.shelf.broken["key 0"] = "head: has complex voxels; export magnitudes"
    one.session.choose_scan("key 0")
    assert one.state.scan is None
    assert view(one.state).facts == "head: has complex voxels; export magnitudes"
    assert view(one.state).why_not_segment == one.state.scan_fault
    del one.shelf.broken["key 0"]
    one.session.choose_scan("key 0")
    assert (one.state.scan, one.state.scan_fault) == (HEAD, "")


def test_plain_choices() -> None:
    one = desk(HEAD)
    one.session.choose_device("cpu")
    one.session.choose_mirror(True)
    one.session.choose_tolerance(0.5)
    state = one.state
    assert (state.device, state.mirror, state.tolerance) == ("cpu", True, 0.5)


@pytest.mark.parametrize("verb", ["pair", "tolerance", "layers"])
def test_scores_of_another_choice_are_taken_off_the_screen(verb: str) -> None:
    one = desk(HEAD, ONE, TWO)
    one.session.compare()
    assert one.state.report is not None
    one.shelf.add(THREE)
    assert one.state.report is not None  # another layer changes nothing
    if verb == "pair":
        one.session.choose_pair("key 3", "key 1")
    elif verb == "tolerance":
        one.session.choose_tolerance(1.0)
    else:
        one.shelf.close("key 2")
    assert one.state.report is None


def test_what_changed_is_told_once_and_only_if_it_did() -> None:
    one = desk(HEAD)
    told: list[tuple[State, State]] = []
    one.session.changed.connect(lambda old, new: told.append((old, new)))
    one.session.choose_device("cpu")
    one.session.choose_device("cpu")
    one.shelf.tell()
    assert [(old.device, new.device) for old, new in told] == [("cuda:0", "cpu")]
    assert told[0][1] == one.state


def test_an_added_model_is_chosen_if_it_fits() -> None:
    one = desk(HEAD)
    one.session.add_model(Path("mine"))
    assert one.state.model == "mine"
    assert one.state.said == "Added the model mine."


def test_an_added_model_that_does_not_fit_changes_no_choice() -> None:
    one = desk(DEEP)
    one.session.add_model(Path("mine"))
    assert one.state.model == "deep"
    assert "mine" in [offer.name for offer in one.state.offers]


def test_a_model_that_cannot_be_added_is_said() -> None:
    one = desk(HEAD)
    one.engine.fault = InputError("no model there")
    one.session.add_model(Path("mine"))
    assert one.state.fault == "no model there"
    assert [offer.name for offer in one.state.offers] == ["flat", "deep"]
