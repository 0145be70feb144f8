"""Text samples that are rows of `.jsonl` and `.csv` files: where they are, and their fields."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from datasets_vc.decoding import load_json
from datasets_vc.digest import Buffer
from datasets_vc.errors import InvalidInputError
from datasets_vc.samples.metadata import fields_of
from datasets_vc.samples.tabular import (
    csv_record,
    read_csv,
    read_json_lines,
    text_column,
)
from datasets_vc.tables.lines import csv_ranges, line_ranges

TEXT = "text"


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
        table = read_json_lines(data, name, unread=TEXT)
    if TEXT not in table.column_names:
        return None
    if table.num_rows != len(starts):
        # By the first the samples are read, by the second they are labelled.
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


def text_of(row: Buffer, header: Buffer | None) -> str:
    """The text in one row: a JSON object, or a CSV record of a file with this `header`.

    Raises:
        ValueError: there is none.
    """
    line = bytes(row).decode()
    if header is None:
        value = load_json(line)
        text = value.get(TEXT) if isinstance(value, dict) else None
    else:
        names, values = csv_record(bytes(header).decode()), csv_record(line)
        text = dict(zip(names, values, strict=True)).get(TEXT)
    if text is None:
        raise ValueError("it has no text")
    # Half of a surrogate pair, which JSON can escape, would be an error later and elsewhere.
    str(text).encode()
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
