"""Putting an index together anew from what packs say of themselves; forgetting single chunks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np

from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, DatasetError
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import RECIPE, digest_keys, digest_list
from datasets_vc.format.pack import TAIL_SIZE, decode_footer, decode_tail
from datasets_vc.format.root import Root
from datasets_vc.store.collect import tables_without
from datasets_vc.store.index import ChunkIndex, merge_tables, without_recipes
from datasets_vc.store.inspect import Inspection
from datasets_vc.store.marks import Marks, Mask
from datasets_vc.store.names import PACKS, digest_in, pack_name
from datasets_vc.store.store import Store
from datasets_vc.store.verify import is_right


def rebuild_index(store: Store, found: Inspection, held: Callable[[Marks], Mask]) -> bool:
    """List again what lost index objects have listed, and what others tell wrong.

    The footers of packs say what is in them. If an index object is lost it is not known any more
    what had been dropped from the index on purpose: of metadata only what is held is listed.

    Args:
        held: which rows of the new index somebody holds.

    Returns:
        Whether there was anything to do.

    Raises:
        ConflictError: the store was changed since it was looked at.
    """
    if not found.lost_indexes and not found.lying:
        return False
    sound = merge_tables(found.index.tables, frozenset(found.lying))
    tables = [sound, *_from_footers(store, found, sound)]
    if found.lost_indexes:
        # What a fetch has left in packs without listing it was not proved.
        tables = [sound, *(_proved(store, found, table, tables) for table in tables[1:])]
        store.look_by(ChunkIndex(tables), found.root)
        marks = Marks(store.index)
        wanted = held(marks) | ~marks.metadata()
        tables = [_only(table, wanted[marks.rows(table.digests)]) for table in tables]
    whole = merge_tables(tables, frozenset())

    def change(root: Root) -> Root:
        if root.indexes != found.root.indexes:
            raise ConflictError(
                f"The store at {store.url} was changed while it was being checked.", "Try again."
            )
        listed = (store.indexes.write(whole, root.doomed),) if len(whole.digests) else ()
        return replace(root, indexes=listed, gc_generation=root.gc_generation + 1)

    store.refresh(store.swap_root(change))
    return True


def forget(store: Store, chunks: Collection[Digest]) -> None:
    """Drop chunks from the index, whatever needs them: what is stored under them is wrong."""
    if not chunks:
        return

    def change(root: Root) -> Root:
        store.refresh(root)
        marks = Marks(store.index)
        picked = np.zeros(len(marks.digests), np.bool_)
        rows = marks.rows(list(chunks))
        picked[rows[rows >= 0]] = True
        tables = tables_without(root, marks, picked, frozenset())
        kept = [name for name in root.indexes if name not in tables]
        written = [
            store.indexes.write(table, root.doomed)
            for table in tables.values()
            if len(table.digests)
        ]
        indexes = tuple(dict.fromkeys([*kept, *written]))
        return replace(root, indexes=indexes, gc_generation=root.gc_generation + 1)

    store.refresh(store.swap_root(change))


def _proved(
    store: Store, found: Inspection, table: IndexTable, tables: Sequence[IndexTable]
) -> IndexTable:
    """A table less the recipes that are not seen to make their files."""
    recipes = digest_list(table.digests[table.locations["codec"] == RECIPE])
    if not recipes:
        return table
    store.look_by(ChunkIndex(tables), found.root)
    doubtful = [recipe for recipe in recipes if not is_right(store, recipe)]
    return without_recipes(table, digest_keys(doubtful))


def _from_footers(store: Store, found: Inspection, sound: IndexTable) -> list[IndexTable]:
    """What packs say of themselves that the sound index objects do not tell of."""
    covered = {pack.digest for pack in sound.packs} | {*found.root.doomed}
    tables = []
    for info in store.backend.list(PACKS):
        pack = digest_in(info.name, PACKS)
        if pack is None or pack in covered or not (found.lost_indexes or pack in found.lying):
            continue
        try:
            tables.append(read_footer(store, pack, info.size))
        except DatasetError:
            continue  # a damaged pack, which is found as such if anything needs it
    return tables


def read_footer(store: Store, pack: Digest, size: int) -> IndexTable:
    """What a pack says that it holds.

    Raises:
        IntegrityError: its end is damaged.
    """
    name, what = pack_name(pack), f"The pack {pack.hex()} of {store.url}"
    tail = decode_tail(store.backend.get(name, max(0, size - TAIL_SIZE), size), size, what)
    footer = store.backend.get(name, tail.footer, size - TAIL_SIZE)
    contents = decode_footer(footer, tail, what)
    info = PackInfo(pack, size, tail.category)
    return merge_tables([IndexTable((info,), contents.digests, contents.locations)], frozenset())


def _only(table: IndexTable, rows: Mask) -> IndexTable:
    return IndexTable(table.packs, table.digests[rows], table.locations[rows])
