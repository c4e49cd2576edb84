"""Charts as inline SVG, one drawing for the window and for pages. Pure."""

from __future__ import annotations

from html import escape
from statistics import quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from src_models.metrics import BlandAltman

WIDE, HIGH, TALL, LEFT, RIGHT = 640, 60, 200, 34, 120  # in the chart's own units
NAMES, ROW, LETTER = 150, 26, 6  # of box plots: most room for names; a row; a letter
WHISKER = 1.5  # interquartile ranges (Tukey 1977)
TEXT = 12  # height of a line of words
DOT, LINE = "#3b8fc4", "#c25700"


def strip_chart(values: Sequence[float | None], title: str) -> str:
    """Bars from 0 to 1, one a slice; a gap where nothing is drawn."""
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
        f'<g fill="{DOT}">{bars}</g>'
        f'<text x="{LEFT}" y="{HIGH + 14}">slice 0</text>'
        f'<text x="{WIDE}" y="{HIGH + 14}" text-anchor="end">{len(values) - 1}</text>',
        title,
    )


def box_chart(
    groups: Mapping[str, Sequence[float]], title: str, wide: int = WIDE
) -> str:
    """Box plots of shares, 0 to 1 across, a row of `ROW` a group; each case is a dot.

    Box: the quartiles (inclusive); line: the median; whiskers: the farthest case within
    1.5 interquartile ranges. A group of one case is its dot and line.
    """
    high = ROW * len(groups)
    names = min(NAMES, wide * 2 // 5)

    def across(share: float) -> float:
        return names + share * (wide - names - 8)

    rows = "".join(
        _box_row(_short(name, (names - 6) // LETTER), values, at * ROW, across)
        for at, (name, values) in enumerate(groups.items())
        if values
    )
    scale = "".join(
        f'<path d="M{across(tick):.1f} 0V{high}" stroke="#ddd"/>'
        f'<text x="{across(tick):.1f}" y="{high + 14}" text-anchor="middle">{tick:g}'
        "</text>"
        for tick in (0, 0.2, 0.4, 0.6, 0.8, 1)
    )
    return _chart(scale + rows, title, high, left=names, wide=wide)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Inclusive; the median in the middle; one value is all three."""
    if len(values) == 1:
        return (values[0],) * 3
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _box_row(
    name: str, values: Sequence[float], top: int, across: Callable[[float], float]
) -> str:
    middle = top + ROW / 2
    low, half, high = quartiles(values)
    reach = WHISKER * (high - low)
    inside = [value for value in values if low - reach <= value <= high + reach]
    ends = min([low, *inside]), max([high, *inside])
    dots = "".join(
        f'<circle cx="{across(value):.1f}" cy="{middle - 4 + at % 3 * 4:.1f}" r="2.5"/>'
        for at, value in enumerate(values)
    )
    return (
        f'<text x="{across(0) - 6:g}" y="{middle + 4:.1f}" text-anchor="end">'
        f"{escape(name)}</text>"
        f'<path d="M{across(ends[0]):.1f} {middle:.1f}H{across(ends[1]):.1f}" '
        f'stroke="{LINE}"/>'
        f'<rect x="{across(low):.1f}" y="{top + 5}" '
        f'width="{max(1.0, across(high) - across(low)):.1f}" height="{ROW - 10}" '
        f'fill="#fbe3cf" stroke="{LINE}"/>'
        f'<g fill="{DOT}" fill-opacity="0.6">{dots}</g>'
        f'<path d="M{across(half):.1f} {top + 5}v{ROW - 10}" '
        f'stroke="{LINE}" stroke-width="2.5"/>'
    )


def agreement_chart(
    points: Sequence[tuple[float, float]],
    found: BlandAltman,
    title: str,
    wide: int = WIDE,
) -> str:
    """Bland-Altman: means across, differences down, bias and limits as lines."""
    lowest, highest = min(mean for mean, _ in points), max(mean for mean, _ in points)
    reach = max(abs(found.low), abs(found.high), *(abs(d) for _, d in points)) or 1.0
    middle, scale = TALL / 2, (TALL / 2 - 8) / reach
    edge = wide - RIGHT

    def x(mean: float) -> float:
        share = (mean - lowest) / (highest - lowest) if highest > lowest else 0.5
        return LEFT + 12 + share * (edge - LEFT - 24)

    def y(difference: float) -> float:
        return middle - difference * scale

    def beside(at: float, side: int) -> float:
        """Where the words go: by their line, but never over those of the bias."""
        return y(found.bias) + side * max(TEXT, abs(y(at) - y(found.bias)))

    dots = "".join(
        f'<circle cx="{x(mean):.2f}" cy="{y(apart):.2f}" r="3.5"/>'
        for mean, apart in points
    )
    lines = "".join(
        f'<path d="M{LEFT} {y(at):.2f}H{edge}" stroke="{LINE}" {stroke}/>'
        f'<text x="{edge + 4}" y="{beside(at, place) + 4:.2f}">{name} {_number(at)}'
        "</text>"
        for at, name, stroke, place in _levels(found)
    )
    across = (
        f'<text x="{LEFT}" y="{TALL + 14}">across: mean of both, '
        f"{_number(lowest)} to {_number(highest)}</text>"
    )
    return _chart(
        f'<path d="M{LEFT} {middle}H{edge}" stroke="#bbb"/>{lines}'
        f'<text x="{LEFT - 4}" y="{middle + 4}" text-anchor="end">0</text>'
        f'<g fill="{DOT}">{dots}</g>{across}',
        title,
        TALL,
        wide=wide,
        edge=edge,
    )


def _levels(found: BlandAltman) -> Iterator[tuple[float, str, str, int]]:
    """Where a line goes, its name, its stroke, and on which side of the bias it is.

    One measurement alone has no limits.
    """
    yield found.bias, "bias", "", 0
    if found.cases > 1:
        yield found.high, "+1.96 sd", 'stroke-dasharray="6 4"', -1
        yield found.low, "−1.96 sd", 'stroke-dasharray="6 4"', 1


def _short(name: str, room: int) -> str:
    """At most `room` letters; the end tells names apart as the beginning does."""
    return name if len(name) <= room else f"{name[: room - 6]}…{name[-5:]}"


def _number(value: float) -> str:
    """At a precision that fits its size."""
    return f"{value:.{0 if abs(value) >= 100 else 2}f}".replace("-", "−")


def _chart(
    inside: str,
    title: str,
    high: int = HIGH,
    left: int = LEFT,
    wide: int = WIDE,
    edge: int = 0,
) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'width="{wide}" height="{high + 20}" viewBox="0 0 {wide} {high + 20}" '
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="11" '
        f'fill="#555"><path d="M{left} 0V{high}H{edge or wide}" fill="none" '
        f'stroke="#888"/>'
        f"{inside}</svg>"
    )
