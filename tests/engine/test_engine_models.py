"""The user's own models: kept whole, found by name, never in another's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tiny_model import save_tiny

from napari_segreview.engine import LocalEngine, models
from napari_segreview.engine.models import VARIABLE, install, own_folder
from src_models.card import CARD_FILE, WEIGHTS_FILE, bundled, read_card
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    return tmp_path / "own"


def test_without_own_models_there_are_the_bundled_ones(own: Path) -> None:
    assert own_folder() == own
    assert models.models() == bundled()
    assert not own.exists()  # looking makes nothing


def test_an_added_model_is_found_and_offered(own: Path, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "trained", name="mine", title="Mine")
    assert LocalEngine().add_model(folder) == "mine"
    assert models.models()["mine"] == own / "mine"
    assert {path.name for path in (own / "mine").iterdir()} == {CARD_FILE, WEIGHTS_FILE}
    assert [path.name for path in own.iterdir()] == ["mine"]  # nothing half-made
    assert "Mine" in [offer.title for offer in LocalEngine().offers(None)]


def test_the_same_model_twice_is_one(own: Path, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "trained", name="mine")
    assert install(folder) == install(folder) == "mine"
    assert len(list(own.iterdir())) == 1


@pytest.mark.parametrize("taken", ["mine", *bundled()])
def test_no_model_takes_anothers_name(tmp_path: Path, taken: str) -> None:
    install(save_tiny(tmp_path / "one", name="mine"))
    other = save_tiny(tmp_path / "two", channels=2, name=taken)
    before = read_card(models.models()[taken])
    with pytest.raises(InputError, match=f"there is another model '{taken}' in .*/"):
        install(other)
    assert read_card(models.models()[taken]) == before


def test_damaged_weights_are_not_taken(own: Path, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "trained", name="mine")
    weights = folder / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match="not those of the card"):
        install(folder)
    assert not own.exists()


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a model is a folder with card"):
        install(tmp_path)


def test_a_damaged_card_does_not_hide_the_others(own: Path, tmp_path: Path) -> None:
    install(save_tiny(tmp_path / "trained", name="mine"))
    (own / "mine" / CARD_FILE).write_text("{}")
    found = LocalEngine().offers(None)
    assert {offer.name for offer in found} == {"mine", *bundled()}
    assert found[-1].name == "mine"  # what cannot be run comes last
    assert CARD_FILE in found[-1].reason
