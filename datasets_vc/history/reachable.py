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
from datasets_vc.errors import DatasetError, MissingDataError
from datasets_vc.format.commit import Commit, decode_commit
from datasets_vc.format.header import NODE
from datasets_vc.format.json import COMMIT, RUN_INPUT, TAG, form_of, hex_digest
from datasets_vc.format.location import DigestKeys, digest_keys
from datasets_vc.format.node import MAX_LEVELS, Node, decode_node
from datasets_vc.format.run import decode_run_input, digests_in
from datasets_vc.format.tag import decode_tag
from datasets_vc.history.manifest import ChunkSource, read_nodes
from datasets_vc.store.index import ChunkIndex
from datasets_vc.store.marks import Marks, Mask, Rows

_AT_ONCE = 256


@dataclass(frozen=True)
class Holder:
    """Something that needs chunks.

    Attributes:
        kind: "branch", "tag", "tracking", "head", "merge", "checkout" or "run".
        name: which one.
        commits: commits or tag objects, needed with all that comes before them.
        datasets: needed with their files.
        chunks: needed with whatever they name, if it is known what that is. What they name need
            not be what they say: a stranger may have written them.
        packs: needed whole.
        problem: why it is not known for sure what it needs, in a sentence; of most nothing.
    """

    kind: str
    name: str
    commits: tuple[Digest, ...] = ()
    datasets: tuple[Digest, ...] = ()
    chunks: tuple[Digest, ...] = ()
    packs: tuple[Digest, ...] = ()
    problem: str = ""


def mark_held(
    index: ChunkIndex,
    source: ChunkSource,
    holders: Sequence[Holder],
    problems: dict[Digest, str] | None = None,
) -> Marks:
    """Mark what holders reach, each with a bit of its own.

    Chunks that are not in the index are passed over: a store may be partial.

    Args:
        source: has the metadata of the store.
        problems: gets, by their digests, the inputs of runs that are none, or name what is no
            dataset. All digests that they name are marked.

    Raises:
        MissingDataError: a commit or a tag object that is held is missing, so that it cannot be
            known what came before it.
        IntegrityError: metadata is damaged.
    """
    marks = Marks(index, len(holders))
    walk = _Walk(marks, source)
    for number, holder in enumerate(holders):
        walk.add_commits(holder.commits, 1 << number)
        walk.add_datasets(holder.datasets, 1 << number)
    walk.run()
    below = _Walk(marks, source, strict=False, after=walk)
    for number, holder in enumerate(holders):
        below.add_chunks(marks.rows(holder.chunks), 1 << number)
        marks.mark(marks.in_packs(holder.packs), marks.bits_of(1 << number))
    below.run()
    below.mark_pieces()
    if problems is not None:
        problems |= below.problems
    return marks


def mark_below(marks: Marks, source: ChunkSource, rows: Rows) -> None:
    """Mark some rows with the spare bit, and what lies below them as far as it is there."""
    walk = _Walk(marks, source, strict=False)
    walk.add_chunks(rows, marks.spare)
    walk.run()
    walk.mark_pieces()


