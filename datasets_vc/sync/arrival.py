"""Recipes that arrive: held against the files that they are stored under.

A chunk is checked against its digest where it arrives. A recipe cannot be: it is stored under the
digest of the file that it describes, which only its pieces, all together, can confirm. Until then
it may say anything; and a store that believes to have a file does not store it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import numpy as np

from datasets_vc.digest import Digest
from datasets_vc.errors import IntegrityError
from datasets_vc.format.index import IndexTable
from datasets_vc.format.location import RECIPE, DigestKeys, digest_list, unique
from datasets_vc.history.manifest import Manifest
from datasets_vc.store import Store
from datasets_vc.store.heal import heal
from datasets_vc.store.verify import is_wrong
from datasets_vc.sync.closure import pieces_of, with_recipe
from datasets_vc.sync.keys import KeySet

_PARALLEL = 2
_AT_ONCE = 64


def without_unasked_recipes(table: IndexTable, asked: Callable[[], KeySet]) -> IndexTable:
    """What to list of a pack that came whole: recipes that nobody asked for are not.

    They come when somebody wants them, with their pieces.

    Args:
        asked: what was asked for; called only if there are recipes.
    """
    recipes = np.flatnonzero(table.locations["codec"] == RECIPE)
    if not len(recipes):
        return table
    unasked = recipes[~asked().contains(table.digests[recipes])]
    if not len(unasked):
        return table
    keep = np.delete(np.arange(len(table.digests)), unasked)
    return IndexTable(table.packs, table.digests[keep], table.locations[keep])


def unproven(store: Store, files: DigestKeys, arrived: KeySet) -> list[Digest]:
    """Those of some files that have a recipe here which nobody has held against the file yet.

    Args:
        arrived: what was not here before; of the rest those are meant whose pieces are not all
            here: a transfer was cut short.
    """
    recipes = unique(with_recipe(store.index, files))
    new = arrived.contains(recipes)
    return digest_list(recipes[new]) + [
        file
        for file in digest_list(recipes[~new])
        if not store.index.contains(pieces_of(store, file)).all()
    ]


def prove(
    local: Store,
    files: Sequence[Digest],
    url: str,
    sizes: Mapping[Digest, int] = MappingProxyType({}),
) -> None:
    """Read files that have just come, whole, and forget the recipes among them that are wrong.

    Args:
        url: where they came from, for the message.
        sizes: how many bytes they have by their entries, as far as that is known.

    Raises:
        IntegrityError: a recipe makes something else than its file; nothing of it is kept.
    """
    wrong: list[Digest] = []
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            found = pool.map(lambda file: is_wrong(local, file, sizes.get(file)), some)
            wrong += [file for file, lies in zip(some, found, strict=True) if lies]
            local.let_go()
    if wrong:
        heal(local, lies=frozenset(wrong))
        more = f", like those of {len(wrong) - 1} others" if wrong[1:] else ""
        raise IntegrityError(
            f"The recipe of file {wrong[0].hex()} at {url} is wrong{more}: it makes another file.",
            "Fetch that version from another store that has it.",
        )


def sizes_of(local: Store, dataset: Digest, files: Sequence[Digest]) -> dict[Digest, int]:
    """How many bytes some files have by the entries of a dataset."""
    if not files:
        return {}
    entries = Manifest(local, dataset).entries()
    wanted = frozenset(files)
    digests = zip(*(entries.column(name).to_pylist() for name in ("digest", "size")), strict=True)
    return {Digest(digest): size for digest, size in digests if digest in wanted}
