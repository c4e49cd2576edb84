"""What napari reads about the plugin is true of the installed package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from npe2 import PluginManager, PluginManifest

ROOT = Path(__file__).resolve().parents[1]
NAME = "napari-segreview"


def test_the_packaged_manifest_is_the_root_one() -> None:
    packaged = files("napari_segreview") / "napari.yaml"
    assert packaged.read_text() == (ROOT / "napari.yaml").read_text()


def test_npe2_finds_it_and_every_command_imports() -> None:
    PluginManifest.from_distribution(NAME).validate_imports()


def test_every_command_is_used_and_every_used_command_is_there() -> None:
    contributions = PluginManifest.from_file(ROOT / "napari.yaml").contributions
    there = {command.id for command in contributions.commands or ()}
    used = {
        part.command
        for parts in (
            contributions.readers,
            contributions.writers,
            contributions.widgets,
            contributions.sample_data,
        )
        for part in parts or ()
    }
    assert used == there


@pytest.fixture
def manager() -> PluginManager:
    manager = PluginManager()
    manager.register(PluginManifest.from_file(ROOT / "napari.yaml"))
    return manager


SCANS = ["nii", "nii.gz", "NII.GZ", "nrrd", "nhdr", "mha", "mhd", "dcm"]
PICTURES = ["png", "jpg", "jpeg", "tif", "TIFF"]


@pytest.mark.parametrize("ending", SCANS + PICTURES)
def test_napari_offers_the_reader_for(ending: str, manager: PluginManager) -> None:
    readers = {r.command for r in manager.iter_compatible_readers(f"T1.v2.{ending}")}
    assert readers == {f"{NAME}.get_reader"}


@pytest.mark.parametrize("name", ["a.csv", "a.gz", "a.npy", "a.zarr"])
def test_napari_does_not_offer_it_for(name: str, manager: PluginManager) -> None:
    assert not list(manager.iter_compatible_readers(name))


def test_napari_offers_the_reader_for_a_folder(
    manager: PluginManager, tmp_path: Path
) -> None:
    readers = {r.command for r in manager.iter_compatible_readers(tmp_path)}
    assert readers == {f"{NAME}.get_reader"}


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("a", "a.nii.gz"),
        ("a.nii.gz", "a.nii.gz"),
        ("a.NRRD", "a.NRRD"),
        ("a.tif", "a.tif"),
    ],
)
def test_napari_offers_the_writer_for_labels(
    asked: str, written: str, manager: PluginManager
) -> None:
    writer, path = manager.get_writer(asked, ["labels"])
    assert writer is not None
    assert (writer.command, path) == (f"{NAME}.write_labels", written)


@pytest.mark.parametrize(
    "layers", [["image"], ["labels", "labels"], ["image", "labels"]]
)
def test_the_writer_is_for_one_labels_layer_only(
    layers: list[str], manager: PluginManager
) -> None:
    assert manager.get_writer("a.nii.gz", layers)[0] is None
