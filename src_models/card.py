"""What is known of a trained model: the JSON beside its weights. Wakes no torch."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from src_models.catalog import find_card
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

Binarise = Literal["likeliest", "otsu"]
BUNDLED = Path(__file__).parent / "bundled"
CARD_FILE = "card.json"
WEIGHTS_FILE = "weights.safetensors"


class Record(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Record)


def _compiles(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from None
    return text


Pattern = Annotated[str, AfterValidator(_compiles)]  # a regular expression


def parse(kind: type[R], values: dict[str, Any], where: str) -> R:
    """Validate `values`; say what is wrong in one line.

    Raises
    ------
    InputError
        Naming `where`, the key and, for a wrong key, the one that was meant.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {_first_fault(kind, error)}") from None


def _first_fault(kind: type[Record], error: ValidationError) -> str:
    faults = error.errors()
    # A misspelt key that must be there is missing too; the misspelling says more.
    unknown = [one for one in faults if one["type"] == "extra_forbidden"]
    fault = (unknown or faults)[0]
    path = ".".join(str(part) for part in fault["loc"])
    if not path:  # the whole text; not worth repeating
        return fault["msg"]
    if fault["type"] != "extra_forbidden":
        return f"{path}: {fault['msg']}, got {fault.get('input')!r}"[:300]
    *parents, wrong = (str(part) for part in fault["loc"])
    known = _fields(kind, parents)
    near = get_close_matches(wrong, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return f"no key {path!r}; {hint}"


def _fields(kind: type[BaseModel], parents: list[str]) -> list[str]:
    """Keys of the record that `parents` lead to; a number in them is a place in a list."""
    for part in parents:
        if not part.isdecimal():
            held = kind.model_fields[part].annotation
            kind = next(
                one
                for one in (held, *get_args(held))
                if isinstance(one, type) and issubclass(one, BaseModel)
            )
    return list(kind.model_fields)


class Intensity(Record):
    """How grey values become the net's input; per channel.

    "zscore": (x − mean) / sd over all voxels.
    "foreground-zscore": the same with mean and sd over the voxels above a tenth of the
    99th percentile of the brightest channel: leaves out the black surround of a fundus
    photograph.
    "window": clip to (low, high), then scale to [−1, 1]; for CT.
    """

    kind: Literal["zscore", "foreground-zscore", "window"]
    window: tuple[float, float] | None = None


class NetSpec(Record):
    """Which net: the arguments of `create_model`. Options replace those of the preset."""

    system: str
    preset: str = "compact"
    ndim: Literal[2, 3]
    in_channels: int = Field(ge=1)
    classes: int = Field(ge=2)
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def frames(self) -> bool:
        """Whether it reads the frames of a scan together."""
        return find_card(self.system).frames

    @property
    def axes(self) -> int:
        """Of what it reads: those of space, and time before them if it reads frames."""
        return self.ndim + self.frames


class LabelRow(Record):
    """A structure: value ≥ 1, name, colour as 0..1 RGB."""

    value: int = Field(ge=1)
    name: str
    color: tuple[float, float, float]


class DataInfo(Record):
    """What a model was trained on. Case names are the set's public ids."""

    name: str
    licence: str
    credit: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    locked: tuple[str, ...]


class LabelScores(Record):
    """Mean and standard deviation over cases; distances in the card's unit."""

    name: str
    dice: float
    dice_sd: float
    hd95: float
    assd: float
    nsd: float


class Scores(Record):
    """How a model did on one side of the split.

    `known`: share of the voxels that have a label; strokes, or a few frames of a sequence,
    say less than whole masks.
    """

    cases: int
    known: float = Field(default=1, ge=0, le=1)
    mean_dice: float
    tolerance: float
    labels: tuple[LabelScores, ...]


class TrainedCard(Record):
    """A trained model.

    Attributes
    ----------
    spacing : (z, y, x) or (y, x) in mm, or None
        What images are resampled to; None: pixels are taken as they are.
    orientation : str
        Letters that x, y, z must run to before the net sees a volume; "" for 2D.
    patch : tuple of int
        Window of the inference; frames first, for a net that reads them together.
    cyclic : bool
        Whether a sequence's last frame is followed by its first, as in a heart beat.
    mirror_axes : tuple of int
        Spatial axes over which mirrored predictions may be averaged.
    mirror : bool
        Whether they are, unless the user says otherwise; the scores were measured so.
    binarise : {"likeliest", "otsu"}
        How a voxel gets its label: that of the highest logit; or, with one structure,
        whether its probability is above a threshold that Otsu's method finds in each
        image, within the field of view where the intensity recipe knows one.
    baseline : Scores, optional
        Of the same net trained beside this one without its method, on the locked cases.
    synthetic : Scores, optional
        Of the same net trained beside this one by made images alone, where that is told
        apart.
    """

    schema_version: Literal[1] = 1
    name: str
    title: str
    task: str
    wants: str
    use: str = "Research use, not a diagnosis."
    paper: str
    reference: str
    net: NetSpec
    labels: tuple[LabelRow, ...]
    modalities: tuple[str, ...]
    spacing: tuple[float, ...] | None
    orientation: str
    intensity: Intensity
    patch: tuple[int, ...]
    cyclic: bool = False
    mirror_axes: tuple[int, ...]
    mirror: bool = False
    binarise: Binarise = "likeliest"
    data: DataInfo
    validation: Scores
    locked: Scores
    baseline: Scores | None = None
    synthetic: Scores | None = None
    precision: Literal["float32", "float16"]
    sha256: str
    versions: dict[str, str]
    recipe: dict[str, Any]

    @property
    def needs_colour(self) -> bool:
        return self.net.in_channels in (3, 4) and self.net.ndim == 2


def read_card(folder: Path) -> TrainedCard:
    """The card in a model's folder.

    Raises
    ------
    InputError
        If it is missing or does not validate.
    """
    path = folder / CARD_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{folder}: no readable {CARD_FILE} ({error.strerror}); a model is a folder "
            f"with {CARD_FILE} and {WEIGHTS_FILE}"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8 ({error})") from None
    try:
        return TrainedCard.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_fault(TrainedCard, error)}") from None


def folders_in(root: Path) -> dict[str, Path]:
    """Name → folder of the models below a folder; empty if that is not there."""
    return {path.parent.name: path.parent for path in sorted(root.glob("*/card.json"))}


def bundled() -> dict[str, Path]:
    """Name → folder of the models that come with the package."""
    return folders_in(BUNDLED)


def find_model(name: str, known: Mapping[str, Path] | None = None) -> Path:
    """The folder of a known model by its name, or of any model by its path.

    Parameters
    ----------
    name : str
    known : mapping, optional
        Name → folder; the bundled ones if not given.

    Raises
    ------
    InputError
        If there is none; the message names those there are.
    """
    known = bundled() if known is None else known
    if name in known:
        return known[name]
    if Path(name).is_dir():
        return Path(name)
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    raise InputError(f"no model {name!r}; {hint} (or give a model's folder)")
