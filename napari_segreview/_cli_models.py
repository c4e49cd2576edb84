"""`segreview models`: trained models, systems, ways of training, published figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Column, Table

from napari_segreview.core.methods_table import (
    method_in_words,
    method_matches,
    methods_table,
)
from napari_segreview.core.table import has_all
from napari_segreview.core.zoo_table import (
    SURENESS,
    in_words,
    matches,
    results,
    voc_table,
    zoo_table,
)
from napari_segreview.engine.models import models
from src_models.card import TrainedCard, read_card
from src_models.catalog import CARDS, find_card
from src_models.catalog.methods import METHODS, find_method
from src_models.catalog.voc2012 import VOC2012
from src_models.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from napari_segreview.core.table import Table as Content
    from src_models.catalog import ModelCard
    from src_models.catalog.methods import MethodCard


def show(out: Console, words: str, *, with_results: bool) -> None:
    """Tables of what has all the words; of one thing alone, all that is known.

    Raises
    ------
    InputError
        If nothing has them; it names the nearest system or method.
    """
    cards, methods = _found(words)
    cards_read, faults = _trained()
    trained = [card for card in cards_read if _has(card, words) and not with_results]
    if not (trained or cards or methods):
        near = find_method if get_close_matches(words, METHODS) else find_card
        near(words)  # says which was meant
    if trained:
        out.print(_trained_table(trained))
    for fault in faults:
        out.print(f"not usable: {fault}", soft_wrap=True, markup=False, highlight=False)
    if with_results:
        shown: list[ModelCard | MethodCard] = [*cards, *methods]
        for card in shown:
            if lines := results(card):
                out.print(f"[bold]{escape(card.title)}[/bold]")
            for line in lines:
                out.print(f"  {line}", soft_wrap=True, markup=False, highlight=False)
        if not words:
            out.print(_as_rich(voc_table(), "PASCAL VOC 2012 test, mean IoU"))
        out.print(SURENESS, soft_wrap=True)
    elif len(cards) + len(methods) == 1:
        lines = in_words(cards[0].name) if cards else method_in_words(methods[0].name)
        for line in lines:
            out.print(line, soft_wrap=True, markup=False, highlight=False)
    else:
        if cards:
            out.print(_as_rich(zoo_table(words), "Systems", leave_out=("Kind",)))
        if methods:
            out.print(_as_rich(methods_table(words), "Ways of training"))


def as_json(words: str) -> str:
    """All that is known, for programs."""
    facts = {
        "models": [
            card.model_dump(mode="json") for card in _trained()[0] if _has(card, words)
        ],
        "architectures": [
            _facts(card) for card in CARDS.values() if matches(card, words)
        ],
        "methods": [
            asdict(card) for card in METHODS.values() if method_matches(card, words)
        ],
        "voc2012": [asdict(row) for row in VOC2012],
    }
    return json.dumps(facts, ensure_ascii=False, indent=2)


def _found(words: str) -> tuple[list[ModelCard], list[MethodCard]]:
    """Systems and methods that have the words; that of the name alone if one has it."""
    if words in CARDS or words in METHODS:
        return (
            [card for name, card in CARDS.items() if name == words],
            [card for name, card in METHODS.items() if name == words],
        )
    return (
        [card for card in CARDS.values() if matches(card, words)],
        [card for card in METHODS.values() if method_matches(card, words)],
    )


def _trained() -> tuple[list[TrainedCard], list[str]]:
    """Cards of all trained models, and what is wrong with those that cannot be read."""
    cards, faults = [], []
    for folder in models().values():
        try:
            cards.append(read_card(folder))
        except InputError as error:
            faults.append(str(error))
    return cards, faults


def _has(card: TrainedCard, words: str) -> bool:
    texts = (card.name, card.title, card.task, card.wants, card.net.system, card.paper)
    return has_all(texts, words)


def _trained_table(cards: list[TrainedCard]) -> Table:
    table = Table(
        Column("model", no_wrap=True),
        "wants",
        Column("Dice (unseen cases)", justify="right", min_width=10),
        "licence of data",
        title="Trained models",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    for card in cards:
        dice = f"{card.locked.mean_dice:.3f} ({card.locked.cases})"
        table.add_row(card.name, card.wants, dice, card.data.licence)
    return table


def _facts(card: ModelCard) -> dict[str, Any]:
    return {
        "name": card.name,
        "title": card.title,
        "family": card.family,
        "paper": card.paper,
        "reference": card.reference,
        "year": card.year,
        "distinctive": card.distinctive,
        "dims": card.dims,
        "presets": card.preset_names,
        "published_parameters": [
            {
                "preset": preset,
                "ndim": ndim,
                "in": given,
                "classes": classes,
                "count": n,
            }
            for (preset, ndim), (given, classes, n) in card.published_parameters.items()
        ],
        "compact_parameters": {f"{n}D": c for n, c in card.compact_parameters.items()},
        "evidence": card.evidence,
        "results": [asdict(one) for one in card.results],
    }


def _as_rich(content: Content, title: str, leave_out: tuple[str, ...] = ()) -> Table:
    kept = [at for at, name in enumerate(content.headers) if name not in leave_out]
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for at in kept:
        numbers = all(isinstance(row[at].key, float) for row in content.rows)
        header = content.headers[at]
        table.add_column(
            escape(header),
            justify="right" if numbers else "left",
            no_wrap=not at,
        )
    for row in content.rows:
        table.add_row(*(escape(row[at].text) for at in kept))
    return table
