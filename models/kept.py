"""Datasets that decode a sample once and keep it: a small dataset is decoded in one epoch only.

Bytes are read and verified as ever, and transforms run every time; they must not change tensors in
place. Workers keep samples of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

from torch import Tensor

from datasets_vc.digest import Buffer
from loaders import ImageDataset, VideoDataset
from loaders.datasets import Sample

_LIMIT = 256 << 20  # bytes a process


class Kept:
    """What was decoded, by the digest of its file, until it fills `limit` bytes."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._samples: dict[bytes, Sample] = {}
        self._left = limit

    def get(self, digest: bytes, decode: Callable[[], Sample]) -> Sample:
        if digest in self._samples:
            return self._samples[digest]
        sample = decode()
        size = sum(value.nbytes for value in sample.values() if isinstance(value, Tensor))
        if size <= self._left:
            self._samples[digest] = sample
            self._left -= size
        return sample


class KeptImages(ImageDataset):
    @cached_property
    def _kept(self) -> Kept:
        return Kept()

    def _content(self, row: Mapping[str, Any], data: Buffer) -> Sample:
        return self._kept.get(row["digest"], partial(super()._content, row, data))


class KeptVideos(VideoDataset):
    @cached_property
    def _kept(self) -> Kept:
        return Kept()

    def _content(self, row: Mapping[str, Any], data: Buffer) -> Sample:
        return self._kept.get(row["digest"], partial(super()._content, row, data))
