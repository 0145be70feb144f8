"""The names of commits: which refs, and whether HEAD, stand at each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from datasets_vc.config import Head
from datasets_vc.digest import Digest
from datasets_vc.format.root import Refs
from datasets_vc.history.tagobjects import peeled
from datasets_vc.store import Store

Kind = Literal["head", "branch", "tag", "tracking"]


@dataclass(frozen=True, slots=True)
class CommitName:
    """A name of a commit.

    `current` marks the branch that HEAD is on; `head` is HEAD itself.
    """

    kind: Kind
    name: str
    current: bool = False


def names_of_commits(store: Store, head: Head) -> dict[Digest, list[CommitName]]:
    """The names of all commits that have one: HEAD and its branch first, then tags."""
    root = store.root()
    names: dict[Digest, list[CommitName]] = {}
    kinds: tuple[tuple[Kind, Refs], ...] = (
        ("tag", peeled(store, root.tags)),
        ("branch", root.branches),
        ("tracking", root.tracking),
    )
    for kind, refs in kinds:
        for name, commit in sorted(refs.items()):
            current = kind == "branch" and (name, commit) == (head.branch, head.commit)
            names.setdefault(commit, []).append(CommitName(kind, name, current))
    if head.commit:
        others = sorted(names.get(head.commit, []), key=lambda name: not name.current)
        names[head.commit] = [CommitName("head", "HEAD"), *others]
    return names
