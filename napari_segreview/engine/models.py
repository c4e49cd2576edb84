"""Which trained models there are: those of the package, and the user's own."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Literal, TypeVar

from platformdirs import user_data_path
from pydantic import ValidationError

from src_models.card import (
    CARD_FILE,
    WEIGHTS_FILE,
    Record,
    bundled,
    folders_in,
    read_card,
)
from src_models.errors import InputError

VARIABLE = "SEGREVIEW_MODELS"
ACTIVE_FILE, BASE = "active.json", "base"

R = TypeVar("R", bound=Record)
log = logging.getLogger(__name__)


class Pointer(Record):
    """Which version of a model is active."""

    schema_version: Literal[1] = 1
    version: str


def own_folder() -> Path:
    """Where the user's own models are; ``$SEGREVIEW_MODELS`` if that is set."""
    said = os.environ.get(VARIABLE)
    return Path(said) if said else user_data_path("napari-segreview") / "models"


def models() -> dict[str, Path]:
    """Name → folder of the active version."""
    found = base_models()
    for name in found:
        if (version := active_id(name)) != BASE:
            found[name] = home_of(name) / version
    return found


def base_models() -> dict[str, Path]:
    """Name → folder as bundled or added; a bundled one keeps its name."""
    return folders_in(own_folder()) | bundled()


def home_of(name: str) -> Path:
    """Where the versions of a model are kept."""
    return own_folder() / "versions" / name


def version_folders(name: str) -> list[Path]:
    """Folders of a model's versions, as they were made."""
    return sorted(home_of(name).glob("[0-9][0-9][0-9][0-9]-*"))


def active_id(name: str) -> str:
    """The id of the active version; `BASE` if the pointer leads nowhere."""
    pointer = read_record(Pointer, home_of(name) / ACTIVE_FILE)
    there = {folder.name for folder in version_folders(name)}
    return pointer.version if pointer and pointer.version in there else BASE


def read_record(kind: type[R], path: Path) -> R | None:
    """What a small JSON file says; None if it is not there or damaged."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        log.warning("%s is not used: %s", path, error)
        return None


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
    there = base_models().get(card.name)
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
