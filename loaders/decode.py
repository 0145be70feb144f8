"""Images and clips as uint8 tensors; strict: what is damaged is an error, never grey pixels.

JPEG goes to simplejpeg and, if that refuses it, to Pillow, which reads some variants more;
everything else to Pillow. Clips go to PyAV. Orientation tags are not applied: pixels are as stored.
"""

from __future__ import annotations

import io
import platform
import warnings
from collections.abc import Sequence
from typing import Literal

import av
import numpy as np
import PIL
import simplejpeg
import torch
from av.container import InputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError, features
from torch import Tensor

from datasets_vc.digest import Buffer
from loaders.extent import missing_bytes

Mode = Literal["RGB", "L"]
Size = tuple[int, int]
Pixels = NDArray[np.uint8]

_JPEG = b"\xff\xd8\xff"
_FORMATS = {"RGB": "rgb24", "L": "gray"}
# The same colours on every processor, whatever vector instructions it has.
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


class UndecodableError(Exception):
    """Bytes that are no whole image or clip; the message says why."""


def decode_image(data: Buffer, mode: Mode = "RGB", size: Size | None = None) -> Tensor:
    """The pixels of an image: uint8, (3, H, W) for RGB or (1, H, W) for L.

    Of several frames, the first. Pixels of 16 bits lose the lower 8; transparency is dropped.

    Args:
        data: the bytes of the file.
        mode: the colours wanted.
        size: (height, width) to scale to, bilinear and antialiased; as it is if None.

    Raises:
        UndecodableError: the bytes are damaged, or no image.
    """
    _check_whole(data)
    pixels = _decode_jpeg(data, mode) if bytes(data[:3]) == _JPEG else None
    if pixels is None:
        pixels = _decode_with_pillow(data, mode)
    return _to_tensor([pixels], size)[0]


def decode_clip(data: Buffer, frames: int, mode: Mode = "RGB", size: Size | None = None) -> Tensor:
    """Evenly spaced frames of a clip, its first and last among them: uint8, (T, C, H, W).

    A clip with fewer frames than asked for gives some of them twice. One frame is the middle one.

    Raises:
        UndecodableError: the bytes are damaged, or no clip.
    """
    _check_whole(data)
    try:
        with av.open(io.BytesIO(data), mode="r") as container:
            return _to_tensor(_spaced_frames(container, frames, mode), size)
    except av.FFmpegError as error:
        raise UndecodableError(error.strerror or _reason(error)) from error
    except (ValueError, IndexError, OSError, RuntimeError) as error:
        raise UndecodableError(_reason(error)) from error


def decoder_versions() -> dict[str, str]:
    """What decodes here, and in which version: for records of runs."""
    ffmpeg = {name: ".".join(map(str, number)) for name, number in av.library_versions.items()}
    pillow = {name: features.version(name) or "" for name in ("jpg", "zlib", "webp", "libtiff")}
    if features.check("libjpeg_turbo"):
        pillow["libjpeg_turbo"] = features.version("libjpeg_turbo") or ""
    return {
        "simplejpeg": simplejpeg.__version__,
        "pillow": PIL.__version__,
        "av": av.__version__,
        "json, csv": platform.python_version(),
        **{f"pillow.{name}": version for name, version in pillow.items()},
        **{f"av.{name}": version for name, version in ffmpeg.items()},
    }


def _check_whole(data: Buffer) -> None:
    missing = missing_bytes(data)
    if missing:
        raise UndecodableError(f"it is cut off: its last {missing} bytes are not there")


def _decode_jpeg(data: Buffer, mode: Mode) -> Pixels | None:
    colours = "RGB" if mode == "RGB" else "GRAY"
    try:
        return simplejpeg.decode_jpeg(data, colorspace=colours, strict=True)  # type: ignore[no-any-return]
    except ValueError:
        # Rare variants (CMYK, odd sampling) and damage alike: Pillow tells them apart.
        return None


def _decode_with_pillow(data: Buffer, mode: Mode) -> Pixels:
    # Somebody may have set this switch for the whole process; half an image is no image here.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            # What matters raises; warnings are about metadata.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                return _as_pixels(image, mode)
    except UnidentifiedImageError as error:
        raise UndecodableError("it is no image of a known format") from error
    # Pillow's plugins raise many kinds of errors on damaged bytes.
    except Exception as error:
        raise UndecodableError(_reason(error)) from error


