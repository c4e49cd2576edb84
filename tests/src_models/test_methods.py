"""Every way of training in the catalogue: what its row must hold."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from src_models.card import Record
from src_models.catalog.methods import METHODS, find_method
from src_models.errors import InputError
from src_models.training import fit as supervised
from src_models.training.method_spec import MethodSpec, options_of
from src_models.training.methods import fit_of

if TYPE_CHECKING:
    from src_models.catalog.methods import MethodCard


@pytest.mark.parametrize("card", METHODS.values(), ids=lambda card: card.name)
class TestEveryMethod:
    def test_its_options_have_defaults_and_refuse_others(
        self, card: MethodCard
    ) -> None:
        assert isinstance(options_of(MethodSpec(name=card.name)), Record)
        with pytest.raises(InputError, match="no key 'nonsense'"):
            options_of(MethodSpec(name=card.name, options={"nonsense": 1}))

    def test_it_is_called_as_plain_training_is(self, card: MethodCard) -> None:
        spec = MethodSpec(name=card.name)
        recipe = type("R", (), {"method": spec})
        fit = fit_of(recipe)  # type: ignore[arg-type]
        assert inspect.isgeneratorfunction(fit)
        wanted = inspect.signature(supervised.fit).parameters
        assert list(inspect.signature(fit).parameters) == list(wanted)

    def test_it_says_what_it_is(self, card: MethodCard) -> None:
        assert card.reference.startswith("https://")
        assert card.distinctive.endswith(".")
        assert all(choice.endswith(".") for choice in card.choices)


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(InputError, match="no method 'nonsense'"):
        find_method("nonsense")


def test_no_method_is_plain_training() -> None:
    recipe = type("R", (), {"method": None})
    assert fit_of(recipe) is supervised.fit  # type: ignore[arg-type]
