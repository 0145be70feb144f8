"""What lies at or below some paths, compared between the datasets of a history."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import pyarrow as pa

from datasets_vc.digest import Digest
from datasets_vc.format.entries import ENTRY_SCHEMA
from datasets_vc.format.node import Node
from datasets_vc.history.manifest import NodeSource, read_nodes
from datasets_vc.paths import is_under

# The character after "/": every path below "a/" sorts before "a0".
_AFTER_SLASH = "0"
_MAX_KEPT = 1024  # nodes; a leaf has 256 rows, and 25 kB, on average


class Below:
    """Compares datasets as far as some paths, and what lies below them, go.

    A node that two datasets share is not looked into, and none is read twice soon: what a history
    of small changes costs is a node or two a level and change.

    Args:
        paths: files or folders; "." is everything.
    """

    def __init__(self, source: NodeSource, paths: Iterable[str]) -> None:
        self._source = source
        chosen = set(paths)
        self._all = "." in chosen
        # Apart from each other, and in path order.
        self._spans = sorted(
            span
            for path in _outermost(chosen)
            for span in ((path, path + "\0"), (path + "/", path + _AFTER_SLASH))
        )
        self._levels: dict[Digest, int] = {}
        self._inner: dict[Digest, list[Digest]] = {}
        self._rows: dict[Digest, list[pa.RecordBatch]] = {}

    def same(self, old: Digest, new: Digest) -> bool:
        """Whether two datasets have the same entries there."""
        if old == new or self._all:
            return old == new
        here, there = self._leaves(old), self._leaves(new)
        common = set(here) & set(there)
        sides = ([leaf for leaf in side if leaf not in common] for side in (here, there))
        left, right = map(self._entries, sides)
        return bool(left.equals(right))

    def any(self, dataset: Digest) -> bool:
        """Whether a dataset has an entry there."""
        return self._all or bool(self._entries(self._leaves(dataset)).num_rows)

    def children(self, node: Node) -> list[Digest]:
        """Those children of an inner node that can hold some of it; none of a leaf."""
        if node.level == 0:
            return []
        digests: list[Digest] = node.rows.column("digest").to_pylist()
        if self._all:
            return digests
        firsts: list[str] = node.rows.column("path").to_pylist()
        kept: list[Digest] = []
        end = 0
        for low, high in self._spans:
            # The last child that starts at or before `low` may reach beyond it.
            start = max(bisect_right(firsts, low) - 1, end)
            end = max(bisect_left(firsts, high), end)
            kept += digests[start:end]
        return kept

    def _leaves(self, dataset: Digest) -> list[Digest]:
        """The leaves of a dataset that can hold some of it, in path order."""
        if len(self._inner) > _MAX_KEPT:
            self._inner.clear()
            self._levels.clear()
        if dataset not in self._levels:
            self._levels[dataset] = self._read([dataset])[0].level
        leaves = [dataset]
        for level in range(self._levels[dataset], 0, -1):
            self._read([node for node in leaves if node not in self._inner], level)
            leaves = [child for node in leaves for child in self._inner[node]]
        return leaves

    def _entries(self, leaves: Sequence[Digest]) -> pa.Table:
        """The entries of some leaves that lie there."""
        if len(self._rows) > _MAX_KEPT:
            self._rows.clear()
        self._read([leaf for leaf in leaves if leaf not in self._rows], 0)
        batches = [batch for leaf in leaves for batch in self._rows[leaf]]
        return pa.Table.from_batches(batches, schema=ENTRY_SCHEMA)

    def _read(self, digests: Sequence[Digest], level: int | None = None) -> list[Node]:
        nodes = read_nodes(self._source, digests, level) if digests else []
        for digest, node in zip(digests, nodes, strict=True):
            self._keep(digest, node)
        return nodes

    def _keep(self, digest: Digest, node: Node) -> None:
        if node.level:
            self._inner[digest] = self.children(node)
            return
        paths = node.rows.column("path").to_pylist()
        bounds = ((bisect_left(paths, low), bisect_left(paths, high)) for low, high in self._spans)
        self._rows[digest] = [
            node.rows.slice(start, end - start) for start, end in bounds if start < end
        ]


def _outermost(paths: Iterable[str]) -> list[str]:
    """Those of some paths that do not lie below another one of them."""
    found: list[str] = []
    # What lies below a path follows it at once.
    for path in sorted(paths, key=lambda path: path + "/"):
        if not found or not is_under(path, found[-1]):
            found.append(path)
    return found
