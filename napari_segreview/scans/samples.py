"""Real scans that come inside packages, and one phantom that is computed.

Nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_segreview.core.geometry import Grid
from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.core.scan import Scan
from napari_segreview.scans.reading import read_one
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """A scan, its labels if there are any, and whom to thank."""

    scan: Scan
    labels: LabelMap | None = None
    credit: str


def _packaged(
    package: str, inside: str, install: str, name: str, modality: str, credit: str
) -> Callable[[], Sample]:
    """A loader of a file that a package brings along."""

    def load() -> Sample:
        spec = find_spec(package)
        path = Path(spec.origin).parent / inside if spec and spec.origin else None
        if path is None or not path.is_file():
            raise InputError(
                f'the sample "{name}" comes with {package}, which is not installed: '
                f"pip install {install}"
            )
        scan = read_one(path)
        return Sample(
            scan=replace(scan, name=name, modality=scan.modality or modality),
            credit=credit,
        )

    return load


def phantom() -> Sample:
    """Three nested ellipsoids in water, 1 × 1 × 2.5 mm, on an oblique grid.

    Centres and half axes are in mm in the patient, so volumes are known: 4/3·π·abc.
    Water is 0 HU around them; see `PHANTOM`.
    """
    shape = (32, 72, 64)
    turn = _turned(np.radians(12.0), np.radians(-8.0))
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array([1.0, 1.0, 2.5])
    middle = affine[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    affine[:3, 3] = -middle  # the middle of the grid is the patient's origin
    grid = Grid(shape, affine)
    index = np.indices(shape).reshape(3, -1).T
    world = grid.to_world(index).reshape(*shape, 3)
    data = np.zeros(shape, np.int16)  # HU
    labels = np.zeros(shape, np.uint8)
    for value, (_, density, centre, half) in enumerate(PHANTOM, 1):
        inside = (((world - centre) / half) ** 2).sum(axis=-1) <= 1
        data[inside] = density
        labels[inside] = value
    table = LabelTable.of({value: row[0] for value, row in enumerate(PHANTOM, 1)})
    return Sample(
        scan=Scan(data=data, grid=grid, name="phantom", modality="CT"),
        labels=LabelMap(data=labels, grid=grid, table=table, name="phantom labels"),
        credit="Computed: nested ellipsoids.",
    )


# name, HU, centre (x, y, z) mm, half axes (x, y, z) mm; later ones lie on top
PHANTOM = (
    ("body", 40, (0.0, 0.0, 0.0), (27.0, 31.0, 34.0)),
    ("organ", 60, (-3.0, 2.0, 0.0), (17.0, 20.0, 24.0)),
    ("lesion", 90, (-8.0, 5.0, 4.0), (5.0, 6.0, 8.0)),
)


def _turned(about_x: float, about_y: float) -> npt.NDArray[np.float64]:
    """A rotation about x, then about y."""
    c, s = np.cos(about_x), np.sin(about_x)
    first = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    c, s = np.cos(about_y), np.sin(about_y)
    second = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    turn: npt.NDArray[np.float64] = second @ first
    return turn


SAMPLES: Mapping[str, Callable[[], Sample]] = MappingProxyType(
    {
        "phantom": phantom,
        "retina": _packaged(
            "skimage",
            "data/retina.jpg",
            "scikit-image",
            "retina",
            "OP",
            "Mikael Häggström, fundus of a normal left eye (CC0), in scikit-image.",
        ),
        "dicom-ct": _packaged(
            "pydicom",
            "data/test_files/CT_small.dcm",
            "pydicom",
            "dicom-ct",
            "CT",
            "CT_small.dcm of pydicom's test files (MIT licence).",
        ),
        "brain-template": _packaged(
            "nilearn",
            "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
            "napari-segreview[samples]",
            "brain-template",
            "MR",
            "ICBM 152 template, Fonov et al. 2011, NeuroImage 54:313-327, in nilearn.",
        ),
        "epi-4d": _packaged(
            "nibabel",
            "tests/data/example4d.nii.gz",
            "nibabel",
            "epi-4d",
            "MR",
            "example4d.nii.gz of nibabel's test files (MIT licence).",
        ),
    }
)
