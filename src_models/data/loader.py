"""Batches for training, made on threads while the net learns.

What a sample is depends on (seed, epoch, step, index) alone: neither the number of threads
nor the number of processes changes what is seen.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from threading import local
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from monai.data import MetaTensor

from src_models.data.maps import MapCache, make_maps
from src_models.data.maps import Patch as Labelled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from monai.transforms import Compose
    from torch import Tensor

    from src_models.data.augment import OverFrames
    from src_models.data.cases import Case
    from src_models.data.patches import Patch, PatchSampler

K = TypeVar("K")
V = TypeVar("V")


class Batch(NamedTuple):
    """Images (B, C, *S) float32, labels (B, *S) int64, and maps (B, …) by name."""

    images: Tensor
    labels: Tensor
    maps: dict[str, Tensor]


class Key(NamedTuple):
    """Which samples of a run: epoch and step from 1, indices in the step from 0."""

    epoch: int
    step: int
    indices: range


class Sampler(Protocol):
    """Draws patches; the same generator gives the same patch."""

    def pick(self, random: np.random.Generator) -> Patch:
        """One patch, with the case it is of."""

    def case_of(self, random: np.random.Generator) -> Case:
        """The case that `pick` would take with this generator; nothing is cut."""


@dataclass(frozen=True, slots=True)
class Share:
    """What of each step this process makes: `accumulate` times `batch` of its samples."""

    batch: int
    accumulate: int = 1
    rank: int = 0
    processes: int = 1

    @property
    def whole(self) -> range:
        """Indices of a step's samples, those of all processes."""
        return range(self.batch * self.accumulate * self.processes)

    def keys(self, epochs: range, steps: int) -> Iterator[Key]:
        """Of each of this process's batches, in the order they are wanted."""
        for epoch in epochs:
            for step in range(1, steps + 1):
                for turn in range(self.accumulate):
                    first = (turn * self.processes + self.rank) * self.batch
                    yield Key(epoch, step, range(first, first + self.batch))


@dataclass(frozen=True, slots=True, eq=False)
class BatchMaker:
    """Makes batches, on threads or not.

    Parameters
    ----------
    sampler : Sampler
        E.g. `src_models.data.patches.PatchSampler`.
    augment : Compose
        Of `src_models.data.augment.augmentation`; each thread gets its own copy.
    share : Share
    seed : int
    classes : int
        K, background included.
    maps : frozenset of str
        Names in `src_models.data.maps.MAPS`, made of the augmented labels.
    pin : bool
        Put batches into memory that a GPU reads directly.
    """

    sampler: Sampler
    augment: Compose | OverFrames
    share: Share
    seed: int
    classes: int
    maps: frozenset[str] = frozenset()
    pin: bool = False
    _held: local = field(default_factory=local)
    _cache: MapCache = field(default_factory=MapCache)

    def batches(
        self, epochs: range, steps: int, *, workers: int
    ) -> Generator[Batch, None, None]:
        """Batches of all steps for one process, in order; close it when done."""
        return ahead(self.make, self.share.keys(epochs, steps), workers=workers)

    def cases(self, epoch: int, step: int) -> tuple[str, ...]:
        """Names of the cases that all processes' patches of a step are of, each once."""
        drawn = self.drawn(Key(epoch, step, self.share.whole))
        return tuple(sorted({case.name for case in drawn}))

    def drawn(self, key: Key) -> tuple[Case, ...]:
        """The case of each sample of a batch, in their order; nothing is cut."""
        return tuple(self.sampler.case_of(self._random(key, i)) for i in key.indices)

    def make(self, key: Key) -> Batch:
        """The batch of a key."""
        samples = [self._sample(key, index) for index in key.indices]
        batch = Batch(
            images=torch.stack([image for image, _, _ in samples]),
            labels=torch.stack([labels for _, labels, _ in samples]),
            maps={
                name: torch.stack([maps[name] for _, _, maps in samples])
                for name in sorted(self.maps)
            },
        )
        if not self.pin:
            return batch
        return Batch(
            batch.images.pin_memory(),
            batch.labels.pin_memory(),
            {name: one.pin_memory() for name, one in batch.maps.items()},
        )

    def _random(self, key: Key, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, key.epoch, key.step, index])

    def _sample(self, key: Key, index: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        random = self._random(key, index)
        patch = self.sampler.pick(random)
        if not hasattr(self._held, "augment"):
            self._held.augment = deepcopy(self.augment)
        self._held.augment.set_random_state(int(random.integers(2**31)))
        image, labels, instances = changed(self._held.augment, patch)
        if not self.maps:
            return image, labels, {}
        labelled = Labelled(
            labels=labels.numpy(),
            classes=self.classes,
            spacing=patch.case.spacing,
            instances=None if instances is None else instances.numpy(),
        )
        made = make_maps(self.maps, labelled, self._cache)
        return image, labels, {k: torch.from_numpy(v) for k, v in made.items()}


def changed(
    augment: Compose | OverFrames, patch: Patch
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Image (C, *S) float32, labels and, where known, instances (*S) int64, augmented."""
    kinds = patch.labels[None]
    if patch.instances is not None:  # one more channel moves with the labels
        kinds = np.stack([patch.labels, patch.instances]).astype(np.int32)
    found: dict[str, Any] = augment(
        {"image": torch.from_numpy(patch.image), "labels": torch.from_numpy(kinds)}
    )
    labels, *instances = _plain(found["labels"]).long()
    return _plain(found["image"]), labels, instances[0] if instances else None


def draw_batch(
    sampler: PatchSampler, augment: Compose, size: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """(B, C, *S) float32 and (B, *S) int64, augmented; `augment` goes its own way."""
    samples = [changed(augment, sampler.pick(random)) for _ in range(size)]
    images: Sequence[Tensor] = [image for image, _, _ in samples]
    return torch.stack(list(images)), torch.stack([labels for _, labels, _ in samples])


def ahead(
    make: Callable[[K], V], keys: Iterable[K], *, workers: int
) -> Generator[V, None, None]:
    """make(key) of each key, in order, made on `workers` threads ahead of their use.

    At most two a thread are ready or in the making. Without threads each is made when it
    is asked for. What `make` raises is raised where its value would have come.
    """
    if not workers:
        yield from map(make, keys)
        return
    pool = ThreadPoolExecutor(workers, "patches", _alone)
    waiting: deque[Future[V]] = deque()
    try:
        for key in keys:
            waiting.append(pool.submit(make, key))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone() -> None:
    """One core a thread: a team for each of them would fight the net for the machine."""
    torch.set_num_threads(1)


def _plain(tensor: Tensor) -> Tensor:
    """Without MONAI's metadata, which would slow every operation after."""
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
