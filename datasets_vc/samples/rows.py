"""Text samples that are rows of `.jsonl` and `.csv` files: where they are, and their fields."""

from __future__ import annotations

import csv
import io
import json
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from datasets_vc.digest import Buffer
from datasets_vc.errors import InvalidInputError
from datasets_vc.samples.metadata import fields_of
from datasets_vc.samples.tabular import check_columns, read_csv, read_json_lines, text_column

Offsets: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]

TEXT = "text"
_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
_BOM = b"\xef\xbb\xbf"


def read_rows(data: Buffer, name: str) -> pa.Table | None:
    """The samples in a `.jsonl` or `.csv` file: a row each, without its text.

    Returns:
        `row` (counted from 1, without a CSV's header and blank lines), `row_start` and `row_end`
        (its bytes in the file), `_key` (XXH3-64 of these), `label`, `split` and the fields; None
        if there is no column `text`.

    Raises:
        InvalidInputError: the file cannot be read; `name` says which.
    """
    is_csv = name.lower().endswith(".csv")
    if not len(data):
        return None
    starts, ends = csv_ranges(data) if is_csv else line_ranges(data)
    if is_csv:
        starts, ends = starts[1:], ends[1:]
        table = read_csv(data, name)
    else:
        longest = int((ends - starts).max(initial=0))
        table = read_json_lines(data, name, longest)
    check_columns(table, name)
    if TEXT not in table.column_names:
        return None
    if table.num_rows != len(starts):
        raise InvalidInputError(
            f"'{name}' has {len(starts)} rows by its line ends but {table.num_rows} as a table.",
            "Quote values that contain quotes or line ends, and end lines with a line feed.",
        )
    view = memoryview(data)
    keys = [
        xxh3_64_intdigest(view[a:b]) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    columns = {
        "row": pa.array(np.arange(1, len(starts) + 1)),
        "row_start": pa.array(starts),
        "row_end": pa.array(ends),
        "_key": pa.array(np.array(keys, np.uint64)),
        "label": text_column(table, "label", name),
        "split": text_column(table, "split", name),
    }
    return pa.table(columns | fields_of(table, drop=(TEXT, "label", "split")))


def line_ranges(data: Buffer) -> tuple[Offsets, Offsets]:
    """Where each line that is not blank begins and ends (without its line end), in bytes."""
    octets = np.frombuffer(data, np.uint8)
    return _ranges(data, octets, np.flatnonzero(octets == _NEWLINE))


def csv_ranges(data: Buffer) -> tuple[Offsets, Offsets]:
    """The same for the records of a CSV (RFC 4180), header first; values may hold line ends."""
    octets = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(octets == _NEWLINE)
    # Quotes inside of quoted values are doubled: outside of them, their number so far is even.
    quotes = np.flatnonzero(octets == _QUOTE)
    return _ranges(data, octets, newlines[np.searchsorted(quotes, newlines) % 2 == 0])


def text_of(row: Buffer, header: Buffer | None) -> str:
    """The text in one row: a JSON object, or a CSV record of a file with this `header`.

    Raises:
        ValueError: there is none.
    """
    line = bytes(row).decode()
    if header is None:
        value = json.loads(line)
        text = value.get(TEXT) if isinstance(value, dict) else None
    else:
        names, values = _csv_record(bytes(header).decode()), _csv_record(line)
        text = dict(zip(names, values, strict=True)).get(TEXT)
    if text is None:
        raise ValueError("it has no text")
    return str(text)


def csv_header(data: Buffer) -> Buffer:
    """The first record of a CSV."""
    view = memoryview(data)
    # The header is short: look at more of the file only if it holds no whole record.
    for size in (1 << 16, len(view)):
        starts, ends = csv_ranges(view[:size])
        if len(starts) > 1:
            break
    return view[int(starts[0]) : int(ends[0])]


def _csv_record(text: str) -> list[str]:
    return next(csv.reader(io.StringIO(text, newline="")))


def _ranges(data: Buffer, octets: np.ndarray, newlines: Offsets) -> tuple[Offsets, Offsets]:
    first = len(_BOM) if bytes(memoryview(data)[:3]) == _BOM else 0
    starts = np.concatenate([[first], newlines + 1])
    ends = np.concatenate([newlines, [len(octets)]])
    returned = (ends > starts) & (octets[np.maximum(ends - 1, 0)] == _RETURN)
    ends = ends - returned
    keep = ends > starts
    starts, ends = starts[keep], ends[keep]
    # A blank line has few bytes; looking at short ones only keeps this off the common path.
    short = np.flatnonzero(ends - starts < 16)
    view = memoryview(data)
    blank = [row for row in short.tolist() if not bytes(view[starts[row] : ends[row]]).strip()]
    return np.delete(starts, blank), np.delete(ends, blank)
