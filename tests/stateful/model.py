"""What a repository should do, said with dictionaries: path -> (kind, bytes)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from datasets_vc.digest import Digest
from datasets_vc.paths import is_under, parents_of
from tests.integration.trees import Tree

Refs = dict[str, Digest]
Content = tuple[int, bytes]


class RefusedError(Exception):
    """Uncommitted work is in the way."""


@dataclass
class Unfinished:
    """A merge, revert or cherry-pick with conflicts: what the files were made, what is wanted."""

    kind: str
    other: Digest
    tree: Tree
    sides: dict[str, tuple[Content | None, Content | None]]
    here: dict[str, Content | None]
    resolved: set[str] = field(default_factory=set)

    def open(self, files: Tree) -> set[str]:
        """The conflicts that nobody has resolved, by word or by changing the file."""
        return {
            path
            for path in self.sides
            if path not in self.resolved and files.get(path) == self.here[path]
        }


@dataclass
class Workspace:
    """One workspace: its files, where it stands, and the refs of its store."""

    files: Tree = field(default_factory=dict)
    branch: str | None = "main"
    detached: Digest | None = None
    branches: Refs = field(default_factory=dict)
    tags: Refs = field(default_factory=dict)
    known: set[Digest] = field(default_factory=set)
    unfinished: Unfinished | None = None

    @property
    def commit(self) -> Digest | None:
        return self.branches.get(self.branch) if self.branch else self.detached

    def go_to(self, commit: Digest) -> None:
        self.known.add(commit)
        if self.branch:
            self.branches[self.branch] = commit
        else:
            self.detached = commit


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

    def before(self, *commits: Digest | None) -> set[Digest]:
        """Commits and all that come before them."""
        found: set[Digest] = set()
        todo = [commit for commit in commits if commit]
        while todo:
            commit = todo.pop()
            if commit not in found:
                found.add(commit)
                todo += self.versions[commit].parents
        return found

    def is_ancestor(self, old: Digest | None, new: Digest | None) -> bool:
        return old is None or old in self.before(new)

    def bases(self, some: Iterable[Digest], other: Digest) -> list[Digest]:
        """The best common ancestors."""
        common = self.before(*some) & self.before(other)
        return sorted(
            one
            for one in common
            if not any(one != better and one in self.before(better) for better in common)
        )

    def base(self, some: Sequence[Digest], other: Digest) -> Tree:
        """The tree that some commits, merged, and another one came from."""
        bases = self.bases(some, other)
        merged = self.tree(bases[0]) if bases else {}
        for number, one in enumerate(bases[1:], 1):
            below = self.base(bases[:number], one)
            merged, sides = merge(below, merged, self.tree(one))
            # Of what the bases do not agree on no side has what the base has.
            merged |= {path: (-1, repr((path, both)).encode()) for path, both in sides.items()}
        return merged


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


def merge(
    base: Tree, ours: Tree, theirs: Tree
) -> tuple[Tree, dict[str, tuple[Content | None, Content | None]]]:
    """A three-way merge: the tree with ours at conflicts, and what both sides have at these."""
    changed = [
        {path for path in base.keys() | side.keys() if base.get(path) != side.get(path)}
        for side in (ours, theirs)
    ]
    disputed = {path for path in changed[0] & changed[1] if ours.get(path) != theirs.get(path)}
    # A file that came on one side, and files that came below it on the other.
    came = [
        {path for path in mine if path in side and path not in other}
        for mine, side, other in zip(changed, (ours, theirs), (theirs, ours), strict=True)
    ]
    for one, other in (came, came[::-1]):
        for path in one:
            below = {inner for inner in other if path in parents_of(inner)}
            disputed |= below
            disputed |= {path} if below else set()
    tree = dict(ours)
    for path in changed[1] - disputed:
        tree.pop(path, None)
        if path in theirs:
            tree[path] = theirs[path]
    return tree, {path: (ours.get(path), theirs.get(path)) for path in disputed}


def with_changes(tree: Tree, wanted: Mapping[str, Content | None]) -> Tree:
    """A tree with some paths changed.

    Raises:
        RefusedError: a file would lie where a folder is.
    """
    after = {path: value for path, value in tree.items() if path not in wanted}
    after |= {path: value for path, value in wanted.items() if value}
    if any(_collide(path, other) for path, value in wanted.items() if value for other in after):
        raise RefusedError
    return after


def conflicting_tags(theirs: Mapping[str, Digest], ours: Mapping[str, Digest]) -> bool:
    return any(theirs.get(name, commit) != commit for name, commit in ours.items())


def among(refs: Refs, commits: Iterable[Digest]) -> Refs:
    wanted = set(commits)
    return {name: commit for name, commit in refs.items() if commit in wanted}


def _collide(one: str, other: str) -> bool:
    return one in parents_of(other) or other in parents_of(one)
