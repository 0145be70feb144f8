"""One merge of any two trees, resolved in any way or taken back, against the same model."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.errors import InvalidInputError, UnsavedChangesError
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.repository import Repository
from tests.integration.trees import AUTHOR, Tree, committed_tree, make_tree, tree_of
from tests.stateful import model
from tests.stateful.model import RefusedError

TIME = datetime(2026, 1, 1, tzinfo=UTC)
CONTENTS = st.sampled_from([(FILE, b"1"), (FILE, b"2"), (FILE, b""), (SYMLINK, b"d")])


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    tree: Tree = {"kept": (FILE, b"kept")}
    paths = st.lists(st.sampled_from(["a", "a/b", "a/c", "a/b/c", "d", "e/f"]), unique=True)
    for path in draw(paths):
        tree = model.put(tree, path, draw(CONTENTS))
    return tree


@st.composite
def edits(draw: st.DrawFn, tree: Tree) -> Tree:
    """Some files changed, added and deleted."""
    for path in draw(st.lists(st.sampled_from(["a", "a/b", "a/c", "d", "e", "new"]), max_size=2)):
        if draw(st.booleans()):
            tree = model.put(tree, path, draw(CONTENTS))
        else:
            tree = {other: tree[other] for other in tree if other != path}
    return tree


@settings(max_examples=20, deadline=None)
@given(data=st.data(), base=trees(), ours=trees(), theirs=trees())
def test_merge(data: st.DataObject, base: Tree, ours: Tree, theirs: Tree) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository.init(Path(folder) / "work")
        _commit(repository, base)
        repository.checkout("main", create="other")
        _commit(repository, theirs | {"theirs": (FILE, b"")})
        repository.checkout("main")
        _commit(repository, ours | {"ours": (FILE, b"")})
        files = data.draw(edits(ours | {"ours": (FILE, b"")}))
        make_tree(repository.folder, files)
        trees = base, ours | {"ours": (FILE, b"")}, theirs | {"theirs": (FILE, b"")}
        _check_merge(repository, data, files, *trees)


def _commit(repository: Repository, tree: Tree) -> None:
    make_tree(repository.folder, tree)
    repository.commit("tree", author=AUTHOR, time=TIME)


def _check_merge(
    repository: Repository, data: st.DataObject, files: Tree, base: Tree, ours: Tree, theirs: Tree
) -> None:
    merging = repository.merging
    merged, sides = model.merge(base, ours, theirs)
    try:
        expected = model.switch(files, ours, merged)
        if any(files.get(path) != both[0] for path, both in sides.items()):
            raise RefusedError
    except RefusedError:
        with pytest.raises(UnsavedChangesError):
            merging.merge("other", author=AUTHOR)
        assert tree_of(repository.folder) == files
        assert merging.state() is None
        return
    result = merging.merge("other", author=AUTHOR)
    assert {conflict.path for conflict in result.conflicts} == sides.keys()
    assert tree_of(repository.folder) == expected
    if not sides:
        assert committed_tree(repository) == merged
        return
    if data.draw(st.booleans(), label="take it back"):
        _check_abort(repository, files, ours, merged)
        return
    _check_resolved(repository, data, expected, merged, sides)


def _check_abort(repository: Repository, files: Tree, ours: Tree, merged: Tree) -> None:
    # Whoever had made the changes of theirs by hand beforehand is back at HEAD, too.
    by_hand = [path for path in files | ours if files.get(path) != ours.get(path)]
    same = {path: ours.get(path) for path in by_hand if files.get(path) == merged.get(path)}
    try:
        after = model.with_changes(files, same)
    except RefusedError:
        # What HEAD has cannot come back to where something new stands that nobody committed.
        before = tree_of(repository.folder)
        with pytest.raises(UnsavedChangesError):
            repository.merging.abort()
        assert tree_of(repository.folder) == before
        assert repository.merging.state() is not None
        return
    repository.merging.abort()
    assert tree_of(repository.folder) == after
    assert committed_tree(repository) == ours


def _check_resolved(
    repository: Repository, data: st.DataObject, files: Tree, merged: Tree, sides: dict
) -> None:
    merging = repository.merging
    for path in sorted(sides):
        how = data.draw(st.sampled_from(["ours", "theirs", "as it is", "edited"]), label=path)
        if how == "as it is":
            merging.resolve([path], None)
        elif how == "edited":
            files = model.put(files, path, (FILE, b"edited"))
            make_tree(repository.folder, files)
        else:
            wanted = {each: sides[each][how == "theirs"] for each in sides if _below(each, path)}
            try:
                after = model.with_changes(files, wanted)
                merging.resolve([path], how)
            except (RefusedError, InvalidInputError, UnsavedChangesError):
                with pytest.raises((InvalidInputError, UnsavedChangesError)):
                    merging.resolve([path], how)
            else:
                files = after
        assert tree_of(repository.folder) == files
    merging.resolve(["."], None)
    found = {path: files.get(path) for path in sides}
    try:
        tree = model.with_changes(merged, found)
    except RefusedError:
        with pytest.raises(InvalidInputError):
            merging.resume(author=AUTHOR)
        return
    merging.resume(author=AUTHOR)
    assert committed_tree(repository) == tree
    assert tree_of(repository.folder) == files


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")
