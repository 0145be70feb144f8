"""Down the trees of several datasets at once, to the leaves that they do not share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from datasets_vc.digest import Digest
from datasets_vc.format.columns import position
from datasets_vc.format.node import Node
from datasets_vc.history.children import Child, check_child, check_unrepeated, children_of
from datasets_vc.history.manifest import NodeSource, read_nodes

Leaves = list[Digest]


class Descent:
    """Reads nodes, each once and a level at a time: from a remote store in few requests."""

    def __init__(self, source: NodeSource) -> None:
        self._source = source
        self._nodes: dict[Digest, Node] = {}
        self._said: dict[Digest, Child] = {}

    def differing_leaves(
        self, pairs: Sequence[tuple[Digest | None, Digest | None]]
    ) -> list[tuple[Leaves, Leaves]]:
        """For each pair of datasets, the leaves of either that the other does not have.

        A node that both trees have holds the same entries in both, wherever it hangs, and is
        passed over unread. None is a dataset without entries. Leaves are in path order, and unread
        unless one is the whole dataset.
        """
        differing = [pair for pair in pairs if pair[0] != pair[1]]
        self._read([root for pair in differing for root in pair if root is not None])
        sides = [[self._root(root) for root in pair] for pair in pairs]
        flat = [side for pair in sides for side in pair]
        for level in range(max((top for side in flat for top in side.values()), default=0), 0, -1):
            for left, right in sides:
                _drop_common(left, right)
            self._read([node for side in flat for node, at in side.items() if at == level], level)
            for side in flat:
                self._expand(side, level)
        for left, right in sides:
            _drop_common(left, right)
        return [(list(left), list(right)) for left, right in sides]

    def rows(self, *sides: Leaves) -> list[list[pa.RecordBatch]]:
        """The entries of leaves."""
        self._read([leaf for side in sides for leaf in side], 0)
        return [[self._nodes[leaf].rows for leaf in side] for side in sides]

    def below(self, dataset: Digest, folder: str) -> int:
        """How many entries a dataset has below a folder."""
        # "0" is the character after "/".
        return self._rank(dataset, folder + "0") - self._rank(dataset, folder + "/")

    def _rank(self, dataset: Digest, path: str) -> int:
        """How many of its entries come before `path`; reads one node a level."""
        rank, digest = 0, dataset
        while True:
            self._read([digest])
            node = self._nodes[digest]
            row = position(node.rows.column("path"), path)
            if not node.level:
                return rank + row
            # Before the first path that is not less, so in the child before.
            child = max(row - 1, 0)
            rank += int(node.rows.column("entries").to_numpy()[:child].sum())
            digest = Digest(node.rows.column("digest")[child].as_py())

    def _read(self, digests: Iterable[Digest], level: int | None = None) -> None:
        missing = [digest for digest in dict.fromkeys(digests) if not self._has(digest, level)]
        nodes = read_nodes(self._source, missing, level)
        for digest, node in zip(missing, nodes, strict=True):
            if digest in self._said:
                check_child(self._said[digest], node)
            self._nodes[digest] = node

    def _has(self, digest: Digest, level: int | None) -> bool:
        return digest in self._nodes and level in {None, self._nodes[digest].level}

    def _root(self, dataset: Digest | None) -> dict[Digest, int]:
        return {dataset: self._nodes[dataset].level} if dataset in self._nodes else {}

    def _expand(self, side: dict[Digest, int], level: int) -> None:
        """Put the children in the place of the nodes of one level."""
        for digest in [digest for digest, at in side.items() if at == level]:
            del side[digest]
            above = self._said.get(digest)
            children = children_of(self._nodes[digest], above.end if above else None)
            check_unrepeated(children)
            self._said |= {child.digest: child for child in children}
            side.update(dict.fromkeys((child.digest for child in children), level - 1))


def _drop_common(left: dict[Digest, int], right: dict[Digest, int]) -> None:
    for digest in left.keys() & right.keys():
        del left[digest], right[digest]
