"""Which refs a push was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datasets_vc.digest import Digest
from datasets_vc.errors import InvalidInputError, NotFoundError
from datasets_vc.repository.context import Context
from datasets_vc.sync.updates import PushedRefs


@dataclass(frozen=True, slots=True)
class RefChoice:
    """Branches and tags of the workspace's store, or of the remote where they are to be deleted.

    Attributes:
        names: of branches or tags; the current branch, if nothing else is chosen.
        branches: all of them.
        tags: all of them, besides what else is chosen.
        delete: delete the named ones at the remote.
        force: overwrite branches that have gone another way there, if we last saw them so.
    """

    names: Sequence[str] = ()
    branches: bool = False
    tags: bool = False
    delete: bool = False
    force: bool = False


CURRENT = RefChoice()


def chosen_refs(context: Context, choice: RefChoice, remote: str) -> PushedRefs:
    """The refs of a choice, with what they name, for a push to `remote`.

    Raises:
        NotFoundError: there is no such branch or tag, or it has no commit.
        InvalidInputError: nothing is chosen, or things that exclude each other.
    """
    root, prefix = context.store.root(), f"{remote}/"
    seen = {
        ref.removeprefix(prefix): commit
        for ref, commit in root.tracking.items()
        if ref.startswith(prefix)
    }
    if choice.delete:
        return PushedRefs(gone=_to_delete(choice), seen=seen)
    names = list(choice.names)
    if not (names or choice.branches or (choice.tags and not _has_commit(context))):
        names = [_current(context)]
    branches = dict(root.branches) if choice.branches else {}
    tags = dict(root.tags) if choice.tags else {}
    for name in names:
        kind, refs = (branches, root.branches)
        if name not in refs and name in root.tags:
            kind, refs = (tags, root.tags)
        kind[name] = _known(refs, name)
    default = root.default_branch if root.default_branch in branches else next(iter(branches), None)
    return PushedRefs(branches, tags, default=default, seen=seen, force=choice.force)


def _to_delete(choice: RefChoice) -> Sequence[str]:
    if not choice.names:
        raise InvalidInputError(
            "It is not said what to delete.", "Name it: dsvc push REMOTE --delete NAME"
        )
    if choice.branches or choice.tags or choice.force:
        raise InvalidInputError("Only named branches and tags can be deleted, nothing else added.")
    return tuple(dict.fromkeys(choice.names))


def _has_commit(context: Context) -> bool:
    return context.head.branch is not None and context.tip is not None


def _current(context: Context) -> str:
    branch = context.head.branch
    if branch is None:
        raise InvalidInputError(
            "The workspace is on no branch.", "Say which to push: dsvc push REMOTE BRANCH"
        )
    return branch


def _known(refs: Mapping[str, Digest], name: str) -> Digest:
    if name not in refs:
        raise NotFoundError(
            f"Branch '{name}' has no commit to push.", "Record one: dsvc commit -m MESSAGE"
        )
    return refs[name]
