"""What a writer counts on without having written it, and whether a collection has taken it.

A writer leaves out what the store has, and only then makes it part of a version. A collection that
comes between may have dropped it, or deleted packs that no root listed yet: the one who swaps the
root later looks (docs/format.md, section 12).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from datasets_vc.backends.base import Backend
from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError
from datasets_vc.format.index import IndexTable
from datasets_vc.format.location import digest_keys, digest_list
from datasets_vc.format.root import Root
from datasets_vc.store.index import ChunkIndex
from datasets_vc.store.names import PACKS, pack_name
from datasets_vc.store.writer import Written

_HINT = "Run the command again."


class CollectedError(ConflictError):
    """A collection has removed what a writer counted on, or wrote: it has to begin again.

    Attributes:
        lost: what it counted on and is not listed any more, end to end.
    """

    def __init__(self, message: str, lost: bytes = b"") -> None:
        super().__init__(message, _HINT)
        self.lost = lost


def check_not_collected(
    backend: Backend, root: Root, index: Callable[[], ChunkIndex], written: Written
) -> None:
    """Make sure that collections have left new packs, and what their writer counted on.

    Args:
        root: that is to be replaced.
        index: reads what it lists; not called if there was no collection.

    Raises:
        CollectedError: they have not, or a collection is just deleting one of the packs.
    """
    doomed = {pack.digest for pack in written.packs} & {*root.doomed}
    if written.generation == root.gc_generation and not doomed:
        return
    if not (written.packs or len(written.counted)):
        return
    whole = len(whole_tables(backend, root, written.tables)) == len(written.tables)
    lost = not_listed(index(), written)
    if lost:
        raise CollectedError(
            f"A collection has removed {len(lost):,} chunks from {backend.url} that a new version "
            f"needs, such as {lost[0].hex()}.",
            b"".join(lost),
        )
    if not whole:
        raise CollectedError(f"A collection has deleted what was being added to {backend.url}.")


def whole_tables(
    backend: Backend, root: Root, tables: Sequence[IndexTable]
) -> tuple[IndexTable, ...]:
    """Those of some tables whose packs collections have left."""
    if not tables:
        return ()
    sizes = {info.name: info.size for info in backend.list(PACKS)}
    doomed = {*root.doomed}
    return tuple(
        table
        for table in tables
        if all(
            sizes.get(pack_name(pack.digest)) == pack.size and pack.digest not in doomed
            for pack in table.packs
        )
    )


def not_listed(index: ChunkIndex, written: Written) -> list[Digest]:
    """What a writer counted on and neither the index nor its own packs have."""
    counted = digest_list(digest_keys(written.counted))
    rest = index.locate(counted).missing() if counted else []
    return ChunkIndex(written.tables).locate(rest).missing() if rest else []
