"""Pieces of a self-contained page: no script, no file beside it, all text escaped."""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING

from napari_segreview.engine.pictures import PREDICTION, REFERENCE, as_source
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_segreview.core.table import Table
    from src_models.metrics import BlandAltman

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 14px/1.45 system-ui, sans-serif; color: #222; background: #fff;
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; border-bottom: 1px solid #ddd; text-align: right;
  white-space: nowrap; }
th { background: #f3f3f3; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
table.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; max-width: 22rem; } figcaption { font-size: .87rem; }
img { max-width: 100%; display: block; background: #000; }
svg { max-width: 100%; height: auto; }
dt { font-weight: 600; } dd { margin: 0 0 .4rem 1.2rem; }
.note { color: #555; font-size: .87rem; }
.line { display: inline-block; width: 2.2rem; margin: 0 .3rem .25rem 0; }
@media print { body { margin: 0; } figure { break-inside: avoid; } }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
"""
)

WIDE, HIGH, TALL, LEFT, RIGHT = 640, 60, 200, 34, 120  # of a chart, in its own units


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
    heads = "".join(
        f'<th title="{escape(hover)}">{escape(title)}</th>'
        for title, hover in zip(content.headers, content.hovers, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td title="{escape(cell.hover)}">{escape(cell.text)}</td>' for cell in row
        )
        + "</tr>"
        for row in content.rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


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
    return f"<p>{''.join(shown)}</p>"


def strip_chart(values: Sequence[float | None], title: str) -> str:
    """Bars from 0 to 1, one a slice, as inline SVG; a gap where nothing is drawn."""
    step = (WIDE - LEFT) / max(1, len(values))
    bars = "".join(
        f'<rect x="{LEFT + at * step:.2f}" y="{HIGH - max(1, value * HIGH):.2f}" '
        f'width="{max(0.5, step * 0.85):.2f}" height="{max(1, value * HIGH):.2f}">'
        f"<title>slice {at}: Dice {value:.3f}</title></rect>"
        for at, value in enumerate(values)
        if value is not None
    )
    return _chart(
        f'<text x="{LEFT - 4}" y="10" text-anchor="end">1</text>'
        f'<text x="{LEFT - 4}" y="{HIGH}" text-anchor="end">0</text>'
        f'<g fill="#3b8fc4">{bars}</g>'
        f'<text x="{LEFT}" y="{HIGH + 14}">slice 0</text>'
        f'<text x="{WIDE}" y="{HIGH + 14}" text-anchor="end">{len(values) - 1}</text>',
        title,
    )


def dot_chart(
    values: Sequence[float], mean: float, low: float, high: float, title: str
) -> str:
    """Cases as dots from 0 to 1, their mean and its interval, as inline SVG."""

    def x(value: float) -> float:
        return LEFT + value * (WIDE - LEFT - 6)

    dots = "".join(
        f'<circle cx="{x(value):.2f}" cy="{18 + at % 3 * 7}" r="3"/>'
        for at, value in enumerate(values)
    )
    return _chart(
        f'<g fill="#3b8fc4" fill-opacity="0.6">{dots}</g>'
        f'<path d="M{x(low):.2f} 48H{x(high):.2f}M{x(mean):.2f} 42v12" '
        'stroke="#c25700" stroke-width="3"/>'
        f'<text x="{LEFT}" y="{HIGH + 14}">0</text>'
        f'<text x="{WIDE - 6}" y="{HIGH + 14}" text-anchor="end">1</text>',
        title,
    )


def agreement_chart(
    points: Sequence[tuple[float, float]], found: BlandAltman, title: str
) -> str:
    """Bland-Altman: means across, differences down, bias and limits as lines."""
    lowest, highest = min(mean for mean, _ in points), max(mean for mean, _ in points)
    reach = max(abs(found.low), abs(found.high), *(abs(d) for _, d in points)) or 1.0
    middle, scale = TALL / 2, (TALL / 2 - 8) / reach

    def x(mean: float) -> float:
        share = (mean - lowest) / (highest - lowest) if highest > lowest else 0.5
        return LEFT + 30 + share * (WIDE - LEFT - RIGHT - 50)

    def y(difference: float) -> float:
        return middle - difference * scale

    dots = "".join(
        f'<circle cx="{x(mean):.2f}" cy="{y(apart):.2f}" r="3.5"/>'
        for mean, apart in points
    )
    lines = "".join(
        f'<path d="M{LEFT} {y(at):.2f}H{WIDE - RIGHT}" stroke="#c25700" {stroke}/>'
        f'<text x="{WIDE - RIGHT + 4}" y="{y(at) + 4:.2f}">{name} {_number(at)}</text>'
        for at, name, stroke in (
            (found.high, "+1.96 sd", 'stroke-dasharray="6 4"'),
            (found.bias, "bias", ""),
            (found.low, "−1.96 sd", 'stroke-dasharray="6 4"'),
        )
    )
    across = (
        f'<text x="{LEFT}" y="{TALL + 14}">across: mean of both, '
        f"{_number(lowest)} to {_number(highest)}</text>"
    )
    return _chart(
        f'<path d="M{LEFT} {middle}H{WIDE - RIGHT}" stroke="#bbb"/>{lines}'
        f'<g fill="#3b8fc4">{dots}</g>{across}',
        title,
        TALL,
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


def _number(value: float) -> str:
    """At a precision that fits its size."""
    return f"{value:.{0 if abs(value) >= 100 else 2}f}".replace("-", "−")


def _chart(inside: str, title: str, high: int = HIGH) -> str:
    return (
        f'<figure style="max-width: none"><figcaption>{escape(title)}</figcaption>'
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDE}" '
        f'height="{high + 20}" viewBox="0 0 {WIDE} {high + 20}" '
        f'aria-label="{escape(title)}" font-size="11" fill="#555">'
        f'<path d="M{LEFT} 0V{high}H{WIDE}" fill="none" stroke="#888"/>'
        f"{inside}</svg></figure>"
    )
