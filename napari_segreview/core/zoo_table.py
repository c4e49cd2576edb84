"""The catalogue as tables one can search, and one system in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segreview.core.table import Cell, Table, has_all
from src_models.catalog import CARDS, find_card
from src_models.catalog.voc2012 import VOC2012

if TYPE_CHECKING:
    from src_models.catalog import ModelCard
    from src_models.catalog.methods import MethodCard

SURE = {"the authors' release": "read", "second hand": "quoted", "recalled": "recalled"}
SURENESS = (
    "read: in the authors' release; quoted: in another's text; recalled: not looked up "
    "again. None of these figures is ours."
)
HEADERS = {
    "System": "The name a recipe calls it by",
    "Year": "Of the paper",
    "Runs in": "2D nets run on a volume slice by slice; + t: reads all frames together",
    "Published": "Parameters of the published net, where the count is known",
    "VOC 2012": "Best published mean IoU in % on the test set of PASCAL VOC 2012, and "
    "what it had been trained on besides",
    "Compact": "Parameters of the preset that trains without a GPU (2D / 3D)",
    "Kind": "What it relies on",
}


def zoo_table(words: str = "") -> Table:
    """A row a system that has all the words, anywhere in what is known of it."""
    cards = [card for card in CARDS.values() if matches(card, words)]
    return Table(
        headers=tuple(HEADERS),
        hovers=tuple(HEADERS.values()),
        rows=tuple(_row(card) for card in cards),
        keys=tuple(card.name for card in cards),
    )


def matches(card: ModelCard, words: str) -> bool:
    """Whether each word occurs in the card's texts, whatever its case."""
    texts = (
        card.name,
        card.title,
        card.family,
        card.paper,
        card.distinctive,
        _dims(card),
        *card.preset_names,
        *results(card),
    )
    return has_all(texts, words)


def _row(card: ModelCard) -> tuple[Cell, ...]:
    published = [count for _, _, count in card.published_parameters.values()]
    first = published[0] if published else 0
    compact = [card.compact_parameters[ndim] for ndim in card.dims]
    best = max(
        (row for row in VOC2012 if row.system == card.name),
        key=lambda row: row.miou,
        default=None,
    )
    return (
        Cell(card.name, card.name, f"{card.title}. {card.distinctive}"),
        Cell(str(card.year), float(card.year), card.paper),
        Cell(_dims(card), _dims(card), HEADERS["Runs in"]),
        Cell(millions(first), float(first), card.evidence),
        Cell(
            f"{best.miou:.1f} ({best.extra_data})" if best else "–",
            best.miou if best else 0.0,
            f"{best.method}: {best.source}" if best else "Nothing published",
        ),
        Cell(
            " / ".join(f"{count / 1e6:.2f}" for count in compact) + " M",
            float(compact[0]),
            HEADERS["Compact"],
        ),
        Cell(card.family, card.family, card.distinctive),
    )


def millions(count: int) -> str:
    """E.g. "31.0 M", "0.12 M"; "–" for none."""
    if not count:
        return "–"
    return f"{count / 1e6:.{1 if count >= 1e7 else 2}f} M"


def _dims(card: ModelCard) -> str:
    return ", ".join(f"{ndim}D{' + t' * card.frames}" for ndim in card.dims)


def results(card: ModelCard | MethodCard) -> tuple[str, ...]:
    """Published figures of one system or method, a line each."""
    return tuple(
        f"{one.data}: {one.metric} {one.value}"
        f" ({', '.join(text for text in (one.setting, SURE[one.source]) if text)})"
        for one in card.results
    )


def voc_table() -> Table:
    """The review's summary on PASCAL VOC 2012, with the column for extra data."""
    rows = [
        (
            Cell(row.method, row.method),
            Cell(f"{row.miou:.1f}", row.miou),
            *_texts(row.extra_data, row.afterwards, SURE[row.source]),
        )
        for row in VOC2012
    ]
    headers = ("Method", "mIoU %", "Extra data", "Afterwards", "Known")
    return Table(headers, ("",) * len(headers), tuple(rows))


def _texts(*texts: str) -> tuple[Cell, ...]:
    return tuple(Cell(text, text) for text in texts)


def in_words(name: str) -> tuple[str, ...]:
    """What is known of one system, a line each; raises InputError for another name."""
    card = find_card(name)
    counts = (
        f"{preset}, {ndim}D: {count:,} parameters, {given} channel(s), {classes} class(es)"
        for (preset, ndim), (given, classes, count) in card.published_parameters.items()
    )
    return (
        f"{card.title} · {card.paper}",
        card.distinctive,
        f"Runs in {_dims(card)}; presets: {', '.join(card.preset_names)}.",
        *counts,
        card.evidence,
        *results(card),
    )
