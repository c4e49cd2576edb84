"""Figures in the documents are those of the cards; links lead somewhere."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pytest

from src_models.card import bundled, read_card
from src_models.catalog import CARDS
from src_models.catalog.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", bundled())
def test_the_readme_quotes_the_card(name: str) -> None:
    card = read_card(bundled()[name])
    row = next(
        line
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{name}`")
    )
    cases = len(card.data.train)
    assert f"{card.data.name} ({card.data.licence}), {cases} cases" in row
    assert f"{card.locked.mean_dice:.3f} ({card.locked.cases} cases)" in row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_tables_are_those_of_the_catalogue() -> None:
    run = [sys.executable, str(ROOT / "scripts" / "models_table.py"), "--check"]
    assert subprocess.run(run, check=False, timeout=60).returncode == 0


def test_results_are_of_the_recipes_as_they_stand() -> None:
    digest = runpy.run_path(str(ROOT / "benchmarks" / "methods.py"))["digest"]
    rows = json.loads(
        (ROOT / "benchmarks" / "methods.json").read_text(encoding="utf-8")
    )
    assert rows
    for row in rows:
        recipe = ROOT / "recipes" / "methods" / f"{row['recipe']}.toml"
        assert row["digest"] == digest(recipe), recipe.name


def test_every_system_has_its_paragraph() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    words = page.partition("## Parameters")[0]
    for card in CARDS.values():
        assert card.title in words, card.title


def test_every_method_has_its_paragraph_below_its_theme() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    sections = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    for card in METHODS.values():
        theme = {"Sequence": "Sequences"}.get(card.theme, card.theme)
        assert f"**`{card.name}`**" in sections[theme], card.name


def test_the_click_scores_are_those_of_the_card() -> None:
    from napari_segreview._click_bench import score_rows
    from src_models.interactive.weights import BUNDLED, BUNDLED_3D, load_click_net

    page = (ROOT / "docs" / "click.md").read_text(encoding="utf-8")
    for folder in (BUNDLED, BUNDLED_3D):
        rows = score_rows(load_click_net(folder)[1])
        assert len(rows) > 5
        assert all(row in page for row in rows)


def test_the_click_means_are_those_of_the_card() -> None:
    from src_models.interactive.weights import BUNDLED, load_click_net

    page = (ROOT / "docs" / "click.md").read_text(encoding="utf-8")
    card = load_click_net(BUNDLED)[1]
    (vessels,) = (one for one in card.seen if one.name == "retina_chasedb1")
    seen = [one for one in card.seen if one is not vessels]
    clicks, first, third = (
        [fmean(of(one) for one in sets) for sets in (seen, card.unseen)]
        for of in (
            lambda one: one.clicks[0],
            lambda one: one.ious[0],
            lambda one: one.ious[1],
        )
    )
    assert (
        f"Means of sets: {clicks[0]:.1f} clicks to .85 on the seen ones other than "
        f"vessels (IoU after one click {first[0]:.2f}, after three {third[0]:.2f}), "
        f"{clicks[1]:.1f} on the unseen ones ({first[1]:.2f}, {third[1]:.2f}). "
        f"Vessels: {vessels.ious[0]:.2f} after the first click, "
        f"{vessels.ious[1]:.2f} after the third."
    ) in page
