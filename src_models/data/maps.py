"""Maps that some losses read beside the labels: made of each patch after augmentation.

A map belongs to the labels as the net sees them, so it is made in the data loader, on the
augmented patch. Labels below 0 (nothing is known there) belong to no class and no instance.

Shape letters: S spatial axes (y, x or z, y, x), K classes.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Labels = npt.NDArray[np.integer[Any]]
Map = npt.NDArray[np.float32]

FAR = 1e4  # voxels; stands for "nowhere in the patch"
_REACH = 6  # in sigmas; beyond it a border's weight is below 2e-8 of w0


def signed_distances(
    labels: Labels,
    classes: int,
    spacing: Sequence[float] | None = None,
    *,
    definition: Literal["centres", "official"] = "centres",
) -> Map:
    """Distance of each voxel to the other side of each class's surface.

    Parameters
    ----------
    labels : (*S) int
    classes : int
        K, background included.
    spacing : sequence of float, optional
        Distance between neighbours along each axis; None: distances in voxels.
    definition : {"centres", "official"}
        "centres": to the nearest voxel centre of the other side, so never 0, and right
        for any spacing. "official": as the paper's code, 1 less inside, so that voxels
        at the surface have 0; that 1 is a voxel, so it is wrong for other spacings.

    Returns
    -------
    (K, *S) float32
        Negative inside, in the unit of the spacing. 0 everywhere for a class that is
        absent or fills the patch: there is no surface to be far from.

    References
    ----------
    Kervadec et al., "Boundary loss", MIDL 2019, section 2.
    """
    steps = _steps(spacing, labels.ndim)
    step_inside = 1 if definition == "official" else 0
    found = np.zeros((classes, *labels.shape), np.float32)
    for value, phi in enumerate(found):
        inside = labels == value
        if inside.any() and not inside.all():
            phi += edt.edt(~inside, anisotropy=steps, parallel=1)
            phi -= edt.edt(inside, anisotropy=steps, parallel=1)
            phi[inside] += step_inside
    return found


def border_weights(
    instances: Labels,
    labels: Labels | None = None,
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    spacing: Sequence[float] | None = None,
    balance: bool = True,
) -> Map:
    """w_c + w0 · exp(−(d1 + d2)² / 2σ²): weights that are high in narrow gaps.

    d1 and d2 are the distances to the nearest and the second nearest instance; the
    second term stands on the background only, and is 0 with fewer than two instances.

    Parameters
    ----------
    instances : (*S) int
        0 background, each object a number of its own.
    labels : (*S) int, optional
        Classes that w_c balances; None: objects against background.
    sigma : float > 0
        In the unit of the spacing, or in voxels without one.
    balance : bool
        w_c is the inverse frequency of the voxel's class in the patch, its mean 1;
        False: w_c = 1.

    Returns
    -------
    (*S) float32, ≥ 0
        Exact to 1e-7 of w0; 0 where labels are below 0.

    References
    ----------
    Ronneberger, Fischer & Brox, "U-Net", MICCAI 2015, section 3, eq. 2.
    """
    known = instances if labels is None else labels
    weights = np.ones(instances.shape)
    if balance:
        kinds = np.sign(instances) if labels is None else labels
        weights = _class_weights(kinds)
    sums = _two_nearest(instances, sigma * _REACH, _steps(spacing, instances.ndim))
    border = w0 * np.exp(-np.square(sums) / (2 * sigma**2))
    weights += np.where(instances == 0, border, 0)
    return np.where(known < 0, 0, weights).astype(np.float32)


def edge_distances(instances: Labels, labels: Labels) -> Map:
    """How far each voxel is from an object's edge, and from what is unknown.

    Parameters
    ----------
    instances, labels : (*S) int
        Objects, each with a number of its own; −1 in the labels where nothing is known.

    Returns
    -------
    (2, *S) float32, in voxels
        To the nearest voxel of an object that has a neighbour, face to face, which is
        known and not of the object; to the nearest unknown voxel. `FAR` where there is
        no such voxel.
    """
    unknown = labels < 0
    edge = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        one, other = (np.moveaxis(array, axis, 0) for array in (instances, unknown))
        apart = (one[1:] != one[:-1]) & ~other[1:] & ~other[:-1]
        into = np.moveaxis(edge, axis, 0)
        into[1:] |= apart
        into[:-1] |= apart
    edge &= instances > 0
    return np.stack([_away_from(edge), _away_from(unknown)])


def level_sets(labels: Labels, classes: int) -> Map:
    """Signed distance to each structure's surface, where the labels tell it.

    Returns
    -------
    (K − 1, *S) float32, in voxels
        As `signed_distances` with unit spacing; `FAR` everywhere for a structure that is
        absent, −`FAR` for one that fills the patch. NaN where an unknown voxel is nearer
        than the surface that is known.
    """
    known = labels >= 0
    hidden = _away_from(~known)
    found = np.empty((classes - 1, *labels.shape), np.float32)
    for value, phi in enumerate(found, start=1):
        inside = labels == value
        phi[...] = _away_from(inside) - _away_from(known & ~inside)
        phi[np.minimum(np.abs(phi), FAR) > hidden] = np.nan
        phi[~known] = np.nan
    return found


def _away_from(mask: npt.NDArray[np.bool_]) -> Map:
    """Voxels to the nearest of the mask; `FAR` if it is empty."""
    if not mask.any():
        return np.full(mask.shape, FAR, np.float32)
    away: Map = edt.edt(~mask, parallel=1)
    return np.minimum(away, FAR).astype(np.float32)


def components(labels: Labels) -> npt.NDArray[np.int32]:
    """Instances, where only classes are known: connected parts of each structure.

    Voxels that share a corner are connected; touching parts of two structures are two
    instances. Numbered from 1; 0 for background and unknown.
    """
    found = np.zeros(labels.shape, np.int32)
    corners = np.ones((3,) * labels.ndim, bool)
    for value in np.unique(labels[labels > 0]):
        parts, _ = ndimage.label(labels == value, structure=corners)
        found += np.where(parts > 0, parts + found.max(), 0).astype(np.int32)
    return found


def _class_weights(kinds: Labels) -> npt.NDArray[np.float64]:
    """Inverse frequencies of the classes there are, mean 1 over known voxels."""
    values, places, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    known = values >= 0
    weights = counts[known].sum() / max(known.sum(), 1) / counts
    of_voxels: npt.NDArray[np.float64] = weights[places].reshape(kinds.shape)
    return of_voxels


def _two_nearest(
    instances: Labels, reach: float, steps: tuple[float, ...]
) -> npt.NDArray[np.float64]:
    """d1 + d2 of each voxel; infinite where the second is farther than `reach`.

    Each instance is looked at in its own box widened by the reach only: cells are many
    and small.
    """
    first = np.full(instances.shape, np.inf)
    second = first.copy()
    margin = [math.ceil(reach / step) for step in steps]
    values, places = np.unique(instances, return_inverse=True)
    ranks = places.reshape(instances.shape) + 1
    for rank, box in enumerate(ndimage.find_objects(ranks), start=1):
        if values[rank - 1] <= 0:
            continue
        wide = tuple(
            slice(max(side.start - more, 0), side.stop + more)
            for side, more in zip(box, margin, strict=True)
        )
        away = edt.edt(ranks[wide] != rank, anisotropy=steps, parallel=1)
        second[wide] = np.minimum(second[wide], np.maximum(first[wide], away))
        first[wide] = np.minimum(first[wide], away)
    total: npt.NDArray[np.float64] = first + second
    return total


def _steps(spacing: Sequence[float] | None, ndim: int) -> tuple[float, ...]:
    return (1.0,) * ndim if spacing is None else tuple(float(step) for step in spacing)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Patch:
    """What a map is made of.

    Attributes
    ----------
    labels : (*S) int
    classes : int
        K, background included.
    spacing : tuple of float, or None for voxels
    instances : (*S) int, or None where only classes are known
    """

    labels: Labels
    classes: int
    spacing: tuple[float, ...] | None = None
    instances: Labels | None = None


def _border(patch: Patch) -> Map:
    instances = patch.instances
    if instances is None:
        instances = components(patch.labels)
    return border_weights(instances, patch.labels, spacing=patch.spacing)


def _distance(patch: Patch) -> Map:
    return signed_distances(patch.labels, patch.classes, patch.spacing)


def _edges(patch: Patch) -> Map:
    instances = patch.instances
    if instances is None:
        instances = components(patch.labels)
    return edge_distances(instances, patch.labels)


def _levels(patch: Patch) -> Map:
    return level_sets(patch.labels, patch.classes)


MAPS: Mapping[str, Callable[[Patch], Map]] = MappingProxyType(
    {
        "border": _border,
        "distance": _distance,
        "edges": _edges,
        "levels": _levels,
    }
)


@dataclass(eq=False, slots=True)
class MapCache:
    """Maps by the content they were made of; the oldest used go first.

    Worth it where patches come back unchanged: whole images, validation, no augmentation.
    May be shared by threads; a process it is sent to starts with an empty one.
    """

    limit_bytes: int = 2**28
    _held: OrderedDict[bytes, Map] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def __reduce__(self) -> tuple[type[MapCache], tuple[int]]:
        return MapCache, (self.limit_bytes,)

    @property
    def held_bytes(self) -> int:
        """At most `limit_bytes`."""
        return sum(array.nbytes for array in self._held.values())

    def get(self, name: str, patch: Patch) -> Map:
        """The map of a patch, made or remembered; the caller may change what it gets."""
        key = _fingerprint(name, patch)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key].copy()
        made = MAPS[name](patch)
        with self._lock:
            self._held[key] = made.copy()
            while self.held_bytes > self.limit_bytes:
                self._held.popitem(last=False)
        return made


def make_maps(
    names: Iterable[str], patch: Patch, cache: MapCache | None = None
) -> dict[str, Map]:
    """The maps a loss asks for (`Loss.maps`), of one patch."""
    return {
        name: cache.get(name, patch) if cache else MAPS[name](patch) for name in names
    }


def _fingerprint(name: str, patch: Patch) -> bytes:
    """Equal only if everything is equal that the map is made of."""
    made = hashlib.blake2b(repr((name, patch.classes, patch.spacing)).encode())
    for array in (patch.labels, patch.instances):
        if array is None:
            made.update(b"none")
        else:
            made.update(f"{array.dtype} {array.shape}".encode())
            made.update(np.ascontiguousarray(array).data)
    return made.digest()
