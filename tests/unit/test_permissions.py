from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets_vc.backends import LocalBackend, open_backend
from datasets_vc.errors import DatasetError, InvalidInputError
from datasets_vc.permissions import lock_file, owner_of, permissions_in, share

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")


@pytest.fixture(autouse=True, params=[0o022, 0o077, 0o000], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def modes(folder: Path) -> set[tuple[str, int]]:
    """The modes of everything in a folder, by kind."""
    kinds = {True: "folder", False: "file"}
    return {(kinds[path.is_dir()], mode(path)) for path in folder.rglob("*")}


def write_all_kinds(backend: LocalBackend) -> Iterator[Path]:
    """What verbs make in a store, each while it is there."""
    backend.put("root.json", b"1")
    backend.put("packs/a.damaged", b"")
    writer = backend.start("packs/")
    yield from backend.folder.rglob(".tmp-*")
    writer.write(b"data")
    writer.finish("packs/a")
    with backend.exclusive("packs/b") as mine:
        assert mine
        yield backend.folder / "packs" / "b.lock"
    with (backend.folder / "packs" / "a").open("rb") as file:
        backend.put_from("runs/1/head.json", file)
    backend.swap("root.json", b"2", b"1")
    yield from backend.folder.rglob("*")


@pytest.mark.parametrize(("sharing", "others"), [("group", 0), ("all", 0o5)])
def test_everything_in_a_shared_folder_is_for_its_group(
    tmp_path: Path, umask: int, sharing: str, others: int
) -> None:
    folder = tmp_path / "store"
    backend = open_backend(str(folder), create=True, shared=sharing)  # type: ignore[arg-type]
    assert isinstance(backend, LocalBackend)
    if umask != 0o077:
        others = 0o5  # as git's: what the umask lets others do is not taken away
    assert mode(folder) == 0o2770 | others
    found = list(write_all_kinds(backend))
    assert len(found) > 8
    for path in found:
        if path.is_dir():
            assert mode(path) == 0o2770 | others
        elif path.name.endswith(".lock"):
            assert not path.exists() or mode(path) == 0o660
        elif path.exists():
            assert mode(path) == 0o660 | others & 0o4


def test_without_being_shared_the_umask_decides_of_all_but_locks(
    tmp_path: Path, umask: int
) -> None:
    backend = LocalBackend(tmp_path / "store", create=True)
    for path in write_all_kinds(backend):
        if path.name.endswith(".lock"):
            writable = 0o666 if umask == 0 else 0o600
            assert not path.exists() or mode(path) == writable
        elif path.exists():
            assert mode(path) == (0o777 if path.is_dir() else 0o666) & ~umask


def test_a_store_that_is_there_becomes_shared_and_is_mended_by_it(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "store", create=True)
    list(write_all_kinds(backend))
    backend.folder.chmod(0o1757)
    link = backend.folder / "packs" / "link"
    link.symlink_to(tmp_path / "elsewhere")
    share(backend.folder, "group")
    assert mode(backend.folder) == 0o2775
    link.unlink()
    (backend.folder / "packs").chmod(0o700)  # as if made by somebody who was cut short
    share(backend.folder, "all")
    assert modes(backend.folder) == {("folder", 0o2775), ("file", 0o664), ("file", 0o660)}
    assert mode(backend.folder / "root.json.lock") == 0o660


def test_what_an_administrator_has_shared_by_hand_is_shared(tmp_path: Path) -> None:
    tmp_path.chmod(0o2750)
    assert permissions_in(tmp_path) is None
    tmp_path.chmod(0o775)
    assert permissions_in(tmp_path) is None
    tmp_path.chmod(0o2777)
    permissions = permissions_in(tmp_path)
    assert permissions
    assert (permissions.files, permissions.folders) == (0o664, 0o2775)


def test_a_refused_change_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(os, "chmod", refuse)
    tmp_path.rmdir()
    tmp_path.mkdir(0o700)
    with pytest.raises(DatasetError, match="cannot be shared: Operation not permitted"):
        share(tmp_path, "group")


def test_a_file_system_that_forgets_the_bit_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "chmod", lambda *_: None)
    with pytest.raises(DatasetError, match="not in its group"):
        share(tmp_path, "group")


def test_only_a_folder_can_be_shared(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="'s3://bucket/signs' is no folder"):
        open_backend("s3://bucket/signs", shared="group")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("folder", "lock"), [(0o755, 0o600), (0o775, 0o660), (0o2770, 0o660), (0o1777, 0o666)]
)
def test_those_hold_a_lock_who_may_write_to_its_folder(
    tmp_path: Path, folder: int, lock: int
) -> None:
    tmp_path.chmod(folder)
    path = tmp_path / "lock"
    with lock_file(path, 0) as mine:
        assert mine
        assert mode(path) == lock
    with lock_file(path, 0) as mine:
        assert mode(path) == lock
    assert path.exists()


def test_a_lock_file_that_readers_could_open_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    tmp_path.chmod(0o755)
    path.chmod(0o644)
    with path.open("rb") as opened:  # by somebody who may only read
        with lock_file(path, 0) as mine:
            assert mine
            assert mode(path) == 0o600
        with lock_file(path, 0) as mine:
            assert mine
            assert os.fstat(opened.fileno()).st_ino != path.stat().st_ino


def test_a_lock_file_that_lacks_rights_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    path.chmod(0o600)
    tmp_path.chmod(0o2775)
    with lock_file(path, 0) as mine:
        assert mine
    assert mode(path) == 0o660


def test_whose_a_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert owner_of(tmp_path) == ""
    assert owner_of(tmp_path / "nothing") == ""
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert owner_of(tmp_path)
