"""Files that change, vanish or cannot be read while they are committed: told, and not recorded."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets_vc.cli.failure import exit_code_of
from datasets_vc.errors import UnreadableFileError
from datasets_vc.repository import Repository
from datasets_vc.workspace import reading
from tests.integration.trees import AUTHOR, committed_tree, tree_of

SMALL = b"s" * 1000
LARGE = b"l" * (9 << 20)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _shrink(path: Path) -> None:
    os.truncate(path, 10)


def _rewrite(path: Path) -> None:
    """The same size: only the times tell."""
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(1, 1))


def _replace(path: Path) -> None:
    other = path.with_name("other-file")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def _refuse(path: Path) -> None:
    """Permissions do not bind whoever runs tests as root: the disk fails instead."""
    raise OSError(errno.EIO, "Input/output error")


HARM = {
    "grew": _grow,
    "shrank": _shrink,
    "was changed": _rewrite,
    "changed or replaced": _replace,
    "vanished": Path.unlink,
    "Input/output error": _refuse,
}


@pytest.mark.parametrize("word", HARM)
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("moment", ["before it is opened", "while it is read"])
def test_nothing_torn_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, data: bytes, moment: str
) -> None:
    repository = Repository.init(tmp_path)
    (tmp_path / "first").write_bytes(b"first")
    first = repository.commit("first", author=AUTHOR)
    for name in ("a", "z"):
        (tmp_path / name).write_bytes(b"sound" * 100)
    victim = tmp_path / "victim"
    victim.write_bytes(data)
    with monkeypatch.context() as patch:
        _harm_once(patch, victim, HARM[word], early=moment == "before it is opened")
        with pytest.raises(UnreadableFileError) as caught:
            repository.commit("second", author=AUTHOR)

    message = caught.value.message
    assert "'victim'" in message
    # An open file does not know what took its name, only that it has none.
    assert word in message or ("replaced" in word and "vanished" in message)
    assert caught.value.hint
    assert exit_code_of(caught.value) == 1
    again = Repository.open(tmp_path)
    assert again.head.commit == first.commit
    assert committed_tree(again) == {"first": (0, b"first")}
    assert len(list(again.log())) == 1

    again.commit("second", author=AUTHOR)
    assert committed_tree(again) == tree_of(tmp_path)


def _harm_once(
    patch: pytest.MonkeyPatch, victim: Path, harm: Callable[[Path], None], *, early: bool
) -> None:
    done: list[bool] = []

    def strike(name: str) -> None:
        if name == victim.name and not done:
            done.append(True)
            harm(victim)

    if early:
        opening = os.open

        def open_(path: object, *arguments: object, **options: object) -> int:
            strike(Path(os.fsdecode(path)).name if not isinstance(path, int) else "")
            return opening(path, *arguments, **options)

        patch.setattr(reading.os, "open", open_)
        return
    inode = victim.stat().st_ino
    reading_ = os.read

    def read(handle: int, size: int) -> bytes:
        piece = reading_(handle, size)
        if os.fstat(handle).st_ino == inode:
            strike(victim.name)
        return piece

    patch.setattr(reading.os, "read", read)
