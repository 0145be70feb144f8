"""What a node of a manifest says of those below it, and whether a node is what was said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import DatasetError
from datasets_vc.format.location import digest_list
from datasets_vc.format.node import Node, decode_node, node_ends
from datasets_vc.history.reachable import digests_of


@dataclass(frozen=True, slots=True)
class Said:
    """What a node above says of a node; `after` is the first path after it, `last` if none is."""

    first: str
    entries: int
    bytes: int
    after: str | None
    last: bool


def said_by(node: Node, said: set[Said | None]) -> list[tuple[Digest, Said]]:
    """What a node says of its children."""
    rows = node.rows
    rightmost = all(each is None or each.last for each in said)
    firsts = rows.column("path").to_pylist()
    entries, sizes = rows.column("entries").to_pylist(), rows.column("bytes").to_pylist()
    ends = {each.after for each in said if each}
    after = [*firsts[1:], min((end for end in ends if end), default=None)]
    last = len(firsts) - 1
    return [
        (child, Said(firsts[at], entries[at], sizes[at], after[at], rightmost and at == last))
        for at, child in enumerate(digest_list(digests_of(rows)))
    ]


def problem_with(node: Node, level: int, said: set[Said | None]) -> str:
    """What is wrong with a node, beside the others, or an empty string."""
    if node.level != level:
        return "It is at the wrong level of a manifest."
    rows = node.rows
    paths = rows.column("path").to_pylist()
    if not paths:
        return "" if said == {None} else "It is empty."
    if level and len(paths) == 1 and None in said:
        return "It is the root of a manifest, and has a single child."
    ends = node_ends([path.encode() for path in paths], level)
    if any(end != len(paths) for end in ends):
        return "It does not end where its paths say."
    if not ends and not all(each is None or each.last for each in said):
        return "It ends where its paths do not say so, and is not the last."
    entries = _sum(rows, "entries") if level else len(paths)
    size = _sum(rows, "bytes" if level else "size")
    for each in said:
        if each is None:
            continue
        if (each.first, each.entries, each.bytes) != (paths[0], entries, size):
            return "It has not the first path, the entries or the bytes that the node above says."
        if each.after is not None and paths[-1] >= each.after:
            return "Its paths go beyond those of the next node."
    return ""


def problem_below(
    root: Digest,
    read: Callable[[Sequence[Digest]], Iterator[tuple[Digest, Buffer | None]]],
    wrong_sizes: Callable[[Node], Sequence[str]],
) -> str:
    """Why a digest is not that of a dataset, as far as its nodes are there; nothing if it is.

    Args:
        read: gives those of some chunks that are there and sound; None for what is a file.
        wrong_sizes: the paths of a leaf whose files are not as long as it says.
    """
    said: dict[Digest, set[Said | None]] = {root: {None}}
    level: int | None = None
    while said:
        below: dict[Digest, set[Said | None]] = {}
        for digest, data in read(list(said)):
            if data is None:
                return "It is a file in several pieces."
            try:
                node = decode_node(data, f"The node {digest.hex()}")
            except DatasetError as error:
                return error.message
            level = node.level if level is None else level
            problem = problem_with(node, level, said[digest])
            if problem:
                return problem
            for path in () if level else wrong_sizes(node):
                return f"{path!a} is not as long as its entry says."
            for child, claim in said_by(node, said[digest]) if level else ():
                below.setdefault(child, set()).add(claim)
        said = below
        level = level - 1 if level else 0
    return ""


def _sum(rows: pa.RecordBatch, column: str) -> int:
    return int(rows.column(column).to_numpy().sum())
