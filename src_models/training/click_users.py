"""A sample with a simulated user in front of it: of a picture, or of a volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from src_models.data.click_samples import Sampler
from src_models.data.click_simulation import (
    next_click,
    next_place,
    next_stroke,
    opening,
    spoiled,
)
from src_models.data.click_volumes import VolumeSampler
from src_models.interactive import prompt_maps, volume_maps
from src_models.interactive.volume_maps import Spot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from src_models.data.click_cache import Planes
    from src_models.data.click_samples import Sample, Shares
    from src_models.data.click_volumes import VolumeSample
    from src_models.interactive.prompt_maps import Prompt

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float32]

SPOILED = 0.2  # share of samples that start with a mask to mend
STROKES = 0.06  # share of turns in which a stroke is drawn
MEMORY = {2: torch.channels_last, 3: torch.channels_last_3d}  # the nets' layout
CLOSE = (0.95, 0.6, 0.3)  # how near to the most interior pixel a click is


class AnySample(Protocol):
    """A picture or a volume, and the structure wanted."""

    @property
    def image(self) -> Floats: ...
    @property
    def valid(self) -> Mask: ...
    @property
    def target(self) -> Mask: ...


class Source(Protocol):
    """What draws samples."""

    def draw(self, random: np.random.Generator, /) -> AnySample: ...

    def still(self, count: int, seed: int, /) -> Sequence[AnySample]: ...


class User(Protocol):
    """Who clicks: `mask` is what they see, `iou` how good it is."""

    mask: Mask

    @property
    def sample(self) -> AnySample: ...

    def seen(self) -> Floats:
        """The net's input."""

    def act(self, turn: int, random: np.random.Generator) -> None:
        """Do what comes next, as people do."""

    def mend(self) -> None:
        """Click where the error is largest, never missing."""


@dataclass(slots=True, eq=False)
class PictureUser:
    """Clicks, strokes, boxes and lassos on a picture."""

    sample: Sample
    channels: Floats
    elsewhere: Floats
    mask: Mask
    prompts: list[Prompt] = field(default_factory=list)

    @classmethod
    def before(cls, sample: Sample) -> PictureUser:
        """A user who has done nothing yet."""
        channels = prompt_maps.image_channels(sample.image, sample.valid)
        stretch = prompt_maps.contrast(sample.image, sample.valid)
        elsewhere = stretch(sample.elsewhere)
        return cls(sample, channels, elsewhere, np.zeros_like(sample.target))

    def seen(self) -> Floats:
        mask = self.mask.astype(np.float32)
        return prompt_maps.stack(self.channels, self.prompts, mask, self.elsewhere)

    def act(self, turn: int, random: np.random.Generator) -> None:
        if turn == 0 and len(self.elsewhere):
            return  # the first click was there
        truth = self.sample.target
        if turn == 0 and random.random() >= SPOILED:
            self.prompts += opening(truth, random)
            return
        if turn == 0:
            self.mask = spoiled(truth, random)
        share = float(random.choice(CLOSE))
        drawn = None
        if random.random() < STROKES:
            drawn = next_stroke(truth, self.mask, random)
        prompt = drawn or next_click(truth, self.mask, random, share=share)
        self.prompts += [prompt] if prompt else []

    def mend(self) -> None:
        click = next_click(self.sample.target, self.mask)
        self.prompts += [click] if click else []


@dataclass(slots=True, eq=False)
class VolumeUser:
    """Clicks in a volume."""

    sample: VolumeSample
    channels: Floats
    mask: Mask
    spots: list[Spot] = field(default_factory=list)

    @classmethod
    def before(cls, sample: VolumeSample) -> VolumeUser:
        """A user who has done nothing yet."""
        channels = prompt_maps.image_channels(sample.image, sample.valid)
        return cls(sample, channels, np.zeros_like(sample.target))

    def seen(self) -> Floats:
        return volume_maps.stack(
            self.channels, self.spots, self.mask.astype(np.float32)
        )

    def act(self, turn: int, random: np.random.Generator) -> None:
        if turn == 0 and random.random() < SPOILED:
            self.mask = spoiled(self.sample.target, random)
        self._click(random, float(random.choice(CLOSE)))

    def mend(self) -> None:
        self._click(None, 1.0)

    def _click(self, random: np.random.Generator | None, share: float) -> None:
        found = next_place(self.sample.target, self.mask, random, share=share)
        if found is not None:
            (z, y, x), positive = found
            self.spots.append(Spot((z, y, x), positive))


def iou(user: User) -> float:
    """|A ∩ B| / |A ∪ B| of what the user sees and wants; 0 if both are empty."""
    truth, mask = user.sample.target, user.mask
    return float((truth & mask).sum() / max(1, (truth | mask).sum()))


@dataclass(frozen=True, slots=True)
class Practice:
    """What a click net of pictures, or of volumes, practises on."""

    channels: int
    source: Callable[[Sequence[Planes], int, Shares], Source]
    user: Callable[..., User]


PRACTICE = {
    2: Practice(prompt_maps.CHANNELS, Sampler, PictureUser.before),
    3: Practice(volume_maps.CHANNELS, VolumeSampler, VolumeUser.before),
}
