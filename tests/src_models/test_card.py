"""Cards: what is read back, and what a wrong one is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError
from zoo import make_card

from src_models.card import TrainedCard, bundled, find_model, parse, read_card
from src_models.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def values(**changed: Any) -> dict[str, Any]:
    return make_card().model_dump(mode="json") | changed


def write(folder: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    (folder / "card.json").write_bytes(data)
    return folder


def fault(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_card(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(folder))
    return message


def test_written_and_read_it_is_the_same(tmp_path: Path) -> None:
    card = make_card(ndim=3, classes=4, spacing=(3.0, 1.0, 1.0), orientation="LPS")
    assert read_card(write(tmp_path, card.model_dump_json())) == card


def test_it_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        make_card().title = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"tilte": "x"}, "no key 'tilte'; did you mean 'title'?"),
        (
            {"net": {"system": "unet", "ndims": 2, "in_channels": 1, "classes": 2}},
            "ndim",
        ),
        (
            {"labels": [{"value": 1, "name": "a", "color": [0, 0, 0], "colour": 1}]},
            "no key 'labels.0.colour'; did you mean 'color'?",
        ),
        (
            {"labels": [{"value": 1, "name": "a", "color": [0, 0, 0], "zzz": 1}]},
            "no key 'labels.0.zzz'; there are value, name, color",
        ),
        (
            {"intensity": {"kind": "zscore", "windows": 1}},
            "no key 'intensity.windows'; did you mean 'window'?",
        ),
        ({"schema_version": 2}, "schema_version: Input should be 1, got 2"),
        ({"precision": "float8"}, "precision: Input should be 'float32' or 'float16'"),
        ({"patch": ["wide"]}, "patch.0: Input should be a valid integer"),
    ],
)
def test_a_wrong_key_or_value_is_named(
    changed: dict[str, Any], says: str, tmp_path: Path
) -> None:
    assert says in fault(write(tmp_path, json.dumps(values(**changed))))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    given = values()
    del given["patch"]
    assert "card.json: patch: Field required" in fault(
        write(tmp_path, json.dumps(given))
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}\n{}"])
def test_no_json_of_a_card(text: str, tmp_path: Path) -> None:
    assert ": : " not in fault(write(tmp_path, text))


def test_no_text(tmp_path: Path) -> None:
    assert "not a text file" in fault(write(tmp_path, b"\xff\xfe\x00"))


def test_no_card(tmp_path: Path) -> None:
    assert "no readable card.json" in fault(tmp_path)


def test_parse_names_where() -> None:
    with pytest.raises(InputError, match=r"^here: no key 'tasks'; did you mean 'task'"):
        parse(TrainedCard, values(tasks="x"), "here")


@pytest.mark.parametrize(
    ("ndim", "channels", "colour"),
    [(2, 1, False), (2, 3, True), (2, 4, True), (3, 3, False)],
)
def test_colour_is_three_or_four_channels_in_2d(
    ndim: int, channels: int, colour: bool
) -> None:
    assert make_card(ndim=ndim, in_channels=channels).needs_colour is colour


class TestFindModel:
    @pytest.fixture(autouse=True)
    def two_models(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("heart-unet", "liver-vnet"):
            (tmp_path / name).mkdir()
            write(tmp_path / name, make_card(name=name).model_dump_json())
        (tmp_path / "empty").mkdir()
        monkeypatch.setattr("src_models.card.BUNDLED", tmp_path)

    def test_those_with_a_card_are_bundled(self, tmp_path: Path) -> None:
        assert bundled() == {n: tmp_path / n for n in ("heart-unet", "liver-vnet")}

    def test_by_name_or_folder(self, tmp_path: Path) -> None:
        assert find_model("heart-unet") == tmp_path / "heart-unet"
        assert find_model(str(tmp_path / "empty")) == tmp_path / "empty"

    @pytest.mark.parametrize(
        ("name", "says"),
        [("haert-unet", "did you mean 'heart-unet'"), ("zz", "heart-unet, liver-vnet")],
    )
    def test_an_unknown_name(self, name: str, says: str) -> None:
        with pytest.raises(InputError, match=says):
            find_model(name)
