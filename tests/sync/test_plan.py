"""What a plan asks for: whole packs, ranges, and how many requests that takes."""

from __future__ import annotations

import numpy as np
import pytest

from datasets_vc.digest import Digest, digest_of
from datasets_vc.format.location import as_keys, digest_list, unique
from datasets_vc.store import Store
from datasets_vc.sync.keys import KeySet
from datasets_vc.sync.plan import batches, plan_receiving, plan_sending
from tests.sync.stores import new_store, noise

MIB = 1 << 20


def store_of(sizes: list[int]) -> tuple[Store, list[Digest]]:
    store = new_store()
    writer = store.writer()
    names = [writer.add_file(noise(size, number)) for number, size in enumerate(sizes)]
    store.publish(writer.finish())
    return store, names


def test_most_of_a_pack_comes_whole_and_little_of_it_in_ranges() -> None:
    remote, names = store_of([MIB // 2] * 40)
    whole = plan_receiving(new_store(), remote, names[:21])
    assert ([pack.size for pack in whole.whole], whole.pieces, whole.chunks) == (
        [remote.index.packs[0].size],
        (),
        21,
    )
    # 0 and 1 lie side by side, 3 is half a MiB away, 20 is far.
    some = plan_receiving(new_store(), remote, [names[each] for each in (0, 1, 3, 20)])
    assert not some.whole
    assert [len(piece.keys) for piece in some.pieces] == [3, 1]
    assert (some.requests, some.packs, some.chunks) == (2, 1, 4)
    assert some.bytes == 5 * MIB // 2


def test_what_is_here_is_not_planned() -> None:
    remote, names = store_of([3 * MIB // 4] * 8)
    local, _ = store_of([3 * MIB // 4] * 7)
    plan = plan_receiving(local, remote, names)
    assert [digest_list(piece.keys) for piece in plan.pieces] == [names[7:]]
    assert plan_receiving(remote, remote, names).requests == 0


def test_a_long_stretch_is_asked_for_in_equal_parts() -> None:
    remote, names = store_of([MIB - 1] * 60 + [MIB - 1] * 70)
    assert len(remote.index.packs) == 2 or remote.index.packs[0].size > 60 * MIB
    plan = plan_receiving(new_store(), remote, names[:30])
    sizes = [piece.size for piece in plan.pieces]
    assert sum(sizes) == 30 * (MIB - 1)
    assert len(sizes) <= 30 / 16 + 1
    assert sorted(digest for piece in plan.pieces for digest in digest_list(piece.keys)) == sorted(
        names[:30]
    )
    for piece in plan.pieces:
        assert (piece.start, piece.end) == (
            int(piece.rows["offset"][0]),
            int(piece.rows["offset"][-1] + piece.rows["stored"][-1]),
        )


def test_what_is_sent_in_new_packs_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    local, names = store_of([1000] * 50)
    plan = plan_sending(local, [*names[::-1], names[0]])
    assert (plan.whole, plan.packs) == ([], 1)
    assert digest_list(plan.rest) == names
    monkeypatch.setattr("datasets_vc.sync.plan.SEND_WHOLE_FROM", 0)
    plan = plan_sending(local, names)
    assert list(plan.whole) == list(local.index.packs)
    assert len(plan.rest) == 0


def test_batches_cover_all_rows_once() -> None:
    stored = np.array([1, 2, 3, 10, 1, 1, 9], np.int64)
    rows = [np.arange(7)[batch].tolist() for batch in batches(stored, 6)]
    assert rows == [[0, 1, 2], [3], [4, 5], [6]]
    assert list(batches(np.zeros(0, np.int64), 6)) == []


def test_digests_are_made_unique_in_order() -> None:
    a, b, c = (digest_of(bytes([number])) for number in range(3))
    assert digest_list(unique([b, a, b, c, a])) == [b, a, c]
    assert digest_list(unique([b, a])) == [b, a]
    alike = Digest(a[:8] + b[8:])
    assert digest_list(unique([alike, a, alike])) == [alike, a]
    assert len(unique([])) == 0


def test_a_set_of_digests_grows() -> None:
    digests = [digest_of(bytes([number])) for number in range(200)]
    known = KeySet()
    for start in range(0, 150, 7):
        known.add(as_keys(digests[start : min(150, start + 7)]))
    assert known.contains(as_keys(digests)).tolist() == [True] * 150 + [False] * 50
    assert len(known._columns) <= 8
