"""The demonstration: a real window, a real image, a bundled model, its scores."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segreview.core.labels import LabelMap, LabelTable
from napari_segreview.scans import SAMPLES, read_labels, read_one, write_labels
from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_segreview.core.scan import Scan
    from napari_segreview.core.session import Session
    from napari_segreview.core.state import State

SCREEN = "1400x900x24"
VIRTUAL = "SEGREVIEW_DEMO_SCREEN"  # set where the screen is a virtual one


def under_xvfb(arguments: list[str]) -> int:
    """Run the same command again on a virtual display; returns its exit status.

    Raises
    ------
    InputError
        If there is no Xvfb.
    """
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise InputError(
            "no display, and no xvfb-run to make a virtual one: start it on a desktop, or "
            "apt-get install xvfb xauth"
        )
    command = [xvfb, "-a", "-s", f"-screen 0 {SCREEN}", sys.executable, "-m"]
    return subprocess.call(
        [*command, "napari_segreview.cli", *arguments],
        env={**os.environ, VIRTUAL: "1", "QT_QPA_PLATFORM": "xcb"},
    )


def show(
    output: Path, image: Path | None, reference: Path | None, *, headless: bool
) -> None:
    """Open the window, segment, compare; headless: write mask, scores, screenshot."""
    scan, truth = _material(image, reference)
    if headless:
        output.mkdir(parents=True, exist_ok=True)
    import napari
    from qtpy.QtCore import QTimer

    from napari_segreview._widgets import session_of

    viewer = napari.Viewer(title="SegReview")
    viewer.window.add_plugin_dock_widget("napari-segreview", "SegReview")
    if headless:
        viewer.window.resize(1280, 800)
    session = session_of(viewer)
    faults: list[str] = []

    def ended() -> None:
        if session.state.fault:
            faults.append(session.state.fault)
        if headless:
            QTimer.singleShot(500, lambda: _write(viewer, session, output, faults))

    script = _script(viewer, session, scan, truth)
    QTimer.singleShot(0, lambda: _play(session, script, ended))
    napari.run()
    if faults:
        raise InputError(faults[0])
    if headless:
        _tell(output)


def _material(
    image: Path | None, reference: Path | None
) -> tuple[Scan, LabelMap | None]:
    """The user's image, or the fundus photograph with a classical filter's vessels."""
    if image is not None:
        return read_one(image), read_labels(reference) if reference else None
    scan = SAMPLES["retina"]().scan
    return scan, classical_vessels(scan)


def classical_vessels(scan: Scan) -> LabelMap:
    """Vessels by ridge filter and hysteresis: something to compare with, no expert.

    Sato et al. 1998 on the green channel, the field of view's rim left out.
    """
    from scipy import ndimage
    from skimage.filters import apply_hysteresis_threshold, sato

    green = scan.data[..., 1].astype(np.float32)
    inside = ndimage.binary_erosion(scan.data.max(axis=-1) > 30, iterations=12)
    ridges = np.where(inside, sato(green, sigmas=(2, 3, 4, 5), black_ridges=True), 0)
    low, high = np.percentile(ridges[inside], (88, 95))
    vessels = apply_hysteresis_threshold(ridges, low, high)
    return LabelMap(
        data=vessels.astype(np.uint8),
        grid=scan.grid,
        table=LabelTable.of({1: "vessel"}),
        name="classical filter (no expert)",
    )


def _script(
    viewer: Any, session: Session, scan: Scan, truth: LabelMap | None
) -> Iterator[Callable[[], None]]:
    """What the demonstration does, step by step; a step may start one job."""
    from napari_segreview.layers.shelf import NapariShelf

    shelf = NapariShelf(viewer)

    def open_scan() -> None:
        shelf.add(scan)
        viewer.reset_view()

    yield open_scan
    yield session.segment
    if truth is None:
        return

    def open_truth() -> None:
        prediction = session.state.prediction
        ref = shelf.add(truth)
        viewer.layers[-1].visible = False
        session.choose_pair(prediction, ref.key)

    yield open_truth
    yield session.compare


def _play(
    session: Session, script: Iterator[Callable[[], None]], ended: Callable[[], None]
) -> None:
    """Run the steps; a step that starts a job is waited for. A fault ends it."""

    def go_on() -> None:
        for step in script:
            step()
            if session.state.running is not None or session.state.fault:
                break
        else:
            session.changed.disconnect(listen)
            ended()
            return
        if session.state.fault:
            session.changed.disconnect(listen)
            ended()

    def listen(old: State, new: State) -> None:
        from qtpy.QtCore import QTimer

        if old.running is not None and new.running is None:
            QTimer.singleShot(100, go_on)  # after the answer is drawn

    session.changed.connect(listen)
    go_on()


def _write(viewer: Any, session: Session, output: Path, faults: list[str]) -> None:
    """Mask, scores, picture of the window; then close it."""
    try:
        viewer.screenshot(str(output / "window.png"), canvas_only=False)
        state = session.state
        if state.prediction:
            from napari_segreview.layers.shelf import NapariShelf

            labels = NapariShelf(viewer).label_map(state.prediction)
            suffix = "mask.nii.gz" if labels.grid.ndim == 3 else "mask.png"
            write_labels(replace(labels, name="mask"), output / suffix)
        if state.report is not None:
            state.report.to_csv(output / "scores.csv")
    except (InputError, OSError) as error:
        faults.append(str(error))
    finally:
        viewer.close()


def _tell(output: Path) -> None:
    from rich.console import Console

    console = Console()
    console.print(f"No display: drawn on a virtual one. Written to {output}/:")
    for path in sorted(output.iterdir()):
        console.print(f"  {path.name}", highlight=False)
