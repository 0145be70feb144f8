"""Killed or interrupted before any write: nothing is torn, nothing lost, and again it succeeds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.repository import Repository
from tests.integration.conftest import Dsvc
from tests.integration.interrupting import Case, cases, words
from tests.integration.trees import AUTHOR, Tree, committed_tree, digest_of_tree, make_tree, tree_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ONE: Tree = {
    "kept": (FILE, b"kept"),
    "changed": (FILE, b"old"),
    "gone/deep": (FILE, b"gone"),
    "link": (SYMLINK, b"kept"),
}
TWO: Tree = {
    "kept": (FILE, b"kept"),
    "changed": (FILE, b"new"),
    "added/a": (FILE, b"a" * 1000),
    "added/b": (FILE, b""),
    "link": (SYMLINK, b"changed"),
}
UNTRACKED: Tree = {"notes": (FILE, b"mine"), "added/mine": (FILE, b"mine, too")}


@pytest.fixture
def template(home: Path) -> Path:
    """`work` with two versions, of which `remote` has one, and `other`, which is at the first."""
    folder = home / "template"
    work = Repository.init(folder / "work")
    make_tree(work.folder, ONE)
    work.commit("one", author=AUTHOR)
    work.remotes.add("origin", str(folder / "remote"))
    work.push()
    Repository.clone(str(folder / "remote"), folder / "other")
    make_tree(folder / "other", ONE | UNTRACKED)
    make_tree(work.folder, TWO)
    return folder


@pytest.fixture
def two_commits(template: Path) -> Path:
    Repository.open(template / "work").commit("two", author=AUTHOR)
    return template


@pytest.fixture
def two_pushed(two_commits: Path) -> Path:
    Repository.open(two_commits / "work").push()
    return two_commits


SIGNALS = pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGINT"])


@SIGNALS
def test_commit(dsvc: Dsvc, home: Path, template: Path, signal_name: str) -> None:
    arguments = ("-C", "{}/work", "commit", "-m", "two")
    for case in cases(home, template, signal_name, *arguments):
        work = case.repository("work")
        assert tree_of(work.folder) == TWO, case
        # HEAD follows the branch, which is moved first.
        head = committed_tree(work, "main")
        assert head in (ONE, TWO), case
        assert committed_tree(work, "main~1" if head == TWO else "main") == ONE, case

        again = dsvc(*words(arguments, case))

        assert again.code == (0 if head == ONE else 2), (case, again)
        work = case.repository("work")
        assert work.status().clean, case
        assert committed_tree(work) == TWO, case
        assert work.resolve("HEAD").dataset == digest_of_tree(TWO), case
        assert [info.message for info in work.log()] == ["two", "one"], case


@SIGNALS
def test_push(dsvc: Dsvc, home: Path, two_commits: Path, signal_name: str) -> None:
    arguments = ("-C", "{}/work", "push")
    for case in cases(home, two_commits, signal_name, *arguments):
        assert _remote_tree(case) in (ONE, TWO), case
        work = case.repository("work")
        assert committed_tree(work) == TWO, case
        assert tree_of(work.folder) == TWO, case

        again = dsvc(*words(arguments, case))

        assert again.code == 0, (case, again)
        assert _remote_tree(case) == TWO, case
        result = Repository.clone(str(case.folder / "remote"), case.folder / "new")
        assert tree_of(case.folder / "new") == TWO, case
        assert result.dataset == digest_of_tree(TWO), case


@SIGNALS
def test_pull(dsvc: Dsvc, home: Path, two_pushed: Path, signal_name: str) -> None:
    arguments = ("-C", "{}/other", "pull")
    for case in cases(home, two_pushed, signal_name, *arguments, every=2):
        other = case.repository("other")
        _check_files(tree_of(other.folder), case)
        head = committed_tree(other)
        assert head in (ONE, TWO), case

        again = dsvc(*words(arguments, case))

        assert again.code == 0, (case, again)
        _check_done(case.repository("other"), case)
        assert _remote_tree(case) == TWO, case


@SIGNALS
def test_checkout(dsvc: Dsvc, home: Path, two_pushed: Path, signal_name: str) -> None:
    Repository.open(two_pushed / "other").fetch()
    arguments = ("-C", "{}/other", "checkout", "origin/main", "-b", "next")
    for case in cases(home, two_pushed, signal_name, *arguments, every=2):
        other = case.repository("other")
        _check_files(tree_of(other.folder), case)
        made = "next" in other.branches.list()

        again = dsvc(*(words(arguments, case)[:-2] if made else words(arguments, case)))

        assert again.code == 0, (case, again)
        _check_done(case.repository("other"), case)


def test_pull_that_mends(dsvc: Dsvc, home: Path, two_pushed: Path) -> None:
    store = Repository.open(two_pushed / "other").store
    for pack in (two_pushed / "other" / ".dsvc" / "store" / "packs").iterdir():
        data = pack.read_bytes()
        pack.write_bytes(data[: len(data) // 2])
    assert store.index.packs
    arguments = ("-C", "{}/other", "pull")
    for case in cases(home, two_pushed, "SIGKILL", *arguments, every=3):
        _check_files(tree_of(case.folder / "other"), case)

        again = dsvc(*words(arguments, case))

        assert again.code == 0, (case, again)
        _check_done(case.repository("other"), case)


def _remote_tree(case: Case) -> Tree:
    """What the remote's branch holds, read without the workspace that was interrupted."""
    reader = case.folder / "reader"
    if not (reader / ".dsvc").exists():
        Repository.init(reader, str(case.folder / "remote"))
    return committed_tree(Repository.open(reader), "main")


def _check_files(files: Tree, case: Case) -> None:
    """Each file is that of one of both versions, and what was never committed is there."""
    assert {path: files.get(path) for path in UNTRACKED} == UNTRACKED, case
    assert files["kept"] == ONE["kept"], case
    for path, content in files.items():
        assert content in (ONE.get(path), TWO.get(path), UNTRACKED.get(path)), (case, path)


def _check_done(repository: Repository, case: Case) -> None:
    assert tree_of(repository.folder) == TWO | UNTRACKED, case
    assert committed_tree(repository) == TWO, case
    status = repository.status()
    assert list(status.added) == sorted(UNTRACKED), case
    assert not status.modified, case
    assert not status.deleted, case
    assert committed_tree(repository, "HEAD~1") == ONE, case
