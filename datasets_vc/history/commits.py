"""Commits and the graph that they make."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from datasets_vc.digest import Digest
from datasets_vc.format.commit import Commit, decode_commit
from datasets_vc.store import Store


def read_commit(store: Store, digest: Digest) -> Commit:
    """One commit of a store."""
    return decode_commit(store.read(digest), f"The commit {digest.hex()}")


def walk(store: Store, tips: Iterable[Digest]) -> Iterator[tuple[Digest, Commit]]:
    """`tips` and all before them, each once, newest first; never a commit before its child."""
    commits = _reachable(store, tips)
    children = dict.fromkeys(commits, 0)
    for commit in commits.values():
        for parent in commit.parents:
            children[parent] += 1
    ready = [_queued(digest, commits[digest]) for digest, count in children.items() if not count]
    heapq.heapify(ready)
    while ready:
        _, digest = heapq.heappop(ready)
        yield digest, commits[digest]
        for parent in commits[digest].parents:
            children[parent] -= 1
            if not children[parent]:
                heapq.heappush(ready, _queued(parent, commits[parent]))


def is_ancestor(store: Store, old: Digest, new: Digest) -> bool:
    """Whether `old` is `new` or comes before it."""
    return any(digest == old for digest, _ in walk(store, [new]))


def _reachable(store: Store, tips: Iterable[Digest]) -> dict[Digest, Commit]:
    commits: dict[Digest, Commit] = {}
    todo = list(tips)
    while todo:
        digest = todo.pop()
        if digest not in commits:
            commits[digest] = read_commit(store, digest)
            todo.extend(commits[digest].parents)
    return commits


def _queued(digest: Digest, commit: Commit) -> tuple[float, Digest]:
    return -commit.time.timestamp(), digest
