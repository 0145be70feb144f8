"""Files that are replaced and folders that are made for good."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from datasets_vc.durable import make_folders, replace_file


def test_replacing_a_file_leaves_no_temporary(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"1")
    replace_file(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"2"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failed_replacement_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file(tmp_path / "a", b"1")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        replace_file(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"1"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot fsync folders")
def test_names_are_made_to_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, bool]] = []
    fsync = os.fsync

    def note(handle: int) -> None:
        status = os.fstat(handle)
        synced.append((status.st_ino, stat.S_ISDIR(status.st_mode)))
        fsync(handle)

    monkeypatch.setattr("os.fsync", note)
    make_folders(tmp_path / "a" / "b")
    replace_file(tmp_path / "a" / "b" / "c", b"1")

    folders = [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert [number for number, is_folder in synced if is_folder] == [
        path.stat().st_ino for path in folders
    ]
    assert [is_folder for _, is_folder in synced] == [True, True, False, True]
