"""Paths as long as the system takes, and longer ones."""

from __future__ import annotations

import os

import pytest

from datasets_vc.errors import InvalidInputError, UnreadableFileError
from datasets_vc.format.entries import FILE
from tests.workspace.bench import CLEAN, Bench, table_from


def deep(bench: Bench, whole: int) -> str:
    """A path that is so many bytes long with that of the workspace."""
    left = whole - len(os.fsencode(bench.folder)) - 1
    parts = []
    while left > 201:
        parts.append("d" * 200)
        left -= 201
    return "/".join([*parts, "f" * left])


def test_a_path_as_long_as_the_system_takes_comes_back(bench: Bench) -> None:
    path = deep(bench, 4095)
    folder = os.open(bench.folder, os.O_RDONLY)
    for name in path.split("/")[:-1]:
        os.mkdir(name, dir_fd=folder)
        folder = os.open(name, os.O_RDONLY, dir_fd=folder)
    with open(f"{bench.folder}/{path}", "wb") as file:  # noqa: PTH123
        file.write(b"deep")
    first = bench.commit()
    os.unlink(f"{bench.folder}/{path}")  # noqa: PTH108
    os.removedirs(f"{bench.folder}/{path}".rpartition("/")[0])
    bench.put("keep")
    bench.commit()

    bench.checkout(first)

    assert bench.status() == (["keep"], [], []) or bench.status() == CLEAN
    assert os.stat(f"{bench.folder}/{path}").st_size == 4  # noqa: PTH116


@pytest.mark.parametrize("part", ["whole", "name"])
def test_a_longer_one_is_refused_before_anything_is_written(bench: Bench, part: str) -> None:
    path = deep(bench, 4096) if part == "whole" else "n" * 256
    target = table_from({"a": (FILE, b""), path: (FILE, b"1")})

    with pytest.raises(InvalidInputError, match="cannot be written here") as caught:
        bench.checkout(target)

    assert "--only" in caught.value.hint
    assert bench.tree() == {}


def test_a_folder_that_is_too_deep_is_told_with_what_helps(bench: Bench) -> None:
    folder = os.open(bench.folder, os.O_RDONLY)
    for _ in range(22):
        os.mkdir("d" * 200, dir_fd=folder)
        folder = os.open("d" * 200, os.O_RDONLY, dir_fd=folder)

    with pytest.raises(UnreadableFileError) as caught:
        bench.status()

    assert "nearer to the root" in caught.value.hint
