"""Fetch: bring history, datasets and refs from a remote store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Sequence
from dataclasses import replace

from datasets_vc.digest import Digest
from datasets_vc.errors import MissingDataError
from datasets_vc.format.location import DigestKeys, Digests, as_keys
from datasets_vc.format.node import Node
from datasets_vc.format.pack import METADATA
from datasets_vc.format.root import Refs, Root
from datasets_vc.history.commits import Ancestry, read_commit, walk
from datasets_vc.history.depth import ENDLESS, Reach
from datasets_vc.history.manifest import read_nodes
from datasets_vc.history.tagobjects import peeled, tag_objects
from datasets_vc.memory import give_back
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store import Store
from datasets_vc.store.compact import HISTORY_BELOW
from datasets_vc.store.counted import CollectedError
from datasets_vc.sync.arrival import Recipes, prove, sizes_of, to_bring
from datasets_vc.sync.closure import dataset_files
from datasets_vc.sync.plan import Receiving, plan_receiving
from datasets_vc.sync.tracked import taken_for_tracked
from datasets_vc.sync.transfer import Moved, receive

_ATTEMPTS = 3
_SHORT_PER_REQUEST = 1 << 11
"""How many short chunks cost as much as a request: about half a MiB."""


def fetch_history(
    local: Store, remote: Store, tips: Sequence[Digest], depth: int | None = None
) -> Moved:
    """Bring commits and all before them, without their datasets; and tag objects with theirs.

    Args:
        depth: bring so many commits on each way from a tip; None: all but what lies beyond the
            cut of a shallow store.
    """
    moved = Moved()
    left = ENDLESS if depth is None else depth
    if left > 1 and not local.index.contains(tips).all():
        # One commit says which come before it, and nothing but its size which chunks are commits.
        # What else is as short costs little: else each commit would be a request of its own.
        short = remote.index.short(METADATA, HISTORY_BELOW)
        if len(short) <= left * _SHORT_PER_REQUEST:
            moved += receive(local, remote, short)
    moved += receive(local, remote, tips)
    tags = tag_objects(local, tips)
    todo = list(dict.fromkeys(tags[tip].object if tip in tags else tip for tip in tips))
    seen = set(local.shallow if depth is None else ())
    # What comes before a commit that a branch leads to here is here.
    known = _of_branches(local) if depth is None else Ancestry(local, ())
    while todo and left:
        moved += receive(local, remote, todo)
        seen.update(todo)
        commits = [(digest, read_commit(local, digest)) for digest in todo]
        new = [commit for digest, commit in commits if not known.has(digest, commit)]
        parents = [parent for commit in new for parent in commit.parents]
        todo = [parent for parent in dict.fromkeys(parents) if parent not in seen]
        left -= 1
    return moved


def _of_branches(local: Store) -> Ancestry:
    root = local.root()
    return Ancestry(local, {*root.branches.values(), *root.tracking.values()})


def fetch_dataset(
    local: Store, remote: Store, dataset: Digest, progress: Progress = SILENT
) -> Moved:
    """Bring all of a dataset that the local store does not have."""
    moved, chunks, recipes = _chunks(local, remote, dataset)
    return moved + _bring(local, remote, chunks, recipes, dataset, progress)


def plan_dataset(local: Store, remote: Store, dataset: Digest) -> tuple[Moved, Receiving]:
    """Bring the nodes of a dataset, and say what else `fetch_dataset` would bring."""
    moved, chunks, _ = _chunks(local, remote, dataset)
    return moved, plan_receiving(local, remote, chunks)


def _chunks(local: Store, remote: Store, dataset: Digest) -> tuple[Moved, DigestKeys, Recipes]:
    """What a store lacks of a dataset; nodes are brought, recipes are read."""
    moved = Moved()

    def prepare(digests: DigestKeys) -> None:
        nonlocal moved
        moved += receive(local, remote, digests)

    _, files = dataset_files(local, dataset, prepare=prepare)
    chunks, recipes = to_bring(local, remote, files)
    give_back()
    return moved + Moved(chunks=len(recipes)), chunks, recipes


def fetch_nodes(local: Store, remote: Store, dataset: Digest) -> Moved:
    """Bring the nodes of a dataset without its files: enough to list it, to compare and merge."""
    moved = Moved()
    level = [dataset]
    while level:
        moved += receive(local, remote, level)
        nodes = read_nodes(local, level)
        inner = [node.rows.column("digest").to_pylist() for node in nodes if node.level]
        level = list(dict.fromkeys(digest for digests in inner for digest in digests))
    return moved


def fetch_parts(
    local: Store,
    remote: Store,
    datasets: Iterable[Digest],
    children: Callable[[Node], Iterable[Digest]],
) -> Moved:
    """Bring nodes of many datasets in a few requests: of each node, those that `children` picks."""
    moved = Moved()
    level = list(dict.fromkeys(datasets))
    while level:
        moved += receive(local, remote, level)
        nodes = read_nodes(local, level)
        level = list(dict.fromkeys(child for node in nodes for child in children(node)))
    return moved


def fetch_files(
    local: Store,
    remote: Store,
    files: Digests,
    progress: Progress = SILENT,
    *,
    dataset: Digest | None = None,
) -> Moved:
    """Bring files whole, with the pieces that they are made of.

    Args:
        dataset: which they belong to: a file of another size than it says is not read.
    """
    chunks, recipes = to_bring(local, remote, as_keys(files))
    moved = Moved(chunks=len(recipes))
    return moved + _bring(local, remote, chunks, recipes, dataset, progress)


def _bring(
    local: Store,
    remote: Store,
    chunks: DigestKeys,
    recipes: Recipes,
    dataset: Digest | None,
    progress: Progress,
) -> Moved:
    """Bring chunks, then prove the recipes that are made of them, and list these."""
    moved = receive(local, remote, chunks, progress)
    sizes = sizes_of(local, dataset, recipes) if dataset else {}
    for _ in range(_ATTEMPTS - 1):
        try:
            prove(local, recipes, remote.url, sizes)
            return moved
        except (CollectedError, MissingDataError):
            # A collection has taken pieces of what no index listed yet.
            local.refresh()
            moved += receive(local, remote, chunks, progress)
    prove(local, recipes, remote.url, sizes)
    return moved


def plan_files(local: Store, remote: Store, files: Digests) -> tuple[Moved, Receiving]:
    """Read the recipes of files, and say what else `fetch_files` would bring."""
    chunks, recipes = to_bring(local, remote, as_keys(files))
    return Moved(chunks=len(recipes)), plan_receiving(local, remote, chunks)


def update_tracking(
    local: Store,
    name: str,
    seen: Root,
    fetched: Reach | None = None,
    *,
    tags: bool = True,
    remotes: Collection[str] = (),
) -> Root:
    """Remember where the branches of the remote `name` were; take over tags that are new here.

    What was not fetched stays as it was: a push looks at the whole root and brings nothing.
    A tag that could be mistaken for a tracked branch, of any remote, is not taken over.

    Args:
        fetched: how far a fetch went that history is cut after; a shallow store needs it, else it
            takes over what its own refs lead to.
        tags: take them over, as a fetch does. A push would bring back what was deleted here.
        remotes: names of all, beside those that the store knows branches of.
    """
    prefix = f"{name}/"
    known = _known(local) if local.shallow or fetched else None
    among = known | fetched.within if known is not None and fetched else known
    mistakable = taken_for_tracked(seen, local.root(), {name, *remotes})
    apart = {tag: to for tag, to in seen.tags.items() if tags and tag not in mistakable}
    branches, new_tags = (_held(local, refs, among) for refs in (seen.branches, apart))

    def change(root: Root) -> Root:
        kept: Refs = {
            ref: commit
            for ref, commit in root.tracking.items()
            if not ref.startswith(prefix) or ref.removeprefix(prefix) in seen.branches
        }
        theirs = {prefix + branch: commit for branch, commit in branches.items()}
        shallow = root.shallow
        if fetched:
            shallow = shallow - fetched.within | fetched.beyond - (known or set())
        return replace(
            root, tracking=dict(kept) | theirs, tags=new_tags | dict(root.tags), shallow=shallow
        )

    held = {*branches.values(), *new_tags.values()}
    root = local.swap_root(change, local.counting_on(held))
    if root.shallow != local.shallow:
        local.refresh(root)
    return root


def _held(local: Store, refs: Refs, among: Container[Digest] | None) -> dict[str, Digest]:
    """Those refs whose commits are here: among some, or all that the store has bytes of."""
    names = list(refs)
    commits = list(peeled(local, refs).values())
    here = (local.index.contains(commits) & local.index.contains(list(refs.values()))).tolist()
    return {
        name: refs[name]
        for name, commit, found in zip(names, commits, here, strict=True)
        if found and (among is None or commit in among)
    }


def _known(local: Store) -> set[Digest]:
    """The commits that the refs of a store lead to."""
    root = local.root()
    refs = [*root.branches.values(), *peeled(local, root.tags).values(), *root.tracking.values()]
    return {commit for commit, _ in walk(local, [ref for ref in refs if local.find(ref)])}
