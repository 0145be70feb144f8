"""Killed or interrupted while a workspace becomes partial: nothing is lost, again it succeeds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.repository import Part, Repository
from tests.integration.conftest import Dsvc
from tests.integration.interrupting import cases, words
from tests.integration.trees import AUTHOR, Tree, committed_tree, make_tree, tree_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ONE: Tree = {"a/1": (FILE, b"1"), "a/b/2": (FILE, b"2"), "c": (FILE, b"3"), "l": (SYMLINK, b"c")}
TWO: Tree = {**ONE, "a/1": (FILE, b"edited"), "new/x": (FILE, b"new")}
SIGNALS = pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGINT"])


@pytest.fixture
def template(home: Path) -> Path:
    folder = home / "template"
    work = Repository.init(folder / "work")
    make_tree(work.folder, ONE)
    work.commit("one", author=AUTHOR)
    return folder


@SIGNALS
def test_a_commit_that_consumes(dsvc: Dsvc, home: Path, template: Path, signal_name: str) -> None:
    make_tree(template / "work", TWO)
    arguments = ("-C", "{}/work", "commit", "--consume", "-m", "two")
    for case in cases(home, template, signal_name, *arguments, every=2):
        work = case.repository("work")
        head = committed_tree(work, "main")
        here = tree_of(work.folder)
        assert head in (ONE, TWO), case
        assert here.items() <= TWO.items(), case
        if here != TWO:
            assert head == TWO, case
            assert work.status().clean, case

        again = dsvc(*words(arguments, case))

        # Everything may have been done but to say so.
        assert again.code == (2 if head == TWO and not here else 0), (case, again)
        work = case.repository("work")
        assert tree_of(work.folder) == {}, case
        assert work.status().clean, case
        assert committed_tree(work) == TWO, case
        assert [info.message for info in work.log()] == ["two", "one"], case


@SIGNALS
@pytest.mark.parametrize("before", [None, ["c"]])
def test_a_checkout_of_another_part(
    dsvc: Dsvc, home: Path, template: Path, signal_name: str, before: list[str] | None
) -> None:
    work = Repository.open(template / "work")
    if before:
        work.checkout(None, part=Part(before))
    arguments = ("-C", "{}/work", "checkout", "--only", "a/**")
    for case in cases(home, template, signal_name, *arguments, every=2):
        here = tree_of(case.folder / "work")
        assert here.items() <= ONE.items(), case

        again = dsvc(*words(arguments, case))

        assert again.code == 0, (case, again)
        work = case.repository("work")
        assert set(tree_of(work.folder)) == {"a/1", "a/b/2"}, case
        assert work.status().clean, case
