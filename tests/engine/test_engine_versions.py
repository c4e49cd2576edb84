"""Versions: nothing is overwritten, only the accepted become active, one can go back."""

from __future__ import annotations

import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tiny_model import save_tiny

from napari_segreview.core.lock import Lock, TakenError
from napari_segreview.engine import versions as page
from napari_segreview.engine.models import ACTIVE_FILE, BASE, VARIABLE, home_of, models
from napari_segreview.engine.versions import (
    RECORD_FILE,
    VersionRecord,
    activate,
    add,
    check_room,
    export,
    take,
    versions,
)
from src_models.card import CARD_FILE, WEIGHTS_FILE, bundled, read_card
from src_models.errors import InputError
from src_models.weights import load_model, save_model

if TYPE_CHECKING:
    from pathlib import Path

NAME = "hippocampus-unet3d"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """The bundled model with one weight moved."""
    net, card = load_model(bundled()[NAME])
    with torch.no_grad():
        next(net.parameters()).add_(0.01)
    save_model(net, card, tmp_path / "candidate")
    return tmp_path / "candidate"


def record(**changes: Any) -> VersionRecord:
    values = {
        "parent": read_card(bundled()[NAME]).sha256,
        "cases": ("case 1",),
        "standing": "accepted",
        "reasons": ("better",),
        "made": "2026-01-02T03:04:05Z",
    }
    return VersionRecord.model_validate(values | changes)


def test_at_first_there_is_the_base(own: Path) -> None:
    (only,) = versions(NAME)
    assert (only.id, only.folder, only.record, only.active) == (
        BASE,
        bundled()[NAME],
        None,
        True,
    )
    assert not own.exists()


def test_a_version_is_kept_then_activated_then_rolled_back(candidate: Path) -> None:
    first, second = add(NAME, candidate, record()), add(NAME, candidate, record())
    assert (first[:4], second[:4]) == ("0001", "0002")  # never one over the other
    assert [one.id for one in versions(NAME)] == [BASE, first, second]
    assert models()[NAME] == bundled()[NAME]  # kept is not active
    activate(NAME, second)
    assert read_card(models()[NAME]).sha256 == read_card(candidate).sha256
    assert [one.active for one in versions(NAME)] == [False, False, True]
    activate(NAME, BASE)
    assert models()[NAME] == bundled()[NAME]


@pytest.mark.parametrize("standing", ["rejected", "provisional"])
def test_only_the_accepted_become_active(candidate: Path, standing: str) -> None:
    made = add(NAME, candidate, record(standing=standing, reasons=("part got worse",)))
    with pytest.raises(InputError, match=rf"is {standing} \(part got worse\)"):
        activate(NAME, made)
    assert models()[NAME] == bundled()[NAME]
    assert versions(NAME)[1].record is not None  # it stays, with its reasons


def test_damaged_weights_never_become_active(candidate: Path) -> None:
    made = add(NAME, candidate, record())
    weights = versions(NAME)[1].folder / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match="not those of the card"):
        activate(NAME, made)
    with pytest.raises(InputError, match="not those of the card"):
        add(NAME, weights.parent, record())


@pytest.mark.parametrize("text", ["", "{}", '{"version": "0009-deadbeef"}'])
def test_a_pointer_to_nowhere_is_the_base(candidate: Path, text: str) -> None:
    activate(NAME, add(NAME, candidate, record()))
    (home_of(NAME) / ACTIVE_FILE).write_text(text)
    assert models()[NAME] == bundled()[NAME]


def test_what_a_killed_program_left_is_removed_by_the_next(candidate: Path) -> None:
    made = add(NAME, candidate, record())
    home = home_of(NAME)
    (home / ".new-half" / "version").mkdir(parents=True)
    (home / ".new-half" / "version" / WEIGHTS_FILE).write_bytes(b"half")
    (home / f".new-{ACTIVE_FILE}").write_text("{")
    activate(NAME, made)
    assert not list(home.glob(".new*"))
    assert [one.id for one in versions(NAME)] == [BASE, made]


def test_two_programs_write_one_after_the_other(
    candidate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_of(NAME)
    home.mkdir(parents=True)
    lock = Lock(home)
    monkeypatch.setattr(page, "PATIENCE", 0.0)
    with pytest.raises(TakenError, match="is open in another window"):
        add(NAME, candidate, record())
    monkeypatch.setattr(page, "PATIENCE", 60.0)
    monkeypatch.setattr(page.time, "sleep", lambda _: lock.release())
    assert add(NAME, candidate, record())[:4] == "0001"


def test_room_is_looked_for_before_the_work(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_room(NAME, 10)
    full = SimpleNamespace(free=3 * 2**20)
    monkeypatch.setattr(page.shutil, "disk_usage", lambda _: full)
    with pytest.raises(InputError, match=r"room for 3\.0 MB, a version needs 4\.0 MB"):
        check_room(NAME, 2 * 2**20)
    own.rename(own.with_name("elsewhere"))
    own.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="own"):
        check_room(NAME, 10)


def test_unknown_names_are_refused(candidate: Path) -> None:
    with pytest.raises(InputError, match="no model 'nothing'"):
        add("nothing", candidate, record())
    with pytest.raises(InputError, match=f"no version '7'; there are {BASE}"):
        activate(NAME, "7")


def test_out_as_a_zip_and_in_again(candidate: Path, tmp_path: Path) -> None:
    made = add(NAME, candidate, record(reasons=("better by far",)))
    export(NAME, made, tmp_path / "one.zip")
    again = take(NAME, tmp_path / "one.zip")
    one, other = versions(NAME)[1:]
    assert again == other.id != one.id
    assert one.record == other.record
    for file in (CARD_FILE, WEIGHTS_FILE):
        assert (one.folder / file).read_bytes() == (other.folder / file).read_bytes()
    with pytest.raises(InputError, match="no such folder"):
        export(NAME, made, tmp_path / "none" / "one.zip")
    with pytest.raises(InputError, match="need not be exported"):
        export(NAME, BASE, tmp_path / "base.zip")


@pytest.mark.parametrize("damage", ["escape", "more", "less", "cut", "none", "weights"])
def test_a_zip_that_is_not_one_of_ours(
    candidate: Path, tmp_path: Path, damage: str
) -> None:
    made = add(NAME, candidate, record())
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    export(NAME, made, good)
    with zipfile.ZipFile(good) as packed:
        held = {one: packed.read(one) for one in packed.namelist()}
    match damage:
        case "escape":
            held["../" + CARD_FILE] = held.pop(CARD_FILE)
        case "more":
            held["run.py"] = b"1"
        case "less":
            del held[RECORD_FILE]
        case "weights":
            held[WEIGHTS_FILE] = held[WEIGHTS_FILE][:-1] + b"?"
    with zipfile.ZipFile(bad, "w") as packed:
        for name, content in held.items():
            packed.writestr(name, content)
    if damage == "cut":
        bad.write_bytes(good.read_bytes()[:-200])
    if damage == "none":
        bad.write_bytes(b"")
    before = versions(NAME)
    with pytest.raises(InputError, match=r"nothing else|not a whole zip|not those of"):
        take(NAME, bad)
    assert versions(NAME) == before
    assert not list(tmp_path.rglob("run.py"))


def test_a_model_of_ones_own_has_versions_too(tmp_path: Path) -> None:
    from napari_segreview.engine.models import install

    install(save_tiny(tmp_path / "trained", name="mine"))
    other = save_tiny(tmp_path / "better", channels=1, name="mine")
    activate("mine", add("mine", other, record()))
    assert models()["mine"].parent == home_of("mine")
