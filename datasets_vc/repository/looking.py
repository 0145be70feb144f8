"""Verbs that look at versions: log, show, ls, cat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import pyarrow as pa

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import MissingDataError, NotFoundError
from datasets_vc.history.below import Below
from datasets_vc.history.commits import read_commit, walk
from datasets_vc.history.cut import parents_here
from datasets_vc.history.log import Logged, log, log_graph
from datasets_vc.history.manifest import Manifest
from datasets_vc.history.names import CommitName, names_of_commits
from datasets_vc.history.snapshot import Snapshot
from datasets_vc.history.tagobjects import read_tag
from datasets_vc.repository.bringing import ensure_files, ensure_parts
from datasets_vc.repository.context import Context
from datasets_vc.repository.results import CommitInfo, Version
from datasets_vc.repository.signing import Signing
from datasets_vc.samples import summarise
from datasets_vc.store import Store

_FIRST_BATCH, _LARGEST_BATCH = 8, 256


def log_of(
    context: Context,
    tips: Sequence[Digest],
    paths: Sequence[str],
    *,
    limit: int | None,
    follow: bool,
    graph: bool,
) -> Iterator[CommitInfo]:
    tell = log_graph if graph else log
    nodes = _NodesAnywhere(context, tips, paths) if paths else None
    found = tell(context.store, tips, paths, follow=follow, nodes=nodes)
    names = names_of_commits(context.store, context.head)
    for batch in _batches(islice(found, limit)):
        yield from _infos(context.store, batch, names)


def every_tip(context: Context) -> list[Digest]:
    """The commits of all refs that are here, and HEAD's."""
    return [tip for tip in names_of_commits(context.store, context.head) if context.store.find(tip)]


def show(context: Context, revision: str, snapshot: Snapshot) -> Version:
    found = context.resolve(revision)
    tag = read_tag(context.store, found.tag) if found.tag else None
    look = Signing(context).look
    info = signature = None
    if found.commit:
        commit = read_commit(context.store, found.commit)
        signature = look(found.commit.hex()) if commit.signature else None
        names = names_of_commits(context.store, context.head)
        cut = parents_here(context.store, commit) != commit.parents
        logged = Logged(found.commit, commit, commit.parents, cut)
        (info,) = _infos(context.store, [logged], names)
    manifest = Manifest(context.store, found.dataset)
    return Version(
        info=info,
        dataset=found.dataset,
        files=manifest.count,
        bytes=manifest.bytes,
        samples=summarise(snapshot),
        tag=tag,
        signature=signature,
        tag_signature=look(revision) if tag and tag.signature else None,
    )


def ls(context: Context, revision: str, path: str) -> pa.Table:
    table = Manifest(context.store, context.resolve(revision).dataset).entries(path)
    if path and not table.num_rows:
        raise NotFoundError(f"There is no '{path}' in {revision}.", _from_the_top(revision))
    return table


def cat(context: Context, revision: str, path: str) -> Iterator[Buffer]:
    store = context.store
    entry = Manifest(store, context.resolve(revision).dataset).get(path)
    if entry is None:
        raise NotFoundError(f"There is no file '{path}' in {revision}.", _from_the_top(revision))
    ensure_files(context, [entry.digest], f"'{path}'")
    return store.iter_file(entry.digest)


def _from_the_top(revision: str) -> str:
    return f"See what there is: dsvc ls {revision}; its paths count from the top of the workspace."


def _batches(found: Iterator[Logged]) -> Iterator[list[Logged]]:
    """In growing batches: the first is there soon, and many commits are looked up at once."""
    size = _FIRST_BATCH
    while batch := list(islice(found, size)):
        yield batch
        size = min(2 * size, _LARGEST_BATCH)


def _infos(
    store: Store, batch: Sequence[Logged], names: dict[Digest, list[CommitName]]
) -> Iterator[CommitInfo]:
    manifests = _manifests(store, (logged.commit.dataset for logged in batch))
    for logged in batch:
        commit = logged.commit
        manifest = manifests.get(commit.dataset)
        yield CommitInfo(
            digest=logged.digest,
            dataset=commit.dataset,
            parents=commit.parents,
            author=commit.author,
            time=commit.time,
            message=commit.message,
            files=manifest.count if manifest else None,
            bytes=manifest.bytes if manifest else None,
            names=names.get(logged.digest, ()),
            before=logged.parents,
            signed=commit.signature is not None,
            cut=logged.cut,
        )


def _manifests(store: Store, datasets: Iterable[Digest]) -> dict[Digest, Manifest]:
    """The manifests of those datasets that are here, their roots read at once."""
    unique = list(dict.fromkeys(datasets))
    here = store.index.contains(unique).tolist()
    held = [dataset for dataset, found in zip(unique, here, strict=True) if found]
    roots = _Kept(dict(zip(held, store.read_many(held), strict=True)))
    return {dataset: Manifest(roots, dataset) for dataset in held}


class _Kept:
    """Nodes that were read before."""

    def __init__(self, nodes: dict[Digest, Buffer]) -> None:
        self._nodes = nodes

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        return [self._nodes[digest] for digest in digests]


class _NodesAnywhere:
    """Reads nodes, and brings those that only remotes have.

    A clone has the list of files of its newest version. With the first node of another one that is
    missed, those of all versions are brought as far as the paths go: a request or so a level.
    """

    def __init__(self, context: Context, tips: Iterable[Digest], paths: Iterable[str]) -> None:
        self._context = context
        self._tips = tips
        self._paths = paths
        self._asked = False

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        store = self._context.store
        try:
            return store.read_many(digests)
        except MissingDataError:
            self._bring(store.index.locate(digests).missing())
            return store.read_many(digests)

    def _bring(self, missing: Sequence[Digest]) -> None:
        # All versions but once: what is missed later was called by another name before a rename.
        commits = () if self._asked else walk(self._context.store, self._tips)
        self._asked = True
        datasets = [commit.dataset for _, commit in commits]
        below = Below(self._context.store, self._paths)
        ensure_parts(self._context, missing, datasets, below.children)
