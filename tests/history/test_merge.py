"""What a merge says of one path, by example; all of it at once is in tests/property."""

from __future__ import annotations

import pytest

from datasets_vc.errors import InvalidInputError
from datasets_vc.format.entries import FILE, SYMLINK, Entry, entry_table, rows_of
from datasets_vc.history.manifest import write_manifest
from datasets_vc.history.merge import Merge, merge_datasets, with_changes
from tests.property.trees import Nodes, Tree, entry

Files = dict[str, int]


def tree(files: Files | None) -> Tree:
    """Files by their contents; a negative one is a link."""
    return {
        path: entry(path, FILE if content > 0 else SYMLINK, abs(content))
        for path, content in (files or {}).items()
    }


def merge(base: Files | None, ours: Files | None, theirs: Files | None) -> Merge:
    nodes = Nodes()
    versions = (
        write_manifest(nodes, entry_table(tree(files).values())) if files is not None else None
        for files in (base, ours, theirs)
    )
    return merge_datasets(nodes, *versions)


def entries(merged: Merge, ours: Files, resolved: dict[str, Entry | None] | None = None) -> Tree:
    table = merged.entries(entry_table(tree(ours).values()), resolved)
    return {row.path: row for row in rows_of(table)}


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": 1}, {}, {}),
        ({"a": 1}, {}, {}, {}),
        ({}, {"a": 1}, {"a": 1, "b": 1}, {"a": 1, "b": 1}),
        (None, {"a": 1}, {"a": 1, "b": 1}, {"a": 1, "b": 1}),
        # A file became a link to a target of the same bytes.
        ({"a": 1}, {"a": 1}, {"a": -1}, {"a": -1}),
        # A file made room for a folder, and a folder for a file.
        ({"a": 1}, {"a": 1, "c": 1}, {"a/b": 1}, {"a/b": 1, "c": 1}),
        ({"a/b": 1, "a/c": 1}, {"a/b": 1, "a/c": 1, "d": 1}, {"a": 2}, {"a": 2, "d": 1}),
        ({"a": 1}, {"a/b": 1}, {"a/c": 1}, {"a/b": 1, "a/c": 1}),
        # No search for renames: x went to y here, and elsewhere there.
        ({"x": 1}, {"y": 1}, {"z": 1}, {"y": 1, "z": 1}),
    ],
)
def test_merges_without_a_conflict(
    base: Files | None, ours: Files, theirs: Files, result: Files
) -> None:
    merged = merge(base, ours, theirs)
    assert not merged.conflicts
    assert entries(merged, ours) == tree(result)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "conflicts"),
    [
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": "both changed"}),
        ({"a": 1}, {"a": 1, "b": 1}, {"a": 1, "b": 2}, {"b": "both added"}),
        ({"a": 1}, {"a": 2}, {}, {"a": "changed and deleted"}),
        ({"a": 1}, {"a": -1}, {"a": 2}, {"a": "both changed"}),
        ({}, {"a": 1}, {"a/b": 1, "a/c/d": 1, "a-": 1}, dict.fromkeys(["a", "a/b", "a/c/d"])),
        # What was not changed in a folder is no conflict when a file takes its place.
        ({"a/b": 1, "a/c": 1}, {"a": 1}, {"a/b": 1, "a/c": 2}, dict.fromkeys(["a", "a/c"])),
        ({"a": 1}, {"a": 2}, {"a/b": 1}, dict.fromkeys(["a", "a/b"])),
        # With a rename on one side, the change on the other is a conflict at the old path.
        ({"x": 1}, {"y": 1}, {"x": 2}, {"x": "changed and deleted"}),
    ],
)
def test_conflicts(base: Files, ours: Files, theirs: Files, conflicts: dict[str, str]) -> None:
    merged = merge(base, ours, theirs)
    assert {found.path: found.reason for found in merged.conflicts} == {
        path: reason or "file and folder" for path, reason in conflicts.items()
    }
    versions = [tree(files) for files in (base, ours, theirs)]
    for found in merged.conflicts:
        assert [found.base, found.ours, found.theirs] == [
            version.get(found.path) for version in versions
        ]
    unresolved = {path: row for path, row in entries(merged, ours).items() if path in conflicts}
    assert unresolved == {path: row for path, row in versions[1].items() if path in conflicts}


def test_nothing_at_all_is_a_dataset_too() -> None:
    """As when the first commit is reverted."""
    merged = merge({"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 1}, None)
    assert [found.reason for found in merged.conflicts] == ["changed and deleted"]
    assert entries(merged, {"a": 1, "b": 2, "c": 1}, {"b": None}) == tree({"c": 1})
    assert not merge(None, None, None).conflicts


def test_what_is_chosen_at_a_conflict_need_be_neither_side() -> None:
    merged = merge({"a": 1}, {"a": 2}, {"a": 3})
    assert entries(merged, {"a": 2}, {"a": entry("a", FILE, 9)}) == tree({"a": 9})


def test_files_do_not_come_to_lie_in_files() -> None:
    table = entry_table(tree({"a": 1, "b/c": 1, "b-": 1}).values())
    for path in ("a/x", "a/x/y", "b"):
        with pytest.raises(InvalidInputError, match="a file") as caught:
            with_changes(table, {path: entry(path, FILE, 1)})
        assert caught.value.hint
    moved = {"a": None, "a/x": entry("a/x", FILE, 2), "b/c": None, "b": entry("b", FILE, 3)}
    changed = with_changes(table, moved)
    assert rows_of(changed) == rows_of(entry_table(tree({"a/x": 2, "b": 3, "b-": 1}).values()))
