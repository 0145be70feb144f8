"""Two workspaces that keep their versions in one store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datasets_vc.errors import ConflictError, InvalidInputError, UnsavedChangesError
from datasets_vc.repository import Repository
from tests.integration.conftest import Dsvc, Refused

AUTHOR = "Ada <ada@example.org>"


@pytest.fixture
def both(tmp_path: Path) -> tuple[Repository, Repository]:
    """Two workspaces on the same version of the same branch."""
    one = Repository.init(tmp_path / "one", str(tmp_path / "store"))
    (one.folder / "x").write_text("old")
    one.commit("first", author=AUTHOR)
    other = Repository.init(tmp_path / "other", str(tmp_path / "store"))
    other.checkout("main")
    return one, other


def test_a_branch_moved_by_another_workspace_is_never_undone(
    both: tuple[Repository, Repository],
) -> None:
    one, other = both
    (other.folder / "x").write_text("new")
    theirs = other.commit("second", author=AUTHOR).commit

    status = one.status()
    assert status.clean
    assert status.moved_on
    (one.folder / "y").write_text("mine")
    with pytest.raises(ConflictError, match="main"):
        one.commit("third", author=AUTHOR)
    assert one.branches.get("main") == theirs

    one.checkout("main")
    assert (one.folder / "x").read_text() == "new"
    assert (one.folder / "y").read_text() == "mine"
    assert not one.status().moved_on
    one.commit("third", author=AUTHOR)
    assert [info.message for info in one.log()] == ["third", "second", "first"]


def test_catching_up_overwrites_no_changes(both: tuple[Repository, Repository]) -> None:
    one, other = both
    (other.folder / "x").write_text("new")
    other.commit("second", author=AUTHOR)
    (one.folder / "x").write_text("mine")
    with pytest.raises(UnsavedChangesError):
        one.checkout("main")
    assert (one.folder / "x").read_text() == "mine"


def test_work_can_go_on_a_branch_of_its_own(both: tuple[Repository, Repository]) -> None:
    one, other = both
    (other.folder / "x").write_text("new")
    other.commit("second", author=AUTHOR)
    (one.folder / "x").write_text("mine")
    one.checkout("HEAD", create="mine")
    one.commit("third", author=AUTHOR)
    assert [info.message for info in one.log()] == ["third", "first"]


def test_a_commit_that_the_workspace_did_not_note_is_noted(
    both: tuple[Repository, Repository],
) -> None:
    one, other = both
    for repository in both:
        (repository.folder / "x").write_text("same")
    theirs = other.commit("second", author=AUTHOR).commit
    with pytest.raises(InvalidInputError, match="Nothing changed"):
        one.commit("second", author=AUTHOR)
    assert one.head.commit == theirs


def test_a_new_workspace_does_not_call_versions_deleted(tmp_path: Path) -> None:
    one = Repository.init(tmp_path / "one", str(tmp_path / "store"))
    (one.folder / "x").write_text("old")
    one.commit("first", author=AUTHOR)
    status = Repository.init(tmp_path / "other", str(tmp_path / "store")).status()
    assert status.clean
    assert status.moved_on


def _unborn(one: Repository, home: Path, dsvc: Dsvc) -> Path:
    """A workspace that `init` made on a store with versions, with a file of its own."""
    store = Path(one.store.url)
    shared = home / "shared"
    store.rename(shared)
    made = dsvc("init", home / "new", "--store", shared)
    assert b"'dsvc checkout main' brings" in made.out
    os.chdir(home / "new")
    (home / "new" / "mine").write_text("mine")
    return home / "new"


def test_init_on_a_store_with_versions_says_how_to_come_to_them(
    home: Path, dsvc: Dsvc, refused: Refused
) -> None:
    one = Repository.init(home / "one")
    (home / "one" / "f").write_text("one")
    one.commit("one", author=AUTHOR)
    new = _unborn(one, home, dsvc)

    for words in (["log"], ["show"], ["ls"], ["tag", "v1"], ["diff", "HEAD", "main"]):
        assert "dsvc checkout main" in refused(1, *words)
    assert b"On branch main, nothing of it here yet." in dsvc("status").out
    said = refused(12, "commit", "-m", "mine")
    assert "dsvc checkout main" in said
    assert "dsvc checkout -b NAME" in said

    assert dsvc("checkout", "main").code == 0
    assert (new / "f").read_text() == "one"
    assert dsvc("commit", "-m", "mine").code == 0
    assert len(dsvc("log", "--json").data["commits"]) == 2


def test_a_branch_of_its_own_can_begin_beside_the_versions_of_a_store(
    home: Path, dsvc: Dsvc, refused: Refused
) -> None:
    one = Repository.init(home / "one")
    (home / "one" / "f").write_text("one")
    one.commit("one", author=AUTHOR)
    new = _unborn(one, home, dsvc)

    assert dsvc("checkout", "-b", "own").code == 0
    assert "on branch 'own'" in (said := refused(1, "log"))
    assert "dsvc checkout main" in said
    assert dsvc("commit", "-m", "mine").code == 0
    assert (new / "mine").read_text() == "mine"
    assert sorted(Repository.open(new).branches.list()) == ["main", "own"]
    assert dsvc("merge", "--allow-unrelated-histories", "main").code == 0


def test_a_workspace_begins_on_the_default_branch_of_its_store(home: Path, dsvc: Dsvc) -> None:
    one = Repository.init(home / "one")
    (home / "one" / "f").write_text("one")
    one.commit("one", author=AUTHOR)
    one.branches.rename("trunk")
    Path(one.store.url).rename(home / "shared")
    made = dsvc("init", home / "new", "--store", home / "shared", "--json").data
    assert made["branches"] == ["trunk"]
    assert Repository.open(home / "new").head.branch == "trunk"


def test_what_is_said_of_a_missing_head_leads_on(home: Path, dsvc: Dsvc, refused: Refused) -> None:
    one = Repository.init(home / "one")
    (home / "one" / "f").write_text("one")
    one.commit("one", author=AUTHOR)
    os.chdir(home / "one")
    (home / "one" / ".dsvc" / "HEAD").unlink()
    said = refused(2, "status")
    assert "write 'ref: BRANCH'" in said
    assert "dsvc checkout BRANCH" in said
    (home / "one" / ".dsvc" / "HEAD").write_text("ref: main\n")
    assert "dsvc checkout main" in refused(1, "log")
    assert dsvc("checkout", "main").code == 0
    assert dsvc("status", "--json").data["clean"]
    assert len(dsvc("log", "--json").data["commits"]) == 1


def test_the_first_branch_of_a_workspace_gets_another_name_as_in_git(
    home: Path, dsvc: Dsvc
) -> None:
    assert dsvc("init").code == 0
    (home / "f").write_text("f")
    assert dsvc("checkout", "-b", "trunk").code == 0
    assert dsvc("commit", "-m", "f").code == 0
    assert list(Repository.open(home).branches.list()) == ["trunk"]
