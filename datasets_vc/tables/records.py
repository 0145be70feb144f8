"""Tables that are text, a record after the other: what is not changed stays byte for byte."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
import pyarrow as pa

from datasets_vc.errors import InvalidInputError
from datasets_vc.tables.lines import BOM, Offsets
from datasets_vc.tables.table import KeyedTable, Mask, Merge, Rows, as_numpy


class RecordTable(KeyedTable):
    """A head, then a piece for each row: its record, its line end, and blank lines after it.

    Args:
        starts: where each row begins.

    Raises:
        InvalidInputError: it is not UTF-8.

    Attributes:
        padding: what may stand around a record.
        head: what comes before the first row.
        pieces: what each row is, with a line end in any case.
        sizes: of the pieces, in bytes.
        line_end: of the first line; a line feed if there is none.
        open: whether the last line has no line end.
    """

    padding = b"\r\n"

    def __init__(self, name: str, data: bytes, starts: Offsets) -> None:
        self.name = name
        self.head = data[: int(starts[0])] if len(starts) else data
        first = data.find(b"\n")
        self.line_end = b"\r\n" if first > 0 and data[first - 1] == ord("\r") else b"\n"
        self.open = data not in (b"", BOM) and not data.endswith(b"\n")
        closed = data + self.line_end if self.open and len(starts) else data
        self.sizes = np.diff(np.append(starts, len(closed)))
        self.pieces = _binary_array(closed, starts)
        try:
            self.head.decode()
            self.pieces.cast(pa.large_string())
        except (UnicodeDecodeError, pa.ArrowInvalid) as error:
            raise InvalidInputError(f"'{name}' is not UTF-8 text.") from error

    @abstractmethod
    def head_for(self, columns: tuple[str, ...]) -> bytes:
        """What comes before the first row of a table with other columns."""

    @abstractmethod
    def encode(self, theirs: Self, merge: Merge, rows: Rows) -> list[bytes]:
        """Rows of a merged table, written anew, with line ends."""

    def keeps(self, columns: tuple[str, ...]) -> bool:
        """Whether records stand as they are in a table with these columns."""
        return columns == self.columns

    def same_as(self, rows: Rows, other: Self, others: Rows) -> Mask:
        import pyarrow.compute as pc

        if not self.keeps(other.columns):
            return np.zeros(len(rows), np.bool_)
        return as_numpy(pc.equal(self.pieces.take(rows), other.pieces.take(others)))

    def records(self, rows: Rows) -> list[bytes]:
        """Rows as they are written, without line ends."""
        return [piece.strip(self.padding) for piece in self.pieces.take(rows).to_pylist()]

    def written(self, rows: Rows) -> list[str]:
        return [record.decode() for record in self.records(rows)]

    def assemble(self, theirs: Self, merge: Merge) -> bytes:
        as_ours = (merge.ours >= 0) & ~merge.whole & ~merge.mixed & self.keeps(merge.columns)
        as_theirs = (merge.whole | (merge.ours < 0)) & theirs.keeps(merge.columns)
        anew = ~as_ours & ~as_theirs
        copied = [record + self.line_end for record in theirs.records(merge.theirs[as_theirs])]
        encoded = self.encode(theirs, merge, np.flatnonzero(anew))
        source = pa.concat_arrays(
            [self.pieces, *(pa.array(part, pa.large_binary()) for part in (copied, encoded))]
        )
        place = merge.ours.copy()
        place[as_theirs] = len(self) + np.arange(len(copied))
        place[anew] = len(self) + len(copied) + np.arange(len(encoded))
        head = self.head if self.keeps(merge.columns) else self.head_for(merge.columns)
        if len(place) and head not in (b"", BOM) and not head.endswith(b"\n"):
            head += self.line_end
        data: bytes = head + end_to_end(source.take(place)).to_pybytes()
        return data.removesuffix(self.line_end) if self.open else data


def _binary_array(data: bytes, starts: Offsets) -> pa.LargeBinaryArray:
    """The pieces of `data` that begin at `starts`, without a copy."""
    offsets = np.append(starts, len(data)).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(starts), buffers)


def end_to_end(pieces: pa.LargeBinaryArray) -> pa.Buffer:
    """What the pieces are one after the other."""
    _, offsets, data = pieces.buffers()
    if not len(pieces) or data is None:
        return pa.py_buffer(b"")
    start, end = np.frombuffer(offsets, np.int64)[[pieces.offset, pieces.offset + len(pieces)]]
    return data.slice(int(start), int(end - start))
