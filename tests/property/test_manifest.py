"""Manifests: one digest for one set of entries, and differences that miss nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.digest import digest_of
from datasets_vc.format.entries import ENTRY_SCHEMA, FILE, Entry, entry_table, rows_of
from datasets_vc.history.diff import Diff, diff
from datasets_vc.history.manifest import Manifest, dataset_digest, read_nodes
from datasets_vc.paths import is_under
from tests.property.trees import (
    NEIGHBOURS,
    CountingStore,
    Tree,
    contents,
    digest_of_tree,
    entry,
    large,
    new_store,
    nodes_of,
    paths,
    stored,
    trees,
)


@given(trees, st.randoms())
def test_order_does_not_matter(tree: Tree, shuffler: random.Random) -> None:
    rows = list(tree.values())
    shuffler.shuffle(rows)
    assert dataset_digest(entry_table(rows)) == digest_of_tree(tree)


def test_chunked_and_sliced_tables_have_the_digest_of_their_rows() -> None:
    whole = entry_table(large().values())
    pieces = [whole.slice(0, 100), whole.slice(100, 1), whole.slice(101)]
    assert dataset_digest(pa.concat_tables(pieces)) == dataset_digest(whole)
    middle = entry_table(rows_of(whole.slice(50, 3000)))
    assert dataset_digest(whole.slice(50, 3000)) == dataset_digest(middle)


def test_empty_dataset() -> None:
    (empty,) = stored(store := new_store(), {})
    assert empty == dataset_digest(ENTRY_SCHEMA.empty_table())
    manifest = Manifest(store, empty)
    assert (manifest.count, manifest.bytes, manifest.entries().num_rows) == (0, 0, 0)
    assert manifest.get("a") is None
    assert manifest.entries("a").num_rows == 0


@given(trees, st.data())
def test_any_change_changes_the_digest(tree: Tree, data: st.DataObject) -> None:
    tree = tree or {"a": entry("a", FILE, 1)}
    path = data.draw(st.sampled_from(sorted(tree)))
    old = tree[path]
    changes = {
        "size": Entry(path, old.kind, old.size + 1, old.digest),
        "kind": Entry(path, 1 - old.kind, old.size, old.digest),
        "digest": Entry(path, old.kind, old.size, digest_of(old.digest)),
    }
    new = data.draw(st.sampled_from([None, *changes.values()]))
    changed = {name: row for name, row in tree.items() if name != path}
    if new:
        changed[path] = new
    assert digest_of_tree(changed) != digest_of_tree(tree)
    moved = data.draw(paths.filter(lambda name: name not in tree))
    renamed = {name: row for name, row in tree.items() if name != path}
    renamed[moved] = Entry(moved, old.kind, old.size, old.digest)
    assert digest_of_tree(renamed) != digest_of_tree(tree)


@pytest.mark.parametrize("order", [["b", "a"], ["a", "a"], ["a", "é", "b"]])
def test_tables_out_of_order_have_no_digest(order: Sequence[str]) -> None:
    rows = [entry(path, FILE, 1) for path in order]
    columns = [[getattr(row, name) for row in rows] for name in ENTRY_SCHEMA.names]
    with pytest.raises(ValueError, match="order"):
        dataset_digest(pa.table(columns, schema=ENTRY_SCHEMA))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(paths, st.none() | contents), max_size=15))
def test_steps_do_not_matter(steps: list[tuple[str, tuple[int, int] | None]]) -> None:
    """A dataset that came about by edits, each one stored, has the digest of its entries."""
    store = new_store()
    tree: Tree = {}
    (dataset,) = stored(store, tree)
    for path, content in steps:
        tree = {row.path: row for row in rows_of(Manifest(store, dataset).entries())}
        if content is None:
            tree.pop(path, None)
        else:
            tree[path] = entry(path, *content)
        (dataset,) = stored(store, tree)
    assert dataset == digest_of_tree(tree)


def test_large_tree_is_high_and_reads_back() -> None:
    store = new_store()
    (dataset,) = stored(store, large())
    (root,) = read_nodes(store, [dataset])
    assert root.level == 2
    manifest = Manifest(store, dataset)
    assert manifest.count == len(large())
    assert manifest.bytes == sum(row.size for row in large().values())
    assert manifest.entries().equals(entry_table(large().values()))


@pytest.mark.parametrize("prefix", ["x", "y", "y-z", "y/000", "x/000777.png", "z", "0", "y-"])
def test_prefix_in_a_large_tree(prefix: str) -> None:
    store = new_store()
    (dataset,) = stored(store, large())
    expected = [path for path in sorted(large()) if is_under(path, prefix)]
    assert Manifest(store, dataset).entries(prefix).column("path").to_pylist() == expected


@given(trees, st.sampled_from(NEIGHBOURS) | paths)
def test_prefix_and_get_equal_filtering(tree: Tree, prefix: str) -> None:
    store = new_store()
    (dataset,) = stored(store, tree)
    manifest = Manifest(store, dataset)
    found = rows_of(manifest.entries(prefix))
    assert found == [tree[path] for path in sorted(tree) if is_under(path, prefix)]
    assert manifest.get(prefix) == tree.get(prefix)


def test_get_in_a_large_tree_reads_one_node_a_level() -> None:
    (dataset,) = stored(made := new_store(), large())
    store = CountingStore(made.backend)
    manifest = Manifest(store, dataset)
    shuffler = random.Random(1)
    for path in shuffler.sample(sorted(large()), 40):
        before = len(store.read_digests)
        assert manifest.get(path) == large()[path]
        assert len(store.read_digests) - before == 2
    assert manifest.get("y/000777.pn") is None
    assert manifest.get("y/000777.png0") is None


def apply(tree: Mapping[str, Entry], change: Diff) -> Tree:
    gone = {row.path for row in change.deleted} | {old.path for old, _ in change.renamed}
    come = [
        *change.added,
        *(new for _, new in change.modified),
        *(new for _, new in change.renamed),
    ]
    return {path: row for path, row in tree.items() if path not in gone} | {
        row.path: row for row in come
    }


def check(change: Diff, old: Mapping[str, Entry], new: Mapping[str, Entry]) -> None:
    deleted = {*change.deleted, *(was for was, _ in change.renamed)}
    added = {*change.added, *(now for _, now in change.renamed)}
    assert deleted == {row for path, row in old.items() if path not in new}
    assert added == {row for path, row in new.items() if path not in old}
    assert len(deleted) == len(change.deleted) + len(change.renamed)
    assert len(added) == len(change.added) + len(change.renamed)
    assert list(change.modified) == [
        (old[path], new[path]) for path in sorted(old.keys() & new) if old[path] != new[path]
    ]
    for was, now in change.renamed:
        assert (was.kind, was.size, was.digest) == (now.kind, now.size, now.digest)
    # Nothing that could have been paired was left over.
    left = {(row.kind, row.digest) for row in change.deleted if row.size}
    assert not left & {(row.kind, row.digest) for row in change.added if row.size}
    for rows in (change.added, change.deleted):
        assert list(rows) == sorted(rows, key=lambda row: row.path)
    assert bool(change) == (old != new)
    assert apply(old, change) == new


@settings(deadline=None, max_examples=60)
@given(trees, trees)
def test_diff_equals_comparing_dictionaries(old: Tree, new: Tree) -> None:
    store = new_store()
    check(diff(store, *stored(store, old, new)), old, new)


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 2**32), st.sampled_from([0, 1, 30, 3000]), st.booleans())
def test_diff_of_large_trees(seed: int, changes: int, shrink: bool) -> None:
    shuffler = random.Random(seed)
    new = dict(large())
    for path in shuffler.sample(sorted(large()), changes):
        row = new.pop(path)
        act = shuffler.randrange(3)
        if act == 1:
            new[path] = Entry(path, FILE, row.size + 1, row.digest)
        elif act == 2:
            moved = f"{shuffler.choice('wxyz')}/moved/{path}"
            new[moved] = Entry(moved, row.kind, row.size, row.digest)
    if shrink:  # to a tree of another height
        new = dict(list(new.items())[:: len(new) // 20])
    store = new_store()
    first, second = stored(store, large(), new)
    check(diff(store, first, second), large(), new)
    check(diff(store, second, first), new, large())


def test_renames_prefer_the_same_file_name() -> None:
    old = {path: entry(path, FILE, 1) for path in ("a/1.png", "a/2.png")}
    new = {path: entry(path, FILE, 1) for path in ("b/2.png", "c/1.png")}
    change = diff(store := new_store(), *stored(store, old, new))
    assert [(was.path, now.path) for was, now in change.renamed] == [
        ("a/2.png", "b/2.png"),
        ("a/1.png", "c/1.png"),
    ]


def test_diff_reads_only_nodes_that_differ() -> None:
    new = dict(large())
    for path in ("x/000100.png", "y/002999.png"):
        new[path] = Entry(path, FILE, 1, digest_of(b"new"))
    store = new_store()
    first, second = stored(store, large(), new)
    counting = CountingStore(store.backend)
    assert len(diff(counting, first, second).modified) == 2
    nodes = [nodes_of(store, dataset) for dataset in (first, second)]
    differing = nodes[0] ^ nodes[1]
    assert set(counting.read_digests) == differing
    assert len(differing) <= 10
    assert len(nodes[0]) > 30
    before = len(counting.read_digests)
    assert not diff(counting, first, first)
    assert len(counting.read_digests) == before


def test_sizes_add_up_in_64_bits() -> None:
    tree = {f"{n:04d}": Entry(f"{n:04d}", FILE, 2**53 + 1, digest_of(b"")) for n in range(1000)}
    (dataset,) = stored(store := new_store(), tree)
    manifest = Manifest(store, dataset)
    assert manifest.bytes == 1000 * (2**53 + 1)
    assert np.issubdtype(manifest.entries().column("size").to_numpy().dtype, np.uint64)
