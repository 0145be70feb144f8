"""Bring the files that changed into a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from datasets_vc.digest import Buffer, Digest
from datasets_vc.format.entries import SYMLINK
from datasets_vc.progress import SILENT, Progress
from datasets_vc.workspace.ahead import LARGE, ahead, batches
from datasets_vc.workspace.links import check_link
from datasets_vc.workspace.listing import Skipped
from datasets_vc.workspace.reading import (
    Listed,
    OpenFile,
    listed_at,
    read_whole,
)
from datasets_vc.workspace.status import Comparison


class FileSink(Protocol):
    """Where the bytes go: a store's ChunkWriter."""

    def add_file(self, data: Buffer) -> Digest: ...

    def add_stream(self, read: Callable[[int], bytes], size: int) -> Digest: ...

    def add_meta(self, data: Buffer) -> Digest: ...


@dataclass(frozen=True, slots=True, eq=False)
class Ingested:
    """A version made of the workspace, and how many of its files differ from the one before.

    `entries` is the whole version, `bytes` the sum of its sizes.
    """

    entries: pa.Table
    files: int
    bytes: int
    added: int
    modified: int
    deleted: int
    skipped: tuple[Skipped, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.added or self.modified or self.deleted)


def ingest(
    root: str, comparison: Comparison, sink: FileSink, progress: Progress = SILENT
) -> Ingested:
    """Store every file that is not known to equal the version's, and make the new version.

    Args:
        root: the workspace.
        comparison: what is there, beside the version to build on; it learns the digests.
        sink: used from this thread only, in `read_order`.
        progress: hears of bytes.

    Raises:
        UnreadableFileError: a file changed or vanished since it was listed, or cannot be read.
        InvalidInputError: a symbolic link leaves the workspace.
    """
    files = read_order(listed_at(comparison.listing, np.flatnonzero(~comparison.equal)))
    progress.begin("Reading files", sum(file.size for file in files), "B")
    try:
        digests = b"".join(_store(root, files, sink, progress))
    finally:
        progress.end()
    rows = np.array([file.row for file in files], np.int64)
    comparison.learn(rows, np.frombuffer(digests, np.uint8).reshape(-1, 32), True)
    entries = comparison.entries()
    added = int((comparison.rows < 0).sum())
    return Ingested(
        entries,
        files=entries.num_rows,
        bytes=int(entries.column("size").to_numpy().sum()),
        added=added,
        modified=len(comparison.rows) - added - int(comparison.equal.sum()),
        deleted=len(comparison.missing),
        skipped=comparison.listing.skipped,
    )


def read_order(files: list[Listed]) -> list[Listed]:
    """The order in which a commit reads: by XXH3-64 of the path without its last suffix.

    So packs are random draws of the commit, and the parts of one sample (`a.jpg`, `a.json`) lie
    side by side.
    """
    return sorted(files, key=lambda file: (xxh3_64_intdigest(_stem(file.path).encode()), file.path))


def _stem(path: str) -> str:
    start = path.rfind("/") + 1
    dot = path.rfind(".")
    # A leading dot begins a name, not a suffix.
    return path[:dot] if dot > start else path


def _store(root: str, files: list[Listed], sink: FileSink, progress: Progress) -> Iterator[Digest]:
    """Store the files, in the order given, while threads read the next ones."""

    def read(batch: list[Listed]) -> list[bytes | None]:
        return [None if _is_large(file) else read_whole(root, file) for file in batch]

    todo = list(batches(files))
    with ahead(read, todo) as results:
        for batch, contents in zip(todo, results, strict=True):
            for file, data in zip(batch, contents, strict=True):
                if data is None:
                    yield _store_large(root, file, sink, progress)
                    continue
                yield _store_small(root, file, data, sink)
                progress.advance(file.size)


def _store_small(root: str, file: Listed, data: bytes, sink: FileSink) -> Digest:
    if file.kind == SYMLINK:
        check_link(file.path, data, root)
        return sink.add_meta(data)
    return sink.add_file(data)


def _store_large(root: str, file: Listed, sink: FileSink, progress: Progress) -> Digest:
    with OpenFile(root, file) as source:

        def read(size: int) -> bytes:
            data = source.read(size)
            progress.advance(len(data))
            return data

        return sink.add_stream(read, file.size)


def _is_large(file: Listed) -> bool:
    return file.kind != SYMLINK and file.size >= LARGE
