"""The 16 bytes that every binary format begins with (docs/format.md, section 3)."""

from __future__ import annotations

import struct

from datasets_vc.digest import ALGORITHM_TAG, Buffer
from datasets_vc.errors import FormatError, IntegrityError

HEADER_SIZE = 16
VERSION = 1

NODE = b"DSVN"
RECIPE = b"DSVR"
PACK = b"DSVP"
INDEX = b"DSVI"
GARBAGE = b"DSVG"

_HEADER = struct.Struct("<4sBBHII")


def encode_header(magic: bytes) -> bytes:
    return _HEADER.pack(magic, VERSION, ALGORITHM_TAG, 0, 0, 0)


def check_header(data: Buffer, magic: bytes, what: str) -> None:
    """Make sure that `data` begins as an object of this format that this version can read.

    Args:
        what: names the object in the error, such as "pack 1f3a…".

    Raises:
        IntegrityError: the bytes are not of this format.
        FormatError: they need a newer version of this program.
    """
    if len(data) < HEADER_SIZE:
        raise IntegrityError(f"{what} is cut short: it has {len(data)} bytes.")
    found, version, algorithm, zero, read_flags, _ = _HEADER.unpack_from(data)
    if found != magic:
        raise IntegrityError(f"{what} does not begin with the mark of its format.")
    if version != VERSION or algorithm != ALGORITHM_TAG or read_flags:
        raise FormatError(
            f"{what} needs a newer version of datasets-vc (format {version}, "
            f"algorithm {algorithm}, flags {read_flags:#x}).",
            "Upgrade with: pip install --upgrade datasets-vc",
        )
    if zero:
        raise IntegrityError(f"{what} has a damaged header.")


def aligned(length: int) -> int:
    """`length` rounded up to the next multiple of 8."""
    return (length + 7) & ~7


def padding(length: int) -> bytes:
    """The zero bytes from `length` to the next multiple of 8."""
    return bytes(-length % 8)
