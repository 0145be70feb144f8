"""Whether bytes that arrived are what they are said to be."""

from __future__ import annotations

from datasets_vc.digest import Buffer, Digest, checksum_of, digest_of
from datasets_vc.errors import IntegrityError, MissingDataError
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import RAW, RECIPE, digest_list
from datasets_vc.format.pack import decode_pack
from datasets_vc.format.recipe import decode_recipe
from datasets_vc.store.chunking import decode
from datasets_vc.store.index import Place, merge_tables
from datasets_vc.store.reader import WrongRecipeError, WrongSizeError
from datasets_vc.store.store import Store

_ROWS_AT_ONCE = 4096


def verify_pack(data: Buffer, digest: Digest, where: str) -> IndexTable:
    """Check a whole pack down to the digest of each of its chunks; returns its index.

    Raises:
        IntegrityError: something does not match; names the pack.
    """
    what = f"Pack {digest.hex()} of {where}"
    if digest_of(data) != digest:
        raise IntegrityError(f"{what} is damaged: it does not match its digest.")
    contents = decode_pack(data, what)
    info = PackInfo(digest, len(data), contents.category)
    view = memoryview(data)
    for start in range(0, len(contents.digests), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        names = digest_list(contents.digests[rows])
        for name, row in zip(names, contents.locations[rows].tolist(), strict=True):
            checksum, offset, stored, raw, _, codec, _ = row
            place = Place(name, info, offset, stored, raw, codec, checksum)
            verify_chunk(place, view[place.offset : place.end], where)
    return merge_tables([IndexTable((info,), contents.digests, contents.locations)], frozenset())


def verify_chunk(place: Place, payload: Buffer, where: str) -> None:
    """Check what is stored at a place against checksum and digest.

    A recipe is stored under the digest of the file that it describes, which only the whole file can
    confirm; here it has to be well-formed.

    Raises:
        IntegrityError: they do not match; names chunk and pack.
    """
    if len(payload) != place.stored or checksum_of(payload) != place.checksum:
        raise IntegrityError(f"{_named(place, where)} is damaged: it does not match its checksum.")
    data = payload
    if place.codec != RAW or len(payload) != place.raw:
        data = decode(payload, place.codec, place.raw, _named(place, where))
    if place.codec == RECIPE:
        decode_recipe(data, _named(place, where))
    elif digest_of(data) != place.digest:
        raise IntegrityError(f"{_named(place, where)} is damaged: it does not match its digest.")


def is_wrong(store: Store, file: Digest, size: int | None = None) -> bool:
    """Whether a recipe is seen to make another file than the one that it is stored under.

    Reads the file a piece at a time, unless its size says enough. If pieces are missing or damaged,
    there is no telling.

    Args:
        size: how many bytes the file has, if that is known.
    """
    try:
        for _ in store.iter_extents(file, size):
            pass
    except (WrongRecipeError, WrongSizeError):
        return True
    except (IntegrityError, MissingDataError):
        return False
    return False


def _named(place: Place, where: str) -> str:
    return f"Chunk {place.digest.hex()} in pack {place.pack.digest.hex()} of {where}"
