"""The history of a version, or of some of its paths, as `git log` tells it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from datasets_vc.digest import Digest
from datasets_vc.format.commit import Commit
from datasets_vc.format.entries import rows_of
from datasets_vc.history.below import Below
from datasets_vc.history.commits import read_commit, walk
from datasets_vc.history.cut import parents_here
from datasets_vc.history.diff import compare, differing_rows
from datasets_vc.history.manifest import NodeSource
from datasets_vc.store import Store

Paths = frozenset[str]


@dataclass(frozen=True, slots=True)
class Logged:
    """A commit of a log.

    Attributes:
        parents: its parents in the log: of commits that were passed over, those that they lead to.
        cut: not all its parents are here, and so what it changed may be unknown.
    """

    digest: Digest
    commit: Commit
    parents: tuple[Digest, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """A commit on the way, the parents to go on with, and whether the log tells of it."""

    digest: Digest
    commit: Commit
    parents: tuple[Digest, ...]
    told: bool = True

    @property
    def cut(self) -> bool:
        return self.told and not set(self.commit.parents) <= set(self.parents)


def log(
    store: Store,
    tips: Iterable[Digest],
    paths: Iterable[str] = (),
    *,
    follow: bool = False,
    nodes: NodeSource | None = None,
) -> Iterator[Logged]:
    """`tips` and all before them, newest first, never a commit before its child.

    With `paths`, only commits that changed what lies at or below them; where a merge has the same
    there as one of its parents, only this parent is gone on with ("history simplification" in the
    manual of git log). The parents of a commit are its own, whether the log tells of them or not.
    A commit at which history is cut is always told.

    Args:
        follow: where a path was added by a commit that renamed it, go on with its old name.
        nodes: what to read nodes from; the store itself, if not given.
    """
    for step in _steps(store, nodes or store, tips, frozenset(paths), follow):
        if step.told:
            yield Logged(step.digest, step.commit, step.commit.parents, step.cut)


def log_graph(
    store: Store,
    tips: Iterable[Digest],
    paths: Iterable[str] = (),
    *,
    follow: bool = False,
    nodes: NodeSource | None = None,
) -> list[Logged]:
    """What `log` tells, its parents within the log, and one line of development after the other."""
    steps = list(_steps(store, nodes or store, tips, frozenset(paths), follow))
    leads_to: dict[Digest, Digest | None] = {}
    told: list[Logged] = []
    for step in reversed(steps):
        led = (leads_to[parent] for parent in step.parents)
        parents = tuple(dict.fromkeys(parent for parent in led if parent))
        if step.told:
            told.append(Logged(step.digest, step.commit, parents, step.cut))
        # One that is passed over has but one parent to go on with, if any.
        leads_to[step.digest] = step.digest if step.told else next(iter(parents), None)
    return _by_line({logged.digest: logged for logged in reversed(told)})


def _by_line(commits: dict[Digest, Logged]) -> list[Logged]:
    """Children before parents, and each line of development in one piece, the newest first."""
    children = dict.fromkeys(commits, 0)
    for logged in commits.values():
        for parent in logged.parents:
            children[parent] += 1
    ready = [digest for digest, count in children.items() if not count][::-1]
    order = []
    while ready:
        logged = commits[ready.pop()]
        order.append(logged)
        for parent in logged.parents:
            children[parent] -= 1
            if not children[parent]:
                ready.append(parent)
    return order


def _steps(
    store: Store, nodes: NodeSource, tips: Iterable[Digest], paths: Paths, follow: bool
) -> Iterator[_Step]:
    tips = list(tips)
    if not paths:
        for digest, commit in walk(store, tips):
            yield _Step(digest, commit, parents_here(store, commit))
        return
    looking = _Looking(store, nodes)
    wanted = dict.fromkeys(tips, paths)
    for digest, commit in walk(store, tips):
        here = wanted.pop(digest, None)
        if here is None:
            continue
        step = looking.simplified(digest, commit, here)
        for parent in step.parents:
            before = looking.names_before(commit, parent, here) if follow and step.told else here
            wanted[parent] = wanted.get(parent, frozenset()) | before
        yield step
        if not wanted:
            return


class _Looking:
    """Looks at paths from commit to commit."""

    def __init__(self, store: Store, nodes: NodeSource) -> None:
        self._store = store
        self._nodes = nodes
        self._below: dict[Paths, Below] = {}

    def simplified(self, digest: Digest, commit: Commit, paths: Paths) -> _Step:
        below = self._at(paths)
        here = parents_here(self._store, commit)
        if here != commit.parents:
            return _Step(digest, commit, here)
        for parent in commit.parents:
            if below.same(self._dataset(parent), commit.dataset):
                return _Step(digest, commit, (parent,), told=False)
        told = bool(commit.parents) or below.any(commit.dataset)
        return _Step(digest, commit, commit.parents, told)

    def names_before(self, commit: Commit, parent: Digest, paths: Paths) -> Paths:
        """What some files were called in a parent of `commit`."""
        old, new = self._dataset(parent), commit.dataset
        added = {path for path in paths if self._is_added(path, old, new)}
        if not added:
            return paths
        renamed = compare(*map(rows_of, differing_rows(self._nodes, old, new))).renamed
        before = {after.path: before.path for before, after in renamed if after.path in added}
        return frozenset(before.get(path, path) for path in paths)

    def _is_added(self, path: str, old: Digest, new: Digest) -> bool:
        below = self._at(frozenset([path]))
        return below.any(new) and not below.any(old)

    def _at(self, paths: Paths) -> Below:
        if paths not in self._below:
            self._below[paths] = Below(self._nodes, paths)
        return self._below[paths]

    def _dataset(self, commit: Digest) -> Digest:
        return read_commit(self._store, commit).dataset
