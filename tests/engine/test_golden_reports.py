"""Reports as a browser shows them, held against pictures that someone has looked at."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from golden_images import check_golden, font

from napari_segreview.core.cohort import CaseScore
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.engine import case_report, cohort_page, readers_page
from napari_segreview.engine.evaluate import compare
from napari_segreview.engine.readers import study
from src_models.progress import drain

if TYPE_CHECKING:
    from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SPACE = Grid.from_spacing((12, 48, 40), (3.0, 1.0, 1.0))
NAMES = LabelTable.of({1: "liver", 2: "spleen"})


def photographed(page: Path, high: int) -> Path:
    """What a browser shows of a page, in a font that comes with napari."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser to look at pages with: none of {', '.join(BROWSERS)}")
    faces = "".join(
        f"@font-face {{ font-family: golden; font-weight: {weight}; "
        f"src: url('{font(name).as_uri()}'); }}"
        for name, weight in (("Regular", 400), ("Bold", 700))
    )
    style = f"<style>{faces} body, svg {{ font-family: golden !important; }}</style>"
    text = page.read_text(encoding="utf-8").replace("</head>", f"{style}</head>")
    copy, picture = page.with_name("copy.html"), page.with_suffix(".png")
    copy.write_text(text, encoding="utf-8")
    subprocess.run(
        [program, "--headless=new", "--no-sandbox", "--disable-gpu",
         "--hide-scrollbars", "--force-device-scale-factor=1",
         f"--user-data-dir={page.parent / 'profile'}", f"--window-size=1000,{high}",
         f"--screenshot={picture}", copy.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return picture


@pytest.fixture(autouse=True)
def same_day(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (case_report, cohort_page, readers_page):
        monkeypatch.setattr(module, "versions", lambda: {"Program": "SegReview 1.2.3"})


def labels(name: str, misses: int = 0) -> LabelMap:
    z, y, x = np.indices(SPACE.shape)
    data = np.zeros(SPACE.shape, np.uint8)
    data[((z - 6) / 4) ** 2 + ((y - 18) / 12) ** 2 + ((x - 14) / 9) ** 2 < 1] = 1
    data[((z - 6) / 3) ** 2 + ((y - 36) / 6) ** 2 + ((x - 30) / 6) ** 2 < 1] = 2
    data[:, : 8 + misses] = 0
    return LabelMap(data=data, grid=SPACE, table=NAMES, name=name)


def scan() -> Scan:
    """Stripes, brighter where the organs are."""
    z, y, x = np.indices(SPACE.shape)
    data = 100 + 20 * np.sin(x / 3.0) + 10 * np.cos(y / 4.0) + 3 * z
    data[labels("truth").data > 0] += 60
    return Scan(data=data.astype(np.int16), grid=SPACE, name="abdomen", modality="CT")


def test_a_case(tmp_path: Path) -> None:
    steps = case_report.write_case(
        labels("model", 3), labels("truth"), scan(), tmp_path / "case.html"
    )
    check_golden(photographed(drain(steps), 2050), "report-case")


def test_a_cohort(tmp_path: Path) -> None:
    truth = labels("truth")
    cases = [
        CaseScore(
            f"case {at}",
            drain(compare(labels("net", at), truth, 2.0)),
            drain(compare(labels("other", 2 + at % 3), truth, 2.0)),
        )
        for at in range(1, 7)
    ]
    first = cases[0].report
    assert first is not None
    cases[0] = replace(cases[0], report=replace(first, notes=("It was resampled.",)))
    cases.append(CaseScore("case 7", error="case-7.nii.gz: the file is damaged"))
    page = cohort_page.write_cohort(cases, tmp_path / "cohort.html")
    check_golden(photographed(page, 1500), "report-cohort")


def test_readers(tmp_path: Path) -> None:
    def case(at: int) -> dict[str, LabelMap]:
        return {
            "ann": labels("ann"),
            "bob": labels("bob", at),
            "net": labels("net", at // 2),
        }

    cases = {f"case {at}": lambda at=at: case(at) for at in range(1, 4)}
    found = drain(study(cases, model="net", tolerance=2.0))
    page = readers_page.write_study(found, tmp_path / "readers.html")
    check_golden(photographed(page, 1500), "report-readers")
