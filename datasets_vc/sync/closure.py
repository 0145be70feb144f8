"""Everything that a dataset consists of, walked level by level."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_vc.digest import Digest
from datasets_vc.format.location import RECIPE
from datasets_vc.format.node import Node
from datasets_vc.format.recipe import decode_recipe
from datasets_vc.history.manifest import read_nodes
from datasets_vc.store import Store
from datasets_vc.store.index import ChunkIndex

_NODES_AT_ONCE = 256

Prepare = Callable[[Sequence[Digest]], None]
Present = Callable[[Sequence[Digest]], NDArray[np.bool_]]


def dataset_chunks(
    store: Store,
    dataset: Digest,
    source: ChunkIndex,
    *,
    prepare: Prepare = lambda _: None,
    present: Present | None = None,
) -> list[Digest]:
    """The nodes, files, recipes and pieces of files that a dataset consists of, each once.

    Args:
        store: nodes and recipes are read from it.
        source: the index that knows which files have a recipe.
        prepare: called with the digests of nodes and recipes before they are read.
        present: tells which of some digests to leave out, with all that lies below them.
    """
    keep = _filter(present)
    found: list[Digest] = []
    level = keep([dataset])
    files: list[Digest] = []
    while level:
        found += level
        prepare(level)
        nodes = read_nodes(store, level)
        children = [digest for node in nodes if node.level for digest in _digests(node)]
        files += [digest for node in nodes if not node.level for digest in _digests(node)]
        level = keep(children)
    files = keep(files)
    recipes = _with_recipe(source, files)
    prepare(recipes)
    # By the store's own index: it may hold in one chunk what the source has in pieces.
    return found + files + keep(_pieces(store, _with_recipe(store.index, recipes)))


def file_chunks(store: Store, files: Sequence[Digest]) -> list[Digest]:
    """Files with the pieces that they are made of."""
    return [*files, *_pieces(store, _with_recipe(store.index, files))]


def lacking(store: Store, dataset: Digest) -> bool:
    """Whether a store lacks any part of a dataset."""
    level = [dataset]
    while level:
        if not store.index.contains(level).all():
            return True
        inner: list[Digest] = []
        # A few nodes at a time: their digests are half of what a dataset takes.
        for start in range(0, len(level), _NODES_AT_ONCE):
            nodes = read_nodes(store, level[start : start + _NODES_AT_ONCE])
            if _lacks_files(
                store, [each for node in nodes if not node.level for each in _digests(node)]
            ):
                return True
            inner += [digest for node in nodes if node.level for digest in _digests(node)]
        level = list(dict.fromkeys(inner))
    return False


def _lacks_files(store: Store, files: Sequence[Digest]) -> bool:
    if not store.index.contains(files).all():
        return True
    return not store.index.contains(_pieces(store, _with_recipe(store.index, files))).all()


def lacks_nodes(store: Store, dataset: Digest) -> bool:
    """Whether a store lacks any node of a dataset; its files may be missing."""
    level = [dataset]
    while level:
        if not store.index.contains(level).all():
            return True
        nodes = read_nodes(store, level)
        inner = (digest for node in nodes if node.level for digest in _digests(node))
        level = list(dict.fromkeys(inner))
    return False


def lacking_files(store: Store, files: Sequence[Digest]) -> list[Digest]:
    """Which files a store does not have, or not all pieces of."""
    here = store.index.contains(files).tolist()
    absent = [file for file, found in zip(files, here, strict=True) if not found]
    recipes = _with_recipe(store.index, files)
    if store.index.contains(_pieces(store, recipes)).all():
        return absent
    return absent + [
        file for file in recipes if not store.index.contains(_pieces(store, [file])).all()
    ]


def _filter(present: Present | None) -> Callable[[Sequence[Digest]], list[Digest]]:
    def keep(digests: Sequence[Digest]) -> list[Digest]:
        unique = list(dict.fromkeys(digests))
        if present is None or not unique:
            return unique
        return [unique[row] for row in np.flatnonzero(~present(unique)).tolist()]

    return keep


def _digests(node: Node) -> list[Digest]:
    column: pa.Array = node.rows.column("digest")
    digests: list[Digest] = column.to_pylist()
    return digests


def _with_recipe(index: ChunkIndex, files: Sequence[Digest]) -> list[Digest]:
    places = index.locate(files)
    rows = np.flatnonzero(places.found & (places.rows["codec"] == RECIPE)).tolist()
    return [files[row] for row in rows]


def _pieces(store: Store, recipes: Sequence[Digest]) -> list[Digest]:
    return [
        piece
        for digest, data in zip(recipes, store.read_many(recipes), strict=True)
        for piece in decode_recipe(data, f"The recipe of file {digest.hex()}").digests
    ]
