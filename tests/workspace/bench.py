"""A workspace over a real store, handled as a user does, and looked at without our own code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from datasets_vc.backends.local import LocalBackend
from datasets_vc.digest import digest_of
from datasets_vc.format.columns import whole_column
from datasets_vc.format.entries import ENTRY_SCHEMA, FILE, SYMLINK, Entry, entry_table
from datasets_vc.store.store import Store
from datasets_vc.workspace import CheckedOut, Ingested, Workspace
from datasets_vc.workspace.part import Part

Tree = dict[str, tuple[int, bytes]]
"""Path -> (kind, bytes of the file or of the link's target)."""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = Workspace.create(folder, "main")
        backend = LocalBackend(folder / ".dsvc" / "store", create=True, durable=False)
        self.store = Store.create(backend)
        self.version = ENTRY_SCHEMA.empty_table()

    def put(self, path: str, data: bytes = b"") -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def link(self, path: str, target: str) -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
        return place

    def ingest(self, paths: Sequence[str] = ()) -> Ingested:
        with self.store.writer() as writer:
            result = self.workspace.ingest(self.version, writer, paths)
            self.store.publish(writer.finish())
        return result

    def commit(self, paths: Sequence[str] = ()) -> pa.Table:
        self.version = self.ingest(paths).entries
        return self.version

    def status(self, paths: Sequence[str] = ()) -> tuple[list[str], list[str], list[str]]:
        changes = self.workspace.status(self.version, paths)
        return changes.added, changes.modified, changes.deleted

    def checkout(
        self,
        target: pa.Table,
        paths: Sequence[str] = (),
        *,
        part: Part | None = None,
        force: bool = False,
    ) -> CheckedOut:
        result = self.workspace.checkout(
            lambda: (self.version, target),
            self.store,
            lambda: whole_column(target, "path"),
            paths,
            part=part,
            force=force,
        )
        if not paths:
            self.version = target
        return result

    def tree(self) -> Tree:
        return tree_of(self.folder)


CLEAN: tuple[list[str], list[str], list[str]] = ([], [], [])


def tree_of(folder: Path) -> Tree:
    found: Tree = {}
    for place, folders, files in os.walk(folder):
        if Path(place) == folder:
            folders.remove(".dsvc")
        for name in (*files, *folders):
            path = Path(place) / name
            key = str(path.relative_to(folder))
            if path.is_symlink():
                found[key] = (SYMLINK, os.readlink(path).encode())  # noqa: PTH115 - as it is
            elif path.is_file():
                found[key] = (FILE, path.read_bytes())
    return found


def table_from(tree: Tree) -> pa.Table:
    return entry_table(
        Entry(path, kind, len(data), digest_of(data)) for path, (kind, data) in tree.items()
    )


def changes_between(version: pa.Table, tree: Tree) -> tuple[list[str], list[str], list[str]]:
    """What `Workspace.status` should say, by comparing everything."""
    old = {row["path"]: row for row in version.to_pylist()}
    new = {row["path"]: row for row in table_from(tree).to_pylist()}
    return (
        sorted(new.keys() - old.keys()),
        sorted(path for path in new.keys() & old.keys() if new[path] != old[path]),
        sorted(old.keys() - new.keys()),
    )
