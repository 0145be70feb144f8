"""Two workspaces that keep their versions in one store."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc.errors import ConflictError, InvalidInputError, UnsavedChangesError
from datasets_vc.repository import Repository

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