def _as_pixels(image: Image.Image, mode: Mode) -> Pixels:
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit greys to 255 instead of scaling them.
        high = np.asarray(image).astype(np.int64) >> 8
        if high.min(initial=0) < 0 or high.max(initial=0) > 255:
            raise ValueError("its pixels have more than 16 bits")
        image = Image.fromarray(high.astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, of which no range is known")
    elif image.mode == "P":
        # By way of RGBA: palettes with transparency convert to RGB in no other way.
        image = image.convert("RGBA")
    return np.asarray(image.convert(mode), np.uint8)


def _spaced_frames(container: InputContainer, count: int, mode: Mode) -> list[Pixels]:
    if not container.streams.video:
        raise ValueError("it has no video")
    # One thread: workers are the parallelism, and FFmpeg's own threads would fight them for cores.
    codec = container.streams.video[0].codec_context
    codec.thread_count = 1
    codec.thread_type = "NONE"
    total = _count_frames(container)
    if not total:
        raise ValueError("it has no frames")
    wanted = spaced(total, count)
    found, decoded = _decode_frames(container, wanted, mode)
    if wanted[-1] not in found:
        # Some codecs have packets that show nothing: now it is known how many frames there are.
        if not decoded:
            raise ValueError("none of its frames can be decoded")
        wanted = spaced(decoded, count)
        container.seek(0)
        found, _ = _decode_frames(container, wanted, mode)
    return [found[number] for number in wanted]


def spaced(total: int, count: int) -> list[int]:
    """`count` frame numbers spread evenly over 0 .. total-1, ends included; for one the middle."""
    if count == 1:
        return [total // 2]
    # Integers only: halves are rounded alike on every machine.
    return [(2 * place * (total - 1) + count - 1) // (2 * (count - 1)) for place in range(count)]


def _count_frames(container: InputContainer) -> int:
    """Frames by their packets, which is quick: nothing is decoded."""
    stream = container.streams.video[0]
    packets = [packet for packet in container.demux(stream) if packet.size]
    if any(packet.is_corrupt for packet in packets):
        raise ValueError("it is damaged or cut off")
    if stream.frames and len(packets) < stream.frames:
        raise ValueError(f"it is cut off: {len(packets)} of {stream.frames} frames are there")
    container.seek(0)
    return len(packets)


def _decode_frames(
    container: InputContainer, wanted: Sequence[int], mode: Mode
) -> tuple[dict[int, Pixels], int]:
    """The frames `wanted`, by their numbers, and how many were decoded to get them."""
    found: dict[int, Pixels] = {}
    decoded = 0
    # One, with one thread: setting up either costs more than converting a small frame.
    converter = VideoReformatter()
    for frame in container.decode(container.streams.video[0]):
        if frame.is_corrupt:
            raise ValueError(f"its frame {decoded} is damaged")
        if decoded in wanted:
            converted = converter.reformat(
                frame, format=_FORMATS[mode], interpolation=_EXACT, threads=1
            )
            found[decoded] = np.asarray(converted.to_ndarray(), np.uint8)
        decoded += 1
        if decoded > wanted[-1]:
            break
    return found, decoded


def _to_tensor(images: Sequence[Pixels], size: Size | None) -> Tensor:
    """(T, C, H, W) of images (H, W, C) or (H, W)."""
    images = [pixels.reshape(*pixels.shape[:2], -1) for pixels in images]
    if size is not None:
        images = [_scaled(pixels, size) for pixels in images]
    return torch.from_numpy(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)))


def _scaled(pixels: Pixels, size: Size) -> Pixels:
    """(H, W, C), C being 1 or 3, scaled to `size`."""
    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    # By its axis and not by squeezing: a side of one pixel is no channel.
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    scaled = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return scaled.reshape(height, width, -1)


def _reason(error: BaseException) -> str:
    text = str(error).strip().rstrip(".")
    return text.splitlines()[0] if text else type(error).__name__
