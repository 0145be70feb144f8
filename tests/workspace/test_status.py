from __future__ import annotations

import os
from pathlib import Path

import pytest

from datasets_vc.errors import (
    InvalidInputError,
    NotFoundError,
    UnreadableFileError,
    UnsavedChangesError,
)
from datasets_vc.format.entries import FILE
from datasets_vc.workspace import workspace
from datasets_vc.workspace.remembered import load_cache
from tests.workspace.bench import CLEAN, Bench


def test_a_new_workspace_has_only_additions(bench: Bench) -> None:
    bench.put("b/c", b"1")
    bench.put("a")
    assert bench.status() == (["a", "b/c"], [], [])


def test_after_a_commit_it_is_clean(bench: Bench) -> None:
    bench.put("b/c", b"1")
    bench.put("empty")
    bench.link("l", "b/c")
    bench.commit()
    assert bench.status() == CLEAN
    assert bench.workspace.status(bench.version).clean


def test_every_kind_of_change_is_told(bench: Bench) -> None:
    for name in ("same", "longer", "other", "gone", "linked", "moved/a", "folder/x"):
        bench.put(name, name.encode())
    bench.commit()
    bench.put("longer", b"longer than before")
    bench.put("other", b"OTHER")
    (bench.folder / "gone").unlink()
    (bench.folder / "linked").unlink()
    bench.link("linked", "same")
    (bench.folder / "moved").rename(bench.folder / "went")
    (bench.folder / "folder" / "x").unlink()
    (bench.folder / "folder").rmdir()
    bench.put("folder", b"now a file")
    assert bench.status() == (
        ["folder", "went/a"],
        ["linked", "longer", "other"],
        ["folder/x", "gone", "moved/a"],
    )


@pytest.mark.usefixtures("trusting")
def test_nothing_is_read_of_what_is_known_or_told_by_its_size(
    bench: Bench, read_paths: list[str]
) -> None:
    for name in "abc":
        bench.put(name, b"1")
    bench.commit()
    read_paths.clear()
    bench.put("b", b"22")
    bench.put("new", b"3")
    (bench.folder / "c").unlink()
    assert bench.status() == (["new"], ["b"], ["c"])
    assert read_paths == []


@pytest.mark.usefixtures("trusting")
def test_a_touched_file_is_read_once(bench: Bench, read_paths: list[str]) -> None:
    bench.put("a", b"1")
    bench.put("b", b"1")
    bench.commit()
    read_paths.clear()
    os.utime(bench.folder / "a")
    assert bench.status() == CLEAN
    assert read_paths == ["a"]
    assert bench.status() == CLEAN
    assert read_paths == ["a"]


@pytest.mark.usefixtures("trusting")
def test_a_change_of_the_same_size_is_read_once(bench: Bench, read_paths: list[str]) -> None:
    bench.put("a", b"1")
    bench.commit()
    read_paths.clear()
    bench.put("a", b"2")
    for _ in range(2):
        assert bench.status() == ([], ["a"], [])
    assert read_paths == ["a"]


def test_a_lost_cache_costs_reading_and_nothing_else(bench: Bench, read_paths: list[str]) -> None:
    bench.put("a", b"1")
    bench.commit()
    (bench.folder / ".dsvc" / "stat-cache").unlink()
    read_paths.clear()
    assert bench.status() == CLEAN
    assert read_paths == ["a"]


@pytest.mark.usefixtures("trusting")
def test_a_restored_time_does_not_hide_a_change(bench: Bench) -> None:
    place = bench.put("a", b"1")
    bench.commit()
    before = place.stat()
    place.write_bytes(b"2")
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert bench.status() == ([], ["a"], [])


def test_a_file_as_young_as_the_reading_is_not_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second write falls into the tick in which the first one was read: no stat data differ.
    place = bench.put("a", b"1")
    old = bench.put("old", b"1")
    os.utime(old, ns=(1, 1))
    tick = place.stat().st_ctime_ns
    monkeypatch.setattr(workspace, "clock_of", lambda _: tick)
    bench.commit()
    assert "a" not in load_cache(bench.folder).base.files.path.to_pylist()
    monkeypatch.setattr(workspace, "clock_of", lambda _: tick + 1)
    assert bench.status() == CLEAN
    assert "a" in load_cache(bench.folder).base.files.path.to_pylist()


def test_without_a_clock_nothing_is_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put("a", b"1")
    monkeypatch.setattr(workspace, "clock_of", lambda _: 0)
    bench.commit()
    assert len(load_cache(bench.folder).base) == 0
    assert bench.status() == CLEAN


@pytest.mark.usefixtures("trusting")
def test_paths_narrow_it(bench: Bench) -> None:
    for name in ("a/x", "a/y", "b/x", "c"):
        bench.put(name, b"1")
    bench.commit()
    for name in ("a/x", "b/x", "b/new"):
        bench.put(name, b"2")
    (bench.folder / "a" / "y").unlink()
    (bench.folder / "c").unlink()
    assert bench.status(["a"]) == ([], ["a/x"], ["a/y"])
    assert bench.status(["b/new", "c"]) == (["b/new"], [], ["c"])
    assert bench.status(["."]) == (["b/new"], ["a/x", "b/x"], ["a/y", "c"])


