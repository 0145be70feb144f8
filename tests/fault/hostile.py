"""Stores made by somebody who wishes us harm: well-formed as far as that serves, and else lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard

from datasets_vc.backends import LocalBackend
from datasets_vc.digest import Digest, checksum_of, digest_of
from datasets_vc.format.commit import Commit, encode_commit
from datasets_vc.format.entries import ENTRY_SCHEMA, FILE, SYMLINK, Entry
from datasets_vc.format.header import PACK, encode_header
from datasets_vc.format.index import IndexTable, PackInfo, encode_index
from datasets_vc.format.json import canonical
from datasets_vc.format.location import LOCATION, RAW, RECIPE, ZSTD, digest_keys
from datasets_vc.format.node import INNER_SCHEMA, encode_nodes
from datasets_vc.format.pack import DATA, METADATA, encode_footer
from datasets_vc.format.recipe import Recipe, encode_recipe
from datasets_vc.format.root import Root, encode_root
from datasets_vc.format.run import RunHead, encode_run_head

LIES = ("raw", "zstd", "longer", "shorter", "recipe", "pieces", "unknown")
"""How other bytes can be stored under a digest: in each codec, with wrong lengths, in pieces."""

TIME = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """An inner node's row; what it says need not be so."""

    first: str
    digest: Digest
    entries: int = 1
    bytes: int = 0


@dataclass(frozen=True)
class _Chunk:
    digest: Digest
    payload: bytes
    codec: int
    raw: int
    category: int


