"""Nodes of a manifest (docs/format.md, section 4)."""

from __future__ import annotations

import operator
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from datasets_vc.digest import DIGEST_SIZE, Buffer
from datasets_vc.errors import IntegrityError
from datasets_vc.format.entries import ENTRY_SCHEMA, SYMLINK
from datasets_vc.format.header import (
    HEADER_SIZE,
    NODE,
    aligned,
    check_header,
    encode_header,
    padding,
)
from datasets_vc.paths import META_DIR, problem_with

MAX_LEVELS = 16
BOUNDARY_MODULUS = 256

INNER_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("entries", pa.uint64(), nullable=False),
        pa.field("bytes", pa.uint64(), nullable=False),
        pa.field("digest", pa.binary(DIGEST_SIZE), nullable=False),
    ]
)

_TOO_MUCH = 2.0**63
_SUSPICIOUS = ("//", "/.", "\x00")
_BAD = ("//", "/./", "/../", "\x00", f"/{META_DIR}/")
_COUNTS = struct.Struct("<IIQ")
_PREFIX = HEADER_SIZE + _COUNTS.size


@dataclass(frozen=True, slots=True)
class Node:
    """One node: `rows` has ENTRY_SCHEMA in a leaf (level 0), INNER_SCHEMA elsewhere."""

    level: int
    rows: pa.RecordBatch


def schema_of(level: int) -> pa.Schema:
    return INNER_SCHEMA if level else ENTRY_SCHEMA


def node_ends(paths: Sequence[bytes], level: int) -> list[int]:
    """The row numbers after the rows that end a node; the last row of a level ends one anyway."""
    mask = BOUNDARY_MODULUS - 1
    return [row for row, path in enumerate(paths, 1) if not xxh3_64_intdigest(path, level) & mask]


def encode_nodes(rows: pa.RecordBatch, level: int, ends: Sequence[int]) -> Iterator[bytes]:
    """The bytes of the nodes that `rows`, of one level and in path order, is cut into at `ends`."""
    count = rows.num_rows
    columns = [_buffer_of(rows.column(number)) for number in range(1, len(rows.schema))]
    widths = [field.type.bit_width // 8 for field in list(rows.schema)[1:]]
    path_ends, path_bytes = _path_buffers(rows.column(0), count)
    start = 0
    for end in ends:
        first, last = int(path_ends[start]), int(path_ends[end])
        parts = [
            encode_header(NODE),
            _COUNTS.pack(level, end - start, last - first),
            (path_ends[start : end + 1] - first).astype("<i4").tobytes(),
            bytes(path_bytes[first:last]),
        ]
        parts += [
            bytes(column[start * width : end * width])
            for column, width in zip(columns, widths, strict=True)
        ]
        yield b"".join(piece for part in parts for piece in (part, padding(len(part))))
        start = end


def decode_node(data: Buffer, what: str) -> Node:
    """The node that `data` encodes; its columns share the memory of `data`.

    Raises:
        IntegrityError: the bytes are not a well-formed node.
        FormatError: they need a newer version.
    """
    check_header(data, NODE, what)
    if len(data) < _PREFIX:
        raise IntegrityError(f"{what} is cut short: it has {len(data)} bytes.")
    level, count, path_size = _COUNTS.unpack_from(data, HEADER_SIZE)
    schema = schema_of(level)
    lengths = [4 * (count + 1), path_size]
    lengths += [count * (field.type.bit_width // 8) for field in list(schema)[1:]]
    if level >= MAX_LEVELS or _PREFIX + sum(map(aligned, lengths)) != len(data):
        raise IntegrityError(f"{what} is malformed: its length does not fit its counts.")
    whole = pa.py_buffer(data)
    buffers, offset = [], _PREFIX
    for length in lengths:
        buffers.append(whole.slice(offset, length))
        offset += aligned(length)
        if any(data[offset - aligned(length) + length : offset]):
            raise IntegrityError(f"{what} is malformed: a gap between its columns is not empty.")
    try:
        paths = pa.StringArray.from_buffers(count, buffers[0], buffers[1])
        columns = [paths] + [
            pa.Array.from_buffers(field.type, count, [None, buffer])
            for field, buffer in zip(list(schema)[1:], buffers[2:], strict=True)
        ]
        rows = pa.RecordBatch.from_arrays(columns, schema=schema)
        rows.validate(full=True)
    except pa.ArrowInvalid as error:
        raise IntegrityError(f"{what} is malformed: {error}.") from error
    path_ends = np.frombuffer(buffers[0], "<i4")
    problem = _problem_with(
        level, rows, covered=(int(path_ends[0]), int(path_ends[-1])) == (0, path_size)
    )
    if problem:
        raise IntegrityError(f"{what} is malformed: {problem}.")
    return Node(level, rows)


def _problem_with(level: int, rows: pa.RecordBatch, covered: bool) -> str:
    """Why these rows cannot be those of a node, or an empty string; `covered`: by their paths."""
    if not covered:
        return "its paths do not fill their column"
    if level and not rows.num_rows:
        return "it has no children"
    if not level and rows.num_rows and rows.column("kind").to_numpy().max() > SYMLINK:
        return "an entry is of an unknown kind"
    if level and _is_too_much(rows.column("entries")):
        return "no dataset has as many entries"
    return _problem_with_paths(rows.column("path").to_pylist())


def _is_too_much(column: pa.Array) -> bool:
    """Whether numbers add up to more than a signed 64-bit integer holds; exact sums are slower."""
    return float(column.to_numpy().sum(dtype=np.float64)) >= _TOO_MUCH


def _problem_with_paths(paths: Sequence[str]) -> str:
    if any(map(operator.ge, paths, islice(paths, 1, None))):
        return "its paths are not in order"
    # Most nodes are sound: look at all paths at once, and at each one only after a suspicion.
    joined = f"/{'/'.join(paths)}/"
    if not paths or not any(mark in joined for mark in _SUSPICIOUS):
        return ""
    joined = joined.casefold()
    if not any(mark in joined for mark in _BAD):
        return ""
    bad = next((path for path in paths if problem_with(path)), None)
    return "" if bad is None else f"{bad!a} cannot be a path: {problem_with(bad)}"


def _buffer_of(column: pa.Array) -> memoryview:
    """The bytes of a fixed-width column without nulls."""
    width = column.type.bit_width // 8
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]


def _path_buffers(column: pa.Array, count: int) -> tuple[np.ndarray, memoryview]:
    if not count:
        return np.zeros(1, np.int32), memoryview(b"")
    _, ends, data = column.buffers()
    path_ends = np.frombuffer(ends, np.int32, count + 1, offset=4 * column.offset)
    return path_ends, memoryview(data) if data is not None else memoryview(b"")
