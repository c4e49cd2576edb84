"""The report: means, files and back, and the one table that names its columns."""

from __future__ import annotations

import csv
import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from src_models.errors import InputError
from src_models.metrics import COLUMNS, LabelScore, Report

if TYPE_CHECKING:
    from pathlib import Path


def row(value: int, **changes: Any) -> LabelScore:
    facts: dict[str, Any] = {
        "value": value,
        "name": f"organ {value}",
        "case": "both present",
        **dict.fromkeys((column.key for column in COLUMNS), 0.5),
        **changes,
    }
    return LabelScore(**facts)


@pytest.fixture
def report() -> Report:
    return Report(
        rows=(
            row(1, hd95=3.0),
            row(7, name="Ösophagus, distal", case="both empty", dice=1.0, hd95=0.0),
        ),
        spacing=(2.5, 0.8, 0.8),
        unit="mm",
        volume_unit="ml",
        tolerance=2.0,
        prediction="net",
        reference="Dr. A",
    )


def test_the_mean_is_over_all_rows(report: Report) -> None:
    assert report.mean["dice"] == 0.75
    assert report.mean["hd95"] == 1.5
    assert report.mean["iou"] == 0.5
    assert report.mean.keys() == {column.key for column in COLUMNS}
    assert report.cases == {"both present": 1, "both empty": 1}
    nothing = dataclasses.replace(report, rows=())
    assert nothing.mean == {}
    assert not nothing.cases


def test_json_and_back(report: Report) -> None:
    text = report.to_json()
    assert Report.from_json(text) == report
    facts = json.loads(text)
    assert facts["rows"][1]["name"] == "Ösophagus, distal"
    assert "MONAI" in facts["definitions"]["hd95"]


def test_old_definitions_stay_with_old_numbers(report: Report) -> None:
    old = dataclasses.replace(report, definitions={"hd95": "another formula"})
    assert Report.from_json(old.to_json()).definitions == {"hd95": "another formula"}


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.pop("format"),
        lambda facts: facts.update(format="segreview scores 0"),
        lambda facts: facts.pop("tolerance"),
        lambda facts: facts.update(more=1),
        lambda facts: facts["rows"][0].pop("dice"),
        lambda facts: facts.update(rows=3),
    ],
)
def test_other_json_is_refused(report: Report, change: Any) -> None:
    facts = json.loads(report.to_json())
    change(facts)
    with pytest.raises(InputError, match="no score report"):
        Report.from_json(json.dumps(facts))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"rows"'])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no score report"):
        Report.from_json(text)


def test_csv(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    report.to_csv(path)
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2
    assert list(lines[0])[:5] == ["prediction", "reference", "label", "name", "case"]
    assert list(lines[0])[5:] == [*report.headers.values(), "notes"]
    assert lines[0]["HD95 (mm)"] == "3.0"
    assert lines[0]["NSD (2 mm)"] == "0.5"
    assert lines[0]["Predicted volume (ml)"] == "0.5"
    assert lines[1]["name"] == "Ösophagus, distal"
    assert lines[1]["case"] == "both empty"
    assert lines[1]["prediction"] == "net"
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")  # else Excel garbles mm²


def test_a_place_that_cannot_be_written(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "not there" / "scores.csv"
    with pytest.raises(InputError, match=r"not there.*cannot be written"):
        report.to_csv(path)


def test_the_table_names_every_number_once() -> None:
    numbers = [
        one.name for one in dataclasses.fields(LabelScore) if one.type == "float"
    ]
    assert sorted(column.key for column in COLUMNS) == sorted(numbers)
    assert len({column.title for column in COLUMNS}) == len(COLUMNS)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.key)
def test_every_column_says_what_it_is(column: Any) -> None:
    assert column.formula
    assert "mpty" in column.empty_rule or "Nothing" in column.empty_rule
    assert column.definition == f"{column.formula}. {column.empty_rule}"
    told = column.header("px", "px", 1.5)
    endings = {"share": "", "tolerance": " (1.5 px)", "length": " (px)"}
    assert told == column.title + endings.get(column.unit_kind, " (px)")
