"""Where the lines of a file, and the records of a CSV, begin and end."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import Buffer

Offsets: TypeAlias = NDArray[np.int64]
Ranges: TypeAlias = tuple[Offsets, Offsets]

_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
BOM = b"\xef\xbb\xbf"


def line_ranges(data: Buffer) -> Ranges:
    """Where each line that is not blank begins and ends (without its line end), in bytes."""
    octets = np.frombuffer(data, np.uint8)
    starts, ends = _ranges(data, octets, np.flatnonzero(octets == _NEWLINE))
    view = memoryview(data)
    # A blank line has few bytes; looking at short ones only keeps this off the common path.
    short = np.flatnonzero(ends - starts < 16)
    blank = [row for row in short.tolist() if not bytes(view[starts[row] : ends[row]]).strip()]
    return np.delete(starts, blank), np.delete(ends, blank)


def csv_ranges(data: Buffer) -> Ranges:
    """The same for the records of a CSV (RFC 4180), header first; values may hold line ends."""
    octets = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(octets == _NEWLINE)
    # Quotes inside of quoted values are doubled: outside of them, their number so far is even.
    quotes = np.flatnonzero(octets == _QUOTE)
    return _ranges(data, octets, newlines[np.searchsorted(quotes, newlines) % 2 == 0])


def _ranges(data: Buffer, octets: NDArray[np.uint8], newlines: Offsets) -> Ranges:
    first = len(BOM) if bytes(memoryview(data)[:3]) == BOM else 0
    starts = np.concatenate([[first], newlines + 1])
    ends = np.concatenate([newlines, [len(octets)]])
    keep = ends > starts
    starts, ends = starts[keep], ends[keep]
    ends = ends - (octets[ends - 1] == _RETURN)
    keep = ends > starts
    return starts[keep], ends[keep]
