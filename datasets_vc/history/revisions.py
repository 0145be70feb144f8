"""Revisions: the texts that name a commit or a dataset."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from datasets_vc.digest import DIGEST_SIZE, MIN_PREFIX, Digest, is_hex
from datasets_vc.errors import InvalidInputError, NotFoundError
from datasets_vc.format.header import NODE
from datasets_vc.format.json import COMMIT, TAG, form_of
from datasets_vc.format.location import RECIPE
from datasets_vc.format.pack import METADATA
from datasets_vc.format.root import Root
from datasets_vc.history.commits import read_commit
from datasets_vc.history.cut import CutHistoryError, is_beyond
from datasets_vc.history.tagobjects import read_tag
from datasets_vc.store import Store

_STEPS = re.compile(r"(?P<base>[^~^]+)(?P<steps>(?:[~^][0-9]{0,9})*)")
_STEP = re.compile(r"([~^])([0-9]*)")
_NODE_FORM = "node"
_DESCRIBED = re.compile(r".+-[0-9]+-g(?P<prefix>[0-9a-f]{8,64})")


@dataclass(frozen=True, slots=True)
class Revision:
    """What a text names: a dataset, and the commit it was named by, if it was.

    `tag` is the tag object, if the text is nothing but the name of an annotated tag.
    """

    commit: Digest | None
    dataset: Digest
    tag: Digest | None = None


def resolve(
    store: Store,
    text: str,
    head: Digest | None = None,
    branch: str | None = None,
    remotes: Collection[str] = (),
) -> Revision:
    """Find what `text` names: a branch, tag, `HEAD`, `remote/branch`, digest or prefix of one.

    What `describe` says of a commit (`v1.0-3-g1a2b3c4d`) names it, too. `~n` after it goes n first
    parents back, `^n` to the n-th parent, as in git.

    Args:
        head: the commit that `HEAD` names, if there is one.
        branch: the branch that `HEAD` names, for what is said where it names no commit.
        remotes: names of remotes, beside those that the store knows branches of: what begins with
            one of them is no tag; see `find_ref`.

    Raises:
        NotFoundError: nothing has that name.
        InvalidInputError: a prefix is too short or fits several things; or see `find_ref`.
    """
    match = _STEPS.fullmatch(text)
    if not match:
        raise InvalidInputError(f"{text!a} is not a revision.", "Name a branch, tag or digest.")
    if match["base"] == "HEAD" and head is None:
        raise _no_commit(store.root(), branch)
    digest = _resolve_base(store, match["base"], head, remotes)
    if digest is None:
        raise NotFoundError(
            f"There is no revision '{match['base']}' in {store.url}.",
            "`dsvc branch`, `dsvc tag` and `dsvc log` list what there is; "
            "`dsvc fetch` gets what a remote has.",
        )
    form = form_of(store.read(digest))
    tag = digest if form == TAG else None
    if tag:
        digest = read_tag(store, tag).object
    elif form != COMMIT:
        if match["steps"]:
            raise InvalidInputError(f"'{match['base']}' is a dataset: only commits have parents.")
        return Revision(None, digest)
    for kind, number in _STEP.findall(match["steps"]):
        digest = _step(store, digest, kind, int(number or 1), text)
    return Revision(digest, read_commit(store, digest).dataset, None if match["steps"] else tag)


def find_ref(root: Root, name: str, remotes: Collection[str] = ()) -> Digest | None:
    """What a branch, a tag or a tracked branch names, in this order; a tag maybe a tag object.

    A name that begins with that of a remote is its branch: a tag, which may have come from another
    remote, cannot stand for it, nor can a branch unless the remote has none of that name.

    Raises:
        InvalidInputError: a tag or branch would be taken for the branch of a remote.
    """
    tracked = root.tracking.get(name)
    of_remote = is_of_remote(name, root, remotes)
    for kind, refs in (("branch", root.branches), ("tag", root.tags)):
        found = refs.get(name)
        if found is None or found == tracked:
            continue
        if of_remote and (tracked is not None or kind == "tag"):
            raise _ambiguous(name, kind)
        return found
    return tracked


def is_of_remote(name: str, root: Root, remotes: Collection[str]) -> bool:
    """Whether a name reads as a branch of a remote that is named, or that a store knows."""
    remote, slash, _ = name.partition("/")
    known = remote in remotes or any(ref.startswith(f"{remote}/") for ref in root.tracking)
    return bool(slash) and known


def _ambiguous(name: str, kind: str) -> InvalidInputError:
    away = f"branch -m {name} NEW" if kind == "branch" else f"tag -d {name}"
    return InvalidInputError(
        f"'{name}' is ambiguous: there is a {kind} of that name, which reads as a branch of the "
        f"remote '{name.partition('/')[0]}'.",
        f"Let the name be the remote's: dsvc {away}; or name the commit by its digest, which "
        f"`dsvc {kind}` tells.",
    )


def _resolve_base(
    store: Store, name: str, head: Digest | None, remotes: Collection[str]
) -> Digest | None:
    if name == "HEAD":
        return head
    found = find_ref(store.root(), name, remotes)
    if found is not None:
        return found
    described = _DESCRIBED.fullmatch(name)
    if described:
        return _by_prefix(store, described["prefix"], (COMMIT,))
    if not is_hex(name):
        return None
    if len(name) < MIN_PREFIX:
        raise NotFoundError(
            f"There is no revision '{name}' in {store.url}.",
            f"A prefix of a digest needs at least {MIN_PREFIX} digits.",
        )
    return _by_prefix(store, name)


def _no_commit(root: Root, branch: str | None) -> NotFoundError:
    """What is said where `HEAD` names no commit: how to come to one."""
    if branch in root.branches:
        return NotFoundError(
            f"The branch '{branch}' has versions in the store, and none of them is in this "
            "workspace yet.",
            f"Bring the newest: dsvc checkout {branch}",
        )
    record = "Record one: dsvc commit -m MESSAGE"
    names = [*sorted(root.branches), *sorted(root.tracking), *sorted(root.tags)]
    if not names:
        return NotFoundError("There is no commit yet.", record)
    default = root.default_branch
    other = default if default in root.branches else names[0]
    return NotFoundError(
        f"There is no commit yet on branch '{branch}'." if branch else "There is no commit yet.",
        f"{record}; or go to a version that is there: dsvc checkout {other}",
    )


def _by_prefix(
    store: Store, prefix: str, forms: tuple[str, ...] = (_NODE_FORM, COMMIT, TAG)
) -> Digest | None:
    if len(prefix) > 2 * DIGEST_SIZE:
        return None
    found = store.index.with_prefix(prefix, METADATA)
    if not found and len(prefix) == 2 * DIGEST_SIZE:
        _refuse_recipe(store, Digest(bytes.fromhex(prefix)))
    candidates = [
        digest
        for digest, data in zip(found, store.read_many(found), strict=True)
        if (_NODE_FORM if bytes(data[:4]) == NODE else form_of(data)) in forms
    ]
    if len(candidates) > 1:
        raise InvalidInputError(
            f"'{prefix}' is ambiguous: it fits {', '.join(c.hex()[:16] for c in candidates[:4])}.",
            "Give more digits.",
        )
    return candidates[0] if candidates else None


def _refuse_recipe(store: Store, digest: Digest) -> None:
    """Make sure that what is no commit and no dataset is not a lie.

    Raises:
        IntegrityError: a recipe is stored under it, which no commit and no dataset can be.
    """
    place = store.find(digest)
    if place is not None and place.codec == RECIPE:
        store.read(digest)


def _step(store: Store, digest: Digest, kind: str, number: int, text: str) -> Digest:
    for _ in range(number if kind == "~" else min(number, 1)):
        parents = read_commit(store, digest).parents
        which = number - 1 if kind == "^" else 0
        if which >= len(parents):
            raise NotFoundError(f"'{text}' goes back further than the history does.")
        digest = parents[which]
        if is_beyond(store, digest):
            raise CutHistoryError(f"'{text}' lies before where the history here is cut.")
    return digest
