"""The page of a case: whole, self-contained, escaped, nameless; its pictures."""

from __future__ import annotations

import base64
import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from napari_segreview.core.charts import agreement_chart
from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.engine import page
from napari_segreview.engine.case_report import checked_page, write_case
from napari_segreview.engine.evaluate import error_maps, review
from napari_segreview.engine.pictures import (
    PREDICTION,
    REFERENCE,
    Cut,
    across_and_down,
    outlined,
)
from src_models.card import bundled, read_card
from src_models.errors import InputError
from src_models.metrics import Report, bland_altman
from src_models.progress import drain

if TYPE_CHECKING:
    from pathlib import Path

GRID = Grid.from_spacing((6, 60, 80), (3.0, 1.0, 0.5))
VOID = {"meta", "img", "rect", "path", "circle", "br"}
EVIL = "<script>alert('1')</script> & Müller"


class Strict(HTMLParser):
    """Counts tags, and refuses what does not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(path: Path) -> Strict:
    parser = Strict()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    assert parser.open == []
    assert "script" not in parser.tags
    assert all(link.startswith("data:image/png;base64,") for link in parser.links)
    return parser


def labels(name: str, shift: int = 0, **changes: Any) -> LabelMap:
    data = np.zeros(GRID.shape, np.uint8)
    data[1:5, 20:40, 20 + shift : 50 + shift] = 1
    table = LabelTable.of({1: "liver", 2: EVIL})
    return LabelMap(
        **{"data": data, "grid": GRID, "name": name, "table": table} | changes
    )


def scan(**changes: Any) -> Scan:
    data = np.random.default_rng(0).normal(40, 20, GRID.shape).astype(np.int16)
    return Scan(
        **{"data": data, "grid": GRID, "name": "Doe^Jane", "modality": "CT"} | changes
    )


def test_a_case(tmp_path: Path) -> None:
    pair = labels("Doe^Jane model", 3), labels("Doe^Jane by hand")
    written = drain(write_case(*pair, scan(), tmp_path / "a.html"))
    found = parsed(written)
    text = found.text
    for said in ("liver", "HD95 (mm)", "80×60×6 voxels", "SegReview", "numpy", "2 mm"):
        assert said in text
    assert EVIL in text  # as text
    assert found.tags.count("img") == 2  # of four slices side by side, every third
    assert "rect" in found.tags
    for suffix in (".html", ".csv", ".json"):
        assert "Doe" not in written.with_suffix(suffix).read_text(encoding="utf-8")
    report = Report.from_json(written.with_suffix(".json").read_text(encoding="utf-8"))
    assert report.rows[0].dice == pytest.approx(0.9)
    text = written.with_suffix(".csv").read_text(encoding="utf-8-sig")
    assert list(csv.reader(text.splitlines()))[1][3] == "liver"


def test_names_when_asked_for(tmp_path: Path) -> None:
    steps = write_case(
        labels("Doe model", 3), labels("Doe"), scan(), tmp_path / "a", with_names=True
    )
    found = parsed(drain(steps))
    assert "Doe^Jane" in found.text
    assert "Doe model against Doe" in found.text


def test_the_model_and_its_weights(tmp_path: Path) -> None:
    name, folder = next(iter(bundled().items()))
    pair = labels("a", 1), labels("b")
    steps = write_case(*pair, None, tmp_path / "a.html", model=name)
    text = parsed(drain(steps)).text
    assert read_card(folder).sha256 in text
    assert "outlines are on black" in text
    with pytest.raises(InputError, match="no model"):
        drain(write_case(*pair, None, tmp_path / "b.html", model="no model of mine"))


@pytest.mark.parametrize("side", ["prediction", "reference", "both"])
def test_empty_sides(tmp_path: Path, side: str) -> None:
    none = np.zeros(GRID.shape, np.uint8)
    mine, theirs = labels("a"), labels("b")
    mine = replace(mine, data=none) if side != "reference" else mine
    theirs = replace(theirs, data=none) if side != "prediction" else theirs
    text = parsed(drain(write_case(mine, theirs, scan(), tmp_path / "a.html"))).text
    assert ("No slice has a wrong voxel" in text) == (side == "both")


def test_500_labels(tmp_path: Path) -> None:
    data = np.zeros(GRID.shape, np.uint16)
    data.reshape(-1)[: 500 * 50 : 50] = np.arange(1, 501)
    many = labels("a", data=data, table=LabelTable())
    moved = labels("b", data=np.roll(data, 1, 2), table=LabelTable())
    found = parsed(drain(write_case(many, moved, scan(), tmp_path / "a.html")))
    assert "12 structures of 500" in found.text
    assert found.tags.count("img") == 6


def test_a_photograph_and_frames(tmp_path: Path) -> None:
    grid = Grid.from_spacing((40, 50), (1.0, 1.0), "px")
    data = np.zeros((3, 40, 50), np.uint8)
    data[:, 5:20, 5:30] = 1
    truth = data.copy()
    truth[1] = 0
    table = LabelTable.of({1: "cup"})
    film = [LabelMap(data=d, grid=grid, table=table) for d in (data, truth)]
    colour = np.full((3, 40, 50, 3), 200, np.uint8)
    shown = Scan(data=colour, grid=grid, name="f", has_time=True, has_channels=True)
    text = parsed(drain(write_case(*film, shown, tmp_path / "film.html"))).text
    assert "frame 1" in text
    still = [LabelMap(data=d[0], grid=grid, table=table) for d in (data, truth)]
    photo = Scan(data=colour[0], grid=grid, name="p", has_channels=True)
    text = parsed(drain(write_case(*still, photo, tmp_path / "photo.html"))).text
    assert "Dice per slice" not in text


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("none/a.html", "no such folder"),
        ("a.pdf", "a page .* is written"),
        ("folder.html", "a folder of that name"),
        ("file/a.html", "no such folder"),
    ],
)
def test_places_that_cannot_be_written(tmp_path: Path, path: str, says: str) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=says):
        checked_page(tmp_path / path)


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written there"):
        page.write(tmp_path / "none" / "a.html", "text")


def test_grids_that_differ(tmp_path: Path) -> None:
    other = Grid.from_spacing(GRID.shape, (3.0, 1.0, 0.6))
    pair = labels("a"), labels("b")
    with pytest.raises(InputError, match=r"image .* different grids .spacing"):
        drain(write_case(*pair, scan(grid=other), tmp_path / "a.html"))
    with pytest.raises(InputError, match="a and b lie on different grids"):
        drain(write_case(pair[0], labels("b", grid=other), None, tmp_path / "a.html"))
    assert list(tmp_path.iterdir()) == []


# ── pictures ───────────────────────────────────────────────────────────────────────


def pixels(png: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(png)))


def test_both_outlines_are_seen_in_their_colours_and_millimetres_are_square() -> None:
    mine, theirs = labels("a", 4).data == 1, labels("b").data == 1
    cut = Cut.of(GRID, (2, 30, 30))
    shown = pixels(outlined(scan(), cut.take(mine), cut.take(theirs), cut))
    for colour in (PREDICTION, REFERENCE):
        assert (shown == colour).all(-1).sum() > 50
    # The prediction's line is solid, the reference's dashed: the same box, fewer pixels.
    line = (shown == PREDICTION).all(-1).sum(), (shown == REFERENCE).all(-1).sum()
    assert 0.3 < line[1] / line[0] < 0.7
    down, across = np.nonzero((shown == PREDICTION).all(-1))
    assert np.ptp(across) / np.ptp(down) == pytest.approx(30 * 0.5 / 20, rel=0.05)


def test_a_picture_hangs_as_the_window_does() -> None:
    """The patient's left on the right, the back below, for axes that run to R and A."""
    turned = Grid(GRID.shape, np.diag([-0.5, -1.0, 3.0, 1.0]))
    assert turned.orientation == "RAS"
    mask = np.zeros(GRID.shape, bool)
    mask[2, 5:10, 5:10] = True  # near the first row and column
    cut = Cut.of(turned, (2, 7, 7))
    assert np.argwhere(cut.take(mask)).min(0).tolist() == [50, 70]
    assert across_and_down(turned) == across_and_down(GRID)
    assert across_and_down(GRID) == "left to right: R to L, top to bottom: A to P"
    assert across_and_down(Grid.from_spacing((5, 5), (1.0, 1.0))) == ""


