from __future__ import annotations

import io
from collections.abc import Callable
from typing import Literal

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFile

from loaders import decode
from loaders.decode import (
    UndecodableError,
    decode_clip,
    decode_image,
    decoder_versions,
    spaced,
)
from loaders.extent import missing_bytes

Encode = Callable[..., bytes]
Pixels = NDArray[np.uint8]


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "gif", "webp", "jpeg"])
def test_images_of_every_kind(image_file: Encode, pixels: Pixels, kind: str) -> None:
    tensor = decode_image(image_file(pixels, kind))
    assert tensor.dtype == torch.uint8
    assert tensor.shape == (3, 24, 32)
    difference = tensor.permute(1, 2, 0).int() - torch.from_numpy(pixels).int()
    exact = kind in ("png", "bmp", "tiff")
    assert difference.abs().float().mean() <= (0 if exact else 8)


def test_both_jpeg_decoders_give_the_same_pixels(
    image_file: Encode, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image_file(pixels, "jpeg")
    fast = decode_image(data)
    monkeypatch.setattr(decode, "_decode_jpeg", lambda *_: None)
    assert torch.equal(decode_image(data), fast)


@pytest.mark.parametrize("mode", ["CMYK", "L", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_variants(pixels: Pixels, mode: str, progressive: bool) -> None:
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "jpeg", progressive=progressive)
    assert decode_image(file.getvalue()).shape == (3, 24, 32)
    assert decode_image(file.getvalue(), "L").shape == (1, 24, 32)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_variants(mode: str) -> None:
    image = Image.new("L", (4, 2), 255)
    if mode.startswith("I"):
        image = Image.fromarray(np.full((2, 4), 65535, np.uint16))
    file = io.BytesIO()
    (image if mode.startswith("I") else image.convert(mode)).save(file, "png")
    assert decode_image(file.getvalue()).tolist() == torch.full((3, 2, 4), 255).tolist()
    assert decode_image(file.getvalue(), "L").tolist() == torch.full((1, 2, 4), 255).tolist()


def test_sixteen_bits_are_scaled_and_not_clipped(image_file: Encode) -> None:
    data = image_file(np.array([[0, 256, 32768, 65535]], np.uint16))
    assert decode_image(data, "L").tolist() == [[[0, 1, 128, 255]]]


def test_a_palette_with_transparency_warns_nobody(pixels: Pixels) -> None:
    file = io.BytesIO()
    Image.fromarray(pixels).convert("P").save(file, "png", transparency=b"\0\x80")
    assert decode_image(file.getvalue()).shape == (3, 24, 32)


def test_floating_point_pixels_are_refused(image_file: Encode) -> None:
    data = image_file(np.zeros((2, 2), np.float32), "tiff")
    with pytest.raises(UndecodableError, match="floating-point"):
        decode_image(data)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_images_are_scaled_to_a_size(image_file: Encode, pixels: Pixels, kind: str) -> None:
    data = image_file(pixels, kind)
    assert decode_image(data, size=(10, 20)).shape == (3, 10, 20)
    assert decode_image(data, "L", (10, 20)).shape == (1, 10, 20)
    assert torch.equal(decode_image(data, size=(24, 32)), decode_image(data))


@pytest.mark.parametrize("size", [None, (8, 6), (1, 1), (1, 8)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", ["png", "jpeg", "gif"])
def test_images_with_sides_of_one_pixel(
    image_file: Encode, kind: str, mode: Literal["RGB", "L"], size: tuple[int, int] | None
) -> None:
    channels = 3 if mode == "RGB" else 1
    for shape in ((1, 1), (1, 50), (50, 1), (3, 1), (1, 3), (2, 2)):
        columns = np.linspace(50, 200, shape[1]).astype(np.uint8)
        pixels = np.broadcast_to(columns[None, :, None], (*shape, 3)).copy()
        tensor = decode_image(image_file(pixels, kind), mode, size)
        assert tensor.shape == (channels, *(size or shape))
        whole = Image.fromarray(pixels).resize(tensor.shape[:0:-1], Image.Resampling.BILINEAR)
        expected = np.asarray(whole)[None, ..., 0].astype(int)
        assert np.abs(tensor.numpy().astype(int) - expected).max() <= 8


@pytest.mark.parametrize("size", [None, (8, 6), (1, 1)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_clips_with_sides_of_one_pixel(
    frames: Pixels, mode: Literal["RGB", "L"], size: tuple[int, int] | None
) -> None:
    channels = 3 if mode == "RGB" else 1
    for height, width in ((1, 1), (1, 7), (7, 1)):
        data = raw_clip(np.ascontiguousarray(frames[:, :height, :width]))
        clip = decode_clip(data, 4, mode, size)
        assert clip.shape == (4, channels, *(size or (height, width)))
        means = clip.float().mean((1, 2, 3)).round(decimals=-1).tolist()
        assert means == [20, 80, 140, 200]


def raw_clip(frames: Pixels) -> bytes:
    """A clip of frames as they are: codecs that compress refuse such small ones."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr24"
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp", "gif"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
def test_cut_images_are_refused(image_file: Encode, pixels: Pixels, kind: str, part: float) -> None:
    data = image_file(pixels, kind)
    with pytest.raises(UndecodableError):
        decode_image(data[: int(part * len(data))])


def test_cut_images_are_refused_whatever_others_have_set(
    image_file: Encode, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = image_file(pixels, "bmp")
    with pytest.raises(UndecodableError, match="truncated"):
        decode_image(data[: len(data) // 2])


def test_what_is_no_image_is_said_so() -> None:
    with pytest.raises(UndecodableError, match=r"^it is no image of a known format$"):
        decode_image(b"hello")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi"])
def test_evenly_spaced_frames(clip_file: Encode, frames: Pixels, suffix: str) -> None:
    data = clip_file(frames, suffix)
    clip = decode_clip(data, 4)
    assert clip.dtype == torch.uint8
    assert clip.shape == (4, 3, 32, 32)
    means = clip.float().mean((1, 2, 3)).round(decimals=-1).tolist()
    assert means == [20, 80, 140, 200]
    assert decode_clip(data, 10, "L", (8, 16)).shape == (10, 1, 8, 16)
    assert decode_clip(data, 25).shape == (25, 3, 32, 32)


def test_the_middle_frame(clip_file: Encode, frames: Pixels) -> None:
    (frame,) = decode_clip(clip_file(frames), 1)
    assert frame.float().mean().round() == pytest.approx(120, abs=4)


def test_packets_that_show_nothing(
    clip_file: Encode, frames: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = clip_file(frames)
    expected = decode_clip(data, 4)
    monkeypatch.setattr(decode, "_count_frames", lambda _: 13)
    assert torch.equal(decode_clip(data, 4), expected)


@pytest.mark.parametrize(
    "options", [(".mp4", ""), (".mp4", "faststart"), (".mkv", ""), (".avi", "")]
)
@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.5, 0.9, 0.999])
def test_cut_clips_are_refused(
    clip_file: Encode, frames: Pixels, options: tuple[str, str], part: float
) -> None:
    suffix, flags = options
    data = clip_file(frames, suffix, **({"movflags": flags} if flags else {}))
    with pytest.raises(UndecodableError):
        decode_clip(data[: int(part * len(data))], 4)


def test_every_byte_of_a_png_counts(image_file: Encode, pixels: Pixels) -> None:
    data = image_file(pixels)
    assert missing_bytes(data) == 0
    for cut in range(8, len(data)):
        assert missing_bytes(data[:cut]) > 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_whole_files_lack_nothing(clip_file: Encode, frames: Pixels, suffix: str) -> None:
    data = clip_file(frames, suffix)
    assert missing_bytes(data) == 0
    assert missing_bytes(data[:-7]) == 7


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\x08free",
        b"\0\0\0\0mdatxyz",
        b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x12xy",
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff",
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67",
        b"\x1a\x45\xdf\xa3",
        b"hello world",
    ],
)
def test_files_that_say_nothing_of_their_length_or_are_whole(data: bytes) -> None:
    assert missing_bytes(data) == 0


def test_sound_alone_is_no_clip() -> None:
    header = (
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\0\0\0"
    )
    with pytest.raises(UndecodableError):
        decode_clip(header, 4)


@pytest.mark.parametrize(
    ("total", "count", "numbers"),
    [
        (10, 4, [0, 3, 6, 9]),
        (1, 3, [0, 0, 0]),
        (5, 1, [2]),
        (3, 5, [0, 1, 1, 2, 2]),
        (2, 2, [0, 1]),
    ],
)
def test_frame_numbers(total: int, count: int, numbers: list[int]) -> None:
    assert spaced(total, count) == numbers


def test_versions_name_every_decoder() -> None:
    versions = decoder_versions()
    assert {"simplejpeg", "pillow", "av", "av.libavcodec"} <= versions.keys()
    assert all(isinstance(version, str) for version in versions.values())