class HostileStore:
    """A store in a folder, put together by hand. Whatever is not lied about is in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._chunks: dict[Digest, _Chunk] = {}

    def chunk(
        self,
        data: bytes,
        *,
        digest: Digest | None = None,
        payload: bytes | None = None,
        codec: int = RAW,
        raw: int | None = None,
        category: int = METADATA,
    ) -> Digest:
        """Store bytes; under another digest, encoded, or said to be longer, if told so."""
        name = digest or digest_of(data)
        stored = data if payload is None else payload
        size = len(data) if raw is None else raw
        self._chunks[name] = _Chunk(name, stored, codec, size, category)
        return name

    def file(self, data: bytes) -> Digest:
        return self.chunk(data, category=DATA)

    def forge(self, digest: Digest, other: bytes, lie: str) -> None:
        """Store other bytes under the digest of a chunk that is here, in one of LIES."""
        category = self._chunks[digest].category
        if lie == "pieces":
            half = len(other) // 2
            some = [(self.file(part), len(part)) for part in (other[:half], other[half:])]
            self.recipe(digest, some)
            return
        packed = zstandard.ZstdCompressor().compress(other)
        payload, codec, raw = {
            "raw": (other, RAW, len(other)),
            "zstd": (packed, ZSTD, len(other)),
            "longer": (packed, ZSTD, len(other) + 5),
            "shorter": (other, RAW, len(other) - 1),
            "recipe": (other, RECIPE, len(other)),
            "unknown": (other, RECIPE + 1, len(other)),
        }[lie]
        self.chunk(other, digest=digest, payload=payload, codec=codec, raw=raw, category=category)

    def recipe(self, file: Digest, pieces: Sequence[tuple[Digest, int]]) -> Digest:
        """Say that a file is made of these pieces, of these lengths."""
        digests, lengths = zip(*pieces, strict=True)
        return self.chunk(encode_recipe(Recipe(digests, lengths)), digest=file, codec=RECIPE)

    def entries(self, files: Mapping[str, bytes], links: Mapping[str, str] = {}) -> list[Entry]:
        """The entries of files and links, which are stored, in order of path."""
        found = [Entry(path, FILE, len(data), self.file(data)) for path, data in files.items()]
        for path, target in links.items():
            text = target.encode()
            found.append(Entry(path, SYMLINK, len(text), self.chunk(text)))
        return sorted(found, key=lambda entry: entry.path)

    def leaf(self, entries: Sequence[Entry]) -> Digest:
        """One leaf with these entries, in the order given."""
        columns = [
            [entry.path for entry in entries],
            [entry.kind for entry in entries],
            [entry.size for entry in entries],
            [entry.digest for entry in entries],
        ]
        return self._node(pa.table(columns, schema=ENTRY_SCHEMA), 0)

    def inner(self, level: int, rows: Iterable[Row]) -> Digest:
        """One inner node with these rows."""
        columns = list(
            zip(*((row.first, row.entries, row.bytes, row.digest) for row in rows), strict=True)
        )
        return self._node(
            pa.table([list(column) for column in columns], schema=INNER_SCHEMA), level
        )

    def commit(
        self,
        dataset: Digest,
        parents: Sequence[Digest] = (),
        message: str = "A gift",
        author: str = "Eve <eve@example.org>",
    ) -> Digest:
        return self.chunk(encode_commit(Commit(dataset, tuple(parents), author, TIME, message)))

    def publish(
        self,
        tip: Digest,
        *,
        tags: Mapping[str, Digest] | None = None,
        lie: Callable[[IndexTable], IndexTable] = lambda table: table,
        root: Callable[[Root], bytes] = encode_root,
    ) -> str:
        """Write packs, an index object and a root whose branch `main` is at `tip`; returns the URL.

        Args:
            lie: changes the index before it is written.
            root: encodes the root.
        """
        backend = LocalBackend(self.folder, create=True, durable=False)
        tables = [
            self._pack(backend, category)
            for category in (DATA, METADATA)
            if any(chunk.category == category for chunk in self._chunks.values())
        ]
        indexes = []
        for table in tables:
            data = encode_index(lie(table))
            backend.put(f"index/{digest_of(data).hex()}", data)
            indexes.append(digest_of(data))
        said = Root("0" * 32, branches={"main": tip}, tags=tags or {}, indexes=tuple(indexes))
        (self.folder / "root.json").write_bytes(root(said))
        return str(self.folder)

    def _node(self, table: pa.Table, level: int) -> Digest:
        batches = table.combine_chunks().to_batches()
        batch = batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
        (data,) = encode_nodes(batch, level, [batch.num_rows])
        return self.chunk(data)

    def _pack(self, backend: LocalBackend, category: int) -> IndexTable:
        chunks = [chunk for chunk in self._chunks.values() if chunk.category == category]
        rows = np.zeros(len(chunks), LOCATION)
        parts = [encode_header(PACK)]
        offset = len(parts[0])
        for row, chunk in enumerate(chunks):
            rows[row]["checksum"] = checksum_of(chunk.payload)
            rows[row]["offset"], rows[row]["stored"] = offset, len(chunk.payload)
            rows[row]["raw"], rows[row]["codec"] = chunk.raw, chunk.codec
            parts.append(chunk.payload)
            offset += len(chunk.payload)
        names = b"".join(chunk.digest for chunk in chunks)
        pack = b"".join((*parts, encode_footer(names, rows, category, offset)))
        backend.put(f"packs/{digest_of(pack).hex()}", pack)
        keys = digest_keys(names)
        order = np.argsort(keys)
        return IndexTable(
            (PackInfo(digest_of(pack), len(pack), category),), keys[order], rows[order]
        )


def lying(**columns: int) -> Callable[[IndexTable], IndexTable]:
    """An index all of whose rows say the same of some columns, whatever is true."""

    def lie(table: IndexTable) -> IndexTable:
        rows = table.locations.copy()
        for name, value in columns.items():
            rows[name] = value
        return replace(table, locations=rows)

    return lie


def root_with(**members: object) -> Callable[[Root], bytes]:
    """A root with some members as they are given."""

    def encode(root: Root) -> bytes:
        import json

        return canonical(json.loads(encode_root(root)) | members)

    return encode


def add_run(url: str, input_digest: Digest, log: bytes, nonce: str = "0" * 16) -> str:
    """Put a finished run with this log into a store; returns its id."""
    head = encode_run_head(RunHead(input_digest, TIME, nonce))
    name = digest_of(head).hex()
    backend = LocalBackend(Path(url), durable=False)
    backend.put(f"runs/{name}/head.json", head)
    backend.put(f"runs/{name}/log.jsonl", log)
    return name
