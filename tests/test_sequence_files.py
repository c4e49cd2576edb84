"""Recipes for nets that read frames together: from files to cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest

from napari_segreview._training import read_cases
from src_models.errors import InputError
from src_models.training.config import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from src_models.data.cases import Case

AFFINE = np.diag([1.0, 1.0, 8.0, 1.0])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One scan of 3 slices and 4 frames; frames 0 and 2 are drawn, slice 2 is not."""
    (tmp_path / "set" / "labels").mkdir(parents=True)
    random = np.random.default_rng(0)
    image = random.normal(size=(8, 7, 3, 4)).astype(np.float32)  # x, y, z, t
    labels = np.zeros(image.shape, np.uint8)
    labels[2:5, 1:4, :2, 0::2] = 1
    labels[5, 5, 1, 2] = 2
    save(tmp_path / "set" / "heart.nii.gz", image)
    save(tmp_path / "set" / "labels" / "heart.nii.gz", labels)
    return tmp_path


def cine_recipe(ndim: int = 2, **data: Any) -> Recipe:
    """One structure over time; `data` goes into that part of the recipe."""
    return Recipe.model_validate(
        {
            "name": "beats",
            "about": {"title": "", "task": "", "wants": "", "modalities": []},
            "data": {
                "folder": "set",
                "images": "*.nii.gz",
                "labels": "labels/{name}",
                "name": "made up",
                "licence": "CC0",
                "credit": "nobody",
                "validation": 0.3,
                "locked": 0.3,
                **data,
            },
            "net": {
                "system": "unet-convlstm",
                "ndim": ndim,
                "in_channels": 1,
                "classes": 2,
            },
            "labels": [{"value": 1, "name": "square", "color": (1.0, 0.0, 0.0)}],
            "intensity": {"kind": "zscore"},
            "patches": {"size": [3, *[8] * ndim], "batch": 1},
            "train": {"epochs": 1, "steps": 1, "learning_rate": 1e-3},
        }
    )


def save(path: Path, array: np.ndarray) -> None:
    nib.Nifti1Image(array, AFFINE).to_filename(path)


def read(root: Path, recipe: Recipe) -> list[Case]:
    return list(read_cases(recipe, root))


def test_each_slice_is_a_sequence_for_a_2d_net(root: Path) -> None:
    cases = read(root, cine_recipe(values={"2": 0}))
    assert [case.name for case in cases] == [f"heart slice {z}" for z in range(3)]
    assert {case.group for case in cases} == {"heart.nii.gz"}
    stored = nib.load(root / "set" / "heart.nii.gz").get_fdata()
    for z, case in enumerate(cases):
        assert case.image.shape == (1, 4, 7, 8)
        assert case.spacing == (1.0, 1.0)
        np.testing.assert_allclose(case.image[0], stored[:, :, z].transpose(2, 1, 0))
        assert case.labels.shape == (4, 7, 8)
        drawn = 9 if z < 2 else 0
        assert (case.labels == 1).sum(axis=(1, 2)).tolist() == [drawn, 0, drawn, 0]
        assert case.labels.min() == 0


def test_a_volume_is_one_sequence_for_a_3d_net(root: Path) -> None:
    [case] = read(root, cine_recipe(ndim=3, values={"2": 0}))
    assert case.name == "heart"
    assert case.image.shape == (1, 4, 3, 7, 8)
    assert case.spacing == (8.0, 1.0, 1.0)


def test_frames_without_a_label_may_be_unknown(root: Path) -> None:
    """What the file says decides, also where a value becomes background."""
    recipe = cine_recipe(values={"1": 0, "2": 0}, blank_frames="unknown")
    cases = read(root, recipe)
    known = [(case.labels >= 0).all(axis=(1, 2)).tolist() for case in cases]
    unknown = [(case.labels == -1).all(axis=(1, 2)).tolist() for case in cases]
    assert known == [[True, False, True, False]] * 2 + [[False] * 4]
    assert unknown == [[not one for one in row] for row in known]


def test_slices_can_be_on_different_sides_of_the_split(root: Path) -> None:
    cases = read(root, cine_recipe(values={"2": 0}, split_slices=True))
    assert [case.group for case in cases] == [
        f"heart.nii.gz slice {z}" for z in range(3)
    ]


def test_a_scan_without_frames_is_a_sequence_of_one(root: Path) -> None:
    for folder in ("set", "set/labels"):
        path = root / folder / "heart.nii.gz"
        save(path, np.asarray(nib.load(path).dataobj)[..., 0])
    cases = read(root, cine_recipe())
    assert [case.image.shape for case in cases] == [(1, 1, 7, 8)] * 3


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        (
            slice(0, 3),
            r"shape \(4, 3, 7, 8\), its labels \(3, 3, 7, 8\); labels of as many frames",
        ),
        (0, r"its labels \(3, 7, 8\)"),
    ],
)
def test_labels_of_other_frames_are_refused(
    root: Path, frames: int | slice, says: str
) -> None:
    path = root / "set" / "labels" / "heart.nii.gz"
    save(path, np.asarray(nib.load(path).dataobj)[..., frames])
    with pytest.raises(InputError, match=says):
        read(root, cine_recipe(values={"2": 0}))
