"""Every call by which this process changes files below a folder goes by a watcher first.

Watched are the functions of `os` and what `open` returns: our code, pathlib, shutil and pyarrow,
which writes to file objects of ours, have no other way to change anything. A watcher may look,
raise, or end the process; it may also ask that only the first bytes of a write be written.
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

_NEW = os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, slots=True)
class Call:
    """One call that is about to be made.

    Attributes:
        name: "open" (to read), "create" (an open that makes or empties a file), "write", "fsync",
            "rename", "unlink", "rmdir", "mkdir", "symlink", "link" or "truncate".
        path: what it changes; of a renaming or link, the new name.
        source: the old name.
        size: of a write, in bytes.
    """

    name: str
    path: str
    source: str = ""
    size: int = 0


Watcher = Callable[[Call], int | None]
"""What it returns of a write is the number of bytes to write; None is all of them."""

After = Callable[[Call], None]


def ignore(_: Call) -> None:
    """An `After` that does nothing."""


@contextmanager
def watched(below: str, watcher: Watcher, after: After = ignore) -> Iterator[None]:
    """Let `watcher` see each call before it is made, and `after` once it has succeeded."""
    with ExitStack() as stack:
        _Watch(below, watcher, after).install(stack)
        yield


class _Watch:
    def __init__(self, below: str, watcher: Watcher, after: After) -> None:
        self._below = below
        self._watcher = watcher
        self._after = after
        self._paths: dict[int, str] = {}
        self._open = io.open

    def install(self, stack: ExitStack) -> None:
        replaced = {
            "open": self._os_open,
            "close": self._os_close,
            "write": partial(self._on_handle, "write", os.write),
            "pwrite": partial(self._on_handle, "write", os.pwrite),
            "fsync": partial(self._on_handle, "fsync", os.fsync),
            "ftruncate": partial(self._on_handle, "truncate", os.ftruncate),
            "unlink": partial(self._on_path, "unlink", os.unlink),
            "remove": partial(self._on_path, "unlink", os.remove),
            "rmdir": partial(self._on_path, "rmdir", os.rmdir),
            "mkdir": partial(self._on_path, "mkdir", os.mkdir),
            "rename": partial(self._on_two, "rename", os.rename),
            "replace": partial(self._on_two, "rename", os.replace),
            "link": partial(self._on_two, "link", os.link),
            "symlink": partial(self._on_two, "symlink", os.symlink),
        }
        for name, stand_in in replaced.items():
            stack.enter_context(patch.object(os, name, stand_in))
        # Sharing blocks of files is another way to write; without it bytes are written.
        stack.enter_context(patch.object(os, "copy_file_range", _unsupported, create=True))
        for module in (io, builtins):
            stack.enter_context(patch.object(module, "open", self._io_open))

    def ask(self, call: Call) -> int | None:
        return self._watcher(call) if call.path.startswith(self._below) else None

    def tell(self, call: Call) -> None:
        if call.path.startswith(self._below):
            self._after(call)

    def forget(self, handle: int) -> None:
        self._paths.pop(handle, None)

    def _path(self, path: Any, dir_fd: int | None = None) -> str:
        if isinstance(path, int):
            return self._paths.get(path, "")
        name = os.fsdecode(path)
        folder = self._paths.get(dir_fd, "") if dir_fd is not None else ""
        return os.path.abspath(f"{folder}/{name}" if folder else name)  # noqa: PTH100

    def _os_open(self, path: Any, flags: int, *rest: Any, **named: Any) -> int:
        name = "create" if flags & _NEW else "open"
        call = Call(name, self._path(path, named.get("dir_fd")))
        self.ask(call)
        handle: int = _OPEN(path, flags, *rest, **named)
        self._paths[handle] = call.path
        self.tell(call)
        return handle

    def _os_close(self, handle: int) -> None:
        self.forget(handle)
        _CLOSE(handle)

    def _on_handle(self, name: str, act: Callable[..., Any], handle: int, *rest: Any) -> Any:
        path = self._paths.get(handle, "")
        size = len(rest[0]) if name == "write" else 0
        call = Call(name, path, size=size)
        limit = self.ask(call)
        if limit is not None:
            rest = (rest[0][:limit], *rest[1:])
        done = act(handle, *rest)
        self.tell(call)
        return done

    def _on_path(
        self, name: str, act: Callable[..., Any], path: Any, *rest: Any, **named: Any
    ) -> None:
        call = Call(name, self._path(path, named.get("dir_fd")))
        self.ask(call)
        act(path, *rest, **named)
        self.tell(call)

    def _on_two(self, name: str, act: Callable[..., Any], old: Any, new: Any, **named: Any) -> None:
        source = os.fsdecode(old) if name == "symlink" else self._path(old)
        call = Call(name, self._path(new), source)
        self.ask(call)
        act(old, new, **named)
        self.tell(call)

    def _io_open(
        self, file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any
    ) -> Any:
        if isinstance(file, int) or not set(mode) & set("wax+"):
            if not isinstance(file, int):
                self.ask(Call("open", self._path(file)))
            opened: Any = self._open(file, mode, buffering, *rest, **named)
            return opened
        call = Call("create", self._path(file))
        makes = "r" not in mode
        if makes:
            self.ask(call)
        raw = _File(file, mode.replace("b", "").replace("t", ""))
        raw.watch = self
        raw.path = call.path
        self._paths[raw.fileno()] = call.path
        if makes:
            self.tell(call)
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **named)


class _File(io.FileIO):
    """A file whose writes are watched."""

    watch: _Watch
    path: str

    def close(self) -> None:
        if not self.closed:
            self.watch.forget(self.fileno())
        super().close()

    def write(self, data: Any) -> int:
        call = Call("write", self.path, size=memoryview(data).nbytes)
        limit = self.watch.ask(call)
        written = super().write(data if limit is None else memoryview(data).cast("B")[:limit])
        self.watch.tell(call)
        return written


def _unsupported(*_: object) -> int:
    raise OSError(38, os.strerror(38))


_OPEN = os.open
_CLOSE = os.close


def spell(call: Call, below: Path) -> str:
    """A call in words, with names from `below`."""
    names = [
        str(Path(name).relative_to(below))
        for name in (call.source, call.path)
        if name.startswith(str(below))
    ]
    return f"{call.name} {' -> '.join(names)}"
