"""What is tracked though it is ignored, and what a commit has to say of what it does not record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datasets_vc.errors import UnsavedChangesError
from datasets_vc.repository import Repository

AUTHOR = "Ada <ada@example.org>"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def work(tmp_path: Path) -> Repository:
    """A workspace that ignores what it tracks: `a.tmp` and `big/x`."""
    repository = Repository.init(tmp_path / "work")
    put(repository, {"a.tmp": "1", "big/x": "1", "c": "1"})
    repository.commit("First", author=AUTHOR, time=NOON)
    put(repository, {".dsvcignore": "*.tmp\nbig\n"})
    repository.commit("Rules", author=AUTHOR, time=NOON)
    return repository


def put(repository: Repository, files: dict[str, str]) -> None:
    for path, text in files.items():
        place = repository.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def text(repository: Repository, path: str) -> str:
    return (repository.folder / path).read_text()


def names(repository: Repository) -> list[str]:
    paths: list[str] = repository.ls("HEAD").column("path").to_pylist()
    return paths


def test_rules_take_nothing_out_of_a_version(work: Repository) -> None:
    assert names(work) == [".dsvcignore", "a.tmp", "big/x", "c"]
    assert work.status().clean


def test_a_merge_changes_what_is_tracked_and_ignored(work: Repository) -> None:
    work.checkout("main~1", create="other")
    put(work, {"a.tmp": "2", "big/x": "2"})
    work.commit("Other", author=AUTHOR, time=NOON)
    work.checkout("main")

    work.merging.merge("other", author=AUTHOR)

    assert (text(work, "a.tmp"), text(work, "big/x")) == ("2", "2")
    assert work.status().clean


def test_a_conflict_in_what_is_tracked_and_ignored(work: Repository) -> None:
    work.checkout("main~1", create="other")
    put(work, {"a.tmp": "2"})
    work.commit("Other", author=AUTHOR, time=NOON)
    work.checkout("main")
    put(work, {"a.tmp": "3"})
    work.commit("Ours", author=AUTHOR, time=NOON)
    put(work, {"a.tmp": "uncommitted"})
    with pytest.raises(UnsavedChangesError, match=r"'a\.tmp'"):
        work.merging.merge("other", author=AUTHOR)
    put(work, {"a.tmp": "3"})

    conflicts = work.merging.merge("other", author=AUTHOR).conflicts
    assert [conflict.path for conflict in conflicts] == ["a.tmp"]
    put(work, {"a.tmp": "23"})
    work.merging.resume(author=AUTHOR)

    assert work.status().clean
    assert b"".join(map(bytes, work.cat("HEAD", "a.tmp"))) == b"23"


def test_what_is_tracked_and_ignored_is_restored_and_consumed(work: Repository) -> None:
    put(work, {"a.tmp": "mine", "big/x": "mine", "big/untracked": "mine"})
    with pytest.raises(UnsavedChangesError):
        work.checkout("main", ["a.tmp"])
    work.restore(["a.tmp", "big"])
    assert work.status().clean
    assert text(work, "big/untracked") == "mine"

    put(work, {"c": "2"})
    work.commit("Consumed", author=AUTHOR, time=NOON, consume=True)

    assert not (work.folder / "a.tmp").exists()
    assert not (work.folder / "big/x").exists()
    assert text(work, "big/untracked") == "mine"
    assert names(work) == [".dsvcignore", "a.tmp", "big/x", "c"]


def test_a_diff_goes_by_what_head_tracks(work: Repository) -> None:
    (work.folder / "a.tmp").unlink()
    work.commit("Without", author=AUTHOR, time=NOON)
    put(work, {"a.tmp": "1"})

    assert [entry.path for entry in work.diff().files.deleted] == []
    assert [entry.path for entry in work.diff("main~1").files.deleted] == ["a.tmp"]


def test_what_is_not_recorded_is_told_once(work: Repository) -> None:
    (work.folder / "c").chmod(0o755)
    (work.folder / "empty").mkdir()
    put(work, {"d": "1"})
    first = work.commit("Odd", author=AUTHOR, time=NOON)
    put(work, {"d": "2"})
    second = work.commit("Again", author=AUTHOR, time=NOON)

    assert [warning.split(",")[0] for warning in first.warnings] == [
        "1 file is executable",
        "1 folder is empty and not recorded: a version has files only.",
    ]
    assert second.warnings == ()


def test_a_commit_that_is_dated_before_its_parent_asks_for_the_clock(work: Repository) -> None:
    put(work, {"d": "1"})
    soon = work.commit("A minute behind", author=AUTHOR, time=NOON - timedelta(minutes=1))
    put(work, {"d": "2"})
    long = work.commit("1970", author=AUTHOR, time=datetime(1970, 1, 1, tzinfo=UTC))

    assert soon.warnings == ()
    (asked,) = long.warnings
    assert "dated 1970-01-01 00:00 UTC, before its parent (2026-05-01 11:59 UTC)" in asked
    assert asked.endswith("is the clock of this machine right?")


def test_a_commit_tells_of_rules_that_do_not_count(work: Repository) -> None:
    put(work, {"rules": "*.tmp\n", "new.tmp": "1"})
    (work.folder / ".dsvcignore").unlink()
    (work.folder / ".dsvcignore").symlink_to("rules")
    made = work.commit("A link", author=AUTHOR, time=NOON)
    assert [warning for warning in made.warnings if "'.dsvcignore' is a link" in warning]
    assert work.status().unread_rules == (".dsvcignore",)
