"""The nnInteractive client, as a stub with its methods, behind our protocol."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from napari_segreview.core.geometry import Grid
from napari_segreview.core.prompts import Lasso, Plane, Point, Scribble
from napari_segreview.core.protocols import Question
from napari_segreview.core.scan import Scan
from napari_segreview.engine import nninteractive
from napari_segreview.engine.clicks import ClickEngine
from napari_segreview.engine.nninteractive import ServerPredictor, server_predictor
from src_models.errors import InputError
from src_models.interactive.prompt_maps import Click


class Stub:
    """Answers with the bright voxels once it is told to look."""

    def __init__(self, address: str = "") -> None:
        self.address, self.log = address, []
        self.fault: Exception | None = None

    def set_image(self, image: Any) -> None:
        assert image.ndim == 4
        self.image = image
        self.log.append("image")

    def set_target_buffer(self, target_buffer: Any) -> None:
        assert target_buffer.shape == self.image.shape[1:]
        self.target = target_buffer

    def reset_interactions(self) -> None:
        self.target.fill(0)

    def add_initial_seg_interaction(self, initial_seg: Any) -> None:
        assert initial_seg.shape == self.target.shape
        self.target[:] = initial_seg
        self.log.append("initial")

    def _look(self, what: Any, run: bool) -> None:
        if self.fault is not None:
            raise self.fault
        self.log.append(what)
        if run:
            self.target[:] = self.image[0] > 0.5

    def add_point_interaction(
        self, coordinates: Any, include_interaction: bool, run_prediction: bool = True
    ) -> None:
        self._look((tuple(coordinates), include_interaction), run_prediction)

    def add_bbox_interaction(
        self, bbox_coords: Any, include_interaction: bool, run_prediction: bool = True
    ) -> None:
        self._look(bbox_coords, run_prediction)

    def add_scribble_interaction(
        self,
        scribble_image: Any,
        include_interaction: bool,
        run_prediction: bool = True,
    ) -> None:
        assert scribble_image.shape == self.target.shape
        self._look((int(scribble_image.sum()), include_interaction), run_prediction)


DATA = np.zeros((3, 10, 12), np.int16)
DATA[:, 3:7, 4:9] = 100
SCAN = Scan(data=DATA, grid=Grid.from_spacing(DATA.shape, (2.0, 1.0, 1.0)), name="scan")


def test_all_prompts_are_told_and_the_last_makes_it_look() -> None:
    stub = Stub()
    engine = ClickEngine(lambda: ServerPredictor(stub))
    plane = Plane(0, 1)
    prompts = (
        Lasso(plane, ((1.0, 2.0, 3.0), (1.0, 8.0, 3.0), (1.0, 8.0, 9.0))),
        Scribble(plane, ((1.0, 0.0, 0.0), (1.0, 0.0, 4.0)), positive=False),
        Point(plane, (1.0, 5.0, 6.0)),
    )
    previous = DATA[1] > 0
    question = Question(scan=SCAN, plane=plane, prompts=prompts, previous=previous)
    assert np.array_equal(engine.answer(question), DATA[1] > 0)
    box = [[0, 1], [2, 9], [3, 10]]
    assert stub.log == ["image", "initial", box, (5, False), ((0, 5, 6), True)]


def test_a_picture_is_sent_once_while_one_plane_is_clicked() -> None:
    stub = Stub()
    engine = ClickEngine(lambda: ServerPredictor(stub))
    for index in (0, 0, 1, 1, 0):
        plane = Plane(0, index)
        prompt = Point(plane, (float(index), 5.0, 6.0))
        engine.answer(Question(scan=SCAN, plane=plane, prompts=(prompt,)))
    assert stub.log.count("image") == 3


def test_the_bench_can_drive_it() -> None:
    predictor = ServerPredictor(Stub())
    with pytest.raises(InputError, match="no image yet"):
        predictor.predict([(1, 1, True)])
    predictor.set_image(np.dstack([DATA[0]] * 3))
    mask = predictor.predict([(5, 6, True), (0, 0, True)])
    assert mask.dtype == bool
    assert mask[0, 0]  # a clicked pixel is on its side
    with pytest.raises(InputError, match="outside the image"):
        predictor.predict([(50, 6, True)])


@pytest.mark.parametrize("fault", [RuntimeError("lease expired"), OSError("refused")])
def test_a_server_that_is_gone_is_said(fault: Exception) -> None:
    stub = Stub()
    stub.fault = fault
    predictor = ServerPredictor(stub)
    predictor.set_image(DATA[0])
    with pytest.raises(InputError, match=f"did not answer .{fault}."):
        predictor.answer([Click(1, 1)])


def test_the_address_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(nninteractive.VARIABLE, raising=False)
    with pytest.raises(InputError, match="set SEGREVIEW_NNINTERACTIVE"):
        server_predictor()
    monkeypatch.setenv(nninteractive.VARIABLE, "http://box:1527")
    monkeypatch.setitem(sys.modules, nninteractive.MODULE, None)
    with pytest.raises(InputError, match="no nnInteractive client"):
        server_predictor()
    module = ModuleType(nninteractive.MODULE)
    module.nnInteractiveRemoteInferenceSession = Stub  # type: ignore[attr-defined]
    for name in ("nnInteractive", "nnInteractive.inference"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, nninteractive.MODULE, module)
    assert server_predictor()._line.server.address == "http://box:1527"  # type: ignore[attr-defined]