class _Walk:
    """Marks what lies below commits, datasets and chunks; holders are the bits of a number.

    Args:
        strict: what is named as a commit or a node has to be one, and commits have to be here;
            else what is none names nothing. Bytes that are not what their digest says are damage
            in either case.
        after: another walk, whose nodes are marked with all that is below but for pieces.
    """

    def __init__(
        self,
        marks: Marks,
        source: ChunkSource,
        *,
        strict: bool = True,
        after: _Walk | None = None,
    ) -> None:
        self._walked: Mask = after._walked if after else np.zeros(len(marks.digests), np.bool_)
        self.problems: dict[Digest, str] = {}
        self._inputs: dict[Digest, list[Digest]] = {}
        self._single = marks.metadata() & ~marks.recipes()
        self._marks = marks
        self._source = source
        self._strict = strict
        self._known: Mask = after._known if after else marks.held
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
        while len(rows):
            self._marks.mark(rows, self._marks.bits_of(holders))
            found: list[Digest] = []
            for some in _groups(rows[self._single[rows]]):
                names = self._marks.names(some)
                for name, data in zip(names, self._source.read_many(names), strict=True):
                    found += self._add_chunk(name, data, holders)
            rows = self._marks.rows(found)
            rows = rows[rows >= 0]
            rows = rows[~self._have(rows, holders)]

    def run(self) -> None:
        self._mark_history()
        self._mark_manifests()

    def _add_chunk(self, name: Digest, data: Buffer, holders: int) -> list[Digest]:
        """Note what a chunk names; returns what it may name, where that is not known."""
        what = f"The chunk {name.hex()}"
        if data[:4] == NODE:
            node = self._decoded(name, data)
            if node:
                self._levels[node.level].append(self._marks.rows([name]))
            return []
        form = form_of(data)
        if form in (COMMIT, TAG):
            _add(self._loose, [name], holders)
        elif form == RUN_INPUT:
            try:
                members = decode_run_input(data, what)
            except DatasetError as error:
                self.problems[name] = error.message
                return digests_in(data)
            for member in ("dataset", "code"):
                named = hex_digest(members[member], what)
                self._inputs.setdefault(named, []).append(name)
                self.add_datasets([named], holders)
        return []

    def _have(self, rows: Rows, holders: int) -> Mask:
        """Which rows have the bits of holders already."""
        bits = self._marks.bits_of(holders)
        have: Mask = ((self._marks.bits[rows] & bits) == bits).all(axis=1)
        return have

    def _decoded(self, name: Digest, data: Buffer, level: int | None = None) -> Node | None:
        try:
            node = decode_node(data, f"The node {name.hex()}")
        except DatasetError:
            return None
        return node if level in (None, node.level) else None

    def _nodes(self, rows: Rows, level: int | None = None) -> Iterator[tuple[int, Node]]:
        """Nodes with their rows; what is none is left out unless it has to be one."""
        marks = self._marks
        if self._strict:
            for some in _groups(rows):
                yield from zip(
                    some.tolist(), read_nodes(self._source, marks.names(some), level), strict=True
                )
            return
        rows = rows[~marks.recipes()[rows]]
        likely = self._single[rows]
        # What lies with files may be as large as a file, and each is let go before the next.
        for some in (*_groups(rows[likely]), *_groups(rows[~likely], 1)):
            names = marks.names(some)
            for row, name, data in zip(
                some.tolist(), names, self._source.read_many(names), strict=True
            ):
                node = self._decoded(name, data, level)
                if node:
                    yield row, node

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
                found[name] = self._before(name, data)
            ahead = (each for name in held for each in found[name][0])
            todo = [each for each in dict.fromkeys(ahead) if each not in found]
        return found

    def _mark_manifests(self) -> None:
        marks = self._marks
        names = list(self._datasets)
        rows = marks.rows(names)
        here = [each for each in zip(rows.tolist(), names, strict=True) if each[0] >= 0]
        known = {row for row, name in here if self._is_done(row, self._datasets[name])}
        for _, name in here:
            self._mark([name], self._datasets[name])
        todo = np.array([row for row, _ in here if row not in known], np.int64)
        for row, node in self._nodes(todo):
            known.add(row)
            self._levels[node.level].append(np.array([row], np.int64))
        for row, name in here:
            for given in self._inputs.get(name, ()) if row not in known else ():
                self.problems[given] = f"It names {name.hex()} as a dataset, which is none."
        for level in reversed(range(MAX_LEVELS)):
            if self._levels[level]:
                self._mark_level(level, np.unique(np.concatenate(self._levels[level])))
            self._levels[level] = []

    def _mark_level(self, level: int, rows: Rows) -> None:
        marks = self._marks
        for row, node in self._nodes(rows, level):
            below = marks.rows(digests_of(node.rows))
            below = below[below >= 0]
            if level:
                bits = marks.bits[row]
                done = self._walked[below] & ((marks.bits[below] & bits) == bits).all(axis=1)
                self._levels[level - 1].append(below if self._strict else below[~done])
            marks.mark(below, marks.bits[row])
            if self._strict:
                self._walked[row] = True

    def _is_done(self, row: int, holders: int) -> bool:
        """Whether another walk has marked a node with all that is below."""
        if self._strict:
            return False
        return bool(self._walked[row] and self._have(np.array([row], np.int64), holders)[0])

    def mark_pieces(self) -> None:
        marks = self._marks
        for some in _groups(np.flatnonzero(marks.recipes() & marks.held & ~self._known)):
            names = marks.names(some)
            for row, recipe in zip(some.tolist(), self._source.read_recipes(names), strict=True):
                pieces = marks.rows(recipe.digests)
                marks.mark(pieces[pieces >= 0], marks.bits[row])

    def _before(self, name: Digest, data: Buffer) -> tuple[tuple[Digest, ...], Digest | None]:
        try:
            return _before(name, data)
        except DatasetError:
            if self._strict:
                raise
            return (), None

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


def _groups(rows: Rows, size: int = _AT_ONCE) -> Iterator[Rows]:
    """A few at a time: decoded they are large."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
