"""What a transfer will move: whole packs, and ranges of others; planned as columns."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import Digest
from datasets_vc.errors import IntegrityError, MissingDataError
from datasets_vc.format.index import PackInfo
from datasets_vc.format.location import (
    RECIPE,
    DigestKeys,
    Digests,
    Locations,
    as_keys,
    digest_list,
    unique,
)
from datasets_vc.format.pack import METADATA, ROW_SIZE, TARGET_SIZE
from datasets_vc.store import Store
from datasets_vc.store.compact import HISTORY_BELOW
from datasets_vc.store.index import ChunkIndex, Places

WHOLE_PACK_BELOW = 1 << 20
"""Bytes; fetching a smaller pack whole costs less than asking for parts of it."""

SEND_WHOLE_FROM = 16 << 20
"""Bytes; smaller packs are put together into larger ones when they are sent."""

_MAX_GAP = 1 << 20
_PIECE = 16 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """Some chunks of a pack that one request brings: bytes [start, end) of it, in their order."""

    pack: PackInfo
    start: int
    end: int
    keys: DigestKeys
    rows: Locations

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Receiving:
    """What to bring; `chunks` counts those that were asked for."""

    whole: Sequence[PackInfo] = ()
    pieces: Sequence[Piece] = ()
    chunks: int = 0

    @property
    def bytes(self) -> int:
        return sum(pack.size for pack in self.whole) + sum(piece.size for piece in self.pieces)

    @property
    def packs(self) -> int:
        return len(self.whole) + len({piece.pack.digest for piece in self.pieces})

    @property
    def requests(self) -> int:
        return len(self.whole) + len(self.pieces)

    def without(self, packs: Container[Digest]) -> Receiving:
        """This plan less some of the packs that come whole."""
        return replace(self, whole=[pack for pack in self.whole if pack.digest not in packs])


@dataclass(frozen=True, slots=True)
class Sending:
    """What to send: packs as they are, and parts of others.

    Attributes:
        rest: chunks that are put into new packs, in the order in which they are to lie there.
        stored: how many bytes each of these takes.
    """

    whole: Sequence[PackInfo]
    rest: DigestKeys
    stored: NDArray[np.int64]
    metadata: NDArray[np.bool_]

    @property
    def bytes(self) -> int:
        rows = len(self.rest) * ROW_SIZE
        return sum(pack.size for pack in self.whole) + int(self.stored.sum()) + rows

    @property
    def packs(self) -> int:
        """How many there will be; new ones are counted by what goes into them."""
        new = (int(self.stored[rows].sum()) for rows in (self.metadata, ~self.metadata))
        return len(self.whole) + sum(-(-size // TARGET_SIZE) for size in new)


def plan_receiving(local: Store, remote: Store, digests: Digests) -> Receiving:
    """What of `digests`, single chunks, the local store lacks, and how to bring it.

    A pack that a collection is deleting here, or was deleting when it was cut short, does not come
    as it is: it would be listed under a name that is going to be deleted. What is wanted of it is
    put into packs of other names.

    Raises:
        MissingDataError: the remote does not have one of them.
        IntegrityError: the remote has one of them as a recipe.
    """
    keys = as_keys(digests)
    wanted = unique(keys[~local.index.contains_chunks(keys)])
    local.let_go()
    if not len(wanted):
        return Receiving()
    places = remote.index.locate(wanted)
    if not places.found.all():
        raise MissingDataError(
            f"The remote {remote.url} does not hold {places.missing()[0].hex()}, which belongs to "
            "the version asked for.",
            "Push that version again from a machine that has it.",
        )
    _refuse_recipes(remote, places)
    packs, numbers = _packs_of(places)
    sizes = np.array([pack.size for pack in packs], np.int64)
    asked = np.bincount(numbers, places.rows["stored"], len(packs))
    as_is = np.array([pack.digest not in local.seen.doomed for pack in packs], bool)
    small = as_is & (asked > 0) & (sizes <= WHOLE_PACK_BELOW)
    whole = as_is & ~small & _mostly(asked, sizes)
    parts = ~(small | whole)[numbers]
    pieces = list(_pieces(packs, numbers[parts], places.keys[parts], places.rows[parts]))
    new, partly = _small(local, remote.index, [packs[number] for number in np.flatnonzero(small)])
    chosen = [packs[number] for number in np.flatnonzero(whole)]
    return Receiving((*chosen, *new), (*pieces, *partly), len(wanted))


def _refuse_recipes(remote: Store, places: Places) -> None:
    recipes = places.keys[places.rows["codec"] == RECIPE]
    for digest in digest_list(recipes[:1]):
        raise IntegrityError(
            f"Chunk {digest.hex()} at {remote.url} is stored as a recipe, which only a file can "
            "be.",
            "Fetch that version from another store that has it.",
        )


def plan_sending(local: Store, digests: Digests) -> Sending:
    """How to send `digests`, all of which the remote lacks.

    Raises:
        MissingDataError: the local store does not have one of them.
    """
    places = local.index.locate(unique(digests))
    if not places.found.all():
        missing = places.missing()
        raise MissingDataError(
            f"This store lacks {len(missing)} chunks of what is to be pushed, "
            f"such as {missing[0].hex()}, and so does the remote.",
            "Fetch that version first from a remote that has it: dsvc fetch REMOTE REV",
        )
    packs, numbers = _packs_of(places)
    rows, keys = places.rows, places.keys
    offsets, stored = rows["offset"].astype(np.int64), rows["stored"].astype(np.int64)
    sizes = np.array([pack.size for pack in packs], np.int64)
    metadata = np.array([pack.category == METADATA for pack in packs], bool)
    history = (rows["raw"] < HISTORY_BELOW) & (rows["codec"] != RECIPE) & metadata[numbers]
    del rows, places
    # Packs of metadata are never sent whole: a commit or node that came along would make the remote
    # look as if it had all that lies below it.
    whole = _mostly(np.bincount(numbers, stored, len(packs)), sizes)
    whole &= ~metadata & (sizes >= SEND_WHOLE_FROM)
    rest = np.flatnonzero(~whole[numbers])
    rest = rest[np.lexsort((offsets[rest], numbers[rest], ~history[rest]))]
    chosen = [packs[number] for number in np.flatnonzero(whole)]
    return Sending(chosen, keys[rest], stored[rest], metadata[numbers[rest]])


def batches(stored: NDArray[np.int64], most: int) -> Iterator[slice]:
    """Rows that follow each other, of `most` bytes at a time or one that is larger."""
    ends = np.cumsum(stored)
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield slice(start, end)
        start = end


def _packs_of(places: Places) -> tuple[list[PackInfo], NDArray[np.int64]]:
    """The packs of an index, each once, and for each place which of them it is in."""
    numbers: dict[PackInfo, int] = {}
    first = [numbers.setdefault(pack, len(numbers)) for pack in places.packs]
    return list(numbers), np.array(first, np.int64)[places.rows["pack"]]


def _mostly(asked: NDArray[np.number[Any]], sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of which packs more than half is asked for."""
    mostly: NDArray[np.bool_] = 2 * asked > sizes
    return mostly


