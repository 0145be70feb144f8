"""A hybrid for clips: a convolutional network sees each frame, an LSTM what they tell in turn.

As in long-term recurrent convolutional networks (Donahue et al. 2015). Features keep where in
the frame something is: they are a linear map of all places, not a mean over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class CrnnConfig:
    shape: tuple[int, int, int]  # channels, height, width of a frame
    classes: int
    channels: tuple[int, ...] = (8, 16)  # after each convolution, which halves height and width
    features: int = 192  # of a frame
    hidden: int = 64
    dropout: float = 0.0


class FrameCnn(nn.Module):
    """What one frame shows, as features of mean 0 and variance 1."""

    def __init__(self, config: CrnnConfig) -> None:
        super().__init__()
        channels, height, width = config.shape
        widths = (channels, *config.channels)
        # Both normalisations are for the LSTM: while most of a feature is the same in all frames,
        # it learns late or never.
        self.standardise = nn.BatchNorm2d(channels, affine=False)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in pairwise(widths)
        )
        for _ in config.channels:
            height, width = (height + 1) // 2, (width + 1) // 2
        self.linear = nn.Linear(widths[-1] * (height // 2) * (width // 2), config.features)
        self.norm = nn.LayerNorm(config.features)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, features)"""
        x = self.standardise(frames)
        for conv in self.convs:
            x = F.relu(conv(x))
        x = F.max_pool2d(x, 2)
        return self.norm(self.linear(x.flatten(1)))  # type: ignore[no-any-return]


class Crnn(nn.Module):
    def __init__(self, config: CrnnConfig) -> None:
        super().__init__()
        self.cnn = FrameCnn(config)
        self.lstm = nn.LSTM(config.features, config.hidden, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.hidden, config.classes)

    def forward(self, video: Tensor) -> Tensor:
        """Clips (B, T, C, H, W), uint8 -> logits (B, classes)"""
        batch, frames = video.shape[:2]
        x = self.cnn(video.flatten(0, 1).float() / 255)  # (B * T, features)
        states, _ = self.lstm(self.dropout(x).unflatten(0, (batch, frames)))  # (B, T, hidden)
        return self.out(self.dropout(states[:, -1]))  # type: ignore[no-any-return]
