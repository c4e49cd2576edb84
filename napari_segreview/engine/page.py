"""Pieces of a self-contained page: no script, no file beside it, all text escaped."""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING

from napari_segreview.engine.pictures import PREDICTION, REFERENCE, as_source
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from napari_segreview.core.table import Table

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 14px/1.45 system-ui, sans-serif; color: #222; background: #fff;
  max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .45rem; border-bottom: 1px solid #ddd; text-align: right;
  white-space: nowrap; vertical-align: top; }
th { background: #f3f3f3; white-space: normal; vertical-align: bottom; }
.scroll table { font-size: .9rem; }
th.text, td.text, table.facts td, table.facts th { text-align: left; }
td.text, table.facts td { white-space: normal; overflow-wrap: break-word; }
table.facts th { white-space: nowrap; } table.facts td { overflow-wrap: anywhere; }
td.text:first-child { min-width: 6.5rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; max-width: 20rem; } figcaption { font-size: .87rem; }
img { max-width: 100%; display: block; background: #000; }
svg { max-width: 100%; height: auto; }
dt { font-weight: 600; } dd { margin: 0 0 .4rem 1.2rem; }
.note { color: #555; font-size: .87rem; }
.line { display: inline-block; width: 2.2rem; margin: 0 .3rem .25rem 0; }
@page { size: A4 landscape; margin: 12mm; }
@media print { body { margin: 0; padding: 0; font-size: 11px; }
  .scroll { overflow: visible; }
  figure { max-width: 15rem; }
  figure, tr { break-inside: avoid; } h2, .legend { break-after: avoid; } }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
"""
)


def page(title: str, parts: Iterable[str]) -> str:
    """The whole page; `parts` are HTML made here."""
    return _PAGE.substitute(title=escape(title), body="\n".join(parts))


def heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def facts(rows: Mapping[str, str]) -> str:
    """Two columns: what, and what it is."""
    lines = (
        f"<tr><th>{escape(name)}</th><td>{escape(said)}</td></tr>"
        for name, said in rows.items()
    )
    return f'<table class="facts">{"".join(lines)}</table>'


def table(content: Table) -> str:
    """A table as the window shows it; hovers become titles."""
    first = content.rows[0] if content.rows else ()
    words = [isinstance(cell.key, str) for cell in first] or [False] * len(
        content.hovers
    )
    heads = "".join(
        f'<th{_as_words(text)} title="{escape(hover)}">{_unbroken(title)}</th>'
        for title, hover, text in zip(
            content.headers, content.hovers, words, strict=True
        )
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td{_as_words(text)} title="{escape(content.hover(row, at))}">'
            f"{escape(cell.text)}</td>"
            for at, (cell, text) in enumerate(zip(cells, words, strict=True))
        )
        + "</tr>"
        for row, cells in enumerate(content.rows)
    )
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _unbroken(header: str) -> str:
    """A unit stays in one line with its number: "(2 mm)"."""
    name, bracket, unit = header.partition(" (")
    return escape(name + bracket + unit.replace(" ", "\N{NO-BREAK SPACE}"))


def _as_words(text: bool) -> str:
    """Words stand on the left and break into lines, numbers do neither."""
    return ' class="text"' if text else ""


def definitions(said: Mapping[str, str]) -> str:
    """Terms and what they mean."""
    rows = (f"<dt>{escape(t)}</dt><dd>{escape(d)}</dd>" for t, d in said.items())
    return f"<dl>{''.join(rows)}</dl>"


def figures(pictures: Iterable[tuple[bytes, str]]) -> str:
    """PNGs with captions, side by side."""
    shown = (
        f'<figure><img src="{as_source(png)}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for png, caption in pictures
    )
    return f'<div class="figures">{"".join(shown)}</div>'


def legend() -> str:
    """Which outline is whose."""
    lines = ((PREDICTION, "solid", "prediction"), (REFERENCE, "dashed", "reference"))
    shown = (
        f'<span class="line" style="border-top: 3px {stroke} rgb{colour}"></span>'
        f"{name} ({stroke}) "
        for colour, stroke, name in lines
    )
    return f'<p class="legend">{"".join(shown)}</p>'


def chart(svg: str, title: str) -> str:
    """One of `core.charts` with its title."""
    return (
        f'<figure style="max-width: none"><figcaption>{escape(title)}</figcaption>'
        f"{svg}</figure>"
    )


def write(path: Path, text: str) -> None:
    """Write a text file, or say why not in one line.

    Raises
    ------
    InputError
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: the report cannot be written there ({error.strerror}); choose "
            "another folder"
        ) from error