def test_a_single_voxel_has_a_picture() -> None:
    dot = np.zeros((60, 80), bool)
    dot[0, 79] = True
    cut = Cut.of(GRID, (0, 0, 79))
    shown = pixels(outlined(None, dot, np.zeros_like(dot), cut))
    assert (shown == PREDICTION).all(-1).any()


def test_bytes_of_a_picture_in_a_page() -> None:
    text = page.figures([(b"png", 'a "quoted" <caption>')])
    assert base64.b64encode(b"png").decode() in text
    assert "<caption>" not in text
    assert re.search(r'alt="a &quot;quoted&quot;', text)


def test_a_chart_of_one_point_and_of_no_difference() -> None:
    for points in ([(5.0, 0.0)], [(5.0, 0.0), (5.0, 0.0)]):
        found = bland_altman([5.0] * len(points), [5.0] * len(points))
        assert "nan" not in agreement_chart(points, found, "a − b")


# ── scores and maps under names ────────────────────────────────────────────────────


def test_labels_are_matched_by_name() -> None:
    truth = labels("truth", table=LabelTable.of({1: "liver", 2: "spleen"}))
    mine = labels("mine", 3, table=LabelTable.of({2: "liver", 1: "spleen"}))
    mine = replace(mine, data=mine.data * 2)
    found = drain(review(mine, truth, 2.0))
    assert found.report.rows[0].name == "liver"
    assert found.report.rows[0].dice == pytest.approx(0.9)
    assert found.report.notes[0].startswith("Labels were matched by name")
    assert found.slices.names == ("liver",)


def test_maps() -> None:
    maps = drain(error_maps(labels("a", 3), labels("b"), 2.0))
    assert maps.false.data.sum() == maps.missed.data.sum() == 4 * 20 * 3
    assert (maps.false.data & maps.missed.data).sum() == 0
    assert maps.title == "surface distance −4 to +4 mm"
    assert np.nanmax(maps.surface) == pytest.approx(1.5)
    assert maps.false.table.name(1) == "false positive: liver"
