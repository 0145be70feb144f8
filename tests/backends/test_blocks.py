"""Objects that share blocks with files: the same bytes, whether it can be done or not."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets_vc.backends import blocks, local
from datasets_vc.backends.local import LocalBackend
from datasets_vc.repository import Repository

MIB = 1 << 20


def write(backend: LocalBackend, source: Path, data: bytes, start: int, begins: int) -> bytes:
    """What an object holds after `begins` bytes and then bytes of a file, from `start` on."""
    writer = backend.start("packs/")
    writer.write(bytes(begins))
    with source.open("rb") as file:
        writer.write_from(file.fileno(), start, data[start:])
    writer.write(b"end")
    writer.finish("packs/a")
    return backend.get("packs/a")


@pytest.mark.parametrize("start", [0, 5, 4096, 5000])
@pytest.mark.parametrize("gap", [0, 4096, 1])
@pytest.mark.parametrize("clone", [None, True, False])
def test_an_object_has_the_bytes_that_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int, gap: int, clone: bool | None
) -> None:
    data = os.urandom(20_000)
    source = tmp_path / "source"
    source.write_bytes(data)

    def cloned(source: int, position: int, target: int, offset: int, length: int) -> bool:
        assert position % blocks.BLOCK == offset % blocks.BLOCK == length % blocks.BLOCK == 0
        os.pwrite(target, os.pread(source, length, position), offset)
        return bool(clone)

    if clone is not None:
        monkeypatch.setattr(local, "clone_range", cloned)
    backend = LocalBackend(tmp_path / "store", create=True)
    found = write(backend, source, data, start, start + gap)
    assert found == bytes(start + gap) + data[start:] + b"end"


def test_a_file_that_changed_since_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cloned(source: int, position: int, target: int, offset: int, length: int) -> bool:
        os.pwrite(target, os.pread(source, length, position), offset)
        return True

    monkeypatch.setattr(local, "clone_range", cloned)
    source = tmp_path / "source"
    source.write_bytes(bytes(20_000))
    backend = LocalBackend(tmp_path / "store", create=True)
    data = os.urandom(20_000)
    assert write(backend, source, data, 0, 0) == data + b"end"


@pytest.fixture(params=["xfs", "btrfs"])
def sharing_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that can share blocks, in an image of its own."""
    make = shutil.which(f"mkfs.{request.param}")
    if not make or os.geteuid():
        pytest.skip(f"needs mkfs.{request.param} and leave to mount")
    image, folder = tmp_path / "image", tmp_path / "mounted"
    image.touch()
    os.truncate(image, 400 * MIB)
    subprocess.run([make, "-q", image], check=True, capture_output=True)
    folder.mkdir()
    if subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True).returncode:
        pytest.skip("images cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_commit_of_large_files_needs_no_room(sharing_folder: Path) -> None:
    work = sharing_folder / "work"
    repository = Repository.init(work)
    for name in ("a", "b"):
        (work / name).write_bytes(os.urandom(40 * MIB + 123))
    before = _used(sharing_folder)
    repository.commit("two", author="somebody")
    assert _used(sharing_folder) - before < 4 * MIB
    for name in ("a", "b"):
        digest = repository.snapshot().entries(name).column("digest")[0].as_py()
        assert bytes(repository.store.read_file(digest)) == (work / name).read_bytes()


def test_a_checkout_of_large_files_needs_no_room(sharing_folder: Path) -> None:
    work = sharing_folder / "work"
    repository = Repository.init(work)
    contents = {name: os.urandom(70 * MIB + 123) for name in ("a", "b")}
    for name, data in contents.items():
        (work / name).write_bytes(data)
    repository.commit("two", author="somebody")
    for name in contents:
        (work / name).unlink()
    before = _used(sharing_folder)
    repository.restore(["."])
    assert _used(sharing_folder) - before < 4 * MIB
    for name, data in contents.items():
        assert (work / name).read_bytes() == data
    with (work / "a").open("r+b") as file:
        file.write(b"edited")
    assert (
        bytes(repository.store.read_file(repository.ls("HEAD", "a")["digest"][0].as_py()))
        == (contents["a"])
    )


def _used(folder: Path) -> int:
    os.sync()
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize
