"""A move to another version that is killed before any write: told, and gone on with or taken back.

Files of two versions under one HEAD are never recorded as somebody's work.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from datasets_vc.errors import ConflictError, UnsavedChangesError
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.repository import Part, Repository
from tests.integration.conftest import Dsvc
from tests.integration.interrupting import Case, cases
from tests.integration.trees import AUTHOR, Tree, committed_tree, make_tree, tree_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ONE: Tree = {
    "kept/a": (FILE, b"kept"),
    "changed": (FILE, b"old"),
    "gone/deep": (FILE, b"gone"),
    "link": (SYMLINK, b"changed"),
    "into": (FILE, b"a file"),
}
TWO: Tree = {
    "kept/a": (FILE, b"kept"),
    "changed": (FILE, b"new"),
    "added/a": (FILE, b"a" * 1000),
    "added/b": (FILE, b""),
    "link": (SYMLINK, b"kept/a"),
    "into/x": (FILE, b"a folder"),
}
THREE: Tree = {**ONE, "changed": (FILE, b"third"), "added/b": (FILE, b"third")}
MINE: Tree = {"notes": (FILE, b"mine"), "added/mine": (FILE, b"mine, too")}
BY_NAME = {"main": ONE, "side": TWO, "third": THREE}


@pytest.fixture
def template(home: Path) -> Path:
    """`work` on main with untracked files, and its branches; `behind` is one commit behind."""
    folder = home / "template"
    work = Repository.init(folder / "work")
    _commit(work, ONE)
    work.remotes.add("origin", str(folder / "remote"))
    work.push()
    Repository.clone(str(folder / "remote"), folder / "behind")
    for name in ("side", "third"):
        work.checkout("main")
        work.checkout("HEAD", create=name)
        _commit(work, BY_NAME[name])
    work.checkout("main")
    for name in ("work", "behind"):
        make_tree(folder / name, ONE | MINE)
    return folder


@pytest.mark.parametrize(("signal_name", "every"), [("SIGKILL", 3), ("SIGINT", 6)])
def test_a_checkout(home: Path, template: Path, signal_name: str, every: int) -> None:
    arguments = ("-C", "{}/work", "checkout", "side")
    ways = ("side", "--abort", "main", "third")
    told = 0
    for number, case in enumerate(cases(home, template, signal_name, *arguments, every=every)):
        told += _is_told(case, "work", TWO)
        _take(case.repository("work"), ways[number % len(ways)], ONE)
    assert told


def test_killed_in_the_middle_the_command_line_says_both_ways(
    dsvc: Dsvc, home: Path, template: Path
) -> None:
    arguments = ("-C", "{}/work", "checkout", "side", "-b", "next")
    stopped = cases(home, template, "SIGKILL", *arguments, every=4)
    cut = [case for case in stopped if case.repository("work").status().cut_short]
    case = cut[len(cut) // 2]
    work = case.folder / "work"

    status = dsvc("-C", work, "status")
    refused = dsvc("-C", work, "commit", "-m", "my work")
    found = dsvc("-C", work, "status", "--json").data["cut_short"]

    assert status.code == 0
    assert "was cut short" in status.out.decode()
    assert "'dsvc checkout side -b next' goes on" in status.out.decode()
    assert "'dsvc checkout --abort' goes back" in status.out.decode()
    assert refused.code == 12
    assert "Go on: dsvc checkout side -b next; or go back: dsvc checkout --abort" in refused.err
    assert found["branch"] == "next"
    assert found["abort"] == "dsvc checkout --abort"
    for each in cut:
        again = dsvc("-C", each.folder / "work", *shlex.split(found["continue"])[1:])
        assert again.code == 0, (each, again)
        _check_at(each.repository("work"), TWO, "next")


def test_a_pull_that_goes_forward(dsvc: Dsvc, home: Path, template: Path) -> None:
    work = Repository.open(template / "work")
    make_tree(work.folder, ONE)
    work.merging.merge("side", author=AUTHOR)
    work.push()
    for number, case in enumerate(
        cases(home, template, "SIGKILL", "-C", "{}/behind", "pull", every=9)
    ):
        behind = case.repository("behind")
        if _is_told(case, "behind", TWO) and number % 2:
            behind.abort_checkout()
            _check_at(behind, ONE, "main")
        behind.pull()
        _check_at(behind, TWO, "main")


def test_a_merge_that_goes_forward(home: Path, template: Path) -> None:
    for number, case in enumerate(
        cases(home, template, "SIGKILL", "-C", "{}/work", "merge", "side", every=5)
    ):
        work = case.repository("work")
        if _is_told(case, "work", TWO) and number % 2:
            work.abort_checkout()
            _check_at(work, ONE, "main")
        work.merging.merge("side", author=AUTHOR)
        _check_at(work, TWO, "main")


@pytest.mark.parametrize("before", [None, ["kept/**", "changed", "gone"]])
def test_a_checkout_of_a_part(home: Path, template: Path, before: list[str] | None) -> None:
    work = Repository.open(template / "work")
    part = Part(before)
    work.checkout(None, part=part)
    arguments = ("-C", "{}/work", "checkout", "side", "--only", "added", "--only", "link")
    of_part = {path: each for path, each in ONE.items() if part.has(path)}
    for number, case in enumerate(cases(home, template, "SIGKILL", *arguments, every=4)):
        work = case.repository("work")
        cut = work.status().cut_short
        if cut:
            with pytest.raises(ConflictError, match="cut short"):
                work.commit("my work", author=AUTHOR)
        if work.head.branch == "main" and number % 2:
            _take(work, "--abort" if cut and number % 4 == 1 else "main", of_part)
            continue
        work.checkout("side", part=Part(["added", "link"]))
        part_of_two = {path: TWO[path] for path in ("added/a", "added/b", "link")}
        _check_at(work, part_of_two, "side", TWO)


def test_a_narrower_part_of_the_same_version(home: Path, template: Path) -> None:
    arguments = ("-C", "{}/work", "checkout", "--only", "kept/**")
    for number, case in enumerate(cases(home, template, "SIGKILL", *arguments, every=4)):
        work = case.repository("work")
        if work.status().deleted:
            with pytest.raises(ConflictError, match="part of the version"):
                work.commit("my work", author=AUTHOR)
        if work.status().cut_short and number % 2:
            work.abort_checkout()
            _check_at(work, ONE, "main")
        work.checkout(None, part=Part(["kept/**"]))
        _check_at(work, {"kept/a": ONE["kept/a"]}, "main", ONE)


def test_what_somebody_changed_since_stays(home: Path, template: Path) -> None:
    arguments = ("-C", "{}/work", "checkout", "side")
    edited: Tree = {"changed": (FILE, b"edited since"), "new": (FILE, b"made since")}
    for case in cases(home, template, "SIGKILL", *arguments, every=4):
        work = case.repository("work")
        make_tree(work.folder, tree_of(work.folder) | edited)
        if not work.status().cut_short:
            continue

        work.abort_checkout()

        assert tree_of(work.folder) == ONE | MINE | edited, case
        assert list(work.status().modified) == ["changed"], case
        assert not work.status().cut_short, case


def test_taking_it_back_is_killed_too(home: Path, template: Path) -> None:
    arguments = ("-C", "{}/work", "checkout", "side")
    stopped = cases(home, template, "SIGKILL", *arguments, every=5)
    last = [case for case in stopped if case.repository("work").status().cut_short][-1]
    again = home / "again"
    again.mkdir()
    for case in cases(
        again, last.folder, "SIGKILL", "-C", "{}/work", "checkout", "--abort", every=4
    ):
        _is_told(case, "work", TWO)
        work = case.repository("work")
        if work.status().cut_short:
            work.abort_checkout()
        _check_at(work, ONE, "main")


def _is_told(case: Case, name: str, there: Tree) -> bool:
    """Check that a mixture is told, and never recorded; returns whether anything was cut short."""
    work = case.repository(name)
    files = {path: each for path, each in tree_of(work.folder).items() if path not in MINE}
    cut = work.status().cut_short
    assert cut or files == committed_tree(work), case
    assert {path: tree_of(work.folder)[path] for path in MINE} == MINE, case
    for path, content in files.items():
        assert content in (ONE.get(path), there.get(path)), (case, path)
    if cut:
        with pytest.raises(ConflictError, match="cut short"):
            work.commit("my work", author=AUTHOR)
        # Where the branch is there already, all the files are, too, and a pick first goes there.
        if work.resolve("HEAD").commit == work.branches.get("main") and name == "work":
            with pytest.raises(ConflictError, match="cut short"):
                work.merging.cherry_pick("third", author=AUTHOR)
    return cut is not None


def _take(work: Repository, way: str, here: Tree) -> None:
    """Go a way, as the status says, or to another version."""
    if way != "--abort":
        work.checkout(way)
    elif work.status().cut_short:
        work.abort_checkout()
    way = work.head.branch or ""
    _check_at(work, here if way == "main" else BY_NAME[way], way, BY_NAME[way])


def _check_at(work: Repository, files: Tree, branch: str, version: Tree | None = None) -> None:
    # Of files outside a part, those that had been written may stay.
    more = {
        path for path, each in (version or {}).items() if tree_of(work.folder).get(path) == each
    }
    files = files | {path: (version or {})[path] for path in more}
    assert tree_of(work.folder) == files | _mine(work), branch
    assert work.head.branch == branch
    assert committed_tree(work) == (files if version is None else version)
    status = work.status()
    assert set(status.added) <= MINE.keys()
    assert (list(status.modified), list(status.deleted)) == ([], [])
    assert status.cut_short is None


def _mine(work: Repository) -> Tree:
    return {path: each for path, each in tree_of(work.folder).items() if path in MINE}


def _commit(repository: Repository, tree: Tree) -> None:
    make_tree(repository.folder, tree)
    repository.commit("change", author=AUTHOR)


def test_where_nobody_can_commit_the_way_out_is_another(home: Path, template: Path) -> None:
    arguments = ("-C", "{}/work", "checkout", "side")
    for case in cases(home, template, "SIGKILL", *arguments, every=1):
        work = case.repository("work")
        if not work.status().cut_short or tree_of(work.folder).get("added/a"):
            continue
        make_tree(work.folder, tree_of(work.folder) | {"added/a": (FILE, b"somebody's")})
        with pytest.raises(UnsavedChangesError) as caught:
            work.checkout("side")
        assert "Commit them" not in str(caught.value.hint), case
        assert "away" in str(caught.value.hint), case
        return
    pytest.fail("it was never cut short before that file")
