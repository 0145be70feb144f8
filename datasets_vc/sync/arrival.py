"""Recipes that arrive: held against the files that they are stored under, then listed.

A chunk is checked against its digest where it arrives. A recipe cannot be: it is stored under the
digest of the file that it describes, which only its pieces, all together, can confirm. Until then
it may say anything; and a store that believes to have a file does not store it again. So recipes
are brought for files only, and are in no index until they are proved: what a transfer that failed,
or was killed, has left of them is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import Digest, Hasher, checksum_of
from datasets_vc.errors import IntegrityError
from datasets_vc.format.location import RECIPE, DigestKeys, digest_keys, digest_list, joined, unique
from datasets_vc.format.recipe import Recipe, decode_recipe
from datasets_vc.history.manifest import Manifest
from datasets_vc.store import Store
from datasets_vc.store.chunking import decode
from datasets_vc.store.packing import Encoded
from datasets_vc.store.verify import verify_chunk
from datasets_vc.sync.closure import held_files, with_recipe

_PARALLEL = 2
_FILES_AT_ONCE = 64
_RECIPES_AT_ONCE = 1024
_PIECES_AT_ONCE = 8
_LET_GO_BYTES = 64 << 20

_HINT = "Fetch that version from another store that has it."


@dataclass(frozen=True)
class Recipes:
    """Recipes of a remote, which nobody has proved and no index lists.

    Attributes:
        files: what they are stored under.
        ends: where each ends in `data`.
        data: their bytes, end to end: objects would take several times as much.
    """

    files: DigestKeys
    ends: NDArray[np.int64]
    data: bytes

    def __len__(self) -> int:
        return len(self.files)

    def payload(self, row: int) -> bytes:
        return self.data[int(self.ends[row - 1]) if row else 0 : int(self.ends[row])]

    def decoded(self, row: int) -> Recipe:
        (file,) = digest_list(self.files[row : row + 1])
        return decode_recipe(self.payload(row), f"The recipe of file {file.hex()}")

    def pieces(self) -> DigestKeys:
        return joined([digest_keys(self.decoded(row).digests) for row in range(len(self))])


def to_bring(local: Store, remote: Store, files: DigestKeys) -> tuple[DigestKeys, Recipes]:
    """What a store lacks of some files: chunks to be received, and recipes to be proved then.

    Raises:
        IntegrityError: the remote has a recipe that cannot be one.
    """
    lacking = unique(files[~held_files(local, files)])
    recipes = _read_recipes(remote, with_recipe(remote.index, lacking))
    whole = lacking[~np.isin(lacking, recipes.files)]
    return joined([whole, recipes.pieces()]), recipes


def _read_recipes(remote: Store, files: DigestKeys) -> Recipes:
    found: list[Digest] = []
    parts: list[bytes] = []
    for start in range(0, len(files), _RECIPES_AT_ONCE):
        some = digest_list(files[start : start + _RECIPES_AT_ONCE])
        for place, payload in remote.read_encoded(some):
            if place.codec != RECIPE:
                continue  # replaced meanwhile
            try:
                verify_chunk(place, payload, remote.url)
            except IntegrityError as error:
                raise IntegrityError(error.message, _HINT) from error
            found.append(place.digest)
            parts.append(bytes(payload))
        remote.let_go()
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    recipes = Recipes(digest_keys(found), ends, b"".join(parts))
    _check_pieces(remote, recipes)
    return recipes


def _check_pieces(remote: Store, recipes: Recipes) -> None:
    """Make sure that no piece is a recipe in turn."""
    nested = with_recipe(remote.index, unique(recipes.pieces()))
    if not len(nested):
        return
    bad = frozenset(digest_list(nested))
    for row, file in enumerate(digest_list(recipes.files)):
        for piece in bad.intersection(recipes.decoded(row).digests):
            raise IntegrityError(
                f"The recipe of file {file.hex()} at {remote.url} is wrong: chunk {piece.hex()} of "
                "it is a recipe, too.",
                _HINT,
            )


def prove(
    local: Store,
    recipes: Recipes,
    url: str,
    sizes: Mapping[Digest, int] = MappingProxyType({}),
) -> None:
    """Hold recipes against their files, whose pieces are here by now; list those that are right.

    Args:
        url: where they came from, for the message.
        sizes: how many bytes the files have by their entries, as far as that is known.

    Raises:
        IntegrityError: a recipe makes something else than its file; nothing of it is kept.
        MissingDataError: a collection has taken pieces away meanwhile.
    """
    if not len(recipes):
        return
    files = digest_list(recipes.files)

    def is_right(row: int) -> bool:
        recipe = recipes.decoded(row)
        expected = sizes.get(files[row], recipe.size)
        return recipe.size == expected and _makes(local, recipe, files[row])

    right: list[bool] = []
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for start in range(0, len(files), _FILES_AT_ONCE):
            right += pool.map(is_right, range(start, min(start + _FILES_AT_ONCE, len(files))))
            local.let_go()
    _list(local, recipes, [row for row, good in enumerate(right) if good])
    wrong = [file for file, good in zip(files, right, strict=True) if not good]
    if wrong:
        raise _wrong(wrong, url)


def _makes(local: Store, recipe: Recipe, file: Digest) -> bool:
    """Whether the pieces of a recipe, which are here, are as long as it says and make that file.

    Their own digests were checked when they came, and are covered by the digest of the whole.
    """
    hasher = Hasher()
    read = 0
    for start in range(0, len(recipe.digests), _PIECES_AT_ONCE):
        some = slice(start, start + _PIECES_AT_ONCE)
        found = local.read_encoded(recipe.digests[some])
        for (place, payload), length in zip(found, recipe.lengths[some], strict=True):
            if place.codec == RECIPE or place.raw != length:
                return False
            hasher.update(decode(payload, place.codec, length, f"Chunk {place.digest.hex()}"))
            read += length
        if read >= _LET_GO_BYTES:
            local.let_go()
            read = 0
    return hasher.digest() == file


def _list(local: Store, recipes: Recipes, rows: list[int]) -> None:
    pieces = joined([digest_keys(recipes.decoded(row).digests) for row in rows])
    files = digest_list(recipes.files)
    with local.writer(needed=unique(pieces).tobytes()) as writer:
        for row in rows:
            data = recipes.payload(row)
            encoded = Encoded(files[row], RECIPE, data, len(data), checksum_of(data))
            writer.add_proved([encoded])
        local.publish(writer.finish())


def _wrong(files: list[Digest], url: str) -> IntegrityError:
    more = f", like those of {len(files) - 1} others" if files[1:] else ""
    return IntegrityError(
        f"The recipe of file {files[0].hex()} at {url} is wrong{more}: it makes another file.",
        _HINT,
    )


def sizes_of(local: Store, dataset: Digest, recipes: Recipes) -> dict[Digest, int]:
    """How many bytes the files of some recipes have by the entries of a dataset."""
    if not len(recipes):
        return {}
    entries = Manifest(local, dataset).entries()
    wanted = frozenset(digest_list(recipes.files))
    digests = zip(*(entries.column(name).to_pylist() for name in ("digest", "size")), strict=True)
    return {Digest(digest): size for digest, size in digests if digest in wanted}
