"""What a push makes of the refs of a remote: planned, checked, and done in one change of its root.

A branch goes forward, or it stays: what it names there is given up only if that was asked for, and
only if it is what we last saw there (git's `--force-with-lease`). Tags do not move.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, InvalidInputError, NotFoundError
from datasets_vc.format.root import Refs, Root
from datasets_vc.history.commits import is_ancestor
from datasets_vc.history.cut import CutHistoryError
from datasets_vc.store import Store

Kind = Literal["branch", "tag"]
Outcome = Literal["created", "updated", "forced", "deleted", "unchanged", "left out"]


@dataclass(frozen=True, slots=True)
class PushedRefs:
    """The refs that a push is about.

    Attributes:
        branches: name -> commit.
        tags: name -> what our root has under it: a commit, or a tag object.
        gone: names of branches and tags to delete.
        default: the branch that clones of a remote that was empty are to check out.
        seen: where the remote's branches were when we last looked.
        force: overwrite branches that are where they were then.
    """

    branches: Refs = field(default_factory=dict)
    tags: Refs = field(default_factory=dict)
    gone: Sequence[str] = ()
    default: str | None = None
    seen: Refs = field(default_factory=dict)
    force: bool = False


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """What comes of one ref of a remote: from what to what; None: there is none."""

    kind: Kind
    name: str
    old: Digest | None
    new: Digest | None
    outcome: Outcome


def plan_updates(local: Store, root: Root, refs: PushedRefs, url: str) -> list[RefUpdate]:
    """What the push of some refs makes of those of a remote.

    Raises:
        ConflictError: a branch holds commits that ours does not build on, or that we have not seen
            and would give up; or a tag is another one there.
        NotFoundError: what is to be deleted is not there.
        InvalidInputError: it is the default branch.
        CutHistoryError: our history ends before the answer.
    """
    return [
        *_branch_updates(local, root, refs, url),
        *_tag_updates(root, refs, url),
        *_deletions(root, refs, url),
    ]


def apply_updates(root: Root, updates: Iterable[RefUpdate], default: str | None, url: str) -> Root:
    """The root after all updates.

    Raises:
        ConflictError: a ref was moved by somebody else since they were planned.
    """
    refs = {"branch": dict(root.branches), "tag": dict(root.tags)}
    for update in updates:
        kind = refs[update.kind]
        if kind.get(update.name) not in (update.old, update.new):
            raise (
                _moved([update.name], url) if update.kind == "branch" else _other(update.name, url)
            )
        if update.new is None:
            kind.pop(update.name, None)
        else:
            kind[update.name] = update.new
    first = not root.branches and default in refs["branch"]
    return replace(
        root,
        branches=refs["branch"],
        tags=refs["tag"],
        default_branch=default if first and default else root.default_branch,
    )


def _branch_updates(local: Store, root: Root, refs: PushedRefs, url: str) -> list[RefUpdate]:
    updates, refused = [], []
    for name, new in refs.branches.items():
        old = root.branches.get(name)
        outcome = _outcome(local, old, new, force=refs.force)
        if outcome is None:
            refused.append(name)
        elif outcome == "forced" and refs.seen.get(name) != old:
            raise _unseen(name, url)
        else:
            updates.append(RefUpdate("branch", name, old, new, outcome))
    if refused:
        raise _moved(refused, url)
    return updates


def _outcome(local: Store, old: Digest | None, new: Digest, *, force: bool) -> Outcome | None:
    """What setting a branch comes to; None if it would give up commits and must not."""
    if old is None or old == new:
        return "unchanged" if old else "created"
    if local.find(old) is None and old not in local.shallow:
        return "forced" if force else None
    try:
        forward = is_ancestor(local, old, new)
    except CutHistoryError:
        if not force:
            raise
        forward = False
    if forward:
        return "updated"
    return "forced" if force else None


def _tag_updates(root: Root, refs: PushedRefs, url: str) -> Iterator[RefUpdate]:
    for name, new in refs.tags.items():
        old = root.tags.get(name)
        if old not in (None, new):
            raise _other(name, url)
        yield RefUpdate("tag", name, old, new, "unchanged" if old else "created")


def _deletions(root: Root, refs: PushedRefs, url: str) -> Iterator[RefUpdate]:
    for name in refs.gone:
        branch, tag = root.branches.get(name), root.tags.get(name)
        if branch and tag:
            raise InvalidInputError(
                f"'{name}' is a branch and a tag of {url}.", "Only one of the two can be meant."
            )
        if branch:
            _check_deletable(root, refs, name, url)
        elif not tag:
            raise NotFoundError(
                f"There is no branch or tag '{name}' at {url}.", "See what there is: dsvc fetch"
            )
        yield RefUpdate("branch" if branch else "tag", name, branch or tag, None, "deleted")


def _check_deletable(root: Root, refs: PushedRefs, name: str, url: str) -> None:
    if name == root.default_branch:
        raise InvalidInputError(
            f"'{name}' is the branch that clones of {url} check out: it cannot be deleted.",
            "Overwrite it with another one of yours: dsvc push REMOTE BRANCH --force",
        )
    if refs.seen.get(name) != root.branches[name]:
        raise _unseen(name, url)


def _moved(names: Sequence[str], url: str) -> ConflictError:
    if len(names) == 1:
        message = f"Branch '{names[0]}' of {url} has commits that yours does not build on."
    else:
        words = ", ".join(f"'{name}'" for name in names)
        message = f"The branches {words} of {url} have commits that yours do not build on."
    return ConflictError(message, "Run `dsvc pull` to bring them together, then push again.")


def _unseen(name: str, url: str) -> ConflictError:
    return ConflictError(
        f"Branch '{name}' of {url} is not where it was when you last looked.",
        "See what came since, and whether it may go: dsvc fetch, dsvc log REMOTE/BRANCH",
    )


def _other(name: str, url: str) -> ConflictError:
    return ConflictError(
        f"Tag '{name}' is another one at {url}.",
        f"Delete your tag (dsvc tag -d {name}) or choose another name.",
    )
