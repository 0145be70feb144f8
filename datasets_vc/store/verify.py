"""Whether bytes that arrived are what they are said to be."""

from __future__ import annotations

from datasets_vc.digest import Buffer, Digest, Hasher, checksum_of, digest_of
from datasets_vc.errors import IntegrityError, MissingDataError
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import RAW, RECIPE, DigestKeys, Locations, digest_list
from datasets_vc.format.pack import PackContents, decode_pack
from datasets_vc.format.recipe import decode_recipe
from datasets_vc.memory import let_go, windows
from datasets_vc.store.chunking import decode
from datasets_vc.store.index import Place, merge_tables
from datasets_vc.store.packing import Encoded
from datasets_vc.store.reader import WrongRecipeError
from datasets_vc.store.store import Store

_ROWS_AT_ONCE = 4096
_GIVE_BACK = 8 << 20


def verify_pack(data: Buffer, digest: Digest, where: str) -> IndexTable:
    """Check a whole pack down to the digest of each of its chunks; returns its index.

    Raises:
        IntegrityError: something does not match; names the pack.
    """
    _check_whole(data, digest, where)
    return verify_chunks(data, digest, where)


def pack_table(data: Buffer, digest: Digest, where: str) -> IndexTable:
    """The index of a pack that is as it was when it was verified, which is checked."""
    _check_whole(data, digest, where)
    contents = decode_pack(data, _pack(digest, where))
    return _table(PackInfo(digest, len(data), contents.category), contents)


def check_digest(digest: Digest, found: Digest, where: str) -> None:
    """Check that what has been read of a pack is that pack.

    Raises:
        IntegrityError: it has another digest.
    """
    if found != digest:
        raise IntegrityError(f"{_pack(digest, where)} is damaged: it does not match its digest.")


def verify_chunks(data: Buffer, digest: Digest, where: str) -> IndexTable:
    """Check each chunk of a pack whose own digest was checked; returns its index."""
    contents = decode_pack(data, _pack(digest, where))
    info = PackInfo(digest, len(data), contents.category)
    view = memoryview(data)
    for start in range(0, len(contents.digests), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        verify_range(info, contents.digests[rows], contents.locations[rows], view, 0, where)
    return _table(info, contents)


def verify_range(
    pack: PackInfo,
    keys: DigestKeys,
    rows: Locations,
    data: memoryview,
    start: int,
    where: str,
) -> list[Encoded]:
    """Check chunks of a pack.

    Args:
        keys: which they are.
        rows: where they lie in the pack.
        data: a part of the pack that holds them; of a map, what was looked at is given back.
        start: where in the pack it begins.

    Raises:
        IntegrityError: one does not match; names chunk and pack.
    """
    chunks = []
    seen = 0
    for digest, row in zip(digest_list(keys), rows.tolist(), strict=True):
        checksum, offset, stored, raw, _, codec, _ = row
        payload = data[offset - start : offset - start + stored]
        if not _is_sound(digest, payload, stored, raw, codec, checksum):
            place = Place(digest, pack, offset, stored, raw, codec, checksum)
            verify_chunk(place, payload, where)
        chunks.append(Encoded(digest, codec, payload, raw, checksum))
        seen += stored
        if seen >= _GIVE_BACK:
            let_go(data)
            seen = 0
    let_go(data)
    return chunks


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


def is_wrong(store: Store, file: Digest) -> bool:
    """Whether a recipe is seen to make another file than the one that it is stored under.

    Reads the file a piece at a time. If pieces are missing or damaged, there is no telling.
    """
    return _makes(store, file) is False


def is_right(store: Store, file: Digest) -> bool:
    """Whether a recipe is seen to make the file that it is stored under."""
    return _makes(store, file) is True


def _makes(store: Store, file: Digest) -> bool | None:
    try:
        for _ in store.iter_extents(file):
            pass
    except WrongRecipeError:
        return False
    except (IntegrityError, MissingDataError):
        return None
    return True


def _is_sound(
    digest: Digest, payload: memoryview, stored: int, raw: int, codec: int, checksum: int
) -> bool:
    """What `verify_chunk` checks, for chunks as most are, without an object for each."""
    return (
        codec == RAW
        and len(payload) == stored == raw
        and checksum_of(payload) == checksum
        and digest_of(payload) == digest
    )


def _check_whole(data: Buffer, digest: Digest, where: str) -> None:
    hasher = Hasher()
    for part in windows(data):
        hasher.update(part)
    check_digest(digest, Digest(hasher.digest()), where)


def _table(info: PackInfo, contents: PackContents) -> IndexTable:
    rows = IndexTable((info,), contents.digests, contents.locations)
    return merge_tables([rows], frozenset())


def _pack(digest: Digest, where: str) -> str:
    return f"Pack {digest.hex()} of {where}"


def _named(place: Place, where: str) -> str:
    return f"Chunk {place.digest.hex()} in pack {place.pack.digest.hex()} of {where}"
