"""What a repository should do, said with dictionaries: path -> (kind, bytes)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from datasets_vc.digest import Digest
from datasets_vc.paths import is_under, parents_of
from tests.integration.trees import Tree

Refs = dict[str, Digest]


class RefusedError(Exception):
    """Uncommitted work is in the way."""


@dataclass
class Workspace:
    """One workspace: its files, where it stands, and the refs of its store."""

    files: Tree = field(default_factory=dict)
    branch: str | None = "main"
    detached: Digest | None = None
    branches: Refs = field(default_factory=dict)
    tags: Refs = field(default_factory=dict)
    known: set[Digest] = field(default_factory=set)

    @property
    def commit(self) -> Digest | None:
        return self.branches.get(self.branch) if self.branch else self.detached


@dataclass(frozen=True)
class Version:
    tree: Tree
    parents: tuple[Digest, ...]


class History:
    """All commits there are, wherever."""

    def __init__(self) -> None:
        self.versions: dict[Digest, Version] = {}

    def tree(self, commit: Digest | None) -> Tree:
        return self.versions[commit].tree if commit else {}

    def line(self, commit: Digest | None) -> list[Digest]:
        """The commit and all before it; there are no merges here."""
        found = []
        while commit:
            found.append(commit)
            commit = next(iter(self.versions[commit].parents), None)
        return found

    def is_ancestor(self, old: Digest | None, new: Digest | None) -> bool:
        return old is None or old in self.line(new)


def changes(old: Tree, new: Tree) -> tuple[list[str], list[str], list[str]]:
    """Paths added, modified and deleted."""
    return (
        sorted(new.keys() - old.keys()),
        sorted(path for path in new.keys() & old.keys() if new[path] != old[path]),
        sorted(old.keys() - new.keys()),
    )


def put(files: Tree, path: str, content: tuple[int, bytes]) -> Tree:
    """As a user does who makes room for `path` first."""
    rest = {other: value for other, value in files.items() if not _collide(other, path)}
    return {**rest, path: content}


def commit(head: Tree, files: Tree, path: str | None = None) -> Tree:
    """The version that a commit of everything, or of what lies at `path`, makes."""
    if path is None:
        return dict(files)

    def selected(other: str) -> bool:
        return is_under(other, path) or other in parents_of(path)

    kept = {other: value for other, value in head.items() if not selected(other)}
    taken = {other: value for other, value in files.items() if selected(other)}
    return {**kept, **taken}


def switch(files: Tree, old: Tree, new: Tree) -> Tree:
    """The files after going from one version to another, uncommitted work kept.

    Raises:
        RefusedError: some of it is in the way.
    """
    changing = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    pending = {path for path in changing if files.get(path) != new.get(path)}
    if any(path in files and files[path] != old.get(path) for path in pending):
        raise RefusedError
    after = {path: value for path, value in files.items() if path not in pending}
    written = pending & new.keys()
    if any(_collide(path, other) for path in written for other in after):
        raise RefusedError
    return after | {path: new[path] for path in written}


def overwrite(files: Tree, old: Tree, new: Tree, path: str = "") -> Tree:
    """The files after what lies at `path` was made as in `new`, whatever happened to it."""
    wanted = {other: value for other, value in new.items() if is_under(other, path)}
    tracked = {other for other in old if is_under(other, path)}
    kept = {
        other: value
        for other, value in files.items()
        if other not in tracked and not any(_collide(other, one) for one in wanted)
    }
    return kept | wanted


def conflicting_tags(theirs: Mapping[str, Digest], ours: Mapping[str, Digest]) -> bool:
    return any(theirs.get(name, commit) != commit for name, commit in ours.items())


def among(refs: Refs, commits: Iterable[Digest]) -> Refs:
    wanted = set(commits)
    return {name: commit for name, commit in refs.items() if commit in wanted}


def _collide(one: str, other: str) -> bool:
    return one in parents_of(other) or other in parents_of(one)
