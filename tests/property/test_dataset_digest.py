"""The dataset digest is a function of the files, whatever led to them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datasets_vc.errors import InvalidInputError
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.paths import parents_of
from datasets_vc.repository import Repository
from tests.integration.trees import AUTHOR, Tree, digest_of_tree, make_tree

NAMES = st.sampled_from(
    ["a", "b", "a.jpg", "a-b", "A", "é", "e\u0301", "x y", "\N{ZEBRA FACE}", "0"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CONTENTS = st.tuples(st.just(FILE), st.binary(max_size=8)) | st.tuples(
    st.just(SYMLINK), st.sampled_from([b"a", b"b/0"])
)


def _without_files_as_folders(tree: Tree) -> Tree:
    return {
        path: content
        for path, content in tree.items()
        if not any(folder in tree for folder in parents_of(path))
    }


TREES = st.dictionaries(PATHS, CONTENTS, min_size=1, max_size=6).map(_without_files_as_folders)


@contextmanager
def _machine() -> Iterator[Repository]:
    """A workspace with a store of its own, and nothing shared."""
    with tempfile.TemporaryDirectory() as folder:
        yield Repository.init(Path(folder) / "data")


def _commit_all(repository: Repository) -> None:
    if not repository.status().clean:
        repository.commit("all at once", author=AUTHOR)


def _commit_by_path(repository: Repository, data: st.DataObject) -> None:
    """Commit what changed path by path, in any order, several at a time or one."""
    while True:
        status = repository.status()
        changed = [*status.added, *status.modified, *status.deleted]
        if not changed:
            return
        chosen = data.draw(st.lists(st.sampled_from(changed), min_size=1, unique=True))
        repository.commit("some", chosen, author=AUTHOR)


def _commit(repository: Repository, data: st.DataObject) -> None:
    if data.draw(st.booleans(), "by path"):
        _commit_by_path(repository, data)
    else:
        _commit_all(repository)


def _dataset(repository: Repository) -> str:
    return repository.resolve("HEAD").dataset.hex()


@settings(deadline=None, max_examples=25)
@given(TREES, st.data())
def test_any_history_that_leads_to_the_same_files_gives_the_same_digest(
    tree: Tree, data: st.DataObject
) -> None:
    with _machine() as one, _machine() as two:
        make_tree(one.folder, tree)
        _commit_all(one)
        for detour in data.draw(st.lists(TREES, max_size=2), "versions before"):
            make_tree(two.folder, detour)
            _commit(two, data)
        make_tree(two.folder, tree)
        _commit(two, data)

        assert _dataset(one) == _dataset(two) == digest_of_tree(tree).hex()


@settings(deadline=None, max_examples=10)
@given(TREES, st.randoms(use_true_random=False))
def test_files_added_one_by_one_give_the_same_digest_as_all_at_once(tree: Tree, random) -> None:
    paths = sorted(tree)
    random.shuffle(paths)
    with _machine() as one, _machine() as two:
        make_tree(one.folder, tree)
        _commit_all(one)
        for count in range(1, len(paths) + 1):
            make_tree(two.folder, {path: tree[path] for path in paths[:count]})
            _commit_all(two)

        assert _dataset(one) == _dataset(two)


TOUCHES = st.tuples(st.integers(0, 2**31), st.sampled_from([0o400, 0o644, 0o777]))


def _touch(folder: Path, tree: Tree, touches: list[tuple[int, int]]) -> None:
    for path, (seconds, mode) in zip(tree, touches, strict=False):
        place = folder / path
        os.utime(place, (seconds, seconds), follow_symlinks=False)
        if not place.is_symlink():
            place.chmod(mode)


@settings(deadline=None, max_examples=10)
@given(TREES, st.lists(TOUCHES, min_size=6), st.lists(TOUCHES, min_size=6))
def test_times_and_modes_do_not_matter(
    tree: Tree, before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    with _machine() as one, _machine() as two:
        make_tree(one.folder, tree)
        _commit_all(one)
        make_tree(two.folder, tree)
        _touch(two.folder, tree, before)
        _commit_all(two)
        assert _dataset(one) == _dataset(two)

        _touch(two.folder, tree, after)
        assert two.status().clean
        with pytest.raises(InvalidInputError, match="Nothing changed"):
            two.commit("touched", author=AUTHOR)


@st.composite
def _neighbours(draw: st.DrawFn) -> tuple[Tree, Tree]:
    """Two trees that differ in one byte, one path, or one kind."""
    tree = draw(TREES)
    path = draw(st.sampled_from(sorted(tree)))
    kind, content = tree[path]
    rest = {key: value for key, value in tree.items() if key != path}
    what = draw(st.sampled_from(["byte", "path", "kind", "longer", "gone", "new"]))
    if what == "gone":
        return tree, rest
    if what == "new":
        other = draw(PATHS)
        assume(other not in tree)
        return tree, _without_files_as_folders({**tree, other: (FILE, b"")})
    if what == "path":
        other = draw(PATHS)
        assume(other not in tree)
        return tree, _without_files_as_folders({**rest, other: (kind, content)})
    if what == "kind":
        return {**rest, path: (FILE, b"a")}, {**rest, path: (SYMLINK, b"a")}
    assume(kind == FILE)
    if what == "longer":
        return tree, {**rest, path: (kind, content + b"\0")}
    assume(content)
    bit = draw(st.integers(0, 8 * len(content) - 1))
    flipped = (int.from_bytes(content, "little") ^ (1 << bit)).to_bytes(len(content), "little")
    return tree, {**rest, path: (kind, flipped)}


@settings(deadline=None, max_examples=25)
@given(_neighbours())
def test_any_changed_byte_path_or_kind_changes_the_digest(trees: tuple[Tree, Tree]) -> None:
    before, after = trees
    assume(before != after)
    with _machine() as repository:
        datasets = []
        for tree in trees:
            make_tree(repository.folder, tree)
            status = repository.status()
            if status.clean:
                # Only an empty tree on top of nothing is no change.
                assert not tree
                return
            repository.commit("next", author=AUTHOR)
            datasets.append(_dataset(repository))

        assert datasets[0] != datasets[1]
        assert datasets == [digest_of_tree(before).hex(), digest_of_tree(after).hex()]
