"""Bringing versions together through the command line, as two people who label the same data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets_vc.repository import Repository
from tests.integration.conftest import Dsvc, Refused
from tests.integration.trees import AUTHOR

BASE = "file_name,label\na.png,cat\nb.png,dog\nc.png,fox\n"


def labels(**changed: str) -> str:
    """The table with labels changed: `labels(cat="lion")`."""
    text = BASE
    for old, new in changed.items():
        text = text.replace(old, new)
    return text


@pytest.fixture
def people(home: Path) -> Callable[[str, str], Path]:
    """`mine` and `theirs` have the same data; each relabels, theirs is pushed; we are in `mine`."""

    def make(mine: str, theirs: str) -> Path:
        _first(home)
        Repository.clone(str(home / "remote"), home / "mine")
        _relabel(home / "mine", mine)
        _relabel(home / "theirs", theirs)
        Repository.open(home / "theirs").push()
        os.chdir(home / "mine")
        return home / "mine"

    return make


def _first(home: Path) -> None:
    repository = Repository.init(home / "theirs")
    (home / "theirs" / "a.png").write_bytes(b"pixels")
    _relabel(home / "theirs", BASE)
    repository.remotes.add("origin", str(home / "remote"))
    repository.push()


def _relabel(folder: Path, table: str) -> None:
    (folder / "metadata.csv").write_text(table)
    Repository.open(folder).commit("Relabel", author=AUTHOR)


def test_pull_merges_the_labels_of_two_people(people, dsvc: Dsvc) -> None:
    mine = people(labels(cat="lion"), labels(fox="wolf"))

    pulled = dsvc("pull")

    assert pulled.code == 0, pulled
    assert pulled.out.startswith(b"Both sides had new versions: merged.\n")
    assert (mine / "metadata.csv").read_text() == labels(cat="lion", fox="wolf")
    log = dsvc("log", "--json").data["commits"]
    assert (log[0]["message"], log[0]["author"]) == (
        "Merge origin/main into main",
        "Ada <ada@example.org>",
    )
    assert len(log[0]["parents"]) == 2
    assert dsvc("status", "--json").data["merging"] is None
    assert dsvc("push").code == 0


def test_the_same_label_is_a_conflict_that_shows_both(people, dsvc: Dsvc, refused: Refused) -> None:
    mine = people(labels(cat="lion"), labels(cat="tiger", fox="wolf"))

    pulled = dsvc("pull")

    assert pulled.code == 12
    lines = pulled.out.decode().splitlines()
    assert lines[-6:-3] == [
        "1 conflict; all else is merged.",
        "  metadata.csv  both changed 1 field; all other rows are merged:",
        '    a.png, label: ours "lion", theirs "tiger", before "cat"',
    ]
    assert "'dsvc merge --theirs PATH'" in lines[-3]
    assert "'dsvc cat origin/main:PATH'" in lines[-2]
    assert b"tiger" in dsvc("cat", "origin/main:metadata.csv").out
    assert "'dsvc merge --continue'" in lines[-1]
    assert (mine / "metadata.csv").read_text() == labels(cat="lion", fox="wolf")
    assert "A merge of 'origin/main' is not finished." in refused(12, "commit", "-m", "x")
    status = dsvc("status")
    assert status.code == 0
    assert "A merge of origin/main is not finished." in status.out.decode()
    assert '    a.png, label: ours "lion", theirs "tiger", before "cat"' in status.out.decode()
    assert dsvc("merge", "--continue").code == 12
    taken = dsvc("merge", "--theirs", "metadata.csv")
    assert taken.code == 0
    assert "All conflicts are resolved" in taken.out.decode()
    assert "tiger" in (mine / "metadata.csv").read_text()
    done = dsvc("merge", "--continue", "-m", "Agree on tigers")
    assert done.code == 0
    assert done.out.decode().startswith("commit  ")
    assert dsvc("log", "--json").data["commits"][0]["message"] == "Agree on tigers"
    assert dsvc("push").code == 0


def test_conflicts_as_data(people, dsvc: Dsvc) -> None:
    people(labels(cat="lion"), labels(cat="tiger"))
    dsvc("fetch")

    merged = dsvc("merge", "origin/main", "--json")

    assert (merged.code, merged.err) == (12, "")
    data = merged.data
    assert (data["kind"], data["commit"], data["dataset"]) == ("merge", None, None)
    (conflict,) = data["conflicts"]
    assert list(conflict) == ["path", "reason", "base", "ours", "theirs", "fields"]
    assert (conflict["path"], conflict["reason"]) == ("metadata.csv", "same fields")
    assert conflict["base"]["size"] == len(BASE)
    assert conflict["fields"] == [
        {"key": "a.png", "column": "label", "base": "cat", "ours": "lion", "theirs": "tiger"}
    ]
    unfinished = dsvc("status", "--json").data["merging"]
    assert unfinished["conflicts"] == [conflict]
    assert (unfinished["kind"], unfinished["resolved"]) == ("merge", [])
    assert unfinished["commit"] == Repository.open(Path()).resolve("origin/main").commit.hex()
    resolved = dsvc("merge", "--ours", "--json").data
    assert (resolved["conflicts"], resolved["resolved"]) == ([], ["metadata.csv"])
    done = dsvc("merge", "--continue", "--json").data
    assert len(done["commit"]) == 64
    assert done["conflicts"] == []


def test_abort(people, dsvc: Dsvc) -> None:
    mine = people(labels(cat="lion"), labels(cat="tiger"))
    before = dsvc("status", "--json").data
    assert dsvc("pull").code == 12

    assert dsvc("merge", "--abort").code == 0

    assert dsvc("status", "--json").data == before
    assert (mine / "metadata.csv").read_text() == labels(cat="lion")


def test_sides_beforehand(people, dsvc: Dsvc) -> None:
    mine = people(labels(cat="lion"), labels(cat="tiger", fox="wolf"))
    dsvc("fetch")

    assert dsvc("merge", "--theirs", "origin/main").code == 0

    assert (mine / "metadata.csv").read_text() == labels(cat="tiger", fox="wolf")


def test_revert_and_cherry_pick(people, dsvc: Dsvc) -> None:
    mine = people(labels(cat="lion"), labels(fox="wolf"))
    dsvc("fetch")

    picked = dsvc("cherry-pick", "origin/main")
    assert picked.code == 0
    assert (mine / "metadata.csv").read_text() == labels(cat="lion", fox="wolf")
    reverted = dsvc("revert", "HEAD~1", "--json")
    assert reverted.code == 0
    assert reverted.data["kind"] == "revert"
    assert (mine / "metadata.csv").read_text() == labels(fox="wolf")
    messages = [
        each["message"].partition("\n")[0] for each in dsvc("log", "--json").data["commits"]
    ]
    assert messages[:3] == ['Revert "Relabel"', "Relabel", "Relabel"]


def test_wrong_usage(people, dsvc: Dsvc, refused: Refused) -> None:
    people(labels(cat="lion"), labels(cat="tiger"))

    for words in (
        ["merge"],
        ["merge", "main", "origin/main"],
        ["merge", "--ours", "--theirs", "main"],
        ["merge", "--continue", "main"],
        ["merge", "--abort", "--continue"],
        ["merge", "--ours"],
        ["merge", "--resolved", "metadata.csv"],
        ["merge", "--continue"],
        ["merge", "--abort"],
        ["revert", "--abort"],
    ):
        refused(2, *words)
    assert "'nope'" in refused(1, "merge", "nope")
    assert "already" in refused(2, "cherry-pick", "HEAD")
    dsvc("pull")
    assert "'a.png'" in refused(1, "merge", "--ours", "a.png")
