"""See that a wheel holds all that SegReview needs, and that it runs from there.

Run by the Python it was installed for, outside the checkout:
    python scripts/check_wheel.py WHEEL CHECKOUT
"""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile

from npe2 import PluginManifest

import napari_segreview

PACKAGES = ("napari_segreview", "src_models")
ASKED = (
    *(f"{package}/py.typed" for package in PACKAGES),
    "napari_segreview/napari.yaml",
)


def missing(wheel: Path, checkout: Path) -> set[str]:
    """What stands in the checkout's packages and not in the wheel."""
    source = {
        path.relative_to(checkout).as_posix()
        for package in PACKAGES
        for path in (checkout / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return (source | set(ASKED)) - set(ZipFile(wheel).namelist())


def strangers(wheel: Path) -> set[str]:
    """Top-level folders of the wheel that are not ours."""
    tops = {name.partition("/")[0] for name in ZipFile(wheel).namelist()}
    return {top for top in tops - set(PACKAGES) if not top.endswith(".dist-info")}


def unpaired_weights(wheel: Path) -> set[str]:
    """Bundled models that lack card or weights; "none" if no model is bundled."""
    files = [Path(name) for name in ZipFile(wheel).namelist()]
    cards, weights = (
        {path.parent for path in files if path.match(f"src_models/bundled/*/{name}")}
        for name in ("card.json", "weights.safetensors")
    )
    return {str(home) for home in cards ^ weights} or (set() if weights else {"none"})


def main() -> None:
    """Exit with a line that says what is wrong."""
    wheel, checkout = Path(sys.argv[1]), Path(sys.argv[2])
    if lost := missing(wheel, checkout):
        sys.exit(f"not in the wheel: {sorted(lost)}")
    if found := strangers(wheel):
        sys.exit(f"does not belong in the wheel: {sorted(found)}")
    if bad := unpaired_weights(wheel):
        sys.exit(f"bundled models that are not whole: {sorted(bad)}")
    if not Path(napari_segreview.__file__).is_relative_to(sys.prefix):
        sys.exit(f"tested {napari_segreview.__file__}, not the installed wheel")
    PluginManifest.from_distribution("napari-segreview").validate_imports()


if __name__ == "__main__":
    main()
