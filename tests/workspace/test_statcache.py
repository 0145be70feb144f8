from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datasets_vc.workspace.listing import FIELDS, Listing
from datasets_vc.workspace.statcache import clock_of, empty_cache
from tests.workspace.caches import cache_of, same

SECOND = 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".dsvc").mkdir()
    return tmp_path


def test_the_clock_is_that_of_written_files(folder: Path) -> None:
    before = folder / "before"
    before.touch()
    now = clock_of(folder)
    after = folder / "after"
    after.touch()
    assert before.stat().st_mtime_ns <= now <= after.stat().st_mtime_ns
    assert list((folder / ".dsvc" / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("mtime", "ctime", "moment", "kept"),
    [
        (SECOND + 1, SECOND + 1, SECOND + 2, True),
        (SECOND + 1, SECOND + 1, SECOND + 1, False),
        (SECOND + 1, SECOND + 2, SECOND + 2, False),
        (SECOND + 3, SECOND + 1, SECOND + 2, False),
        # Without a fraction the clock may be a coarse one, of up to two seconds.
        (SECOND, SECOND, 2 * SECOND + 5, False),
        (SECOND, SECOND, 3 * SECOND + 1, True),
        (SECOND + 1, SECOND + 1, 0, False),
        # Set by somebody, days ahead: writing would set it back, and the time of change tells.
        (10**15 + 1, SECOND + 1, SECOND + 2, True),
        (10**15 + 1, SECOND + 2, SECOND + 2, False),
        (2**63 - 1, SECOND + 1, SECOND + 2, True),
        ((2**63 // SECOND) * SECOND, SECOND + 2, SECOND + 2, False),
        (-SECOND * 10**9, SECOND + 1, SECOND + 2, True),
        (SECOND + 1, SECOND + 1, 2**63 - 1, True),
    ],
)
def test_racy_rows_are_not_kept(mtime: int, ctime: int, moment: int, kept: bool) -> None:
    assert len(cache_of(["a"], mtime, ctime).older_than(moment)) == kept


def test_only_unchanged_stat_data_are_believed() -> None:
    cache = cache_of(["a", "b", "c"])
    for name in FIELDS:
        changed = {each: getattr(cache.files, each).copy() for each in FIELDS}
        changed[name][1] += 1
        _, known = cache.look_up(Listing(cache.files.path, **changed))
        assert known.tolist() == [True, False, True]


def test_files_are_found_whatever_came_or_went() -> None:
    cache = cache_of(["a", "c", "e"])
    wanted = cache_of(["a", "b", "c", "d", "e", "f"]).files
    columns = {name: getattr(wanted, name).copy() for name in FIELDS}
    columns["size"][[0, 2, 4]] = [100, 101, 102]
    columns["inode"][[0, 2, 4]] = [7, 8, 9]
    digests, known = cache.look_up(Listing(wanted.path, **columns))
    assert known.tolist() == [True, False, True, False, True, False]
    assert np.array_equal(digests[known], cache.digest)
    _, known = empty_cache().look_up(wanted)
    assert not known.any()


def test_caches_are_joined_in_order() -> None:
    joined = cache_of(["a", "d"]).joined(cache_of(["b", "e"]))
    assert joined.files.path.to_pylist() == ["a", "b", "d", "e"]
    assert joined.files.inode.tolist() == [7, 7, 8, 8]
    assert same(empty_cache().joined(cache_of(["a"])), cache_of(["a"]))
    assert same(cache_of(["a"]).joined(empty_cache()), cache_of(["a"]))
