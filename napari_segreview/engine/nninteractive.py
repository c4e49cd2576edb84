"""A running nnInteractive server as a predictor of clicks; an extra, never by itself.

Isensee, Rokuss et al., "nnInteractive: Redefining 3D Promptable Segmentation",
arXiv:2503.08373. Needs ``pip install "napari-segreview[nninteractive]"`` and a server that
you started; its address is in ``$SEGREVIEW_NNINTERACTIVE``. Pictures are sent there.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from src_models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from src_models.interactive.prompt_maps import Prompt

    Mask = npt.NDArray[np.bool_]

VARIABLE = "SEGREVIEW_NNINTERACTIVE"
MODULE, CLIENT = "nnInteractive.inference.remote", "nnInteractiveRemoteInferenceSession"


class Server(Protocol):
    """What is used of the client, of version 2.6 and later."""

    def set_image(self, image: npt.NDArray[Any]) -> None: ...

    def set_target_buffer(self, target_buffer: npt.NDArray[Any]) -> None: ...

    def reset_interactions(self) -> None: ...

    def add_initial_seg_interaction(self, initial_seg: npt.NDArray[Any]) -> Any: ...

    def add_point_interaction(
        self, coordinates: Any, include_interaction: bool, run_prediction: bool = True
    ) -> Any: ...

    def add_bbox_interaction(
        self, bbox_coords: Any, include_interaction: bool, run_prediction: bool = True
    ) -> Any: ...

    def add_scribble_interaction(
        self,
        scribble_image: npt.NDArray[Any],
        include_interaction: bool,
        run_prediction: bool = True,
    ) -> Any: ...


@dataclass
class _Line:
    """The one connection of all copies of a predictor, and the picture it holds."""

    server: Server
    picture: npt.NDArray[Any] | None = None
    target: npt.NDArray[np.uint8] | None = None


class ServerPredictor:
    """The same protocol as the click net's predictor. A picture is a volume of a slice."""

    def __init__(self, server: Server) -> None:
        self._line = _Line(server)
        self._picture: npt.NDArray[np.float32] | None = None

    def set_image(self, image: npt.NDArray[Any]) -> None:
        """Take an image (y, x) or (y, x, channel); it is sent with the first question.

        Raises
        ------
        InputError
            If it is empty or has other axes.
        """
        from src_models.interactive.image import unit_range

        self._picture = unit_range(image).mean(0)[None, None]

    def predict(
        self,
        clicks: Iterable[tuple[float, float, bool]],
        previous_mask: Mask | None = None,
    ) -> Mask:
        """As the click net's predictor."""
        from src_models.interactive.prompt_maps import Click

        prompts = [Click(float(y), float(x), bool(sign)) for y, x, sign in clicks]
        return self.answer(prompts, previous_mask)

    def answer(self, prompts: Sequence[Prompt], previous: Mask | None = None) -> Mask:
        """The server's mask, (y, x), for all prompts; a lasso counts as its box.

        Raises
        ------
        InputError
            If the server cannot be reached, or there is no image.
        """
        if self._picture is None:
            raise InputError("no image yet; call set_image before predict")
        try:
            return self._asked(self._picture, prompts, previous)
        except (RuntimeError, OSError) as error:
            raise InputError(_gone(error)) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "httpx":
                raise
            raise InputError(_gone(error)) from error

    def _asked(
        self,
        picture: npt.NDArray[np.float32],
        prompts: Sequence[Prompt],
        previous: Mask | None,
    ) -> Mask:
        from src_models.interactive.predictor import check_prompts, obeyed

        line, shape = self._line, (picture.shape[2], picture.shape[3])
        check_prompts(prompts, previous, shape)
        if line.picture is not picture or line.target is None:
            line.picture = None
            line.server.set_image(picture)
            line.target = np.zeros((1, *shape), np.uint8)
            line.server.set_target_buffer(line.target)
            line.picture = picture
        line.server.reset_interactions()
        if previous is not None and previous.any():
            line.server.add_initial_seg_interaction(previous[None].astype(np.uint8))
        for number, prompt in enumerate(prompts, 1):
            _add(line.server, prompt, shape, run=number == len(prompts))
        return obeyed(line.target[0] > 0, prompts)


def _add(server: Server, prompt: Prompt, shape: tuple[int, int], *, run: bool) -> None:
    """Tell the server one prompt; it looks when `run` is true."""
    from src_models.interactive.predictor import spots
    from src_models.interactive.prompt_maps import Click, Region

    at = np.rint(spots(prompt)).astype(int).clip(0, np.array(shape) - 1)
    if isinstance(prompt, Click):
        place = [0, *at[0].tolist()]
        server.add_point_interaction(place, prompt.positive, run_prediction=run)
    elif isinstance(prompt, Region):
        (top, left), (bottom, right) = at.min(0).tolist(), (at.max(0) + 1).tolist()
        box = [[0, 1], [top, bottom], [left, right]]
        server.add_bbox_interaction(box, True, run_prediction=run)
    else:
        drawn = np.zeros((1, *shape), np.uint8)
        drawn[0, at[:, 0], at[:, 1]] = 1
        server.add_scribble_interaction(drawn, prompt.positive, run_prediction=run)


def _gone(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return f"the nnInteractive server did not answer ({said}): see that it runs"


def server_predictor() -> ServerPredictor:
    """A predictor on the server whose address is in ``$SEGREVIEW_NNINTERACTIVE``.

    Raises
    ------
    InputError
        If there is no address, no client, or no server.
    """
    address = os.environ.get(VARIABLE, "")
    if not address:
        raise InputError(f"set {VARIABLE} to the address of your nnInteractive server")
    try:
        client = getattr(importlib.import_module(MODULE), CLIENT)
    except (ImportError, AttributeError):
        raise InputError(
            'no nnInteractive client: pip install "napari-segreview[nninteractive]"'
        ) from None
    try:
        return ServerPredictor(client(address))
    except Exception as error:
        raise InputError(_gone(error)) from error
