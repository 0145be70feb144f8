"""Recipes, packs and indexes: what a reader must refuse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import IntegrityError
from datasets_vc.format.header import PACK, encode_header
from datasets_vc.format.index import IndexTable, PackInfo, decode_index, encode_index
from datasets_vc.format.location import LOCATION, digest_keys, digest_list
from datasets_vc.format.pack import PackContents, decode_pack, encode_footer
from datasets_vc.format.recipe import Recipe, decode_recipe, encode_recipe

A, B = sorted([digest_of(b"a"), digest_of(b"b")])
RECIPE = encode_recipe(Recipe((A, B, A), (1, 2, 3)))
Fields = tuple[int, int, int, int, int, int, tuple[int, int, int]]


def location(
    offset: int = 16, stored: int = 8, raw: int = 8, pack: int = 0, codec: int = 0, zero: int = 0
) -> Fields:
    return (1, offset, stored, raw, pack, codec, (zero, 0, 0))


def read_pack(rows: Sequence[Fields], category: int = 0) -> PackContents:
    payload = encode_header(PACK) + bytes(16)
    locations = np.array(rows, LOCATION)
    return decode_pack(payload + encode_footer(A + B, locations, category, 32), "it")


def read_index(
    rows: Sequence[Fields], names: Sequence[Digest] = (A, B), category: int = 0
) -> IndexTable:
    packs = (PackInfo(A, 32, category),)
    locations = np.array(rows, LOCATION)
    return decode_index(encode_index(IndexTable(packs, digest_keys(names), locations)), "it")


def test_sound_ones() -> None:
    assert decode_recipe(RECIPE, "it").size == 6
    assert digest_list(read_pack([location(), location(24)]).digests) == [A, B]
    assert digest_list(read_index([location(), location(24)]).digests) == [A, B]


@pytest.mark.parametrize("at", [20, 23, 24, 32, 44, 47])
def test_recipes_that_do_not_fit(at: int) -> None:
    data = bytearray(RECIPE)
    data[at] ^= 1
    with pytest.raises(IntegrityError, match="it is malformed"):
        decode_recipe(bytes(data), "it")


@pytest.mark.parametrize("names", [(), (A,)])
def test_recipe_of_less_than_two_chunks(names: tuple[Digest, ...]) -> None:
    with pytest.raises(IntegrityError, match="it is malformed"):
        decode_recipe(encode_recipe(Recipe(names, (1,) * len(names))), "it")


BAD_ROWS = {
    "past the end": [location(), location(25)],
    "far past the end": [location(), location(2**64 - 4)],
    "unknown codec": [location(), location(24, codec=3)],
    "zero field": [location(), location(24, zero=1)],
    "too long": [location(), location(24, raw=2**32 - 1)],
    "in the header": [location(8), location(24)],
}


@pytest.mark.parametrize("rows", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_rows_that_are_impossible(rows: Sequence[Fields]) -> None:
    with pytest.raises(IntegrityError, match="it is malformed"):
        read_pack(rows)
    with pytest.raises(IntegrityError, match="it is malformed"):
        read_index(rows)


def test_pack_whose_chunks_overlap() -> None:
    with pytest.raises(IntegrityError, match="overlap"):
        read_pack([location(), location(20)])


def test_pack_that_counts_packs() -> None:
    with pytest.raises(IntegrityError, match="it is malformed"):
        read_pack([location(), location(24, pack=1)])


def test_unknown_class_of_pack() -> None:
    with pytest.raises(IntegrityError, match="it is malformed"):
        read_pack([location(), location(24)], category=2)
    with pytest.raises(IntegrityError, match="it is malformed"):
        read_index([location(), location(24)], category=2)


@pytest.mark.parametrize("names", [(B, A), (A, A)])
def test_index_out_of_order(names: Sequence[Digest]) -> None:
    with pytest.raises(IntegrityError, match="order"):
        read_index([location(), location(24)], names)


def test_index_that_names_an_unlisted_pack() -> None:
    with pytest.raises(IntegrityError, match="pack"):
        read_index([location(), location(24, pack=1)])


def test_zero_bytes_of_a_tail_and_of_a_pack_table() -> None:
    golden = Path(__file__).parents[1] / "golden" / "v1"
    for name, at in (("data.pack", -64 + 13), ("data.pack", -64 + 15)):
        data = bytearray((golden / name).read_bytes())
        data[at] = 1
        with pytest.raises(IntegrityError, match="it is malformed"):
            decode_pack(bytes(data), "it")
    data = bytearray((golden / "chunk.index").read_bytes())
    data[32 + 41] = 1
    with pytest.raises(IntegrityError, match="it is malformed"):
        decode_index(bytes(data), "it")


def test_footer_that_does_not_match_its_digest() -> None:
    data = bytearray((Path(__file__).parents[1] / "golden" / "v1" / "data.pack").read_bytes())
    data[-64 - 40] ^= 1
    with pytest.raises(IntegrityError, match="footer"):
        decode_pack(bytes(data), "it")


def test_digests_with_zero_bytes_at_either_end_stay_whole() -> None:
    names = sorted([Digest(bytes(32)), Digest(b"\x01" + bytes(31)), Digest(b"\xff" * 32)])
    rows = np.array([location(), location(24, 0), location(24, 0)], LOCATION)
    packs = (PackInfo(A, 32, 0),)
    table = decode_index(encode_index(IndexTable(packs, digest_keys(names), rows)), "it")
    assert digest_list(table.digests) == names
