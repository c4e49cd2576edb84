"""The tables of the documents, from the catalogue: `python scripts/models_table.py`.

Those of results are from benchmarks/methods.json. Writes them anew between their two
marks; with --check only says whether they are the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from src_models.catalog import CARDS
from src_models.catalog.methods import METHODS
from src_models.catalog.voc2012 import VOC2012

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BEGIN, END = "<!-- made by scripts/models_table.py{} -->\n", "<!-- end -->\n"


def systems() -> str:
    """Systems with their counts, then the published figures on VOC 2012."""
    lines = [
        "| system | name in recipes | year | runs in | published parameters | compact |",
        "|---|---|---|---|---|---|",
    ]
    for card in CARDS.values():
        dims = ", ".join(f"{ndim}D{' + t' * card.frames}" for ndim in card.dims)
        published = "; ".join(
            f"{preset} {ndim}D {count:,}"
            for (preset, ndim), (_, _, count) in card.published_parameters.items()
        )
        compact = " / ".join(f"{card.compact_parameters[n]:,}" for n in card.dims)
        cells = (
            card.title,
            f"`{card.name}`",
            card.year,
            dims,
            published or "–",
            compact,
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [
        "",
        "Published mean IoU on the test set of PASCAL VOC 2012, in %. None of it is ours.",
        "",
        "| method | mIoU | extra data | afterwards | known |",
        "|---|---|---|---|---|",
    ]
    for row in VOC2012:
        cells = (row.method, row.miou, row.extra_data, row.afterwards, row.source)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def methods() -> str:
    """Ways of training, in the order of the page's sections."""
    lines = [
        "| method | name in recipes | theme | paper |",
        "|---|---|---|---|",
    ]
    for card in METHODS.values():
        paper = f"[{card.paper}]({card.reference})"
        lines.append(f"| {card.title} | `{card.name}` | {card.theme} | {paper} |")
    return "\n".join(lines) + "\n"


def results() -> str:
    """Each method's run beside its baseline, then what else it is for."""
    rows = json.loads(
        (ROOT / "benchmarks" / "methods.json").read_text(encoding="utf-8")
    )
    lines = [
        "| recipe | locked cases | epochs × steps | Dice | compared with | its Dice "
        "| gain, 95 % interval | | all masks |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        mean, low, high = row["gain"]
        cells = (
            linked(row["recipe"]),
            f"{row['cases']} of {row['set']}",
            f"{row['epochs']} × {row['steps']}",
            number(row["dice"]),
            row["beside"],
            number(row["without"]),
            f"{mean:+.3f} ({low:+.3f} … {high:+.3f})".replace("-", "−"),
            verdict(low, high),
            number(row.get("masks")),
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| recipe | measure | the method | without it | by hand |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        for one in row["also"]:
            numbers = [number(one[key]) for key in ("method", "without", "by hand")]
            cells = (linked(row["recipe"]), one["measure"], *numbers)
            lines.append(f"| {' | '.join(cells)} |")
    measured = {row["method"] for row in rows}
    if missing := [f"`{name}`" for name in METHODS if name not in measured]:
        lines += ["", f"Not run so far: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def linked(recipe: str) -> str:
    return f"[{recipe}](../recipes/methods/{recipe}.toml)"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def verdict(low: float, high: float) -> str:
    """In a word, by whether the interval holds 0."""
    if low > 0:
        return "better"
    return "worse" if high < 0 else "no difference seen"


TABLES: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("models.md", "", systems),
    ("methods.md", "", methods),
    ("methods.md", ": results", results),
)


def main() -> int:
    """0 if all is as it should be."""
    stale = False
    for name, mark, table in TABLES:
        page, wanted = DOCS / name, BEGIN.format(mark)
        text = page.read_text(encoding="utf-8")
        before, begin, rest = text.partition(wanted)
        _, end, after = rest.partition(END)
        fresh = before + wanted + table() + END + after
        if not (begin and end):
            raise SystemExit(f"{name}: no place for the table, {wanted}")
        stale |= fresh != text
        if "--check" not in sys.argv:
            page.write_text(fresh, encoding="utf-8")
    return int(stale and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
