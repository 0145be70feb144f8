from __future__ import annotations

from dataclasses import replace

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.format.index import PackInfo
from datasets_vc.format.location import RAW, ZSTD
from datasets_vc.store import proved
from datasets_vc.store.index import Place
from datasets_vc.store.proved import ProvedChunks

PLACE = Place(digest_of(b"a"), PackInfo(digest_of(b"pack"), 9_000, 0), 64, 5_000, 5_000, RAW, 7)


def test_a_place_is_remembered_for_its_mapping() -> None:
    chunks = ProvedChunks()
    assert not chunks.has(PLACE, 0)
    chunks.add(PLACE, 0)
    assert chunks.has(PLACE, 0)
    assert not chunks.has(PLACE, 1)


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, digest=digest_of(b"b")),
        replace(PLACE, offset=65),
        replace(PLACE, stored=4_999),
        replace(PLACE, raw=4_999),
        replace(PLACE, codec=ZSTD),
    ],
)
def test_another_place_is_not_known(other: Place) -> None:
    chunks = ProvedChunks()
    chunks.add(PLACE, 0)
    assert not chunks.has(other, 0)


def test_of_more_than_it_holds_the_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proved, "_ROWS", 1)
    chunks = ProvedChunks()
    later = replace(PLACE, offset=128)
    chunks.add(PLACE, 0)
    chunks.add(later, 0)
    assert chunks.has(later, 0)
    assert not chunks.has(PLACE, 0)
