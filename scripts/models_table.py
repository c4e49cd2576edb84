"""The table of docs/models.md, from the catalogue: `python scripts/models_table.py`.

Writes it anew between its two marks; with --check only says whether it is the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

from src_models.catalog import CARDS
from src_models.catalog.voc2012 import VOC2012

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
BEGIN, END = "<!-- made by scripts/models_table.py -->\n", "<!-- end -->\n"


def markdown() -> str:
    """Systems with their counts, then the published figures on VOC 2012."""
    lines = [
        "| system | name in recipes | year | runs in | published parameters | compact |",
        "|---|---|---|---|---|---|",
    ]
    for card in CARDS.values():
        dims = ", ".join(f"{ndim}D" for ndim in card.dims)
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


def main() -> int:
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    fresh = before + begin + markdown() + end + after
    if "--check" in sys.argv:
        return int(fresh != before + begin + rest)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
