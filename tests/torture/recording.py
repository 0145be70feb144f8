"""What a command does to the disk, call by call: a power loss at any moment can be replayed.

A log is a list of events in the order of the calls. Files have numbers: a file that is renamed or
linked is the same file, and another one of the same name is not.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.calls import Call, watched


@dataclass(frozen=True, slots=True)
class Event:
    """One change.

    Attributes:
        name: "content" (what a file holds by now, if it has changed), or that of a call: "create",
            "fsync", "fsync folder", "rename", "unlink", "rmdir", "mkdir", "symlink" or "link".
        path: below the folder; of a renaming or link, the new name.
        source: the old name, or what a symbolic link names.
        file: the number of the file; -1 of a folder.
        content: the digest of its bytes, in `Log.contents`.
    """

    name: str
    path: str = ""
    source: str = ""
    file: int = -1
    content: int = 0


@dataclass
class Log:
    """Events, the bytes that files held, and the files that were there before."""

    events: list[Event] = field(default_factory=list)
    contents: dict[int, bytes] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)


@contextmanager
def recorded(folder: Path, out: Path) -> Iterator[None]:
    """Record all changes below `folder`; the log is written to `out` at the end."""
    recorder = _Recorder(folder)
    with watched(f"{folder}/", recorder.before, recorder.after):
        yield
    recorder.look()
    with out.open("wb") as file:
        pickle.dump(recorder.log, file)


class _Recorder:
    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}/"
        self.log = Log()
        self._names: dict[str, int] = {}
        self._dirty: set[int] = set()
        for top, _, names in os.walk(folder):
            for name in names:
                path = self._below(f"{top}/{name}")
                self._names[path] = len(self._names)
        self.log.files = dict(self._names)
        self._count = len(self._names)

    def before(self, call: Call) -> None:
        if call.name not in {"write", "truncate", "open"}:
            self.look()

    def after(self, call: Call) -> None:
        if call.name == "open":
            return
        path, source = self._below(call.path), self._below(call.source)
        if call.name in {"write", "truncate"}:
            self._dirty.add(self._names[path])
            return
        if call.name == "fsync" and path not in self._names:
            self.log.events.append(Event("fsync folder", path))
            return
        if call.name == "create" and path in self._names:
            self._dirty.add(self._names[path])  # it was emptied
            return
        self._rename(call.name, path, source)
        self.log.events.append(Event(call.name, path, source, self._names.get(path, -1)))
        if call.name == "unlink":
            self._names.pop(path, None)

    def look(self) -> None:
        """Note what those files hold that were written to since."""
        names = {number: path for path, number in self._names.items()}
        for number in self._dirty & names.keys():
            data = Path(self._folder + names[number]).read_bytes()
            content = hash(data)
            self.log.contents[content] = data
            self.log.events.append(Event("content", file=number, content=content))
        self._dirty.clear()

    def _rename(self, name: str, path: str, source: str) -> None:
        if name == "create" or name == "symlink":
            self._names[path] = self._count
            self._count += 1
        elif name == "link":
            self._names[path] = self._names[source]
        elif name == "rename":
            moved = {
                each for each in self._names if each == source or each.startswith(f"{source}/")
            }
            for each in moved:
                self._names[path + each.removeprefix(source)] = self._names.pop(each)

    def _below(self, path: str) -> str:
        return path.removeprefix(self._folder).rstrip("/")
