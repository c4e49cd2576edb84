"""The tables of the documents, from the catalogue: `python scripts/models_table.py`.

Writes them anew between their two marks; with --check only says whether they are the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

from src_models.catalog import CARDS
from src_models.catalog.methods import METHODS
from src_models.catalog.voc2012 import VOC2012

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- made by scripts/models_table.py -->\n", "<!-- end -->\n"


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


PAGES = {"models.md": systems, "methods.md": methods}


def main() -> int:
    """0 if all is as it should be."""
    stale = False
    for name, table in PAGES.items():
        page = DOCS / name
        text = page.read_text(encoding="utf-8")
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        fresh = before + begin + table() + end + after
        stale |= not (begin and end) or fresh != text
        if "--check" not in sys.argv:
            page.write_text(fresh, encoding="utf-8")
    return int(stale and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
