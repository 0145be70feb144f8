"""A merge that is killed before any write: again it succeeds, or it is taken back whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from datasets_vc.format.entries import FILE
from datasets_vc.repository import Repository
from datasets_vc.workspace.mergestate import STATE_FILE
from tests.integration.conftest import Dsvc
from tests.integration.interrupting import Case, cases, words
from tests.integration.trees import AUTHOR, Tree, committed_tree, digest_of_tree, make_tree, tree_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def _tree(labels: str, **files: str) -> Tree:
    table = "file_name,label\n" + "".join(f"{n}.png,{label}\n" for n, label in enumerate(labels))
    return {
        "metadata.csv": (FILE, table.encode()),
        **{path.replace("__", "/"): (FILE, text.encode()) for path, text in files.items()},
    }


BASE = _tree("abc", changed="1", gone="1", kept="1", into="1", clash="1")
OURS = _tree("Abc", changed="1", gone="1", kept="2", into="1", clash="1")
THEIRS = _tree("abC", changed="2", kept="1", into__file="2", new="2", clash="1")
MERGED = _tree("AbC", changed="2", kept="2", into__file="2", new="2", clash="1")
CLASHING = {"clash": (FILE, b"ours")}
RESOLVED = {"clash": (FILE, b"theirs")}
MINE: Tree = {"notes": (FILE, b"mine")}


@pytest.fixture
def template(home: Path) -> Path:
    """`work` on main, with an untracked file, and a branch `other` to be merged."""
    return _made(home / "template", OURS, THEIRS)


@pytest.fixture
def clashing(home: Path) -> Path:
    return _made(home / "template", OURS | CLASHING, THEIRS | RESOLVED)


def _made(folder: Path, ours: Tree, theirs: Tree) -> Path:
    work = Repository.init(folder / "work")
    _commit(work, BASE)
    work.checkout("HEAD", create="other")
    _commit(work, theirs)
    work.checkout("main")
    _commit(work, ours)
    work.remotes.add("origin", str(folder / "remote"))
    make_tree(work.folder, ours | MINE)
    return folder


def _commit(repository: Repository, tree: Tree) -> None:
    make_tree(repository.folder, tree)
    repository.commit("change", author=AUTHOR)


@pytest.mark.parametrize(("signal_name", "every"), [("SIGKILL", 3), ("SIGINT", 5)])
def test_merge(dsvc: Dsvc, home: Path, template: Path, signal_name: str, every: int) -> None:
    arguments = ("-C", "{}/work", "merge", "other")
    for number, case in enumerate(cases(home, template, signal_name, *arguments, every=every)):
        _check_whole(case, OURS, MERGED)
        _check_taken_back(dsvc, case, OURS, MERGED)
        unfinished = case.repository("work").merging.state() is not None
        way = "--continue" if unfinished and number % 2 else "other"

        again = dsvc("-C", case.folder / "work", "merge", way)

        assert again.code == 0, (case, again)
        _check_merged(case, MERGED)


def test_pull(dsvc: Dsvc, home: Path, template: Path) -> None:
    writer = Repository.init(template / "writer")
    writer.remotes.add("work", Repository.open(template / "work").store.url)
    writer.fetch("work")
    writer.checkout("work/other", create="main")
    writer.remotes.add("origin", str(template / "remote"))
    writer.push()
    arguments = ("-C", "{}/work", "pull")
    for case in cases(home, template, "SIGKILL", *arguments, every=5):
        _check_whole(case, OURS, MERGED)

        again = dsvc(*words(arguments, case))

        assert again.code == 0, (case, again)
        _check_merged(case, MERGED)


def test_merge_with_conflicts(dsvc: Dsvc, home: Path, clashing: Path) -> None:
    ours, merged = OURS | CLASHING, MERGED | CLASHING
    arguments = ("-C", "{}/work", "merge", "other")
    for case in cases(home, clashing, "SIGKILL", *arguments, every=4, code=12):
        _check_whole(case, ours, merged)
        _check_taken_back(dsvc, case, ours, merged)

        again = dsvc(*words(arguments, case))

        assert again.code == 12, (case, again)
        assert tree_of(case.folder / "work") == merged | MINE, case
        state = case.repository("work").merging.state()
        assert [conflict.path for conflict in state.open] == ["clash"], case


@pytest.mark.parametrize("resolution", [("--theirs", "clash"), ("--abort",)])
def test_resolving_and_aborting(
    dsvc: Dsvc, home: Path, clashing: Path, resolution: tuple[str, ...]
) -> None:
    assert dsvc("-C", clashing / "work", "merge", "other").code == 12
    arguments = ("-C", "{}/work", "merge", *resolution)
    for case in cases(home, clashing, "SIGKILL", *arguments, every=3):
        unfinished = case.repository("work").merging.state() is not None

        again = dsvc(*words(arguments, case))

        assert again.code == (0 if unfinished else 2), (case, again)
        if resolution == ("--abort",):
            _check_back(case, OURS | CLASHING)
            continue
        assert dsvc("-C", case.folder / "work", "merge", "--continue").code == 0
        _check_merged(case, MERGED | RESOLVED)


def test_continue(dsvc: Dsvc, home: Path, clashing: Path) -> None:
    assert dsvc("-C", clashing / "work", "merge", "other").code == 12
    edited = {"clash": (FILE, b"both")}
    make_tree(clashing / "work", MERGED | edited | MINE)
    arguments = ("-C", "{}/work", "merge", "--continue")
    for case in cases(home, clashing, "SIGKILL", *arguments, every=3):
        unfinished = case.repository("work").merging.state() is not None
        _check_taken_back(dsvc, case, OURS | CLASHING, MERGED | edited)

        again = dsvc(*words(arguments, case))

        assert again.code == (0 if unfinished else 2), (case, again)
        _check_merged(case, MERGED | edited)


def _check_whole(case: Case, ours: Tree, merged: Tree) -> None:
    """Each file is that of one of both versions, and what was never committed is there."""
    files = tree_of(case.folder / "work")
    assert files["notes"] == MINE["notes"], case
    assert files["kept"] == ours["kept"], case
    for path, content in files.items():
        assert content in (ours.get(path), merged.get(path), MINE.get(path)), (case, path)
    assert committed_tree(case.repository("work"), "main") in (ours, merged), case


def _check_taken_back(dsvc: Dsvc, case: Case, ours: Tree, merged: Tree) -> None:
    """A copy of the case can be taken back, unless nothing was begun or all is done."""
    copy = Case(case.folder.with_name(f"{case.folder.name}-back"), case.at)
    shutil.copytree(case.folder, copy.folder, symlinks=True)
    unfinished = copy.repository("work").merging.state() is not None

    aborted = dsvc("-C", copy.folder / "work", "merge", "--abort")

    main = committed_tree(copy.repository("work"), "main")
    if main == merged:
        _check_merged(copy, merged)
        return
    assert aborted.code == (0 if unfinished else 2), (case, aborted)
    _check_back(copy, ours)


def _check_back(case: Case, ours: Tree) -> None:
    work = case.repository("work")
    assert tree_of(work.folder) == ours | MINE, case
    assert committed_tree(work) == ours, case
    assert work.merging.state() is None, case
    assert not (work.folder / ".dsvc" / STATE_FILE).exists(), case
    assert list(work.status().added) == ["notes"], case
    assert not work.status().modified, case


def _check_merged(case: Case, tree: Tree) -> None:
    work = case.repository("work")
    assert tree_of(work.folder) == tree | MINE, case
    assert committed_tree(work) == tree, case
    assert work.resolve("HEAD").dataset == digest_of_tree(tree), case
    assert work.head.commit == work.branches.list()["main"], case
    newest, *older = work.log()
    assert len(newest.parents) == 2, case
    assert [len(info.parents) for info in older] == [1, 1, 0], case
    assert work.merging.state() is None, case
    assert list(work.status().added) == ["notes"], case
    assert not work.status().modified, case
