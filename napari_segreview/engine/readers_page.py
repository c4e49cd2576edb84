"""A study of readers as a page, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

from napari_segreview.core.agreement import plots
from napari_segreview.core.numbering import numbered
from napari_segreview.core.readers import (
    RULE,
    pair_table,
    spread,
    spread_table,
)
from napari_segreview.core.study import Agreement, Study
from napari_segreview.engine import page
from napari_segreview.engine.case_report import checked_page, versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


MOST = 60  # plots on a page


def write_study(study: Study, path: Path, *, with_names: bool = False) -> Path:
    """Write ``path`` (.html) and the same name as .csv and .json; returns the page.

    Parameters
    ----------
    with_names : bool
        Whether the names of the cases are told. They are those of files and may name
        a patient; without, cases are numbered in their order. Readers keep their names.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    path = checked_page(path)
    if not with_names:
        number = numbered(one.case for one in study.pairs)
        pairs = (replace(one, case=number[one.case]) for one in study.pairs)
        study = replace(study, pairs=tuple(pairs))
    page.write(path, page.page("Readers held against each other", _parts(study)))
    page.write(path.with_suffix(".csv"), _csv(study))
    page.write(path.with_suffix(".json"), as_json(study))
    return path


def as_json(study: Study) -> str:
    """All pairs, the limits of agreement, and the verdicts with their rule."""
    agreement = [
        {"first": one.first, "second": one.second, "of": one.what, **asdict(one.found)}
        for one in plots(study)
    ]
    verdicts = [
        {**asdict(one), "williams": one.williams, "within": one.within}
        for one in spread(study)
    ]
    facts = {
        "format": "segreview readers 2",
        **asdict(study),
        "bland_altman": agreement,
        "spread": verdicts,
        "rule": RULE,
    }
    return json.dumps(facts, ensure_ascii=False, indent=2)


def _csv(study: Study) -> str:
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    keys = [one.name for one in fields(Agreement)]
    lines.writerow(keys)
    lines.writerows([getattr(one, key) for key in keys] for one in study.pairs)
    return "\ufeff" + text.getvalue()


def _parts(study: Study) -> Iterator[str]:
    cases = {one.case for one in study.pairs}
    yield page.facts({"Cases": str(len(cases)), **versions()})
    yield page.heading("Pairs")
    yield page.table(pair_table(study))
    if study.model:
        yield page.heading(f"{study.model} against the readers")
        yield page.table(spread_table(study))
        yield page.note(RULE)
    yield page.heading(f"Volumes in {study.volume_unit} (Bland-Altman)")
    shown = plots(study)
    for one in shown[:MOST]:
        yield page.chart(one.svg(), one.title)
    if len(shown) > MOST:
        yield page.note(f"The first {MOST} of {len(shown)}; the JSON has all.")
