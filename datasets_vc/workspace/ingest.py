"""Bring the files that changed into a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from datasets_vc.digest import DIGEST_SIZE, Buffer, Digest, digest_of
from datasets_vc.errors import UnreadableFileError
from datasets_vc.format.columns import Rows
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.memory import give_back
from datasets_vc.progress import SILENT, Progress
from datasets_vc.workspace.ahead import LARGE, THREADS, ahead, busy_threads, spans
from datasets_vc.workspace.columns import Digests, paths_at
from datasets_vc.workspace.links import problem_with_link, refuse_links
from datasets_vc.workspace.listing import Listing, Skipped, Unrecorded
from datasets_vc.workspace.reading import (
    CAN_ASK,
    Listed,
    OpenFile,
    listed_at,
    read_from_disk,
    read_whole,
    steadily,
)
from datasets_vc.workspace.safety import check_recordable
from datasets_vc.workspace.status import Comparison
from datasets_vc.workspace.waiting import Disk

if TYPE_CHECKING:
    from datasets_vc.store.writer import Prepared

_ROWS_AT_ONCE = 1 << 16
_FEW = 16


class FileSink(Protocol):
    """Where the bytes go: a store's ChunkWriter, which explains these."""

    def prepare(self, files: Sequence[Buffer]) -> Prepared: ...

    def add_prepared(self, files: Prepared) -> Sequence[Digest]: ...

    def add_stream(self, read: Callable[[int], bytes], size: int, source: int | None) -> Digest: ...

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
    unrecorded: Unrecorded = field(default_factory=Unrecorded)
    unread_rules: tuple[str, ...] = ()

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
        sink: prepares from several threads, stores from this one only, in `read_order`.
        progress: hears of bytes.

    Raises:
        UnreadableFileError: a file changed or vanished since it was listed, or cannot be read.
        InvalidInputError: a symbolic link leaves the workspace, or no checkout would write a path.
    """
    listing = comparison.listing
    changed = np.flatnonzero(~comparison.equal)
    for start in range(0, len(changed), _ROWS_AT_ONCE):
        check_recordable(paths_at(listing.path, changed[start : start + _ROWS_AT_ONCE]))
    links = listing.kind[changed] == SYMLINK
    progress.begin("Reading files", int(listing.size[changed].sum()), "B")
    try:
        for rows, store in ((changed[links], _store_links), (changed[~links], _store_files)):
            rows = read_order(listing, rows)
            stored = store(root, listing, rows, sink, progress)
            comparison.learn(rows, _column(stored, len(rows)), True)
    finally:
        progress.end()
    give_back()
    entries = comparison.entries()
    added = int((comparison.rows < 0).sum())
    return Ingested(
        entries,
        files=entries.num_rows,
        bytes=int(entries.column("size").to_numpy().sum()),
        added=added,
        modified=len(comparison.rows) - added - int(comparison.equal.sum()),
        deleted=len(comparison.missing),
        skipped=listing.skipped,
        unrecorded=_worth_a_word(listing),
        unread_rules=listing.unread_rules,
    )


def _worth_a_word(listing: Listing) -> Unrecorded:
    """What no dataset records; where all files can be executed it is the file system that says so,
    and says nothing."""
    found = listing.unrecorded
    all_can = found.executables == int((listing.kind == FILE).sum()) > _FEW
    return replace(found, executables=0) if all_can else found


def read_order(listing: Listing, rows: Rows) -> Rows:
    """Rows of a listing, ascending, in the order in which a commit reads their files.

    It is that of the XXH3-64 of the path without its last suffix: packs are random draws of the
    commit, and the parts of one sample (`a.jpg`, `a.json`) lie side by side.
    """
    keys = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        paths = paths_at(listing.path, rows[start : start + _ROWS_AT_ONCE])
        keys[start : start + len(paths)] = [
            xxh3_64_intdigest(_stem(path).encode()) for path in paths
        ]
    return rows[np.argsort(keys, kind="stable")]


def _column(batches: Iterable[Sequence[Digest]], count: int) -> Digests:
    column = np.empty((count, DIGEST_SIZE), np.uint8)
    start = 0
    for batch in batches:
        rows = column[start : start + len(batch)]
        rows[:] = np.frombuffer(b"".join(batch), np.uint8).reshape(rows.shape)
        start += len(batch)
    return column


def _stem(path: str) -> str:
    start = path.rfind("/") + 1
    dot = path.rfind(".")
    # A leading dot begins a name, not a suffix.
    return path[:dot] if dot > start else path


def bad_links(root: str, comparison: Comparison) -> tuple[Skipped, ...]:
    """The links that differ from the version and cannot be committed, and why."""
    listing = comparison.listing
    links = np.flatnonzero(listing.kind == SYMLINK)
    if not len(links):
        return ()
    rows = links[~comparison.equal[links]]
    found = (
        Skipped(link.path, problem)
        for link in _listed(listing, rows)
        if (problem := _problem_with(root, listing, link))
    )
    return tuple(found)


def _problem_with(root: str, listing: Listing, link: Listed) -> str:
    try:
        target = read_whole(root, link)
    except UnreadableFileError:
        return ""  # it is going away
    return problem_with_link(link.path, target, root, listing.folders)


def _listed(listing: Listing, rows: Rows) -> Iterator[Listed]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield from listed_at(listing, rows[start : start + _ROWS_AT_ONCE])


def _store_links(
    root: str, listing: Listing, rows: Rows, sink: FileSink, progress: Progress
) -> Iterator[Sequence[Digest]]:
    problems: list[tuple[str, str]] = []
    for link in _listed(listing, rows):
        target = read_whole(root, link)
        problem = problem_with_link(link.path, target, root, listing.folders)
        if problem:
            problems.append((link.path, problem))
        # Once one cannot be committed nothing will be, and the others are only looked at.
        yield [digest_of(target) if problems else sink.add_meta(target)]
        progress.advance(link.size)
    refuse_links(sorted(problems))


def _store_files(
    root: str, listing: Listing, rows: Rows, sink: FileSink, progress: Progress
) -> Iterator[Sequence[Digest]]:
    """Store files, in the order given, while threads read, hash and encode the next ones."""
    disk = Disk()

    def prepare(span: tuple[int, int]) -> Prepared | Listed:
        files = listed_at(listing, rows[slice(*span)])
        if files[0].size >= LARGE:
            return files[0]
        if disk.waits:
            return sink.prepare(read_from_disk(root, files))
        return sink.prepare([read_whole(root, file) for file in files])

    sizes = listing.size[rows]
    todo = list(spans(sizes))
    busy = busy_threads(sizes)
    # Who can ask for many files at once need not wait for them in many threads.
    threads = busy if CAN_ASK else THREADS
    with ahead(prepare, todo, threads, disk, busy) as results:
        for span, prepared in zip(todo, results, strict=True):
            if isinstance(prepared, Listed):
                yield [_store_large(root, prepared, sink, progress)]
                continue
            yield sink.add_prepared(prepared)
            progress.advance(int(sizes[slice(*span)].sum()))


def _store_large(root: str, file: Listed, sink: FileSink, progress: Progress) -> Digest:
    def store(root: str, file: Listed) -> Digest:
        with OpenFile(root, file) as source:

            def read(size: int) -> bytes:
                data = source.read(size)
                progress.advance(len(data))
                return data

            return sink.add_stream(read, file.size, source.handle)

    return steadily(root, file, store)