def _small(
    local: Store, index: ChunkIndex, packs: Sequence[PackInfo]
) -> tuple[list[PackInfo], list[Piece]]:
    """Small packs come with all that they hold, but for what is here.

    Most of a pack that was merged at the remote may be here.
    """
    if not packs:
        return [], []
    held = index.held_by(packs)
    known, numbers = _packs_of(held)
    row = {pack: number for number, pack in enumerate(known)}
    some = np.zeros(len(known), bool)
    some[numbers[local.index.contains(held.keys)]] = True
    new = some[numbers] & (held.rows["codec"] != RECIPE)
    new &= ~local.index.contains_chunks(held.keys)
    pieces = _pieces(known, numbers[new], held.keys[new], held.rows[new])
    return [pack for pack in packs if not some[row[pack]]], list(pieces)


def _pieces(
    packs: Sequence[PackInfo], numbers: NDArray[np.int64], keys: DigestKeys, rows: Locations
) -> Iterator[Piece]:
    order = np.lexsort((rows["offset"], numbers))
    for number, chosen in _runs(numbers, order):
        starts = rows["offset"][chosen].astype(np.int64)
        ends = np.maximum.accumulate(starts + rows["stored"][chosen])
        for first, last in _requests(starts, ends):
            some = chosen[first:last]
            yield Piece(
                packs[number], int(starts[first]), int(ends[last - 1]), keys[some], rows[some]
            )


def _runs(
    numbers: NDArray[np.int64], order: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Rows in order, cut where their number changes."""
    if not len(order):
        return
    ordered = numbers[order]
    for run in np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1):
        yield int(numbers[run[0]]), run


def _requests(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Iterable[tuple[int, int]]:
    """Which rows, from and to, one request brings each: a gap is bridged where it is short."""
    gaps = np.flatnonzero(starts[1:] - ends[:-1] > _MAX_GAP) + 1
    bounds = [0, *gaps.tolist(), len(starts)]
    for first, last in pairwise(bounds):
        # Equal parts of a long stretch, so that none is short.
        length = int(ends[last - 1] - starts[first])
        parts = max(1, length // _PIECE)
        marks = starts[first] + np.arange(1, parts) * (length / parts)
        cuts = np.unique(first + np.searchsorted(starts[first:last], marks)).tolist()
        inner = [cut for cut in cuts if first < cut < last]
        yield from zip([first, *inner], [*inner, last], strict=True)
