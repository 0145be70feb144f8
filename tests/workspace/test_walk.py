from __future__ import annotations

import os
import socket
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets_vc.errors import InvalidInputError, UnreadableFileError
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.workspace import walk as walk_module
from datasets_vc.workspace.listing import Skipped, Unrecorded, as_int64
from datasets_vc.workspace.reading import check_same, listed_at
from datasets_vc.workspace.selection import Selection
from datasets_vc.workspace.walk import walk


def put(root: Path, *paths: str) -> None:
    for path in paths:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path)


def listed(root: Path, *selected: str) -> list[str]:
    paths: list[str] = walk(root, Selection(selected)).path.to_pylist()
    return paths


def test_an_empty_folder_lists_nothing(tmp_path: Path) -> None:
    listing = walk(tmp_path)
    assert len(listing) == 0
    assert listing.folders == frozenset()


def test_paths_come_in_byte_order_across_folders(tmp_path: Path) -> None:
    paths = [
        "a",
        "a-b",
        "b.txt",
        "b/c",
        "b/c.d/e",
        "b/c-d",
        "b/cc/z",
        "b0",
        "b-",
        "ä",
        "z/ä",
        "z/z",
    ]
    paths += ["\U0001f600", "\ufb00", "b/\U0001f600", "b/\ufb00"]
    put(tmp_path, *paths)
    assert listed(tmp_path) == sorted(paths, key=str.encode)


def test_columns_are_what_lstat_says(tmp_path: Path) -> None:
    put(tmp_path, "a", "b/c", "b/d/e")
    (tmp_path / "l").symlink_to("b/c")
    os.utime(tmp_path / "a", ns=(5, -7))
    listing = walk(tmp_path)
    for row, path in enumerate(listing.path.to_pylist()):
        found = os.lstat(tmp_path / path)
        assert listing.size[row] == found.st_size
        assert listing.mtime_ns[row] == found.st_mtime_ns
        assert listing.ctime_ns[row] == found.st_ctime_ns
        assert listing.inode[row] == found.st_ino
    assert listing.kind.tolist() == [FILE, FILE, FILE, SYMLINK]
    assert listing.folders == {"b", "b/d"}


@pytest.mark.parametrize(
    "name",
    [
        "new\nline",
        "tab\t",
        "quote'\"",
        "back\\slash",
        "trailing ",
        " leading",
        "\U0001f4a9 emoji",
        unicodedata.normalize("NFC", "é"),
        unicodedata.normalize("NFD", "é"),
        "-dash",
        "*?[x]",
        "...",
        "\x01\x7f",
        "x" * 255,
    ],
)
def test_odd_names_are_listed_as_they_are(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, f"folder/{name}")
    assert listed(tmp_path) == sorted([name, f"folder/{name}"])


def test_twins_in_unicode_form_stay_two(tmp_path: Path) -> None:
    put(tmp_path, "e\u0301", "\u00e9")
    assert listed(tmp_path) == ["e\u0301", "\u00e9"]


def test_depth_is_no_problem(tmp_path: Path) -> None:
    deep = "/".join(f"d{level}" for level in range(60)) + "/leaf"
    put(tmp_path, deep, "a", "z")
    assert listed(tmp_path) == ["a", deep, "z"]


def test_threads_do_not_change_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, *(f"{a}/{b}/{c}" for a in "xyz" for b in "12345" for c in "pqr"))
    one = walk(tmp_path, threads=1)
    waits = iter(range(0, 10**9, 1000))
    monkeypatch.setattr(walk_module, "waits", lambda: next(waits))
    calls: list[int] = []
    real = walk_module._Walk._call

    def spy(self: Any, helpers: int) -> None:
        calls.append(helpers)
        real(self, helpers)

    monkeypatch.setattr(walk_module._Walk, "_call", spy)
    many = walk(tmp_path, threads=8)
    assert calls == [7]
    assert one.path.equals(many.path)
    assert one.inode.tolist() == many.inode.tolist()
    assert one.folders == many.folders


def test_a_failure_in_another_thread_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a/b/.dsvcignore", "a/c", "d/e")
    (tmp_path / "a" / "b" / ".dsvcignore").write_text("!")
    waits = iter(range(0, 10**9, 1000))
    monkeypatch.setattr(walk_module, "waits", lambda: next(waits))
    with pytest.raises(InvalidInputError, match="line 1"):
        walk(tmp_path, threads=4)


def test_links_are_entries_and_never_followed(tmp_path: Path) -> None:
    put(tmp_path / "outside", "secret")
    root = tmp_path / "root"
    put(root, "a/b")
    (root / "folder").symlink_to("../outside")
    (root / "loop").symlink_to(".")
    (root / "dangling").symlink_to("nowhere")
    assert listed(root) == ["a/b", "dangling", "folder", "loop"]


def test_the_workspace_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    put(tmp_path / "real", "a")
    (tmp_path / "link").symlink_to("real")
    assert listed(tmp_path / "link") == ["a"]


def test_own_data_and_git_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a", ".dsvc/HEAD", ".git/HEAD", "sub/.git", "x.git", ".gitignore", "my.git/x")
    listing = walk(tmp_path)
    assert listing.path.to_pylist() == [".gitignore", "a", "my.git/x", "x.git"]
    assert listing.skipped == ()


def test_a_nested_workspace_is_skipped_and_told(tmp_path: Path) -> None:
    put(tmp_path, "a", "sub/b", "sub/inner/.dsvc/HEAD", "sub/inner/c", "sub/inner/d/e")
    listing = walk(tmp_path)
    assert listing.path.to_pylist() == ["a", "sub/b"]
    assert listing.skipped == (Skipped("sub/inner", "it is a workspace of its own"),)


