"""FCSLSTM: a fully convolutional net whose every block is an LSTM cell.

Gao et al., "Fully convolutional structured LSTM networks for joint 4D medical image
segmentation", ISBI 2018. https://doi.org/10.1109/ISBI.2018.8363764

Shape letters: B batch, C channels, T visits (or frames) in their order, S spatial axes,
K classes, H channels of a level, N = B · T images.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from src_models.blocks import (
    CONV,
    LINEAR,
    POOL,
    check_input,
    crop_to,
    to_multiple,
)
from src_models.nets.convlstm import fold, unfold
from src_models.nets.fcn import VGG_DEPTHS

SKIPS = (3, 2)  # levels (from 0) whose states are scored beside the coarsest


class LSTMBlock(nn.Module):
    """An LSTM cell whose map from input to each gate is a block of convolutions.

    i, f, o = σ(X(x) + H(h)), g = tanh(X(x) + H(h)), c ← f·c + i·g, h = o·tanh(c): X of
    each gate is a clone of the block with weights of its own, H a 1 × 1 convolution. The
    last convolution of X has no ReLU: gates could not close.
    """

    def __init__(self, *, ndim: int, in_channels: int, hidden: int, depth: int) -> None:
        super().__init__()

        def block() -> nn.Sequential:
            layers: list[nn.Module] = []
            for at in range(depth):
                above = hidden if at else in_channels
                layers += [CONV[ndim](above, hidden, 3, padding=1), nn.ReLU()]
            return nn.Sequential(*layers[:-1])

        self.given = nn.ModuleList(block() for _ in range(4))
        self.held = CONV[ndim](hidden, 4 * hidden, 1)

    def forward(self, x_BCTS: Tensor) -> Tensor:
        """x_BCTS -> h_BHTS, the state of each visit; that before the first is 0."""
        frames, flat = x_BCTS.shape[2], fold(x_BCTS)
        given = unfold(torch.cat([one(flat) for one in self.given], 1), frames)
        h = c = torch.zeros_like(given[:, : given.shape[1] // 4, 0])
        states = []
        for one in given.unbind(2):
            i, f, o, g = (one + self.held(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(h)
        return torch.stack(states, 2)


class FCSLSTM(nn.Module):
    """Logits for every voxel of every visit, each knowing of those before it.

    Five levels as of VGG-16, all of them recurrent, with a pool between; the states of the
    last three are scored, enlarged and summed as in FCN-8s. All convolutions are padded, so
    that nothing is cropped.

    Parameters
    ----------
    ndim : {2, 3}
    in_channels, classes : int
        C of the input, K of the output.
    widths : tuple of int
        Channels of the five levels.
    fc_width : int
        Channels of the two fully connected layers turned convolutions.
    fc_kernel : int
        Side of the first of them, odd.
    dropout : float
        After each of them.
    memory : {"forward", "none"}
        Whether a visit knows of those before it, or each begins anew.
    """

    def __init__(
        self,
        *,
        ndim: int,
        in_channels: int,
        classes: int,
        widths: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512),
        fc_width: int = 4096,
        fc_kernel: int = 7,
        dropout: float = 0.5,
        memory: Literal["forward", "none"] = "forward",
    ) -> None:
        super().__init__()
        self.ndim, self.in_channels = ndim, in_channels
        self.stride, self.remembers = 2 ** len(widths), memory == "forward"
        conv, above = CONV[ndim], in_channels
        self.pool = POOL[ndim](2)
        self.levels = nn.ModuleList()
        for width, depth in zip(widths, VGG_DEPTHS, strict=True):
            self.levels.append(
                LSTMBlock(ndim=ndim, in_channels=above, hidden=width, depth=depth)
            )
            above = width
        self.score = nn.Sequential(
            conv(above, fc_width, fc_kernel, padding=fc_kernel // 2),
            *(nn.ReLU(), nn.Dropout(dropout)),
            *(conv(fc_width, fc_width, 1), nn.ReLU(), nn.Dropout(dropout)),
            conv(fc_width, classes, 1),
        )
        self.skip_score = nn.ModuleList(conv(widths[at], classes, 1) for at in SKIPS)
        for layer in self.modules():
            if isinstance(layer, _ConvNd):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x_BCTS: Tensor) -> Tensor:
        """x_BCTS -> logits_BKTS, for any T and S."""
        check_input(x_BCTS, self.ndim, self.in_channels, frames=True)
        frames, spatial = x_BCTS.shape[2], x_BCTS.shape[3:]
        known = frames if self.remembers else 1
        y = to_multiple(fold(x_BCTS), self.stride)
        maps = [y]
        for level in self.levels:
            maps.append(self.pool(fold(level(unfold(maps[-1], known)))))
        scores = self.score(maps[-1])
        for at, score in zip(SKIPS, self.skip_score, strict=True):
            skip = score(maps[at + 1])
            scores = self._enlarged(scores, skip.shape[2:]) + skip
        logits = crop_to(self._enlarged(scores, y.shape[2:]), spatial)
        return unfold(logits, frames)

    def _enlarged(self, y_NKS: Tensor, shape: torch.Size) -> Tensor:
        """The same extent on a finer grid, linearly."""
        mode = LINEAR[self.ndim]
        return F.interpolate(y_NKS, tuple(shape), mode=mode, align_corners=False)
