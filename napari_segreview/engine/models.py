"""Which trained models there are: those of the package, and the user's own."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from platformdirs import user_data_path

from src_models.card import CARD_FILE, WEIGHTS_FILE, bundled, folders_in, read_card
from src_models.errors import InputError

VARIABLE = "SEGREVIEW_MODELS"


def own_folder() -> Path:
    """Where the user's own models are; ``$SEGREVIEW_MODELS`` if that is set."""
    said = os.environ.get(VARIABLE)
    return Path(said) if said else user_data_path("napari-segreview") / "models"


def models() -> dict[str, Path]:
    """Name → folder. A bundled model keeps its name whatever else is there."""
    return folders_in(own_folder()) | bundled()


def install(folder: Path) -> str:
    """Copy a trained model to the user's own; returns its name.

    The copy is whole or it is not there. The same model twice is one.

    Raises
    ------
    InputError
        If the folder is no model, the weights are not those of the card, or another
        model has the name.
    """
    from src_models.weights import check_weights  # wakes torch

    card = read_card(folder)
    check_weights(folder, card)
    there = models().get(card.name)
    if there is not None:
        if read_card(there).sha256 == card.sha256:
            return card.name
        raise InputError(
            f"{folder}: there is another model {card.name!r} in {there}; give this one "
            "another name in its recipe, or delete that folder"
        )
    own_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=own_folder(), prefix=".new-") as fresh:
        whole = Path(fresh) / card.name
        whole.mkdir()
        for name in (CARD_FILE, WEIGHTS_FILE):
            shutil.copyfile(folder / name, whole / name)
        os.replace(whole, own_folder() / card.name)
    return card.name
