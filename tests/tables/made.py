"""Tables as Python values, their files, and a merge of them that is too simple to be wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from hypothesis import strategies as st

from datasets_vc.tables import FieldConflict

KEY = "file_name"
COLUMNS = ("label", "split", "note")
KINDS = ("csv", "jsonl", "parquet")

Values = Mapping[str, str]
Rows = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Style:
    """How a file is written, where that is free."""

    end: str = "\n"
    quoting: int = csv.QUOTE_MINIMAL
    open: bool = False
    bom: bool = False
    ascii: bool = False
    separators: tuple[str, str] = (", ", ": ")


@dataclass(frozen=True)
class Table:
    """Rows by key, in order, without the cells that have no value; and the columns that it has."""

    rows: Rows
    columns: tuple[str, ...] = COLUMNS
    style: Style = field(default=Style(), compare=False)

    def encode(self, kind: str) -> bytes:
        if kind == "parquet":
            return _parquet(self)
        text = _csv(self) if kind == "csv" else _json(self)
        text = text.removesuffix(self.style.end) if self.style.open else text
        return ("\ufeff" * self.style.bom + text).encode()


def decode(data: bytes, kind: str) -> Rows:
    """The rows in a file, read by other means than those that are tested."""
    if kind == "parquet":
        found = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    elif kind == "jsonl":
        found = [json.loads(line) for line in data.decode("utf-8-sig").split("\n") if line.strip()]
    else:
        found = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
        found = [{name: cell or None for name, cell in row.items()} for row in found]
    cells = [{name: cell for name, cell in row.items() if cell is not None} for row in found]
    rows = {row.pop(KEY): row for row in cells}
    assert len(rows) == len(found)
    return rows


def _csv(table: Table) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(
        file,
        [KEY, *table.columns],
        restval="",
        lineterminator="\r\n",
        quoting=table.style.quoting,  # type: ignore[arg-type]
    )
    # A row at a time: what is in quotes keeps its line ends.
    writer.writeheader()
    lines = [file.getvalue()]
    for key, row in table.rows.items():
        file.seek(0)
        file.truncate()
        writer.writerow({KEY: key, **row})
        lines.append(file.getvalue())
    return "".join(line[:-2] + table.style.end for line in lines)


def _json(table: Table) -> str:
    lines = (
        json.dumps(
            {KEY: key, **row}, ensure_ascii=table.style.ascii, separators=table.style.separators
        )
        for key, row in table.rows.items()
    )
    return "".join(line + table.style.end for line in lines)


def _parquet(table: Table) -> bytes:
    columns = {KEY: pa.array(list(table.rows), pa.string())}
    for name in table.columns:
        cells = [row.get(name) for row in table.rows.values()]
        columns[name] = pa.array(cells, pa.string())
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def merged(
    base: Table | None, ours: Table, theirs: Table, prefer: str
) -> tuple[Rows, set[FieldConflict]]:
    """The merge by definition: key by key, column by column. Whole rows are compared by `{...}`."""
    was = Table({}, ()) if base is None else base
    rows: Rows = {}
    conflicts: set[FieldConflict] = set()
    for key in {**ours.rows, **theirs.rows}:
        b, o, t = (table.rows.get(key) for table in (was, ours, theirs))
        alone = t if o is None else o
        assert alone is not None
        if o is not None and t is not None:
            rows[key] = _merged_row(key, b or {}, o, t, prefer, conflicts)
        elif b is None:
            rows[key] = alone
        elif alone != b:
            conflicts.add(FieldConflict(key, "", *map(_said, (b, o, t))))
            if (o if prefer == "ours" else t) is not None:
                rows[key] = alone
    return rows, conflicts


def _merged_row(
    key: str, b: Values, o: Values, t: Values, prefer: str, conflicts: set[FieldConflict]
) -> dict[str, str]:
    row = {}
    for column in {*b, *o, *t}:
        cells = b.get(column), o.get(column), t.get(column)
        was, mine, yours = cells
        cell = yours if mine == was else mine
        if mine != yours and was not in (mine, yours):
            conflicts.add(FieldConflict(key, column, *cells))
            cell = mine if prefer == "ours" else yours
        if cell is not None:
            row[column] = cell
    return row


def _said(row: Values | None) -> str | None:
    return None if row is None else "..."


def comparable(conflicts: tuple[FieldConflict, ...]) -> set[FieldConflict]:
    """Conflicts with whole rows as `merged` tells them."""

    def said(text: str | None) -> str | None:
        return None if text is None else "..."

    return {
        replace(found, base=said(found.base), ours=said(found.ours), theirs=said(found.theirs))
        if not found.column
        else found
        for found in conflicts
    }


def swapped(conflicts: tuple[FieldConflict, ...]) -> list[FieldConflict]:
    return [replace(found, ours=found.theirs, theirs=found.ours) for found in conflicts]


# Line ends, quotes and commas in cells; no empty text, which in a CSV is no value.
TEXTS = st.one_of(
    st.sampled_from(["cat", "dog", 'a "b", c', "x\ny", "ü\u2028", "1", "1.0", "null", "\\", " "]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=4),
)
KEYS = st.sampled_from(["a.jpg", "b/c.jpg", 'q"u,o.png', "ü.png", "5", "n\nl.png", "f", "g"])
STYLES = st.builds(
    Style,
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    open=st.booleans(),
    bom=st.booleans(),
    ascii=st.booleans(),
    separators=st.sampled_from([(", ", ": "), (",", ":")]),
)


def rows_with(columns: tuple[str, ...], max_size: int = 8) -> st.SearchStrategy[Rows]:
    cells = st.fixed_dictionaries({}, optional=dict.fromkeys(columns, TEXTS))
    return st.dictionaries(KEYS, cells, max_size=max_size)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    return Table(draw(rows_with(COLUMNS)), COLUMNS, draw(STYLES))


@st.composite
def edited(draw: st.DrawFn, table: Table, columns: bool = True) -> Table:
    """A table as somebody left it: cells changed, rows added, deleted and moved, columns too."""
    names = table.columns
    if columns and draw(st.integers(0, 3)) == 0:
        names = tuple(name for name in names if draw(st.integers(0, 3)))
        names += tuple(draw(st.sets(st.sampled_from(["extra", "more"]))))
    rows = {key: dict(row) for key, row in table.rows.items()}
    for key in list(rows):
        what = draw(st.sampled_from(["keep", "keep", "keep", "change", "change", "delete"]))
        if what == "delete":
            del rows[key]
        elif what == "change" and names:
            cell = draw(st.one_of(st.none(), TEXTS))
            rows[key][draw(st.sampled_from(names))] = cell  # type: ignore[assignment]
    rows |= {key: row for key, row in draw(rows_with(names, 3)).items() if key not in rows}
    order: list[Any] = draw(st.permutations(list(rows))) if draw(st.booleans()) else list(rows)
    kept = {
        key: {name: rows[key][name] for name in names if rows[key].get(name) is not None}
        for key in order
    }
    return Table(kept, names, draw(STYLES))
