"""What an inner node says of the nodes below it, and whether they are so.

A manifest may come from somebody who wishes us harm: nodes that hang in many places, so that a few
kilobytes make a tree of 10^12 entries; nodes out of order, or under a path that is not theirs;
counts that are not true. Each node is held against its row in the node above before it is used.
What holds everywhere then: the paths of a level ascend, so that no node comes twice, and reading a
tree costs no more than its nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from datasets_vc.digest import Digest
from datasets_vc.errors import IntegrityError
from datasets_vc.format.node import Node


class Child(NamedTuple):
    """A row of an inner node.

    Attributes:
        digest: the node that it names.
        level: of that node.
        first: its first path.
        end: the path that all of it comes before, None if none is known.
        entries: how many there are below it.
        bytes: the sum of their sizes, modulo 2^64.
    """

    digest: Digest
    level: int
    first: str
    end: str | None
    entries: int
    bytes: int


def children_of(node: Node, end: str | None = None) -> list[Child]:
    """What a node says of its children; none of a leaf.

    Args:
        end: the path that all of the node comes before, if one is known.
    """
    if not node.level:
        return []
    firsts, entries, sizes, digests = (column.to_pylist() for column in node.rows.columns)
    ends = [*firsts[1:], end]
    return [
        Child(Digest(digest), node.level - 1, first, last, count, size)
        for digest, first, last, count, size in zip(
            digests, firsts, ends, entries, sizes, strict=True
        )
    ]


def check_unrepeated(children: Iterable[Child]) -> None:
    """Check that some children of one level are different nodes, before they are read.

    Raises:
        IntegrityError: one hangs in two places.
    """
    seen: set[Digest] = set()
    for child in children:
        if child.digest in seen:
            raise IntegrityError(
                f"The node {child.digest.hex()} is in two places of its manifest.", _HINT
            )
        seen.add(child.digest)


def check_child(child: Child, node: Node) -> None:
    """Check that a node is what the node above says of it.

    Raises:
        IntegrityError: it is not; names it.
    """
    problem = _problem(child, node)
    if problem:
        raise IntegrityError(f"The node {child.digest.hex()} {problem}.", _HINT)


_HINT = "This version was not made by dsvc; do not trust it."


def _problem(child: Child, node: Node) -> str:
    rows = node.rows
    if node.level != child.level:
        return "is at the wrong level of its manifest"
    if not rows.num_rows or rows.column("path")[0].as_py() != child.first:
        return f"does not begin with {child.first!a}, as the one above it says"
    if child.end is not None and rows.column("path")[-1].as_py() >= child.end:
        return f"reaches beyond {child.end!a}, where the next one begins"
    entries, sizes = ("entries", "bytes") if node.level else (None, "size")
    if child.entries != (_sum(node, entries) if entries else rows.num_rows):
        return f"has not the {child.entries} entries that the one above it says"
    if child.bytes != _sum(node, sizes):
        return f"has not the {child.bytes} bytes that the one above it says"
    return ""


def _sum(node: Node, column: str) -> int:
    return int(node.rows.column(column).to_numpy().sum(dtype=np.uint64))
