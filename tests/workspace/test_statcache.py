from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets_vc.workspace import statcache
from datasets_vc.workspace.listing import FIELDS, Listing
from datasets_vc.workspace.statcache import (
    StatCache,
    clock_of,
    empty_cache,
    load_cache,
    save_cache,
)

SECOND = 1_000_000_000


def cache_of(paths: list[str], mtime_ns: int = 5, ctime_ns: int = 5) -> StatCache:
    count = len(paths)
    numbers = [
        np.zeros(count, np.int64),
        np.arange(count) + 100,
        np.full(count, mtime_ns),
        np.full(count, ctime_ns),
        np.arange(count) + 7,
    ]
    digests = np.arange(32 * count).astype(np.uint8).reshape(-1, 32)
    return StatCache(Listing(pa.array(paths, pa.string()), *numbers), digests)


def same(left: StatCache, right: StatCache) -> bool:
    return (
        left.files.path.equals(right.files.path)
        and all(
            np.array_equal(getattr(left.files, name), getattr(right.files, name)) for name in FIELDS
        )
        and np.array_equal(left.digest, right.digest)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".dsvc").mkdir()
    return tmp_path


@pytest.mark.parametrize("paths", [[], ["a"], ["a", "b/c", "ä\n"]])
def test_what_is_saved_is_loaded(folder: Path, paths: list[str]) -> None:
    save_cache(folder, cache_of(paths))
    assert same(load_cache(folder), cache_of(paths))
    assert list((folder / ".dsvc" / "tmp").iterdir()) == []


def test_without_a_file_nothing_is_known(folder: Path) -> None:
    assert len(load_cache(folder)) == 0


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damage_is_no_cache_and_no_error(folder: Path, data: st.DataObject) -> None:
    save_cache(folder, cache_of(["a", "b/c", "d" * 50]))
    place = folder / ".dsvc" / "stat-cache"
    good = bytearray(place.read_bytes())
    at = data.draw(st.integers(0, len(good) - 1))
    if data.draw(st.booleans()):
        place.write_bytes(good[:at])
    else:
        good[at] ^= data.draw(st.integers(1, 255))
        place.write_bytes(good)
    assert len(load_cache(folder)) == 0


@pytest.mark.parametrize("text", [b"", b"ARROW1\0\0", b"DIRC garbage" * 100])
def test_something_else_is_no_cache(folder: Path, text: bytes) -> None:
    (folder / ".dsvc" / "stat-cache").write_bytes(text)
    assert len(load_cache(folder)) == 0


def test_another_version_is_no_cache(folder: Path) -> None:
    save_cache(folder, cache_of(["a"]))
    place = folder / ".dsvc" / "stat-cache"
    data = place.read_bytes()
    assert data.startswith(b"DSVSTAT1")
    place.write_bytes(data.replace(b"DSVSTAT1", b"DSVSTAT2", 1))
    assert len(load_cache(folder)) == 0


def test_a_folder_in_its_place_is_no_error(folder: Path) -> None:
    (folder / ".dsvc" / "stat-cache").mkdir()
    save_cache(folder, cache_of(["a"]))
    assert len(load_cache(folder)) == 0
    assert list((folder / ".dsvc" / "tmp").iterdir()) == []


def test_where_nothing_can_be_written_there_is_no_cache_and_no_clock(tmp_path: Path) -> None:
    (tmp_path / ".dsvc").write_text("a file, so that nothing can be made below")
    save_cache(tmp_path, cache_of(["a"]))
    assert len(load_cache(tmp_path)) == 0
    assert clock_of(tmp_path) == 0


def test_a_full_disk_leaves_the_old_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_cache(folder, cache_of(["a"]))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(statcache._HashingWriter, "write", full)
    save_cache(folder, cache_of(["b"]))
    monkeypatch.undo()
    assert same(load_cache(folder), cache_of(["a"]))


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


def test_after_a_power_loss_young_rows_are_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    old, young = (
        cache_of(["a"], now - 3600 * SECOND, now - 3600 * SECOND),
        cache_of(["b"], now, now),
    )
    save_cache(folder, old.joined(young))
    assert load_cache(folder).files.path.to_pylist() == ["a", "b"]

    monkeypatch.setattr(statcache, "_booted", lambda: time.time_ns() + SECOND)

    assert same(load_cache(folder), old)
