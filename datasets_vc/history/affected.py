"""Which paths of which versions need chunks that are lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError
from datasets_vc.format.location import RECIPE, digest_list
from datasets_vc.format.node import Node
from datasets_vc.history.manifest import ChunkSource, read_nodes
from datasets_vc.history.reachable import digests_of
from datasets_vc.store.index import ChunkIndex

_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Affected:
    """A path that cannot be read whole.

    Attributes:
        path: the path; of a lost list of files the first path of the list.
        digest: of the file, or of the list's node.
        is_list: whether a whole list of files is lost.
        commits: the versions that have it so.
    """

    path: str
    digest: Digest
    is_list: bool
    commits: tuple[Digest, ...]


_Row = tuple[str, Digest, bool]


def affected_paths(
    source: ChunkSource, index: ChunkIndex, commits: Mapping[Digest, Digest], lost: Set[Digest]
) -> list[Affected]:
    """The paths that need one of some lost chunks, in order.

    Args:
        source: has the metadata that is not lost.
        commits: the dataset of each commit.
    """
    if not lost:
        return []
    looking = _Looking(source, index, lost | _files_of(source, index, lost))
    found: dict[_Row, list[Digest]] = {}
    for commit, dataset in commits.items():
        for row in looking.root(dataset):
            found.setdefault(row, []).append(commit)
    return [Affected(*row, tuple(commits)) for row, commits in sorted(found.items())]


def _files_of(source: ChunkSource, index: ChunkIndex, lost: Set[Digest]) -> set[Digest]:
    """The files of which a piece is lost."""
    found = set()
    for table in index.tables:
        recipes = digest_list(table.digests[table.locations["codec"] == RECIPE])
        for recipe in recipes:
            if recipe in lost:
                continue
            try:
                (made_of,) = source.read_recipes([recipe])
            except DatasetError:
                continue
            if not lost.isdisjoint(made_of.digests):
                found.add(recipe)
    return found


class _Looking:
    """Goes down manifests; what is below a node is looked at once."""

    def __init__(self, source: ChunkSource, index: ChunkIndex, lost: Set[Digest]) -> None:
        self._source = source
        self._index = index
        self._lost = lost
        self._below: dict[Digest, tuple[_Row, ...]] = {}

    def root(self, dataset: Digest) -> tuple[_Row, ...]:
        if dataset in self._lost:
            return (("", dataset, True),)
        self._look(dict.fromkeys([dataset]))
        return self._below.get(dataset, ())

    def _look(self, digests: Mapping[Digest, None]) -> None:
        """Find out what is lost below some nodes, for those that are here."""
        new = [each for each in digests if each not in self._below and each not in self._lost]
        known = self._index.contains(new).tolist() if new else []
        here = [each for each, there in zip(new, known, strict=True) if there]
        for start in range(0, len(here), _AT_ONCE):
            some = here[start : start + _AT_ONCE]
            for digest, node in zip(some, self._nodes(some), strict=True):
                self._below[digest] = () if node is None else tuple(self._rows(node))

    def _rows(self, node: Node) -> Iterator[_Row]:
        below = digest_list(digests_of(node.rows))
        if node.level:
            self._look(dict.fromkeys(below))
        lost = [row for row, digest in enumerate(below) if self._concerned(digest, node.level)]
        for row in lost:
            digest = below[row]
            if digest in self._lost:
                yield node.rows.column("path")[row].as_py(), digest, bool(node.level)
            else:
                yield from self._below[digest]

    def _concerned(self, digest: Digest, level: int) -> bool:
        return digest in self._lost or bool(level and self._below.get(digest))

    def _nodes(self, digests: Sequence[Digest]) -> Sequence[Node | None]:
        try:
            return read_nodes(self._source, digests)
        except DatasetError:
            if len(digests) == 1:
                return [None]
        return [node for digest in digests for node in self._nodes([digest])]
