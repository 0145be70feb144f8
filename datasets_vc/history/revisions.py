"""Revisions: the texts that name a commit or a dataset."""

from __future__ import annotations

import re
from dataclasses import dataclass

from datasets_vc.digest import DIGEST_SIZE, MIN_PREFIX, Digest, is_hex
from datasets_vc.errors import IntegrityError, InvalidInputError, NotFoundError
from datasets_vc.format.header import NODE
from datasets_vc.format.json import COMMIT, decode_object
from datasets_vc.format.pack import METADATA
from datasets_vc.format.root import Root
from datasets_vc.history.commits import read_commit
from datasets_vc.store import Store

_STEPS = re.compile(r"(?P<base>[^~^]+)(?P<steps>(?:[~^][0-9]{0,9})*)")
_STEP = re.compile(r"([~^])([0-9]*)")


@dataclass(frozen=True, slots=True)
class Revision:
    """What a text names: a dataset, and the commit it was named by, if it was."""

    commit: Digest | None
    dataset: Digest


def resolve(store: Store, text: str, head: Digest | None = None) -> Revision:
    """Find what `text` names: a branch, tag, `HEAD`, `remote/branch`, digest or prefix of one.

    `~n` after it goes n first parents back, `^n` to the n-th parent, as in git.

    Args:
        head: the commit that `HEAD` names, if there is one.

    Raises:
        NotFoundError: nothing has that name.
        InvalidInputError: a prefix is too short or fits several things.
    """
    match = _STEPS.fullmatch(text)
    if not match:
        raise InvalidInputError(f"{text!a} is not a revision.", "Name a branch, tag or digest.")
    digest = _resolve_base(store, match["base"], head)
    if digest is None:
        raise NotFoundError(
            f"There is no revision '{match['base']}' in {store.url}.",
            "`dsvc branch`, `dsvc tag` and `dsvc log` list what there is; "
            "`dsvc fetch` gets what a remote has.",
        )
    if not _is_commit(store, digest):
        if match["steps"]:
            raise InvalidInputError(f"'{match['base']}' is a dataset: only commits have parents.")
        return Revision(None, digest)
    for kind, number in _STEP.findall(match["steps"]):
        digest = _step(store, digest, kind, int(number or 1), text)
    return Revision(digest, read_commit(store, digest).dataset)


def find_ref(root: Root, name: str) -> Digest | None:
    """The commit of a branch, a tag or a tracked branch, in this order."""
    for refs in (root.branches, root.tags, root.tracking):
        if name in refs:
            return refs[name]
    return None


def _resolve_base(store: Store, name: str, head: Digest | None) -> Digest | None:
    if name == "HEAD":
        if head is None:
            raise NotFoundError("There is no commit yet.", "Record one: dsvc commit -m MESSAGE")
        return head
    found = find_ref(store.root(), name)
    if found is not None or not is_hex(name):
        return found
    if len(name) < MIN_PREFIX:
        raise NotFoundError(
            f"There is no revision '{name}' in {store.url}.",
            f"A prefix of a digest needs at least {MIN_PREFIX} digits.",
        )
    return _by_prefix(store, name)


def _by_prefix(store: Store, prefix: str) -> Digest | None:
    if len(prefix) > 2 * DIGEST_SIZE:
        return None
    candidates = [
        digest
        for digest in store.index.with_prefix(prefix, METADATA)
        if _is_node(store, digest) or _is_commit(store, digest)
    ]
    if len(candidates) > 1:
        raise InvalidInputError(
            f"'{prefix}' is ambiguous: it fits {', '.join(c.hex()[:16] for c in candidates[:4])}.",
            "Give more digits.",
        )
    return candidates[0] if candidates else None


def _is_node(store: Store, digest: Digest) -> bool:
    return bytes(store.read(digest)[:4]) == NODE


def _is_commit(store: Store, digest: Digest) -> bool:
    data = store.read(digest)
    if bytes(data[:1]) != b"{":
        return False
    try:
        decode_object(data, COMMIT, "")
    except IntegrityError:
        return False
    return True


def _step(store: Store, digest: Digest, kind: str, number: int, text: str) -> Digest:
    for _ in range(number if kind == "~" else min(number, 1)):
        parents = read_commit(store, digest).parents
        which = number - 1 if kind == "^" else 0
        if which >= len(parents):
            raise NotFoundError(f"'{text}' goes back further than the history does.")
        digest = parents[which]
    return digest
