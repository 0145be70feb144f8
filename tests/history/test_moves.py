"""Moves of whole folders: told when all of a folder went, and only then."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.format.entries import FILE, Entry, entry_table, rows_of
from datasets_vc.history.diff import Diff, compare, diff
from datasets_vc.history.manifest import write_manifest
from datasets_vc.history.moves import FolderMove, files_below
from datasets_vc.history.rows import differing
from datasets_vc.paths import is_under, parents_of
from tests.property.trees import CountingStore, Nodes, Tree, entry, large, new_store, stored

Files = Mapping[str, int]


def tree(files: Files) -> Tree:
    return {path: entry(path, FILE, content) for path, content in files.items()}


def compared(old: Tree, new: Tree) -> Diff:
    nodes = Nodes()
    digests = [write_manifest(nodes, entry_table(side.values())) for side in (old, new)]
    return diff(nodes, *digests)


def moved(old: Files, new: Files) -> list[tuple[str, str, int]]:
    change = compared(tree(old), tree(new))
    assert len(change.renamed) >= sum(move.files for move in change.moved)
    return [(move.old, move.new, move.files) for move in change.moved]


PAIR = {"x/1": 1, "x/2": 2}


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [
        (PAIR, {"y/1": 1, "y/2": 2}, [("x", "y", 2)]),
        (PAIR, {"y/z/1": 1, "y/z/2": 2}, [("x", "y/z", 2)]),
        (PAIR, {"x/y/1": 1, "x/y/2": 2}, [("x", "x/y", 2)]),
        # Only the outermost folder is told, whatever is below it.
        ({"x/a/1": 1, "x/b/c/2": 2}, {"y/a/1": 1, "y/b/c/2": 2}, [("x", "y", 2)]),
        ({"x/a/1": 1, "x/a/2": 2, "x/b/1": 3}, {"y/c/1": 1, "y/c/2": 2}, [("x/a", "y/c", 2)]),
        # The new folder had files before; a folder of the old name came after.
        (PAIR | {"y/3": 3}, {"y/1": 1, "y/2": 2, "y/3": 3}, [("x", "y", 2)]),
        (PAIR, {"y/1": 1, "y/2": 2, "x/3": 3}, [("x", "y", 2)]),
        (PAIR | {"y/1": 3, "y/2": 4}, {"y/1": 1, "y/2": 2, "x/1": 3, "x/2": 4}, []),
        # A file stayed, was deleted, was changed, went elsewhere, or got another name.
        (PAIR | {"x/3": 3}, {"y/1": 1, "y/2": 2, "x/3": 3}, []),
        (PAIR | {"x/3": 3}, {"y/1": 1, "y/2": 2}, []),
        (PAIR | {"x/3": 3}, {"y/1": 1, "y/2": 2, "x/3": 4}, []),
        (PAIR | {"x/3": 3}, {"y/1": 1, "y/2": 2, "z/3": 3}, []),
        (PAIR, {"y/1": 1, "y/3": 2}, []),
        # One file, and files at the top.
        ({"x/1": 1}, {"y/1": 1}, []),
        ({"1": 1, "2": 2}, {"y/1": 1, "y/2": 2}, []),
        (PAIR, {"1": 1, "2": 2}, []),
        # Empty files go along with the others, and tell nothing by themselves.
        (PAIR | {"x/0": 0}, {"y/1": 1, "y/2": 2, "y/0": 0}, [("x", "y", 3)]),
        ({"x/0": 0, "x/1": 0}, {"y/0": 0, "y/1": 0}, []),
        (PAIR | {"x/0": 0}, {"y/1": 1, "y/2": 2, "z/0": 0}, []),
    ],
)
def test_folders_that_moved(old: Files, new: Files, moves: list[tuple[str, str, int]]) -> None:
    assert moved(old, new) == moves


paths = st.tuples(
    st.sampled_from(["x", "x/a", "x/b", "y", "y/a", "z"]), st.sampled_from(["1", "2", "3", "e"])
).map("/".join)
trees = st.dictionaries(paths, st.integers(0, 4), max_size=8)


@settings(max_examples=300)
@given(trees, trees, st.sampled_from(["x", "x/a"]), st.sampled_from(["y", "z/n"]), st.booleans())
def test_told_are_all_outermost_folders_of_which_all_files_went(
    files: dict[str, int], others: dict[str, int], source: str, target: str, really: bool
) -> None:
    old = tree(files)
    new = tree(others)
    if really:
        gone = {path for path in files if is_under(path, source)}
        went = {target + path.removeprefix(source): files[path] for path in gone}
        new = {path: row for path, row in old.items() if path not in gone} | tree(went)
    change = compared(old, new)
    went_to = {was.path: now.path for was, now in change.renamed}
    expected = {}
    for folder in {folder for path in old for folder in parents_of(path)}:
        inside = [path for path in old if is_under(path, folder)]
        ends = {
            went_to[path].removesuffix(path.removeprefix(folder))
            if path in went_to and went_to[path].endswith(path.removeprefix(folder))
            else ""
            for path in inside
        }
        if len(inside) > 1 and len(ends) == 1 and ends != {""}:
            expected[folder] = FolderMove(folder, ends.pop(), len(inside))
    outermost = [
        expected[folder]
        for folder in sorted(expected)
        if not expected.keys() & set(parents_of(folder))
    ]
    assert list(change.moved) == outermost
    # The same from all entries, or from those that differ and a table of all.
    tables = [entry_table(side.values()) for side in (old, new)]
    rows = [rows_of(side) for side in differing(*(table.to_batches() for table in tables))]
    assert compare(rows[0], rows[1], below=files_below(tables[0])) == change
    assert not compare(rows[0], rows[1]).moved


def test_a_move_in_a_large_tree_is_told_by_few_nodes() -> None:
    old = dict(large())
    new = {}
    for path, row in old.items():
        name = "moved/" + path if path.startswith("y-z/") else path
        new[name] = Entry(name, row.kind, row.size, row.digest)
    store = new_store()
    digests = stored(store, old, new)
    counting = CountingStore(store.backend)
    change = diff(counting, *digests)
    assert list(change.moved) == [FolderMove("y-z", "moved/y-z", 3000)]
    assert len(change.renamed) == 3000
    assert len(counting.read_digests) == len(set(counting.read_digests))
    stayed = new | {"y-z/000000.png": old["y-z/000000.png"]}
    digests = stored(store, old, stayed)
    assert not diff(store, *digests).moved
