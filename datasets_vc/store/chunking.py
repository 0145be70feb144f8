"""How files are cut into chunks and how chunks are encoded (docs/format.md, sections 5 and 6)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import zstandard

from datasets_vc.digest import Buffer
from datasets_vc.errors import IntegrityError
from datasets_vc.format.location import RAW, ZSTD

if TYPE_CHECKING:
    from pyfastcdc import FastCDC

WHOLE_BELOW = 1 << 20
"""Bytes; a smaller file is one chunk."""

_MIN_CHUNK = 1 << 18
_AVERAGE_CHUNK = 1 << 20
_MAX_CHUNK = 1 << 22
_SAMPLE = 1 << 16
_ZSTD_LEVEL = 1


class _Reader:
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


def cut(data: Buffer) -> Iterator[memoryview]:
    """Cut a file in memory into chunks that share its memory."""
    view = memoryview(data)
    if len(view) < WHOLE_BELOW:
        yield view
        return
    for chunk in _chunker().cut_buf(view):
        yield view[chunk.offset : chunk.offset + chunk.length]


def cut_stream(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Cut a file into chunks while reading it; `read(n)` gives at most n bytes, none at the end."""
    for chunk in _chunker().cut_stream(_Reader(read)):
        # The chunker reuses its buffer for the next chunk.
        yield bytes(chunk.data)


def compression_pays(beginning: Buffer) -> bool:
    """Whether zstd saves at least an eighth of the first 64 KiB of a file."""
    sample = memoryview(beginning)[:_SAMPLE]
    return len(sample) > 0 and len(_zstd(sample)) <= _worth(len(sample))


def _worth(size: int) -> int:
    """Bytes that `size` bytes must shrink to, at least, to be worth decompressing."""
    return size * 7 // 8


def encode_whole(data: Buffer) -> tuple[int, Buffer]:
    """The codec and the payload that store `data`, a file or node of its own."""
    if len(data) > _SAMPLE:
        return encode(data, compression_pays(data))
    payload = _zstd(data) if len(data) else b""
    return (ZSTD, payload) if 0 < len(payload) <= _worth(len(data)) else (RAW, data)


def encode(data: Buffer, compress: bool) -> tuple[int, Buffer]:
    """The codec and the payload that store `data`; raw where compressing makes it longer."""
    if compress:
        payload = _zstd(data)
        if len(payload) < len(data):
            return ZSTD, payload
    return RAW, data


def decode(payload: Buffer, codec: int, size: int, what: str) -> Buffer:
    """The chunk of `size` bytes that `payload` stores.

    Raises:
        IntegrityError: the payload does not decode to that many bytes.
    """
    if codec != ZSTD:
        if len(payload) != size:
            raise IntegrityError(f"{what} has {len(payload)} bytes where {size} are expected.")
        return payload
    try:
        declared = zstandard.get_frame_parameters(payload).content_size
        if declared not in (size, zstandard.CONTENTSIZE_UNKNOWN):
            raise IntegrityError(f"{what} declares {declared} bytes where {size} are expected.")
        data = _CODECS.decompressor.decompress(
            payload, max_output_size=size, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise IntegrityError(f"{what} cannot be decompressed: {error}.") from error
    if len(data) != size:
        raise IntegrityError(f"{what} has {len(data)} bytes where {size} are expected.")
    return data


def _zstd(data: Buffer) -> bytes:
    return _CODECS.compressor.compress(data)


class _Codecs(threading.local):
    """Compressing a small chunk takes less time than making what compresses it; for one thread."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(_ZSTD_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_CODECS = _Codecs()


def _chunker() -> FastCDC:
    # Slow to import, and what only reads cuts nothing.
    from pyfastcdc import FastCDC

    # One for each file: a chunker keeps state and must not be shared by threads.
    return FastCDC(
        _AVERAGE_CHUNK, min_size=_MIN_CHUNK, max_size=_MAX_CHUNK, normalized_chunking=1, seed=0
    )
