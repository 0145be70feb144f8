"""What refs, runs and workspaces hold of a store: every chunk that they reach, each looked at once.

Commits are walked from child to parent, manifests level by level over all versions at a time, so
that a node that many versions share is read once; what is reached is marked in a column beside the
index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from datasets_vc.digest import DIGEST_SIZE, Buffer, Digest
from datasets_vc.errors import MissingDataError
from datasets_vc.format.commit import Commit, decode_commit
from datasets_vc.format.header import NODE
from datasets_vc.format.json import COMMIT, RUN_INPUT, TAG, form_of, hex_digest
from datasets_vc.format.location import DigestKeys, digest_keys
from datasets_vc.format.node import MAX_LEVELS, decode_node
from datasets_vc.format.run import decode_run_input
from datasets_vc.format.tag import decode_tag
from datasets_vc.history.manifest import ChunkSource, read_nodes
from datasets_vc.store.index import ChunkIndex
from datasets_vc.store.marks import Marks, Rows

_AT_ONCE = 256


@dataclass(frozen=True)
class Holder:
    """Something that needs chunks.

    Attributes:
        kind: "branch", "tag", "tracking", "head", "merge", "checkout" or "run".
        name: which one.
        commits: commits or tag objects, needed with all that comes before them.
        datasets: needed with their files.
        chunks: needed with whatever they name, if it is known what that is.
        packs: needed whole.
    """

    kind: str
    name: str
    commits: tuple[Digest, ...] = ()
    datasets: tuple[Digest, ...] = ()
    chunks: tuple[Digest, ...] = ()
    packs: tuple[Digest, ...] = ()


def mark_held(index: ChunkIndex, source: ChunkSource, holders: Sequence[Holder]) -> Marks:
    """Mark what holders reach, each with a bit of its own.

    Chunks that are not in the index are passed over: a store may be partial.

    Args:
        source: has the metadata of the store.

    Raises:
        MissingDataError: a commit or a tag object that is held is missing, so that it cannot be
            known what came before it.
        IntegrityError: metadata is damaged.
    """
    marks = Marks(index, len(holders))
    walk = _Walk(marks, source)
    for number, holder in enumerate(holders):
        bit = 1 << number
        walk.add_commits(holder.commits, bit)
        walk.add_datasets(holder.datasets, bit)
        walk.add_chunks(marks.rows(holder.chunks), bit)
        marks.mark(marks.in_packs(holder.packs), marks.bits_of(bit))
    walk.run()
    return marks


def mark_below(marks: Marks, source: ChunkSource, rows: Rows) -> None:
    """Mark some rows with the spare bit, and what lies below them as far as it is there."""
    walk = _Walk(marks, source, strict=False)
    walk.add_chunks(rows, marks.spare)
    walk.run()


class _Walk:
    """Marks what lies below commits, datasets and chunks; holders are the bits of a number."""

    def __init__(self, marks: Marks, source: ChunkSource, *, strict: bool = True) -> None:
        self._marks = marks
        self._source = source
        self._strict = strict
        self._known = marks.held
        self._tips: dict[Digest, int] = {}
        self._loose: dict[Digest, int] = {}
        self._datasets: dict[Digest, int] = {}
        self._levels: list[list[Rows]] = [[] for _ in range(MAX_LEVELS)]

    def add_commits(self, commits: Iterable[Digest], holders: int) -> None:
        _add(self._tips, commits, holders)

    def add_datasets(self, datasets: Iterable[Digest], holders: int) -> None:
        _add(self._datasets, datasets, holders)

    def add_chunks(self, rows: Rows, holders: int) -> None:
        """Mark chunks, and go on with what they name if they are metadata."""
        rows = rows[rows >= 0]
        self._marks.mark(rows, self._marks.bits_of(holders))
        single = self._marks.metadata() & ~self._marks.recipes()
        meta = rows[single[rows]] if len(rows) else rows
        for some in _groups(meta):
            names = self._marks.names(some)
            for name, data in zip(names, self._source.read_many(names), strict=True):
                self._add_chunk(name, data, holders)

    def run(self) -> None:
        self._mark_history()
        self._mark_manifests()
        self._mark_pieces()

    def _add_chunk(self, name: Digest, data: Buffer, holders: int) -> None:
        what = f"The chunk {name.hex()}"
        if data[:4] == NODE:
            level = decode_node(data, what).level
            self._levels[level].append(self._marks.rows([name]))
            return
        form = form_of(data)
        if form in (COMMIT, TAG):
            _add(self._loose, [name], holders)
        elif form == RUN_INPUT:
            members = decode_run_input(data, what)
            self.add_datasets((hex_digest(members[n], what) for n in ("dataset", "code")), holders)

    def _mark_history(self) -> None:
        commits = self._read_history()
        holders = dict.fromkeys(commits, 0)
        for tips in (self._tips, self._loose):
            for tip, bits in tips.items():
                if tip in holders:
                    holders[tip] |= bits
        for name in _children_first(commits):
            self._mark([name], holders[name])
            before, dataset = commits[name]
            for parent in before:
                if parent in holders:
                    holders[parent] |= holders[name]
            if dataset is not None:
                self.add_datasets([dataset], holders[name])

    def _read_history(self) -> dict[Digest, tuple[tuple[Digest, ...], Digest | None]]:
        """All commits and tag objects: what each leads to, and its dataset."""
        found: dict[Digest, tuple[tuple[Digest, ...], Digest | None]] = {}
        todo = list(self._tips | self._loose)
        while todo:
            here = self._marks.rows(todo) >= 0
            if self._strict and not here.all():
                missing = todo[int(np.argmin(here))]
                raise MissingDataError(
                    f"The store lacks {missing.hex()}, a commit or tag that is part of its "
                    "history, so that nobody knows what came before it.",
                    "Bring it back first: dsvc fsck --repair, or dsvc fetch",
                )
            held = [name for name, there in zip(todo, here.tolist(), strict=True) if there]
            for name, data in zip(held, self._source.read_many(held), strict=True):
                found[name] = _before(name, data)
            ahead = (each for name in held for each in found[name][0])
            todo = [each for each in dict.fromkeys(ahead) if each not in found]
        return found

    def _mark_manifests(self) -> None:
        marks = self._marks
        names = list(self._datasets)
        rows = marks.rows(names)
        for some in _groups(np.flatnonzero(rows >= 0)):
            held = [names[row] for row in some.tolist()]
            for name, node in zip(held, read_nodes(self._source, held), strict=True):
                self._mark([name], self._datasets[name])
                self._levels[node.level].append(marks.rows([name]))
        for level in reversed(range(MAX_LEVELS)):
            if self._levels[level]:
                self._mark_level(level, np.unique(np.concatenate(self._levels[level])))
            self._levels[level] = []

    def _mark_level(self, level: int, rows: Rows) -> None:
        marks = self._marks
        for some in _groups(rows):
            nodes = read_nodes(self._source, marks.names(some), level)
            for row, node in zip(some.tolist(), nodes, strict=True):
                below = marks.rows(digests_of(node.rows))
                below = below[below >= 0]
                marks.mark(below, marks.bits[row])
                if level:
                    self._levels[level - 1].append(below)

    def _mark_pieces(self) -> None:
        marks = self._marks
        for some in _groups(np.flatnonzero(marks.recipes() & marks.held & ~self._known)):
            names = marks.names(some)
            for row, recipe in zip(some.tolist(), self._source.read_recipes(names), strict=True):
                pieces = marks.rows(recipe.digests)
                marks.mark(pieces[pieces >= 0], marks.bits[row])

    def _mark(self, names: Sequence[Digest], holders: int) -> None:
        rows = self._marks.rows(names)
        self._marks.mark(rows[rows >= 0], self._marks.bits_of(holders))


def digests_of(rows: pa.RecordBatch) -> DigestKeys:
    """The digests in the rows of a node."""
    column = rows.column("digest")
    data = memoryview(column.buffers()[1] or b"")
    start = DIGEST_SIZE * column.offset
    return digest_keys(data[start : start + DIGEST_SIZE * len(column)])


def _before(name: Digest, data: Buffer) -> tuple[tuple[Digest, ...], Digest | None]:
    if form_of(data) == TAG:
        return (decode_tag(data, f"The tag object {name.hex()}").object,), None
    commit: Commit = decode_commit(data, f"The commit {name.hex()}")
    return commit.parents, commit.dataset


def _children_first(
    commits: dict[Digest, tuple[tuple[Digest, ...], Digest | None]],
) -> Iterator[Digest]:
    children = dict.fromkeys(commits, 0)
    for before, _ in commits.values():
        for parent in before:
            if parent in children:
                children[parent] += 1
    ready = [name for name, count in children.items() if not count]
    while ready:
        name = ready.pop()
        yield name
        for parent in commits[name][0]:
            if parent in children:
                children[parent] -= 1
                if not children[parent]:
                    ready.append(parent)


def _add(known: dict[Digest, int], names: Iterable[Digest], holders: int) -> None:
    for name in names:
        known[name] = known.get(name, 0) | holders


def _groups(rows: Rows) -> Iterator[Rows]:
    """A few at a time: decoded they are large."""
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))
