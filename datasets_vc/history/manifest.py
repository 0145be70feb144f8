"""Manifests: datasets as trees of nodes whose shape depends on the set of entries alone.

The splitting rule is that of a prolly tree cut by key (Dolt, https://www.dolthub.com/blog/2022-06-27-prolly-chunker/),
without limits on the size of a node, so that no history of edits can leave a trace.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from datasets_vc.digest import DIGEST_SIZE, Buffer, Digest, digest_of
from datasets_vc.errors import IntegrityError, InvalidInputError
from datasets_vc.format.columns import row_of, rows_below, whole_column
from datasets_vc.format.entries import ENTRY_SCHEMA, Entry, rows_of
from datasets_vc.format.limits import check_paths
from datasets_vc.format.node import (
    INNER_SCHEMA,
    MAX_LEVELS,
    Node,
    decode_node,
    encode_nodes,
    node_ends,
)
from datasets_vc.format.recipe import Recipe
from datasets_vc.history.children import Child, check_child, check_unrepeated, children_of
from datasets_vc.memory import give_back

_AT_ONCE = 256
_PATHS_AT_ONCE = 1 << 16


class NodeSink(Protocol):
    """Whatever takes nodes and says under which digest: a `ChunkWriter`, or nothing but a hash."""

    def add_node(self, data: Buffer, below: Buffer) -> Digest:
        """Take a node; `below` are the digests in its rows, end to end."""
        ...


class NodeSource(Protocol):
    """Whatever has nodes: a `Store`, or one together with nodes that are nowhere stored."""

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]: ...


class ChunkSource(NodeSource, Protocol):
    """Whatever has nodes, and knows what the files of a store are made of."""

    def read_recipes(self, files: Sequence[Digest]) -> list[Recipe]: ...


class HashOnly:
    """A sink that stores nothing."""

    def add_node(self, data: Buffer, below: Buffer) -> Digest:
        del below
        return digest_of(data)


def write_manifest(sink: NodeSink, entries: pa.Table) -> Digest:
    """Encode a table of entries as nodes; returns the dataset digest.

    Raises:
        ValueError: the table is not in the order of its paths, or repeats one.
        InvalidInputError: a path is too long to be recorded; see `check_paths`.
    """
    rows = _one_batch(entries, ENTRY_SCHEMA)
    check_paths(rows.column("path"))
    counts = np.ones(rows.num_rows, np.uint64)
    sizes = rows.column("size").to_numpy()
    for level in range(MAX_LEVELS):
        ends = _node_ends(rows.column("path").cast(pa.binary()), level)
        starts = [0, *ends[:-1]]
        below = _bytes_of(rows.column("digest"))
        digests = [
            sink.add_node(node, below[DIGEST_SIZE * start : DIGEST_SIZE * end])
            for node, start, end in zip(encode_nodes(rows, level, ends), starts, ends, strict=True)
        ]
        if len(digests) == 1:
            return digests[0]
        counts = np.add.reduceat(counts, starts)
        sizes = np.add.reduceat(sizes, starts)
        first = rows.column("path").take(pa.array(starts))
        rows = pa.RecordBatch.from_arrays(
            [first, pa.array(counts), pa.array(sizes), pa.array(digests, pa.binary(32))],
            schema=INNER_SCHEMA,
        )
    raise InvalidInputError("These paths make a manifest of more than 16 levels; rename some.")


def _node_ends(paths: pa.BinaryArray, level: int) -> list[int]:
    """Where the nodes of a level end, for paths that are in order.

    Raises:
        ValueError: they are not.
    """
    ends: list[int] = []
    last: bytes | None = None
    for start in range(0, len(paths), _PATHS_AT_ONCE):
        some = paths.slice(start, _PATHS_AT_ONCE).to_pylist()
        if (last is not None and last >= some[0]) or any(map(operator.ge, some, some[1:])):
            raise ValueError("A table of entries must be in the order of its paths.")
        last = some[-1]
        ends += [start + end for end in node_ends(some, level)]
    if not ends or ends[-1] != len(paths):
        ends.append(len(paths))
    return ends


def dataset_digest(entries: pa.Table) -> Digest:
    """The digest of a dataset that need not be stored anywhere."""
    return write_manifest(HashOnly(), entries)


def read_nodes(
    source: NodeSource, digests: Sequence[Digest], level: int | None = None
) -> list[Node]:
    """Nodes in the order asked for; all must be of `level`, if given."""
    nodes = [
        decode_node(data, f"The node {digest.hex()}")
        for digest, data in zip(digests, source.read_many(digests), strict=True)
    ]
    for digest, node in zip(digests, nodes, strict=True):
        if level is not None and node.level != level:
            raise IntegrityError(f"The node {digest.hex()} is at the wrong level of its manifest.")
    return nodes


def read_children(source: NodeSource, children: Sequence[Child]) -> list[Node]:
    """Nodes of one level, in the order asked for.

    Raises:
        IntegrityError: one is not what the node above says of it.
    """
    check_unrepeated(children)
    nodes = read_nodes(source, [child.digest for child in children])
    for child, node in zip(children, nodes, strict=True):
        check_child(child, node)
    return nodes


class Manifest:
    """One dataset of a store, read as far as it is asked for."""

    def __init__(self, source: NodeSource, dataset: Digest) -> None:
        self._source = source
        self.dataset = dataset
        (self._root,) = read_nodes(source, [dataset])

    @property
    def count(self) -> int:
        """How many entries the dataset has."""
        if self._root.level == 0:
            return int(self._root.rows.num_rows)
        return int(self._root.rows.column("entries").to_numpy().sum())

    @property
    def bytes(self) -> int:
        """The sum of their sizes."""
        column = "bytes" if self._root.level else "size"
        return int(self._root.rows.column(column).to_numpy().sum())

    def entries(self, prefix: str = "") -> pa.Table:
        """The entries at or below the path `prefix`; all of them if it is empty."""
        # "0" is the character after "/": what lies below a folder sorts before it.
        table = self._between(prefix, prefix + "0" if prefix else None)
        if not prefix:
            return table
        paths = whole_column(table, "path")
        itself, (start, stop) = row_of(prefix, paths), rows_below(paths, prefix)
        inside = table.slice(start, stop - start)
        return inside if itself < 0 else pa.concat_tables([table.slice(itself, 1), inside])

    def get(self, path: str) -> Entry | None:
        """The entry at exactly `path`."""
        rows = rows_of(self._between(path, path + "\x00"))
        return next((row for row in rows if row.path == path), None)

    def _between(self, low: str, high: str | None) -> pa.Table:
        """The entries of the leaves that meet the paths from `low` up to, but not at, `high`."""
        if not self._root.level:
            return _table_of([self._root.rows])
        leaves = _between(children_of(self._root), low, high)
        while leaves and leaves[0].level:
            nodes = read_children(self._source, leaves)
            below = [
                child
                for above, node in zip(leaves, nodes, strict=True)
                for child in children_of(node, above.end)
            ]
            leaves = _between(below, low, high)
        check_unrepeated(leaves)
        # A few at a time: decoded they are as large as the table.
        groups = [leaves[at : at + _AT_ONCE] for at in range(0, len(leaves), _AT_ONCE)]
        table = _table_of(
            batch
            for group in groups
            for batch in _table_of(
                node.rows for node in read_children(self._source, group)
            ).to_batches()
        )
        # Arrow keeps what the groups have taken, as much again as the table.
        give_back()
        return table


def _bytes_of(digests: pa.Array) -> memoryview:
    """A column of digests, end to end."""
    data = memoryview(digests.buffers()[1] or b"")
    start = DIGEST_SIZE * digests.offset
    return data[start : start + DIGEST_SIZE * len(digests)]


def _table_of(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """A table of entries with each column in one piece; its memory is never held twice whole."""
    columns: list[list[pa.Array]] = [[] for _ in ENTRY_SCHEMA]
    for batch in batches:
        for pieces, column in zip(columns, batch.columns, strict=True):
            pieces.append(column)
    whole = []
    for field, pieces in zip(ENTRY_SCHEMA, columns, strict=True):
        whole.append(pa.concat_arrays(pieces) if pieces else pa.array([], field.type))
        pieces.clear()
    return pa.Table.from_arrays(whole, schema=ENTRY_SCHEMA)


def _between(children: Sequence[Child], low: str, high: str | None) -> list[Child]:
    """Those that can have paths from `low` up to, but not at, `high`."""
    return [
        child
        for child in children
        if (child.end is None or child.end > low) and (high is None or child.first < high)
    ]


def _one_batch(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    columns = [whole_column(table, name) for name in schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
