"""Merges equal what a comparison of dictionaries says, from either side, and read little."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.digest import digest_of
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.entries import FILE, SYMLINK, Entry, entry_table, rows_of
from datasets_vc.history.manifest import read_nodes, write_manifest
from datasets_vc.history.merge import Conflict, Merge, merge_datasets
from datasets_vc.paths import parents_of
from tests.property.trees import (
    CountingStore,
    Nodes,
    Tree,
    entry,
    large,
    new_store,
    nodes_of,
    stored,
)

PATHS = ["a", "a-", "a/b", "a/b/c", "a/b-c", "a/c", "a0", "b", "b/a", "b/a/é", "b/b", "c"]
contents = st.tuples(st.sampled_from([FILE, FILE, FILE, SYMLINK]), st.integers(0, 2))


def sound(tree: Mapping[str, Entry]) -> Tree:
    """Without what lies below a file."""
    return {
        path: row for path, row in tree.items() if not any(map(tree.__contains__, parents_of(path)))
    }


trees = st.dictionaries(st.sampled_from(PATHS), contents, max_size=9).map(
    lambda found: sound({path: entry(path, *content) for path, content in found.items()})
)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Tree, Tree, Tree]:
    """A base, and two sides that have changed some of it."""
    base = draw(trees)
    sides = []
    for _ in range(2):
        changes = draw(st.dictionaries(st.sampled_from(PATHS), st.none() | contents, max_size=4))
        new = {path: row for path, row in base.items() if path not in changes}
        come = {path: entry(path, *content) for path, content in changes.items() if content}
        # What came may lie where a file of the base does, or the other way round.
        kept = [p for p in new if not set(parents_of(p)) & come.keys()]
        gone = {folder for path in come for folder in parents_of(path)}
        sides.append(sound({p: new[p] for p in kept if p not in gone} | come))
    return base, sides[0], sides[1]


def merge_by_dictionary(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, list[Conflict]]:
    """What is agreed upon, and the conflicts."""
    agreed: Tree = {}
    conflicts: dict[str, Conflict] = {}
    for path in {**base, **ours, **theirs}:
        old, one, other = base.get(path), ours.get(path), theirs.get(path)
        if one == other or other == old:
            result = one
        elif one == old:
            result = other
        else:
            reason = "both changed" if old else "both added"
            reason = reason if one and other else "changed and deleted"
            conflicts[path] = Conflict(path, old, one, other, reason)
            continue
        if result:
            agreed[path] = result
    possible = agreed.keys() | conflicts.keys()
    for path in possible:
        for folder in set(parents_of(path)) & possible:
            for name in (path, folder):
                conflicts[name] = Conflict(
                    name, base.get(name), ours.get(name), theirs.get(name), "file and folder"
                )
                agreed.pop(name, None)
    return agreed, [conflicts[path] for path in sorted(conflicts)]


def decided(agreed: Tree, conflicts: list[Conflict], side: str) -> Tree:
    chosen = {conflict.path: getattr(conflict, side) for conflict in conflicts}
    return agreed | {path: row for path, row in chosen.items() if row}


def merged(base: Tree | None, ours: Tree, theirs: Tree) -> Merge:
    nodes = Nodes()
    digests = [
        write_manifest(nodes, entry_table(tree.values())) if tree is not None else None
        for tree in (base, ours, theirs)
    ]
    assert digests[1]
    assert digests[2]
    return merge_datasets(nodes, *digests)


def entries(merge: Merge, ours: Tree, resolved: Mapping[str, Entry | None]) -> Tree:
    table = merge.entries(entry_table(ours.values()), resolved)
    rows = rows_of(table)
    assert [row.path for row in rows] == sorted(row.path for row in rows)
    return {row.path: row for row in rows}


def check(base: Tree, ours: Tree, theirs: Tree, merge: Merge) -> None:
    agreed, conflicts = merge_by_dictionary(base, ours, theirs)
    assert list(merge.conflicts) == conflicts
    assert entries(merge, ours, {}) == decided(agreed, conflicts, "ours")
    at_theirs = {conflict.path: conflict.theirs for conflict in conflicts}
    assert entries(merge, ours, at_theirs) == decided(agreed, conflicts, "theirs")
    for side in ("ours", "theirs"):
        whole = decided(agreed, conflicts, side)
        assert sound(whole) == whole, "a file lies in a file"
    added, modified, deleted = (
        {row.path: row for row in rows_of(table)}
        for table in (merge.added, merge.modified, merge.deleted)
    )
    clean = {path: row for path, row in agreed.items() if ours.get(path) != row}
    assert added == {path: row for path, row in clean.items() if path not in ours}
    assert modified == {path: row for path, row in clean.items() if path in ours}
    gone = ours.keys() - agreed.keys() - {conflict.path for conflict in conflicts}
    assert deleted == {path: ours[path] for path in gone}
    for table in (merge.added, merge.modified, merge.deleted):
        paths = table.column("path").to_pylist()
        assert paths == sorted(paths)


@settings(max_examples=250)
@given(edits())
def test_merge_equals_merging_dictionaries(versions: tuple[Tree, Tree, Tree]) -> None:
    check(*versions, merged(*versions))


@settings(max_examples=100)
@given(trees, trees, trees)
def test_merge_of_what_has_nothing_in_common(base: Tree, ours: Tree, theirs: Tree) -> None:
    check(base, ours, theirs, merged(base, ours, theirs))
    check({}, ours, theirs, merged(None, ours, theirs))


@settings(max_examples=60)
@given(edits())
def test_large_columns_are_merged_as_small_ones(versions: tuple[Tree, Tree, Tree]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets_vc.history.rows._SMALL", 0)
        check(*versions, merged(*versions))


@settings(max_examples=150)
@given(edits())
def test_both_sides_see_the_same_merge(versions: tuple[Tree, Tree, Tree]) -> None:
    base, ours, theirs = versions
    one, other = merged(base, ours, theirs), merged(base, theirs, ours)
    assert list(one.conflicts) == [
        Conflict(seen.path, seen.base, seen.theirs, seen.ours, seen.reason)
        for seen in other.conflicts
    ]
    resolved = {conflict.path: conflict.ours for conflict in one.conflicts}
    assert entries(one, ours, resolved) == entries(other, theirs, resolved)


@settings(max_examples=150)
@given(edits(), st.data())
def test_no_resolution_makes_a_file_a_folder(
    versions: tuple[Tree, Tree, Tree], data: st.DataObject
) -> None:
    ours = versions[1]
    merge = merged(*versions)
    agreed, conflicts = merge_by_dictionary(*versions)
    resolved = {
        found.path: data.draw(st.sampled_from([found.ours, found.theirs, None]))
        for found in conflicts
    }
    expected = agreed | {path: row for path, row in resolved.items() if row}
    if sound(expected) == expected:
        assert entries(merge, ours, resolved) == expected
    else:
        with pytest.raises(InvalidInputError, match="a file"):
            entries(merge, ours, resolved)


def test_only_conflicts_can_be_resolved() -> None:
    tree = {"a": entry("a", FILE, 1)}
    with pytest.raises(ValueError, match="'a' is not in conflict"):
        entries(merged({}, tree, {}), tree, {"a": None})


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.sampled_from([1, 30, 3000]), st.sampled_from([0, 30, 3000]))
def test_merge_of_large_trees(seed: int, ours: int, theirs: int) -> None:
    base = dict(large())
    common = changed(base, random.Random(seed), 300)
    sides = [changed(common, random.Random(f"{seed} {side}"), side) for side in (ours, theirs)]
    check(base, sides[0], sides[1], merged(base, sides[0], sides[1]))


def changed(base: Tree, shuffler: random.Random, count: int) -> Tree:
    tree = dict(base)
    for path in shuffler.sample(sorted(base), count):
        row = tree.pop(path)
        act = shuffler.randrange(4)
        if act == 1:
            tree[path] = entry(path, FILE, shuffler.randrange(3))
        elif act == 2:
            moved = f"{shuffler.choice('wxyz')}/moved/{path}"
            tree[moved] = Entry(moved, row.kind, row.size, row.digest)
        elif act == 3:
            inside = f"{path}/inside"
            tree[inside] = Entry(inside, row.kind, row.size, row.digest)
    return tree


def test_merge_reads_only_nodes_that_differ() -> None:
    base = dict(large())
    same, new = digest_of(b"same"), digest_of(b"new")
    both = {path: Entry(path, FILE, 4, same) for path in ("x/000500.png", "y/000500.png")}
    ours = base | both | {"x/000100.png": Entry("x/000100.png", FILE, 3, new)}
    theirs = base | both | {"y/002900.png": Entry("y/002900.png", FILE, 3, new)}
    store = new_store()
    digests = stored(store, base, ours, theirs)
    nodes = [nodes_of(store, dataset) for dataset in digests]
    counting = CountingStore(store.backend)
    merge = merge_datasets(counting, *digests)
    assert (merge.modified.num_rows, len(merge.conflicts)) == (1, 0)
    read = counting.read_digests
    assert len(read) == len(set(read)), "a node was read twice"
    assert not set(read) & nodes[0] & nodes[1] & nodes[2]
    agreed = list(nodes[1] & nodes[2] - nodes[0])
    leaves = {digest for digest in agreed if not read_nodes(store, [digest])[0].level}
    assert leaves
    assert not set(read) & leaves
    assert len(read) < 30 < len(nodes[0])
    # Nothing to merge: one side is the base, or both are the same.
    counting.read_digests.clear()
    assert not merge_datasets(counting, digests[0], digests[1], digests[1]).modified.num_rows
    assert not read
    merge_datasets(counting, digests[0], digests[1], digests[0])
    assert set(read) == nodes[0] ^ nodes[1]
