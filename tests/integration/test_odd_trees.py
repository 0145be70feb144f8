"""Wide folders, sparse and read-only files, there and back; names are in `test_odd_names`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datasets_vc.repository import Repository
from tests.integration.trees import AUTHOR, tree_of

MIB = 1 << 20


def goes_there_and_back(work: Path) -> Repository:
    """Commit what lies in a folder, remove it all, and bring it back."""
    repository = Repository.init(work)
    before = tree_of(work)
    made = repository.commit("all", author=AUTHOR)
    assert made.files == len(before)
    for path in before:
        (work / path).unlink()
    assert len(repository.status().deleted) == len(before)
    repository.restore(["."])
    assert tree_of(work) == before
    assert repository.status().clean
    return repository


def test_read_only_files(tmp_path: Path) -> None:
    for number in range(3):
        file = tmp_path / f"{number}"
        file.write_bytes(b"%d" % number)
        file.chmod(0o444)
    goes_there_and_back(tmp_path)


@pytest.mark.parametrize("count", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_many_files_in_one_folder(tmp_path: Path, count: int) -> None:
    (tmp_path / "one").mkdir()
    for number in range(count):
        handle = os.open(tmp_path / "one" / f"{number}", os.O_WRONLY | os.O_CREAT)
        os.write(handle, b"%d" % (number % 1000))
        os.close(handle)
    goes_there_and_back(tmp_path)


@pytest.mark.parametrize(
    "size", [64 * MIB, pytest.param(5 << 30, marks=pytest.mark.slow, id="5 GiB")]
)
def test_a_sparse_file(tmp_path: Path, size: int) -> None:
    work = tmp_path / "work"
    repository = Repository.init(work)
    file = work / "sparse"
    with file.open("wb") as sparse:
        sparse.truncate(size)
        sparse.seek(size // 2)
        sparse.write(b"in the middle")
    made = repository.commit("sparse", author=AUTHOR)
    assert (made.bytes, made.bytes_written < MIB) == (size, True)
    file.unlink()
    repository.restore(["sparse"])
    assert repository.status().clean
    assert file.stat().st_size == size
    with file.open("rb") as back:
        back.seek(size // 2 - 3)
        assert back.read(19) == bytes(3) + b"in the middle" + bytes(3)
