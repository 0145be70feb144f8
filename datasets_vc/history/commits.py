"""Commits and the graph that they make.

Clocks are not trusted: the time of a commit decides what is looked at first, and so how much is
read, but never an answer. Where history is cut (`history.cut`), nothing is answered that what lies
beyond could make untrue.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from weakref import WeakKeyDictionary

from datasets_vc.digest import Digest
from datasets_vc.format.commit import Commit, decode_commit
from datasets_vc.history.cut import CutHistoryError, is_beyond, parents_here
from datasets_vc.store import Store

_ONE, _OTHER, _STALE = 1, 2, 4
_COMMON = _ONE | _OTHER

_REMEMBERED = 1 << 14
_READ: WeakKeyDictionary[Store, dict[Digest, Commit]] = WeakKeyDictionary()
"""The commits read last, by store: they never change."""


def read_commit(store: Store, digest: Digest) -> Commit:
    """One commit of a store.

    The last ones read are remembered: a merge walks the same history several times.
    """
    known = _READ.setdefault(store, {})
    commit = known.get(digest)
    if commit is None:
        commit = decode_commit(store.read(digest), f"The commit {digest.hex()}")
        if len(known) >= _REMEMBERED:
            known.clear()
        known[digest] = commit
    return commit


def walk(store: Store, tips: Iterable[Digest]) -> Iterator[tuple[Digest, Commit]]:
    """`tips` and all before them up to the cut, each once, newest first, never before its child.

    They are read as they are asked for, as far as this order allows: one by one where history is
    a single line, from a merge to where its lines parted at once.
    """
    front = list(tips)
    while front:
        commits, narrow = _to_a_narrow(store, front)
        yield from _in_order(commits)
        front = list(parents_here(store, commits[narrow])) if narrow else []


def is_ancestor(store: Store, old: Digest, new: Digest) -> bool:
    """Whether `old` is `new` or comes before it; reads little beyond where the two parted.

    Raises:
        CutHistoryError: it could come before it on a way that history is cut on.
    """
    painting = Painting(store, [old], [new])
    if any(digest == old and shades & _COMMON == _COMMON for digest, shades in painting):
        return True
    # What lies beyond a common ancestor comes before `old`, and so never after it.
    if painting.cut_off(_OTHER):
        raise CutHistoryError(
            f"Whether commit {old.hex()[:12]} comes before {new.hex()[:12]} cannot be known here: "
            "the history of this store is cut."
        )
    return painting.is_common(old)


def common_ancestors(
    store: Store, some: Iterable[Digest], others: Iterable[Digest]
) -> list[Digest]:
    """The best common ancestors of two sets of commits, by digest.

    A common ancestor is one of, or comes before one of, either set; a best one comes before no
    other common ancestor. Several of them are the mark of lines that were merged crosswise.

    Raises:
        CutHistoryError: there could be others, beyond where history is cut or by a way over there.
    """
    painting = Painting(store, some, others)
    candidates = {digest for digest, shades in painting if shades == _COMMON}
    if painting.may_meet_elsewhere():
        raise CutHistoryError(
            "Where two lines of history parted cannot be known here: the history of this store is "
            "cut."
        )
    # Not all is painted: a candidate may come before another by a way that was not taken.
    best = [digest for digest in sorted(candidates) if not painting.is_stale(digest)]
    return [
        digest
        for digest in best
        if not any(other != digest and is_ancestor(store, digest, other) for other in best)
    ]


class Ancestry:
    """Some commits and all before them up to the cut, looked for newest first, as far as asked.

    What a store lacks, though it should not, is taken as no part of it.
    """

    def __init__(self, store: Store, tips: Iterable[Digest]) -> None:
        self._store = store
        self._found: set[Digest] = set()
        self._queue: list[tuple[float, Digest]] = []
        self._reach(tips)

    def has(self, digest: Digest, commit: Commit) -> bool:
        """Whether a commit is one of them; by a clock that went back, "no" may be wrong."""
        oldest = _queued(digest, commit)[0]
        while digest not in self._found and self._queue and self._queue[0][0] <= oldest:
            newest = read_commit(self._store, heapq.heappop(self._queue)[1])
            self._reach(parents_here(self._store, newest))
        return digest in self._found

    def _reach(self, digests: Iterable[Digest]) -> None:
        for digest in digests:
            if digest not in self._found and self._store.find(digest) is not None:
                self._found.add(digest)
                heapq.heappush(self._queue, _queued(digest, read_commit(self._store, digest)))


class Painting:
    """Two sets of commits and what comes before them, painted in two colours, newest first.

    Iterating gives commits and their shades, some of them more than once; it ends when all that
    waits to be painted comes before a common ancestor. Whatever comes before one side and not
    before a common ancestor is reached by then, whichever order the clocks said: all ways to it
    are free of common ancestors. The algorithm is git's paint_down_to_common (commit-reach.c).
    """

    def __init__(self, store: Store, some: Iterable[Digest], others: Iterable[Digest]) -> None:
        self._store = store
        self._commits: dict[Digest, Commit] = {}
        self._shades: dict[Digest, int] = {}
        self._queue: list[tuple[float, Digest]] = []
        self._waiting: set[Digest] = set()
        self._cut: set[Digest] = set()
        self._fresh = 0
        for shade, tips in ((_ONE, some), (_OTHER, others)):
            for tip in tips:
                self._paint(tip, shade)

    def __iter__(self) -> Iterator[tuple[Digest, int]]:
        while self._fresh:
            digest, shades = self._next()
            yield digest, shades
            self._paint_parents(digest, shades)

    def is_stale(self, digest: Digest) -> bool:
        """Whether a commit was seen to come before a common ancestor."""
        return bool(self._shades[digest] & _STALE)

    def is_common(self, digest: Digest) -> bool:
        """Whether a commit was seen to be, or to come before, one of either set."""
        return self._shades[digest] & _COMMON == _COMMON

    def cut_off(self, shades: int) -> bool:
        """Whether a way of exactly these shades leads to where history is cut."""
        if self._cut:
            self._finish()
        return any(self._shades[digest] == shades for digest in self._cut)

    def may_meet_elsewhere(self) -> bool:
        """Whether commits that are not here could make a best common ancestor of another one.

        A way that is cut may lead to any commit of the other side that it does not come before.
        """
        if not self._cut:
            return False
        self._finish()
        shades = set(self._shades.values())
        return self.cut_off(_COMMON) or any(
            self.cut_off(one) and other in shades for one, other in ((_ONE, _OTHER), (_OTHER, _ONE))
        )

    def _finish(self) -> None:
        """Paint what waits, too: then each commit has all its shades."""
        while self._queue:
            self._paint_parents(*self._next())

    def _next(self) -> tuple[Digest, int]:
        digest = heapq.heappop(self._queue)[1]
        self._waiting.remove(digest)
        shades = self._shades[digest]
        self._fresh -= not shades & _STALE
        return digest, shades

    def _paint_parents(self, digest: Digest, shades: int) -> None:
        if shades & _COMMON == _COMMON:
            shades |= _STALE
        for parent in self._commits[digest].parents:
            self._paint(parent, shades)

    def _paint(self, digest: Digest, shades: int) -> None:
        before = self._shades.get(digest, 0)
        after = before | shades
        if after == before:
            return
        self._shades[digest] = after
        if digest in self._cut:
            return
        if digest in self._waiting:
            self._fresh -= bool(after & _STALE) and not before & _STALE
            return
        if digest not in self._commits:
            if is_beyond(self._store, digest):
                self._cut.add(digest)
                return
            self._commits[digest] = read_commit(self._store, digest)
        heapq.heappush(self._queue, _queued(digest, self._commits[digest]))
        self._waiting.add(digest)
        self._fresh += not after & _STALE


def _to_a_narrow(
    store: Store, tips: Iterable[Digest]
) -> tuple[dict[Digest, Commit], Digest | None]:
    """Commits from `tips` back to one that all the rest comes before, if there is such a one.

    Where every way back leads on to a single commit that was not followed yet, no commit that is
    still unknown can come after any that is known.
    """
    commits: dict[Digest, Commit] = {}
    queue: list[tuple[float, Digest]] = []

    def reach(digests: Iterable[Digest]) -> None:
        for digest in digests:
            if digest not in commits:
                commits[digest] = read_commit(store, digest)
                heapq.heappush(queue, _queued(digest, commits[digest]))

    reach(tips)
    ended = False
    while len(queue) > 1 or (queue and ended):
        parents = parents_here(store, commits[heapq.heappop(queue)[1]])
        ended = ended or not parents
        reach(parents)
    return commits, queue[0][1] if queue else None


def _in_order(commits: Mapping[Digest, Commit]) -> Iterator[tuple[Digest, Commit]]:
    """Newest first, but never before a child."""
    children = dict.fromkeys(commits, 0)
    for commit in commits.values():
        for parent in commit.parents:
            if parent in children:
                children[parent] += 1
    ready = [_queued(digest, commits[digest]) for digest, count in children.items() if not count]
    heapq.heapify(ready)
    while ready:
        digest = heapq.heappop(ready)[1]
        yield digest, commits[digest]
        for parent in commits[digest].parents:
            if parent in children:
                children[parent] -= 1
                if not children[parent]:
                    heapq.heappush(ready, _queued(parent, commits[parent]))


def _queued(digest: Digest, commit: Commit) -> tuple[float, Digest]:
    return -commit.time.timestamp(), digest
