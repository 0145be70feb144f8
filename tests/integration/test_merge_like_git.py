"""Merges of the same trees by git: the same conflicts and the same results, with four exceptions.

- Where one side has a file `a` and the other a folder `a/`, git renames the file to `a~BRANCH`,
  reports it alone and lets the folder in. A dataset gets no names that nobody chose: here both the
  file and what was changed in the folder are in conflict.
- git also renames one of two things of different kinds (a file and a link); here the path itself
  is in conflict, as everywhere.
- git merges what kind of thing a path is by itself, and then what it holds. Here kind and content
  are one: a link that became a file on both sides, of other content on one, is in conflict.
- Of several common ancestors that disagree (lines merged crosswise) git makes a base that has, for
  a path deleted in one and changed in another, the version before both. Here such a path is in
  conflict whenever the sides differ: what git merges silently may be asked here, never otherwise.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from datasets_vc.digest import Digest, digest_of
from datasets_vc.format.commit import Commit, encode_commit
from datasets_vc.format.entries import FILE, SYMLINK, Entry, entry_table, rows_of
from datasets_vc.history.bases import merge_commits
from datasets_vc.history.manifest import write_manifest
from datasets_vc.history.merge import FILE_AND_FOLDER, Conflict, Merge
from datasets_vc.paths import parents_of
from datasets_vc.store import Store
from tests.property.trees import new_store

Tree = dict[str, tuple[int, str]]
"""Of each path its kind and content, one line."""

MODES = {FILE: "100644", SYMLINK: "120000"}
PATHS = ["a", "a-", "a/b", "a/b/c", "a/c", "b", "b/a", "c/d", "c/e"]
GIT = ("git", "-c", "merge.renames=false", "-c", "merge.directoryRenames=false")


@dataclass(frozen=True)
class Node:
    """A commit of a history: a tree, after others of the same history, given by number."""

    tree: Tree
    parents: tuple[int, ...] = ()


History = Sequence[Node]


def git(folder: Path, *arguments: str, data: bytes = b"", codes: Sequence[int] = (0,)) -> bytes:
    done = subprocess.run([*GIT, *arguments], cwd=folder, input=data, capture_output=True)
    assert done.returncode in codes, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder: Path = tmp_path_factory.mktemp("git")
    git(folder, "init", "-q", "--object-format=sha1")
    if "--write-tree" not in help_of(folder):
        pytest.skip("git is older than 2.38: it has no `merge-tree --write-tree`")
    return folder


def help_of(folder: Path) -> str:
    return git(folder, "merge-tree", "-h", codes=(0, 129)).decode()


def imported(folder: Path, histories: Sequence[History]) -> list[list[str]]:
    """Names of the commits of all histories, all made by one process."""
    stream: list[bytes] = []
    marks = 0
    for history in histories:
        first = marks + 1
        for node in history:
            marks += 1
            lines = [f"commit refs/heads/c{marks}", f"mark :{marks}"]
            lines += [f"committer Ada <ada@example.org> {marks} +0000", "data 0"]
            word = "from"
            for parent in node.parents:
                lines.append(f"{word} :{first + parent}")
                word = "merge"
            lines.append("deleteall")
            stream += [line.encode() for line in lines]
            for path, (kind, text) in node.tree.items():
                stream.append(f"M {MODES[kind]} inline {path}\ndata {len(text)}\n{text}".encode())
    git(folder, "fast-import", "--quiet", "--force", data=b"\n".join([*stream, b""]))
    names = iter(f"c{mark}" for mark in range(1, marks + 1))
    return [[next(names) for _ in history] for history in histories]


def merged_by_git(folder: Path, names: Sequence[str], history: History) -> tuple[Tree, set[str]]:
    """The tree that git makes, and the paths in conflict, without what git adds to their names."""
    told = git(
        folder, "merge-tree", "--write-tree", "-z", "--no-messages", *names[-2:], codes=(0, 1)
    )
    tree, *conflicts = told.decode().rstrip("\0").split("\0")
    listed = git(folder, "ls-tree", "-r", "-z", tree).decode().split("\0")[:-1]
    rows = [(*line.partition("\t")[0].split(), line.partition("\t")[2]) for line in listed]
    kinds = {mode: kind for kind, mode in MODES.items()}
    # A file with the marks of a conflict is none of these; its path is in conflict.
    blobs = {blob_of(text): text for node in history for _, text in node.tree.values()}
    found = {path: (kinds[mode], blobs.get(blob, "")) for mode, _, blob, path in rows}
    return found, {line.partition("\t")[2].partition("~")[0] for line in conflicts}


def blob_of(text: str) -> str:
    data = text.encode()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def merged_here(history: History) -> tuple[Tree, Sequence[Conflict]]:
    store = new_store()
    commits: list[Digest] = []
    for number, node in enumerate(history):
        parents = [commits[parent] for parent in node.parents]
        commits.append(committed(store, node.tree, parents, number))
    merge = merge_commits(store, commits[-2], commits[-1])
    return contents_of(merge, history), merge.conflicts


def committed(store: Store, tree: Tree, parents: Sequence[Digest], time: int) -> Digest:
    with store.writer() as writer:
        dataset = write_manifest(writer, table_of(tree))
        when = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=time)
        digest = writer.add_meta(encode_commit(Commit(dataset, tuple(parents), "Ada", when, "")))
        store.publish(writer.finish())
    return digest


def table_of(tree: Tree) -> pa.Table:
    return entry_table(
        Entry(path, kind, 1, digest_of(text.encode())) for path, (kind, text) in tree.items()
    )


def contents_of(merge: Merge, history: History) -> Tree:
    texts = {digest_of(text.encode()): text for node in history for _, text in node.tree.values()}
    table = merge.entries(table_of(history[-2].tree))
    return {row.path: (row.kind, texts[row.digest]) for row in rows_of(table)}


def random_tree(shuffler: random.Random, base: Tree | None = None) -> Tree:
    """A tree without a file in the place of a folder; one that changes some of `base`."""
    tree = dict(base or {})
    for path in shuffler.sample(PATHS, shuffler.randrange(1, 5)):
        if base and shuffler.random() < 0.3:
            tree.pop(path, None)
            continue
        for other in [p for p in tree if path in parents_of(p) or p in parents_of(path)]:
            del tree[other]
        # With its path in it, no file resembles another: not all gits can be kept from looking
        # for renames (merge.renames is ignored before 2.50).
        content = f"{path} {shuffler.choice('123')}"
        tree[path] = shuffler.choice([FILE, FILE, FILE, SYMLINK]), content
    return tree


def three_way(seed: int) -> History:
    shuffler = random.Random(seed)
    base = random_tree(shuffler)
    ours, theirs = random_tree(shuffler, base), random_tree(shuffler, base)
    return [Node(base), Node(ours, (0,)), Node(theirs, (0,))]


def crosswise(seed: int) -> History:
    """Two merges of the same two commits, each resolved and changed further as it pleased."""
    shuffler = random.Random(f"crosswise {seed}")
    base = random_tree(shuffler)
    one, other = random_tree(shuffler, base), random_tree(shuffler, base)
    ours = random_tree(shuffler, shuffler.choice([one, other]))
    theirs = shuffler.choice([ours, one, other])
    if shuffler.random() < 0.7:
        theirs = random_tree(shuffler, theirs)
    tips = [Node(ours, (1, 2)), Node(theirs, (2, 1))]
    return [Node(base), Node(one, (0,)), Node(other, (0,)), *tips]


def told_by_git(conflicts: Sequence[Conflict]) -> set[str]:
    """Those of our conflicts that git reports."""
    paths = {conflict.path for conflict in conflicts}
    folders = {folder for path in paths for folder in parents_of(path)}
    return {
        conflict.path
        for conflict in conflicts
        if not _came_into_a_folder(conflict, folders) and not _of_one_content(conflict)
    }


def _came_into_a_folder(conflict: Conflict, folders: Container[str]) -> bool:
    added = conflict.base is None
    return added and conflict.reason == FILE_AND_FOLDER and conflict.path not in folders


def _of_one_content(conflict: Conflict) -> bool:
    base, ours, theirs = conflict.base, conflict.ours, conflict.theirs
    if not (base and ours and theirs) or ours.kind != theirs.kind:
        return False
    return base.digest in (ours.digest, theirs.digest)


def without(tree: Tree, conflicts: Sequence[Conflict]) -> Tree:
    paths = {conflict.path for conflict in conflicts}
    return {path: content for path, content in tree.items() if path.partition("~")[0] not in paths}


def test_git_finds_the_same_conflicts_and_makes_the_same_tree(repository: Path) -> None:
    histories = [three_way(seed) for seed in range(80)]
    clean = 0
    reasons: set[str] = set()
    for history, names in zip(histories, imported(repository, histories), strict=True):
        theirs, git_conflicts = merged_by_git(repository, names, history)
        ours, conflicts = merged_here(history)
        assert told_by_git(conflicts) == git_conflicts, history
        assert without(ours, conflicts) == without(theirs, conflicts), history
        clean += not conflicts
        reasons |= {conflict.reason for conflict in conflicts}
    assert clean > 5
    assert len(reasons) == 4


def test_crosswise_nothing_is_merged_silently_that_git_would_ask(repository: Path) -> None:
    histories = [crosswise(seed) for seed in range(60)]
    clean = asked = 0
    for history, names in zip(histories, imported(repository, histories), strict=True):
        theirs, git_conflicts = merged_by_git(repository, names, history)
        ours, conflicts = merged_here(history)
        assert git_conflicts <= {conflict.path for conflict in conflicts}, history
        assert without(ours, conflicts) == without(theirs, conflicts), history
        clean += not conflicts
        asked += bool(git_conflicts)
    assert clean > 5
    assert asked > 5
