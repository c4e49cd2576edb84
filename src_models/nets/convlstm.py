"""Convolutional LSTM: a memory at every voxel, carried from frame to frame.

Shi et al., "Convolutional LSTM Network", NeurIPS 2015, eq. 3, without its peepholes.
https://arxiv.org/abs/1506.04214

Shape letters: B batch, C channels, T frames (or slices) in their order, S spatial axes,
H hidden channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from src_models.blocks import CONV

FORGET = 1.0  # added to the forget gate, so that an untrained cell remembers


def fold(x_BCTS: Tensor) -> Tensor:
    """x_BCTS -> x_(B·T)CS: each frame an image by itself."""
    return x_BCTS.transpose(1, 2).flatten(0, 1)


def unfold(x_NCS: Tensor, frames: int) -> Tensor:
    """The inverse of `fold`."""
    return x_NCS.reshape(-1, frames, *x_NCS.shape[1:]).transpose(1, 2)


class ConvLSTMCell(nn.Module):
    """One step: i, f, o = σ(…), g = tanh(…), c ← f·c + i·g, h = o·tanh(c).

    What the gates are given is the sum of a convolution of the input and one of the hidden
    state, each with the channels of all four, in the order i, f, o, g.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, hidden : int
    kernel : int
        Its side, odd.
    """

    def __init__(
        self, *, ndim: int, in_channels: int, hidden: int, kernel: int = 3
    ) -> None:
        super().__init__()
        pad = kernel // 2
        self.given = CONV[ndim](in_channels, 4 * hidden, kernel, padding=pad)
        self.held = CONV[ndim](hidden, 4 * hidden, kernel, padding=pad, bias=False)

    def forward(
        self, x_BCS: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """x_BCS, (h_BHS, c_BHS) -> (h_BHS, c_BHS); both are 0 before the first step."""
        return self.step(self.given(x_BCS), state)

    def step(
        self, given: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """The same from what the input gives (B, 4·H, *S)."""
        if state is None:
            nothing = torch.zeros_like(given[:, : given.shape[1] // 4])
            state = nothing, nothing
        h, c = state
        i, f, o, g = (given + self.held(h)).chunk(4, 1)
        c = (f + FORGET).sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class ConvLSTM(nn.Module):
    """The hidden state at every frame; a frame knows of those before it alone."""

    def __init__(self, *, ndim: int, in_channels: int, hidden: int) -> None:
        super().__init__()
        self.cell = ConvLSTMCell(ndim=ndim, in_channels=in_channels, hidden=hidden)

    def forward(self, x_BCTS: Tensor) -> Tensor:
        """x_BCTS -> h_BHTS."""
        given = unfold(self.cell.given(fold(x_BCTS)), x_BCTS.shape[2])
        state, hidden = None, []
        for one in given.unbind(2):
            state = self.cell.step(one, state)
            hidden.append(state[0])
        return torch.stack(hidden, 2)


class BiConvLSTM(nn.Module):
    """Two of them with weights of their own, the second from the last frame to the first.

    Every frame knows of all: its H forward channels of those before, its H backward
    channels of those after.
    """

    def __init__(self, *, ndim: int, in_channels: int, hidden: int) -> None:
        super().__init__()
        self.forwards, self.backwards = (
            ConvLSTM(ndim=ndim, in_channels=in_channels, hidden=hidden)
            for _ in range(2)
        )

    def forward(self, x_BCTS: Tensor) -> Tensor:
        """x_BCTS -> (B, 2·H, T, *S), forward channels first."""
        back = self.backwards(x_BCTS.flip(2)).flip(2)
        return torch.cat([self.forwards(x_BCTS), back], 1)
