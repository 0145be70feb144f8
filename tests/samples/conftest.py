"""Snapshots of small datasets in local stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from datasets_vc import Snapshot
from datasets_vc.backends import open_backend
from datasets_vc.format.entries import FILE, SYMLINK, Entry, entry_table
from datasets_vc.history.manifest import write_manifest
from datasets_vc.store import Store

MakeSnapshot = Callable[..., Snapshot]


@pytest.fixture
def make_snapshot(tmp_path: Path) -> MakeSnapshot:
    """A snapshot of files by path, and of links by path, in a local store."""

    def make(files: Mapping[str, bytes], links: Mapping[str, bytes] | None = None) -> Snapshot:
        store = Store.create(open_backend(str(tmp_path / "store"), create=True))
        with store.writer() as writer:
            entries = [
                Entry(path, FILE, len(data), writer.add_file(data)) for path, data in files.items()
            ]
            entries += [
                Entry(path, SYMLINK, len(target), writer.add_meta(target))
                for path, target in (links or {}).items()
            ]
            dataset = write_manifest(writer, entry_table(entries))
            store.publish(writer.finish(), lambda root: root)
        return Snapshot(store.url, dataset.hex())

    return make
