"""Datasets of images and of clips."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import InvalidInputError
from loaders.datasets import OnBadSample, Sample, SampleDataset, Transform
from loaders.decode import Mode, Size, decode_clip, decode_image

if TYPE_CHECKING:
    from datasets_vc import Snapshot


class VisualDataset(SampleDataset, ABC):
    """What datasets of images and of clips share.

    Args:
        mode: `RGB` (C = 3) or `L`, greys (C = 1).
        size: (height, width) to scale to; images are as large as they are if None.
        keep: bytes of decoded samples that each process keeps, so that a small dataset is decoded
            in one epoch only. Bytes are read and verified as ever, and transforms run every time;
            they must then not change tensors in place.
        snapshot, split, under, media, fractions, transform, on_bad_sample: as of `SampleDataset`.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        split: str | None = None,
        *,
        under: str = "",
        media: str,
        mode: Mode = "RGB",
        size: Size | None = None,
        keep: int = 0,
        fractions: Mapping[str, float] | None = None,
        transform: Transform | None = None,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        self.mode = check_mode(mode)
        self.size = check_size(size)
        self.keep = keep
        super().__init__(
            snapshot,
            split,
            under=under,
            media=media,
            fractions=fractions,
            transform=transform,
            on_bad_sample=on_bad_sample,
        )

    @abstractmethod
    def _decode(self, data: Buffer) -> Sample:
        """What the bytes show.

        Raises:
            UndecodableError: they are no image or clip.
        """

    def _content(self, row: Mapping[str, Any], data: Buffer) -> Sample:
        return self._kept.get(row["digest"], partial(self._decode, data))

    def _label(self, number: int) -> int:
        return number

    @cached_property
    def _kept(self) -> Kept:
        return Kept(self.keep)


class ImageDataset(VisualDataset):
    """Images: an item is `{"path", "image", "label", other fields}`.

    `image` is a uint8 tensor (C, H, W), `label` the number of its class (-1 without one).

    Args:
        options: as of `VisualDataset`.
    """

    def __init__(self, snapshot: Snapshot, split: str | None = None, **options: Any) -> None:
        super().__init__(snapshot, split, media="image", **options)

    def _decode(self, data: Buffer) -> Sample:
        return {"image": decode_image(data, self.mode, self.size)}


class VideoDataset(VisualDataset):
    """Clips: an item is `{"path", "video", "label", other fields}`.

    `video` is a uint8 tensor (T, C, H, W), `label` the number of its class (-1 without one).

    Args:
        frames: T, evenly spaced from the first frame to the last.
        frame: `middle` for that frame alone: the item has `image` (C, H, W) in place of `video`.
        options: as of `VisualDataset`.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        split: str | None = None,
        *,
        frames: int = 16,
        frame: Literal["middle"] | None = None,
        **options: Any,
    ) -> None:
        if frames < 1 or frame not in (None, "middle"):
            raise InvalidInputError(
                "A clip has one frame or more, and 'middle' is the only one with a name."
            )
        self.frames = frames
        self.frame = frame
        super().__init__(snapshot, split, media="video", **options)

    def _decode(self, data: Buffer) -> Sample:
        if self.frame == "middle":
            return {"image": decode_clip(data, 1, self.mode, self.size)[0]}
        return {"video": decode_clip(data, self.frames, self.mode, self.size)}


class Kept:
    """Decoded samples by the digest of their file, until they fill `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._samples: dict[Digest, Sample] = {}
        self._left = limit

    def get(self, digest: Digest, decode: Callable[[], Sample]) -> Sample:
        if digest in self._samples:
            return self._samples[digest]
        sample = decode()
        size = sum(value.nbytes for value in sample.values() if isinstance(value, Tensor))
        if size <= self._left:
            self._samples[digest] = sample
            self._left -= size
        return sample


def check_mode(mode: Mode) -> Mode:
    """Return `mode` if it is one.

    Raises:
        InvalidInputError: it is anything else.
    """
    if mode not in ("RGB", "L"):
        raise InvalidInputError(f"mode is 'RGB' or 'L', not '{mode}'.")
    return mode


def check_size(size: Size | None) -> Size | None:
    """Return `size` as a tuple if it is (height, width) or None.

    Raises:
        InvalidInputError: it is anything else.
    """
    if size is None:
        return None
    if len(size) != 2 or min(size) < 1:
        raise InvalidInputError(f"size is (height, width) in pixels, not {size}.")
    return size[0], size[1]
