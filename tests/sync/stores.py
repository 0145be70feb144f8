"""Stores with histories, and remotes that count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from datasets_vc.backends import Backend, CountingBackend
from datasets_vc.digest import Digest
from datasets_vc.format.commit import Commit, encode_commit
from datasets_vc.format.entries import FILE, Entry, entry_table
from datasets_vc.history.commits import read_commit
from datasets_vc.history.manifest import Manifest, write_manifest
from datasets_vc.store import Store
from datasets_vc.sync.fetch import fetch_dataset, fetch_history, update_tracking
from datasets_vc.sync.transfer import Moved
from tests.store.memory import MemoryBackend

START = datetime(2026, 11, 1, tzinfo=UTC)
Files = Mapping[str, bytes]


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.Generator(np.random.PCG64(seed)).bytes(size)


def new_store() -> Store:
    return Store.create(MemoryBackend())


def commit(
    store: Store, files: Files, parents: Sequence[Digest] = (), branch: str = "main", step: int = 0
) -> Digest:
    """Record files as a commit; let a branch name it."""
    writer = store.writer()
    entries = [Entry(path, FILE, len(data), writer.add_file(data)) for path, data in files.items()]
    dataset = write_manifest(writer, entry_table(entries))
    new = Commit(dataset, tuple(parents), "Ada", START + timedelta(seconds=step), f"step {step}")
    digest = writer.add_meta(encode_commit(new))
    store.publish(
        writer.finish(), lambda root: replace(root, branches={**root.branches, branch: digest})
    )
    return digest


def tag(store: Store, name: str, digest: Digest) -> None:
    store.swap_root(lambda root: replace(root, tags={**root.tags, name: digest}))


def contents(store: Store, tip: Digest) -> dict[str, bytes]:
    """All files of a commit, read in full."""
    table = Manifest(store, read_commit(store, tip).dataset).entries()
    digests = [Digest(digest) for digest in table.column("digest").to_pylist()]
    files = [bytes(data) for data in store.read_files(digests)]
    return dict(zip(table.column("path").to_pylist(), files, strict=True))


@dataclass(frozen=True)
class Link:
    """A remote as one machine sees it, and what went over the wire."""

    store: Store
    backend: CountingBackend


def link(remote: Backend, local: Store) -> Link:
    """Connect anew, as every command does."""
    backend = CountingBackend(_Unmapped(remote))
    return Link(Store(backend, local.backend), backend)


def pull(local: Store, remote: Store, branch: str = "main", name: str = "origin") -> Moved:
    """Fetch as the repository does: history, tags, the newest dataset."""
    root = remote.refresh()
    tip = root.branches[branch]
    moved = fetch_history(local, remote, [tip, *root.tags.values()])
    moved += fetch_dataset(local, remote, read_commit(local, tip).dataset)
    update_tracking(local, name, root)
    local.swap_root(lambda old: replace(old, branches={**old.branches, branch: tip}))
    return moved


class _Unmapped(CountingBackend):
    """A remote is never mapped."""

    def map(self, name: str) -> memoryview | None:
        del name
        return None
