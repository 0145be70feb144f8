"""A convolutional network for images.

Stages of convolution, batch normalisation and pooling, each of which halves height and width, then
two fully connected layers (LeCun et al. 1998, in today's dress). The residual variant adds to each
stage a block around which its input is led (He et al. 2016). There is no adaptive pooling: its
gradient has no deterministic form on CUDA.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class CnnConfig:
    shape: tuple[int, int, int]  # channels, height, width of an image
    classes: int
    channels: tuple[int, ...] = (16, 32)  # after each stage
    residual: bool = False
    hidden: int = 64
    dropout: float = 0.25


class Block(nn.Module):
    """Two convolutions, and the input added to what they make of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)"""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(y)))


class Stage(nn.Module):
    """Convolution, a residual block if wanted, pooling."""

    def __init__(self, before: int, after: int, residual: bool) -> None:
        super().__init__()
        # The normalisation that follows has a bias of its own.
        self.conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(after)
        self.block = Block(after) if residual else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H / 2, W / 2)"""
        x = F.relu(self.norm(self.conv(x)))
        return F.max_pool2d(self.block(x), 2)


class Cnn(nn.Module):
    def __init__(self, config: CnnConfig) -> None:
        super().__init__()
        channels, height, width = config.shape
        widths = (channels, *config.channels)
        self.stages = nn.Sequential(
            *(Stage(before, after, config.residual) for before, after in pairwise(widths))
        )
        halvings = 2 ** len(config.channels)
        self.flat = widths[-1] * (height // halvings) * (width // halvings)
        self.hidden = nn.Linear(self.flat, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.hidden, config.classes)

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W), uint8 -> logits (B, classes)"""
        x = self.stages(image.float() / 255 - 0.5)  # (B, channels[-1], H / 2^n, W / 2^n)
        x = self.dropout(x.flatten(1))
        x = self.dropout(F.relu(self.hidden(x)))
        return self.out(x)  # type: ignore[no-any-return]
