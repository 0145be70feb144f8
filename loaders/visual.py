"""Datasets of images and of clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from datasets_vc.digest import Buffer
from datasets_vc.errors import InvalidInputError
from loaders.datasets import OnBadSample, Sample, SampleDataset, Transform
from loaders.decode import Mode, Size, decode_clip, decode_image

if TYPE_CHECKING:
    from datasets_vc import Snapshot


class ImageDataset(SampleDataset):
    """Images: an item is `{"path", "image", "label", other fields}`.

    `image` is a uint8 tensor (C, H, W), `label` the number of its class (-1 without one).

    Args:
        mode: `RGB` (C = 3) or `L`, greys (C = 1).
        size: (height, width) to scale to; images are as large as they are if None.
        snapshot, split, under, fractions, transform, on_bad_sample: as of `SampleDataset`.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        split: str | None = None,
        *,
        under: str = "",
        mode: Mode = "RGB",
        size: Size | None = None,
        fractions: Mapping[str, float] | None = None,
        transform: Transform | None = None,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        self.mode = check_mode(mode)
        self.size = check_size(size)
        super().__init__(
            snapshot,
            split,
            under=under,
            media="image",
            fractions=fractions,
            transform=transform,
            on_bad_sample=on_bad_sample,
        )

    def _content(self, row: Mapping[str, Any], data: Buffer) -> Sample:
        del row
        return {"image": decode_image(data, self.mode, self.size)}

    def _label(self, number: int) -> int:
        return number


class VideoDataset(SampleDataset):
    """Clips: an item is `{"path", "video", "label", other fields}`.

    `video` is a uint8 tensor (T, C, H, W), `label` the number of its class (-1 without one).

    Args:
        frames: T, evenly spaced from the first frame to the last.
        frame: `middle` for that frame alone: the item has `image` (C, H, W) in place of `video`.
        mode, size: as of `ImageDataset`.
        snapshot, split, under, fractions, transform, on_bad_sample: as of `SampleDataset`.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        split: str | None = None,
        *,
        under: str = "",
        frames: int = 16,
        frame: Literal["middle"] | None = None,
        mode: Mode = "RGB",
        size: Size | None = None,
        fractions: Mapping[str, float] | None = None,
        transform: Transform | None = None,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        if frames < 1 or frame not in (None, "middle"):
            raise InvalidInputError(
                "A clip has one frame or more, and 'middle' is the only one with a name."
            )
        self.frames = frames
        self.frame = frame
        self.mode = check_mode(mode)
        self.size = check_size(size)
        super().__init__(
            snapshot,
            split,
            under=under,
            media="video",
            fractions=fractions,
            transform=transform,
            on_bad_sample=on_bad_sample,
        )

    def _content(self, row: Mapping[str, Any], data: Buffer) -> Sample:
        del row
        if self.frame == "middle":
            return {"image": decode_clip(data, 1, self.mode, self.size)[0]}
        return {"video": decode_clip(data, self.frames, self.mode, self.size)}

    def _label(self, number: int) -> int:
        return number


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
