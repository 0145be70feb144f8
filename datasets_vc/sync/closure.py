"""Everything that a dataset consists of, walked level by level."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_vc.digest import DIGEST_SIZE, Digest
from datasets_vc.format.location import (
    RECIPE,
    DigestKeys,
    Digests,
    as_keys,
    digest_keys,
    digest_list,
    joined,
    unique,
)
from datasets_vc.format.node import Node
from datasets_vc.history.manifest import read_nodes
from datasets_vc.memory import give_back
from datasets_vc.store import Store
from datasets_vc.store.index import ChunkIndex

_NODES_AT_ONCE = 256
_RECIPES_AT_ONCE = 256

Prepare = Callable[[DigestKeys], object]
Present = Callable[[DigestKeys], NDArray[np.bool_]]


def dataset_chunks(store: Store, dataset: Digest, *, present: Present | None = None) -> DigestKeys:
    """The nodes, files, recipes and pieces of files that a dataset consists of, as a column.

    Files that are alike are in it more than once.

    Args:
        store: has the nodes and the recipes.
        present: tells which of some digests to leave out, with all that lies below them.
    """
    nodes, every = dataset_files(store, dataset, present=present)
    every = every[~present(every)] if present else every
    pieces = _filter(present)(_pieces(store, with_recipe(store.index, every)))
    return joined([nodes, every, pieces])


def dataset_files(
    store: Store,
    dataset: Digest,
    *,
    prepare: Prepare = lambda _: None,
    present: Present | None = None,
) -> tuple[DigestKeys, DigestKeys]:
    """The nodes of a dataset, and the files in them; those that are alike more than once.

    Args:
        prepare: called with the digests of nodes before they are read.
        present: tells which nodes to leave out, with all that lies below them.
    """
    keep = _filter(present)
    found: list[DigestKeys] = []
    files: list[DigestKeys] = []
    level = keep(as_keys([dataset]))
    while len(level):
        found.append(level)
        prepare(level)
        inner: list[DigestKeys] = []
        for node in _nodes(store, level):
            (inner if node.level else files).append(_digests(node))
        level = keep(joined(inner))
    store.let_go()
    every = joined(files)
    files.clear()
    give_back()
    return joined(found), every


def file_chunks(store: Store, files: Digests) -> DigestKeys:
    """Files with the pieces that they are made of."""
    keys = as_keys(files)
    return joined([keys, _pieces(store, with_recipe(store.index, keys))])


def lacking(store: Store, dataset: Digest) -> bool:
    """Whether a store lacks any part of a dataset."""
    level = as_keys([dataset])
    while len(level):
        if not store.index.contains_chunks(level).all():
            return True
        inner: list[DigestKeys] = []
        for node in _nodes(store, level):
            if node.level:
                inner.append(_digests(node))
            elif not _complete(store, _digests(node)):
                return True
        level = unique(joined(inner))
    return False


def lacks_nodes(store: Store, dataset: Digest) -> bool:
    """Whether a store lacks any node of a dataset; its files may be missing."""
    level = as_keys([dataset])
    while len(level):
        if not store.index.contains_chunks(level).all():
            return True
        level = unique(joined([_digests(node) for node in _nodes(store, level) if node.level]))
    return False


def held_files(store: Store, files: DigestKeys) -> NDArray[np.bool_]:
    """Which files a store has whole: as a chunk, or as a recipe with all its pieces."""
    held = store.index.contains_chunks(files)
    if held.all():
        return held
    rows = np.flatnonzero(store.index.contains(files) & ~held)
    if len(rows):
        whole = set(files[rows].tolist()) - set(as_keys(lacking_files(store, files[rows])).tolist())
        held[rows] = [file in whole for file in files[rows].tolist()]
    return held


def lacking_files(store: Store, files: Digests) -> list[Digest]:
    """Which files a store does not have, or not all pieces of."""
    keys = as_keys(files)
    absent = digest_list(keys[~store.index.contains(keys)])
    recipes = with_recipe(store.index, keys)
    if store.index.contains_chunks(_pieces(store, recipes)).all():
        return absent
    return absent + [file for file in digest_list(recipes) if not _complete(store, as_keys([file]))]


def _complete(store: Store, files: DigestKeys) -> bool:
    """Whether a store has files with all their pieces."""
    if not store.index.contains(files).all():
        return False
    pieces = _pieces(store, with_recipe(store.index, files))
    return bool(store.index.contains_chunks(pieces).all())


def _filter(present: Present | None) -> Callable[[DigestKeys], DigestKeys]:
    def keep(digests: DigestKeys) -> DigestKeys:
        keys = unique(digests)
        return keys if present is None or not len(keys) else keys[~present(keys)]

    return keep


def _nodes(store: Store, digests: DigestKeys) -> Iterator[Node]:
    """Nodes, read a few at a time: their digests are half of what a dataset takes."""
    for start in range(0, len(digests), _NODES_AT_ONCE):
        yield from read_nodes(store, digest_list(digests[start : start + _NODES_AT_ONCE]))


def _digests(node: Node) -> DigestKeys:
    """A copy: the node's memory is not kept for it."""
    column: pa.Array = node.rows.column("digest")
    data = memoryview(column.buffers()[1] or b"")
    start = column.offset * DIGEST_SIZE
    return digest_keys(bytes(data[start : start + len(column) * DIGEST_SIZE]))


def with_recipe(index: ChunkIndex, files: DigestKeys) -> DigestKeys:
    """Those files that are stored in pieces."""
    places = index.locate(files)
    recipes: NDArray[np.bool_] = places.found & (places.rows["codec"] == RECIPE)
    return files[recipes]


def _pieces(store: Store, recipes: DigestKeys) -> DigestKeys:
    found: list[DigestKeys] = []
    for start in range(0, len(recipes), _RECIPES_AT_ONCE):
        some = digest_list(recipes[start : start + _RECIPES_AT_ONCE])
        found += [digest_keys(recipe.digests) for recipe in store.read_recipes(some)]
    return joined(found)