@pytest.mark.usefixtures("trusting")
def test_narrow_statuses_forget_nothing(bench: Bench, read_paths: list[str]) -> None:
    for name in ("a/x", "b/x", "c"):
        bench.put(name, b"1")
    bench.commit()
    read_paths.clear()
    os.utime(bench.folder / "b" / "x")
    assert bench.status(["b"]) == CLEAN
    assert bench.status() == CLEAN
    assert read_paths == ["b/x"]


def test_an_unknown_path_is_an_error(bench: Bench) -> None:
    bench.put("a", b"1")
    bench.put("gone", b"1")
    bench.commit()
    (bench.folder / "gone").unlink()
    assert bench.status(["gone"]) == ([], [], ["gone"])
    with pytest.raises(NotFoundError, match="'nothing'"):
        bench.status(["a", "nothing"])
    with pytest.raises(InvalidInputError):
        bench.status(["../outside"])


def test_what_cannot_be_part_of_a_dataset_is_told(bench: Bench) -> None:
    os.mkfifo(bench.folder / "pipe")
    changes = bench.workspace.status(bench.version)
    assert changes.clean
    assert [skipped.path for skipped in changes.skipped] == ["pipe"]


def test_an_ignored_file_of_the_version_stays_in_it(bench: Bench) -> None:
    for path in ("a.tmp", "b.tmp", "c.tmp", "big/x", "big/sub/y"):
        bench.put(path, b"1")
    bench.commit()
    bench.put(".dsvcignore", b"*.tmp\nbig\n")
    bench.put("new.tmp")
    bench.put("big/new")
    bench.put("b.tmp", b"22")
    (bench.folder / "c.tmp").unlink()
    bench.put("big/sub/y", b"333")

    assert bench.status() == ([".dsvcignore"], ["b.tmp", "big/sub/y"], ["c.tmp"])
    bench.commit()
    assert bench.status() == CLEAN
    paths = bench.version.column("path").to_pylist()
    assert paths == [".dsvcignore", "a.tmp", "b.tmp", "big/sub/y", "big/x"]


def test_an_ignored_file_that_was_removed_does_not_come_back(bench: Bench) -> None:
    bench.put("a.tmp", b"1")
    bench.put(".dsvcignore", b"*.tmp\n")
    bench.commit()
    assert bench.version.column("path").to_pylist() == [".dsvcignore"]
    bench.put("a.tmp", b"2")
    assert bench.status() == CLEAN


def test_an_ignored_file_of_the_version_is_not_looked_for_through_a_link(bench: Bench) -> None:
    bench.put("real/x", b"1")
    bench.put("big/x", b"1")
    bench.commit()
    bench.put(".dsvcignore", b"big\n")
    (bench.folder / "big/x").unlink()
    (bench.folder / "big").rmdir()
    bench.link("big", "real")

    assert bench.status() == ([".dsvcignore"], [], ["big/x"])


def test_a_checkout_takes_ignored_files_of_its_versions_for_what_they_are(bench: Bench) -> None:
    bench.put("a.tmp", b"1")
    first = bench.commit()
    bench.put(".dsvcignore", b"*.tmp\n")
    bench.put("a.tmp", b"2")
    second = bench.commit()

    bench.checkout(first)
    assert bench.tree() == {"a.tmp": (FILE, b"1")}
    bench.checkout(second)
    assert bench.status() == CLEAN
    bench.put("a.tmp", b"mine")
    with pytest.raises(UnsavedChangesError, match=r"'a\.tmp'"):
        bench.checkout(first)
    bench.checkout(second, ["a.tmp"], force=True)
    assert bench.status() == CLEAN


def test_a_file_that_changes_while_it_is_read_is_modified(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = bench.put("a", b"1")
    bench.commit()
    os.utime(place, ns=(5, 5))
    real = os.read

    def read(handle: int, size: int) -> bytes:
        data = real(handle, size)
        os.utime(place, ns=(6, 6))
        return data

    monkeypatch.setattr(os, "read", read)
    assert bench.status() == ([], ["a"], [])
    monkeypatch.undo()
    assert bench.status() == CLEAN


def test_a_file_that_cannot_be_read_is_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = bench.put("sub/a", b"1")
    bench.commit()
    os.utime(place, ns=(5, 5))
    refuse_to_open(monkeypatch, "sub/a")
    with pytest.raises(UnreadableFileError, match="'sub/a' cannot be read: Permission denied"):
        bench.status()


def test_entries_are_what_a_commit_would_record(bench: Bench) -> None:
    bench.put("a", b"1")
    bench.put("b/c", b"2")
    bench.commit()
    bench.put("a", b"3")
    bench.put("new", b"4")
    (bench.folder / "b" / "c").unlink()
    entries = bench.workspace.entries(bench.version)
    narrow = bench.workspace.entries(bench.version, ["a"])
    assert narrow.column("path").to_pylist() == ["a", "b/c"]
    assert entries.equals(bench.commit())


def test_differing_entries_are_those_that_changed(bench: Bench) -> None:
    for name in ("same", "modified", "gone"):
        bench.put(name, b"1")
    bench.commit()
    bench.put("modified", b"2")
    bench.put("new", b"2")
    (bench.folder / "gone").unlink()
    old, new = bench.workspace.differing(bench.version)
    assert old.column("path").to_pylist() == ["gone", "modified"]
    assert new.column("path").to_pylist() == ["modified", "new"]
    assert new.column("digest")[0] == new.column("digest")[1]
    assert old.column("digest")[0] != new.column("digest")[0]


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Permission denied, which root would not get."""
    real = os.open

    def refuse(path: str | Path, *rest: int, **named: int) -> int:
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
