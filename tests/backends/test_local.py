from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest

import datasets_vc
from datasets_vc.backends import LocalBackend
from datasets_vc.errors import (
    ConflictError,
    DatasetError,
    LockedError,
    NotFoundError,
    UnreadableFileError,
)


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "store", create=True, lock_timeout=0.0)


def files(backend: LocalBackend) -> list[str]:
    return sorted(path.name for path in backend.folder.rglob("*") if path.is_file())


def test_the_order_of_a_durable_write(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.put("packs/a", b"")
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noting_sync(handle: int) -> None:
        is_folder = os.path.isdir(f"/proc/self/fd/{handle}")  # noqa: PTH112
        steps.append("fsync folder" if is_folder else "fsync file")
        sync(handle)

    def noting_replace(source: Path, target: Path) -> Path:
        steps.append(f"rename to {target.name}")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_sync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    backend.put("packs/b", b"data")
    expected = ["fsync file", "rename to b", "fsync folder"]
    if not Path("/proc/self/fd").is_dir():
        expected[2] = "fsync file"
    assert steps == expected


def test_durability_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_sync(handle: int) -> None:
        raise AssertionError(handle)

    monkeypatch.setattr(os, "fsync", no_sync)
    backend = LocalBackend(tmp_path, durable=False)
    backend.put("packs/a", b"data")
    assert backend.get("packs/a") == b"data"


def test_a_file_system_that_cannot_sync_folders(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def files_only(handle: int) -> None:
        if not os.lseek(handle, 0, os.SEEK_CUR):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", files_only)
    backend.put("packs/a", b"data")
    assert backend.get("packs/a") == b"data"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_object_and_no_temporary(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    backend.put("packs/a", b"old")

    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DatasetError, match="no space left on device") as caught:
            backend.put("packs/a", b"new")
    assert "run again" in caught.value.hint
    assert files(backend) == ["a"]
    assert backend.get("packs/a") == b"old"


def test_an_interrupted_write_leaves_no_temporary(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            backend.put("packs/a", b"data")
    assert files(backend) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_a_refused_write_becomes_a_sentence(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    monkeypatch.setattr(Path, "open", _refusal(number))
    with pytest.raises(DatasetError, match=words) as caught:
        backend.put("packs/a", b"data")
    assert str(backend.folder / "packs" / "a") in caught.value.message


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "permission denied"), (errno.EIO, os.strerror(errno.EIO))],
)
def test_a_refused_read_becomes_a_sentence(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    backend.put("packs/a", b"data")
    monkeypatch.setattr(os, "open", _refusal(number))
    with pytest.raises(UnreadableFileError, match=words) as caught:
        backend.get("packs/a")
    monkeypatch.undo()
    assert str(backend.folder / "packs" / "a") in caught.value.message


def _refusal(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_locked_root(backend: LocalBackend) -> None:
    backend.swap("root.json", b"1", None)
    other = filelock.FileLock(backend.folder / "root.json.lock", is_singleton=False)
    with other, pytest.raises(LockedError, match="locked by another process"):
        backend.swap("root.json", b"2", b"1")
    backend.swap("root.json", b"3", b"1")
    assert backend.get("root.json") == b"3"


def test_a_store_folder_that_vanished_is_not_made_again(backend: LocalBackend) -> None:
    backend.folder.rmdir()
    with pytest.raises(NotFoundError, match="no folder"):
        backend.put("packs/a", b"data")
    with pytest.raises(NotFoundError, match="no folder"):
        backend.swap("root.json", b"1", None)
    assert not backend.folder.exists()


def test_a_map_outlives_the_name(backend: LocalBackend) -> None:
    backend.put("packs/a", b"old")
    view = backend.map("packs/a")
    assert view is not None
    backend.put("packs/a", b"new!")
    assert bytes(view) == b"old"
    view.release()


def test_map_of_an_absent_object(backend: LocalBackend) -> None:
    with pytest.raises(NotFoundError):
        backend.map("packs/a")


def test_no_update_is_lost_between_processes(tmp_path: Path) -> None:
    LocalBackend(tmp_path).swap("root.json", b"0", None)
    source = str(Path(datasets_vc.__file__).parents[1])
    workers = [
        subprocess.Popen([sys.executable, "-c", INCREMENT, str(tmp_path)], cwd=source)
        for _ in range(2)
    ]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert LocalBackend(tmp_path).get("root.json") == b"40"


INCREMENT = """
import sys
from datasets_vc.backends.local import LocalBackend
from datasets_vc.errors import ConflictError

backend = LocalBackend(sys.argv[1])
done = 0
while done < 20:
    root = backend.read_root("root.json")
    try:
        backend.swap("root.json", b"%d" % (int(root.data) + 1), root.token)
    except ConflictError:
        continue
    done += 1
"""


def _stale(times: int, act: Callable[..., Any]) -> Callable[..., Any]:
    """`act`, but a network share has lost the file at first."""
    left = [times]

    def fail(*arguments: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return act(*arguments, **named)

    return fail


READS: dict[str, Callable[[LocalBackend], object]] = {
    "open": lambda backend: backend.get("packs/a"),
    "stat": lambda backend: backend.stat("packs/a").size,
    "scandir": lambda backend: [found.name for found in backend.list("packs/")],
    "map": lambda backend: bytes(backend.map("packs/a") or b""),
    "os.open": lambda backend: os.close(backend.open_local("packs/a") or -1),
}
PLACES = {"map": (os, "open"), "stat": (Path, "stat")}


@pytest.mark.parametrize("name", READS)
def test_a_stale_handle_is_opened_anew(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    backend.put("packs/a", b"data")
    healthy = READS[name](backend)
    place, attribute = PLACES.get(name, (os, name.removeprefix("os.")))
    act = getattr(place, attribute)
    with monkeypatch.context() as patch:
        patch.setattr(place, attribute, _stale(2, act))
        assert READS[name](backend) == healthy
    with monkeypatch.context() as patch:
        patch.setattr(place, attribute, _stale(99, act))
        with pytest.raises(UnreadableFileError, match="network share has lost it") as caught:
            READS[name](backend)
    assert "Mount" in caught.value.hint


def test_a_rename_whose_answer_was_lost_has_happened(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.replace

    def asked_twice(path: Path, target: Path) -> None:
        rename(path, target)
        rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", asked_twice)
        backend.put("packs/a", b"data")
        backend.swap("root.json", b"1", None)
    assert backend.get("packs/a") == b"data"
    assert backend.get("root.json") == b"1"


def test_a_rename_that_finds_nothing_has_not_happened(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.put("packs/a", b"old")

    def lose(path: Path, _: Path) -> None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lose)
        with pytest.raises(ConflictError):
            backend.put("packs/a", b"new")
    assert backend.get("packs/a") == b"old"


def test_a_share_without_locks_is_no_place_for_a_swap(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(DatasetError, match="share has no locks") as caught:
        backend.swap("root.json", b"1", None)
    assert "nolock" in caught.value.hint


def test_a_temporary_file_that_is_collected_while_it_is_written_is_a_conflict(
    tmp_path: Path,
) -> None:
    backend = LocalBackend(tmp_path)
    writer = backend.start("packs/")
    writer.write(b"half")
    (left,) = backend.leftovers("")
    assert left.name.startswith("packs/.tmp-")
    backend.delete(left.name)
    with pytest.raises(ConflictError):
        writer.finish("packs/a")
    writer.abort()
    assert list(backend.list("")) == list(backend.leftovers("")) == []
