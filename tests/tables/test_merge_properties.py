"""What holds of every merge and every comparison of tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datasets_vc.tables import MergedTable, RowDiff, diff_tables, merge_tables
from datasets_vc.tables.merge import Side
from tests.tables.made import (
    KEY,
    KINDS,
    Rows,
    Table,
    comparable,
    decode,
    edited,
    merged,
    swapped,
    tables,
)

kinds = pytest.mark.parametrize("kind", KINDS)
few = settings(max_examples=30)


@st.composite
def versions(draw: st.DrawFn, columns: bool = True) -> tuple[Table | None, Table, Table]:
    base = draw(tables())
    ours, theirs = draw(edited(base, columns)), draw(edited(base, columns))
    return (None if draw(st.integers(0, 5)) == 0 else base), ours, theirs


def merge(
    kind: str, base: Table | None, ours: Table, theirs: Table, prefer: Side = "ours"
) -> MergedTable:
    files = (None if base is None else base.encode(kind), ours.encode(kind), theirs.encode(kind))
    found = merge_tables(f"metadata.{kind}", KEY, *files, prefer=prefer)
    assert found is not None
    return found


def diff(kind: str, old: bytes | None, new: bytes | None) -> RowDiff:
    found = diff_tables(f"metadata.{kind}", KEY, old, new)
    assert found is not None
    return found


@kinds
@few
@given(versions(), st.sampled_from(["ours", "theirs"]))
def test_rows_and_conflicts_are_those_of_the_definition(
    kind: str, tables: tuple[Table | None, Table, Table], prefer: Side
) -> None:
    found = merge(kind, *tables, prefer=prefer)
    rows, conflicts = merged(*tables, prefer)

    assert decode(found.data, kind) == rows
    assert comparable(found.conflicts) == conflicts


@kinds
@few
@given(versions(), st.sampled_from(["ours", "theirs"]))
def test_a_merge_is_the_same_from_either_side(
    kind: str, tables: tuple[Table | None, Table, Table], prefer: Side
) -> None:
    base, ours, theirs = tables
    other: Side = "theirs" if prefer == "ours" else "ours"
    one = merge(kind, base, ours, theirs, prefer)
    two = merge(kind, base, theirs, ours, other)

    assert decode(one.data, kind) == decode(two.data, kind)
    assert list(one.conflicts) == swapped(two.conflicts)
    assert one.conflicts == merge(kind, base, ours, theirs, other).conflicts


@kinds
@few
@given(versions())
def test_no_row_and_no_value_is_lost(kind: str, tables: tuple[Table | None, Table, Table]) -> None:
    """What a side added or changed is in the merged table, or it is a conflict."""
    base, ours, theirs = tables
    found = merge(kind, base, ours, theirs)
    rows = decode(found.data, kind)
    disputed = {(conflict.key, conflict.column) for conflict in found.conflicts}
    was: Rows = {} if base is None else base.rows
    for side in (ours, theirs):
        for key, row in side.rows.items():
            if row == was.get(key) or (key, "") in disputed:
                continue
            for column, cell in row.items():
                if cell == was.get(key, {}).get(column) or (key, column) in disputed:
                    continue
                assert rows[key][column] == cell


@kinds
@few
@given(versions(columns=False))
def test_rows_stand_in_our_order(kind: str, tables: tuple[Table | None, Table, Table]) -> None:
    base, ours, theirs = tables
    # Where we changed nothing at all, theirs is taken as it is.
    assume(base is None or ours.encode(kind) != base.encode(kind))
    keys = list(decode(merge(kind, base, ours, theirs).data, kind))

    assert [key for key in keys if key in ours.rows] == [key for key in ours.rows if key in keys]


@kinds
@few
@given(st.data())
def test_merging_nothing_changes_nothing(kind: str, data: st.DataObject) -> None:
    base = data.draw(tables())
    ours = data.draw(edited(base))
    old, new = base.encode(kind), ours.encode(kind)
    name = f"metadata.{kind}"

    assert merge_tables(name, KEY, old, new, old) == MergedTable(new)
    assert merge_tables(name, KEY, old, new, new) == MergedTable(new)
    assert merge_tables(name, KEY, old, old, new) == MergedTable(new)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@few
@given(st.data())
def test_rows_that_they_left_alone_stay_byte_for_byte(kind: str, data: st.DataObject) -> None:
    base = data.draw(tables())
    ours = data.draw(edited(base, columns=False))
    theirs = replace(data.draw(edited(base, columns=False)), style=base.style)
    # Where we changed nothing at all, theirs is taken as it is.
    assume(ours.encode(kind) != base.encode(kind))

    found = merge(kind, base, ours, theirs).data

    style = replace(ours.style, bom=False, open=False)
    header = Table({}, ours.columns, style).encode(kind)
    for key, row in ours.rows.items():
        if theirs.rows.get(key) == base.rows.get(key):
            alone = Table({key: row}, ours.columns, style).encode(kind).removeprefix(header)
            assert alone.removesuffix(style.end.encode()) in found
    assert found.startswith(b"\xef\xbb\xbf") == ours.style.bom
    has_lines = kind == "csv" or ours.rows
    if has_lines and decode(found, kind):
        assert found.endswith(b"\n") != ours.style.open


@kinds
@few
@given(st.data())
def test_a_difference_makes_the_old_table_the_new_one(kind: str, data: st.DataObject) -> None:
    old = data.draw(tables())
    new = data.draw(edited(old))
    found = diff(kind, old.encode(kind), new.encode(kind))

    rows = {key: dict(row) for key, row in old.rows.items()}
    for row in found.removed:
        assert {KEY: row.key, **rows.pop(row.key)} == row.fields
    for change in found.changed:
        for field in change.fields:
            assert rows[change.key].pop(field.column, None) == field.old != field.new
            if field.new is not None:
                rows[change.key][field.column] = field.new
        assert rows[change.key].get("label") == change.label
        assert rows[change.key].get("split") == change.split
    rows |= {row.key: {**row.fields} for row in found.added}
    for row in found.added:
        del rows[row.key][KEY]
    assert rows == new.rows


@kinds
@few
@given(st.data())
def test_another_spelling_is_no_difference(kind: str, data: st.DataObject) -> None:
    table = data.draw(tables())
    other = Table(table.rows, table.columns, data.draw(edited(table)).style)

    assert not diff(kind, table.encode(kind), other.encode(kind))


@kinds
@few
@given(tables())
def test_a_table_that_comes_or_goes_is_all_its_rows(kind: str, table: Table) -> None:
    data = table.encode(kind)

    assert [row.key for row in diff(kind, None, data).added] == list(table.rows)
    assert [row.key for row in diff(kind, data, None).removed] == list(table.rows)