def test_reserved_names_are_told(tmp_path: Path) -> None:
    put(tmp_path, "a", ".DSVC/x", "b/.Dsvc/x")
    listing = walk(tmp_path)
    assert listing.path.to_pylist() == ["a", "b/.Dsvc/x"]
    assert listing.skipped == (Skipped(".DSVC", "its name is reserved"),)


def test_pipes_and_sockets_are_skipped_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        listing = walk(tmp_path)
    assert listing.path.to_pylist() == ["a"]
    assert listing.skipped == (
        Skipped("pipe", "it is a named pipe"),
        Skipped("socket", "it is a socket"),
    )


@pytest.mark.parametrize("folder", [False, True])
def test_names_that_are_not_utf_8_are_left_out_and_named(tmp_path: Path, folder: bool) -> None:
    put(tmp_path, "sub/fine", "sub/zebra", "sub/\u00e4")
    place = os.fsencode(tmp_path) + b"/sub/caf\xe9"
    if folder:
        os.mkdir(place)  # noqa: PTH102
    else:
        os.close(os.open(place, os.O_CREAT))

    listing = walk(tmp_path)

    assert listing.path.to_pylist() == ["sub/fine", "sub/zebra", "sub/\u00e4"]
    sizes = [len(path.encode()) for path in listing.path.to_pylist()]
    assert listing.size.tolist() == sizes
    ((path, reason),) = listing.skipped
    assert path == "sub/caf\\xe9"
    assert "not valid UTF-8" in reason
    assert ".dsvcignore" in reason


def test_names_that_are_not_utf_8_can_be_ignored(tmp_path: Path) -> None:
    os.close(os.open(os.fsencode(tmp_path) + b"/caf\xe9", os.O_CREAT))
    (tmp_path / ".dsvcignore").write_bytes(b"caf\xe9\n")
    assert listed(tmp_path) == [".dsvcignore"]


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a", "closed/b")
    real = os.open

    def refuse(path: Any, *rest: Any, **named: Any) -> int:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnreadableFileError, match=r"closed' cannot be read: Permission denied"):
        walk(tmp_path)


def test_a_missing_workspace_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="gone"):
        walk(tmp_path / "gone")


def test_what_vanishes_meanwhile_was_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a", "b", "sub/c")
    real = os.scandir

    class Late:
        """Lists a folder whose contents go away between listing and looking."""

        def __init__(self, handle: int) -> None:
            self._entries = list(real(handle))

        def __enter__(self) -> Any:
            (tmp_path / "b").unlink(missing_ok=True)
            (tmp_path / "sub" / "c").unlink(missing_ok=True)
            (tmp_path / "sub").rmdir() if (tmp_path / "sub").exists() else None
            return iter(self._entries)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", Late)
    assert listed(tmp_path) == ["a"]


def test_only_what_is_selected_is_listed(tmp_path: Path) -> None:
    put(tmp_path, "a/b/c", "a/b/d", "a/e", "a-b", "f", "g/h")
    assert listed(tmp_path, "a/b", "f") == ["a/b/c", "a/b/d", "f"]
    assert listed(tmp_path, "a/e") == ["a/e"]
    assert listed(tmp_path, "nothing") == []
    assert walk(tmp_path, Selection(["a/e"])).folders == {"a"}


def test_rules_above_a_selected_folder_count(tmp_path: Path) -> None:
    put(tmp_path, "a/b/c.tmp", "a/b/d")
    (tmp_path / ".dsvcignore").write_text("*.tmp\n")
    assert listed(tmp_path, "a/b") == ["a/b/d"]


FAR_TIMES = [-(2**62), -1, 0, 1, 2**63 - 1, 2**63, 13_569_465_600 * 10**9 + 7, 2**64 - 1]


@pytest.mark.parametrize("time", FAR_TIMES)
def test_any_time_fits_into_a_row(time: int) -> None:
    row = as_int64(time)

    assert -(2**63) <= row < 2**63
    assert (row - time) % 2**64 == 0
    assert row == time or not -(2**63) <= time < 2**63


def test_files_of_any_time_are_listed(tmp_path: Path) -> None:
    put(tmp_path, "a", "b", "c", "d/e")
    (tmp_path / "l").symlink_to("a")
    times = {"a": 13_569_465_600, "c": -1, "l": 10_413_792_001, "d/e": 9_223_372_037, "d": 2**33}
    for path, seconds in times.items():
        try:
            os.utime(tmp_path / path, (0, seconds), follow_symlinks=False)
        except OverflowError:
            pytest.skip("this file system has no such times")

    listing = walk(tmp_path)

    assert listing.path.to_pylist() == ["a", "b", "c", "d/e", "l"]
    seen = [os.lstat(tmp_path / path).st_mtime_ns for path in listing.path.to_pylist()]
    assert listing.mtime_ns.tolist() == [as_int64(time) for time in seen]
    assert [row.mtime_ns for row in listed_at(listing, np.arange(5))] == listing.mtime_ns.tolist()
    for file in listed_at(listing, np.arange(5)):
        check_same(file, os.lstat(tmp_path / file.path))


def test_what_no_dataset_records_is_counted(tmp_path: Path) -> None:
    put(tmp_path, "a", "b", "c.tmp", "d/e", "f/g.tmp")
    for name in ("a", "c.tmp", "d/e"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "l").symlink_to("a")
    (tmp_path / "empty/also empty").mkdir(parents=True)
    (tmp_path / ".dsvcignore").write_text("*.tmp\n")

    assert walk(tmp_path).unrecorded == Unrecorded(executables=2, empty_folders=1)
