"""Bytes in memory as a file, and maps that are given back while they are read."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from datasets_vc.memory import ViewFile, map_file, windows

PARTS = (b"", b"0123", bytearray(b"456"), memoryview(b"789"), b"")


def test_parts_read_as_one_file() -> None:
    whole, file = io.BytesIO(b"".join(PARTS)), ViewFile(*PARTS)
    assert (file.seek(0, os.SEEK_END), file.read(3)) == (10, b"")
    for start in range(12):
        for size in (-1, 0, 1, 4, 20):
            assert (file.seek(start), whole.seek(start)) == (start, start)
            assert file.read(size) == whole.read(size)
            assert file.tell() == whole.tell()
    assert ViewFile().read() == b""
    file.seek(2)
    assert io.BufferedReader(file).read(5) == b"23456"


def test_what_is_read_again_is_not_told_again() -> None:
    told: list[int] = []
    file = ViewFile(b"0123456789", told=told.append)
    file.read(4)
    file.seek(0)
    file.read(6)
    file.seek(0)
    file.read()
    file.seek(20)
    file.read()
    assert told == [4, 2, 4]


@pytest.mark.parametrize("size", [1, 4096, 1 << 20])
def test_windows_of_a_map_are_all_of_it(tmp_path: Path, size: int) -> None:
    data = os.urandom(10_000)
    (tmp_path / "a").write_bytes(data)
    with (tmp_path / "a").open("rb") as file:
        view = map_file(file)
    assert b"".join(map(bytes, windows(view, size))) == data
    assert bytes(view) == data
    assert list(windows(b"")) == []
