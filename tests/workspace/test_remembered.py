from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets_vc.workspace import remembered, statcache
from datasets_vc.workspace.listing import Listing
from datasets_vc.workspace.remembered import Remembered, load_cache, save_cache
from datasets_vc.workspace.selection import Selection
from datasets_vc.workspace.statcache import StatCache, clock_of
from tests.workspace.caches import cache_of, same

Rows = dict[str, int]
"""Files by path: the size of each, of which all else of it is made."""

PATHS = ["a", "a/b", "a/c", "b", "c/d", "e", "e/ä", "f", "g/h"]
SIZES = range(1, 4)
BEFORE: Rows = dict.fromkeys(PATHS, 1)
AFTER: Rows = {path: 1 for path in PATHS if path != "f"} | {"b": 2, "new": 3}


def rows_of(rows: Rows) -> StatCache:
    paths = sorted(rows)
    sizes = np.array([rows[path] for path in paths], np.int64)
    digests = np.zeros((len(paths), 32), np.uint8)
    digests[:, 0] = sizes
    kinds = np.zeros(len(paths), np.int64)
    listing = Listing(pa.array(paths, pa.string()), kinds, sizes, sizes, sizes, sizes)
    return StatCache(listing, digests)


def known_of(folder: Path) -> Rows:
    """All that is remembered, asked for path by path and size by size."""
    cache, paths, found = load_cache(folder), sorted([*PATHS, "new"]), {}
    for size in SIZES:
        digests, known = cache.look_up(rows_of(dict.fromkeys(paths, size)).files)
        for row in np.flatnonzero(known).tolist():
            assert paths[row] not in found
            assert digests[row, 0] == size
            found[paths[row]] = size
    return found


def save(folder: Path, rows: Rows) -> None:
    save_cache(folder, rows_of(rows), load_cache(folder))


SECOND = 1_000_000_000


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half as many rows may come after a base as it has, however few these are."""
    monkeypatch.setattr(remembered, "_LEAST", 1)
    monkeypatch.setattr(remembered, "_SHARE", 2)


@pytest.fixture
def followed(folder: Path, eager: None) -> Path:
    """What came after the base of `folder`."""
    save(folder, BEFORE)
    save(folder, AFTER)
    return folder / ".dsvc" / "stat-cache-later"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".dsvc").mkdir()
    return tmp_path


@pytest.mark.parametrize("paths", [[], ["a"], ["a", "b/c", "ä\n"]])
def test_what_is_saved_is_loaded(folder: Path, paths: list[str]) -> None:
    save_cache(folder, cache_of(paths), Remembered())
    assert same(load_cache(folder).base, cache_of(paths))
    assert list((folder / ".dsvc" / "tmp").iterdir()) == []


def test_without_a_file_nothing_is_known(folder: Path) -> None:
    assert load_cache(folder).checksum == b""


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damage_is_no_cache_and_no_error(folder: Path, data: st.DataObject) -> None:
    save_cache(folder, cache_of(["a", "b/c", "d" * 50]), Remembered())
    place = folder / ".dsvc" / "stat-cache"
    good = bytearray(place.read_bytes())
    at = data.draw(st.integers(0, len(good) - 1))
    if data.draw(st.booleans()):
        place.write_bytes(good[:at])
    else:
        good[at] ^= data.draw(st.integers(1, 255))
        place.write_bytes(good)
    assert load_cache(folder).checksum == b""


@pytest.mark.parametrize("text", [b"", b"ARROW1\0\0", b"DIRC garbage" * 100])
def test_something_else_is_no_cache(folder: Path, text: bytes) -> None:
    (folder / ".dsvc" / "stat-cache").write_bytes(text)
    assert load_cache(folder).checksum == b""


def test_another_version_is_no_cache(folder: Path) -> None:
    save_cache(folder, cache_of(["a"]), Remembered())
    place = folder / ".dsvc" / "stat-cache"
    data = place.read_bytes()
    assert data.startswith(b"DSVSTAT2")
    place.write_bytes(data.replace(b"DSVSTAT2", b"DSVSTAT3", 1))
    assert load_cache(folder).checksum == b""


def test_a_folder_in_its_place_is_no_error(folder: Path) -> None:
    (folder / ".dsvc" / "stat-cache").mkdir()
    save_cache(folder, cache_of(["a"]), Remembered())
    assert load_cache(folder).checksum == b""
    assert list((folder / ".dsvc" / "tmp").iterdir()) == []


def test_where_nothing_can_be_written_there_is_no_cache_and_no_clock(tmp_path: Path) -> None:
    (tmp_path / ".dsvc").write_text("a file, so that nothing can be made below")
    save_cache(tmp_path, cache_of(["a"]), Remembered())
    assert load_cache(tmp_path).checksum == b""
    assert clock_of(tmp_path) == 0


def test_a_full_disk_leaves_the_old_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_cache(folder, cache_of(["a"]), Remembered())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remembered._HashingWriter, "write", full)
    save_cache(folder, cache_of(["b"]), Remembered())
    monkeypatch.undo()
    assert same(load_cache(folder).base, cache_of(["a"]))


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    saves=st.lists(
        st.tuples(
            st.lists(st.sampled_from([*PATHS, "c", "g"]), max_size=3).map(Selection),
            st.dictionaries(st.sampled_from(PATHS), st.sampled_from(SIZES)),
        ),
        max_size=6,
    )
)
def test_what_is_known_is_what_was_saved_last(
    folder: Path, eager: None, saves: list[tuple[Selection, Rows]]
) -> None:
    shutil.rmtree(folder / ".dsvc")
    (folder / ".dsvc").mkdir()
    expected: Rows = {}
    for selection, rows in saves:
        paths = sorted({*rows, *expected})
        covered = dict(zip(paths, selection.mask(pa.array(paths, pa.string())), strict=True))
        inside = {path: size for path, size in rows.items() if covered[path]}
        expected = {path: size for path, size in expected.items() if not covered[path]} | inside
        save_cache(folder, rows_of(inside), load_cache(folder), selection)
        assert known_of(folder) == expected


def test_a_small_change_leaves_the_base_as_it_is(folder: Path, eager: None) -> None:
    save(folder, BEFORE)
    base = (folder / ".dsvc" / "stat-cache").read_bytes()
    save(folder, AFTER)
    assert (folder / ".dsvc" / "stat-cache").read_bytes() == base
    assert len(load_cache(folder).later) == 3
    assert known_of(folder) == AFTER


def test_a_large_change_is_a_new_base(folder: Path, followed: Path) -> None:
    many = dict.fromkeys(PATHS, 2)
    save(folder, many)
    assert not followed.exists()
    assert same(load_cache(folder).base, rows_of(many))


def test_rows_that_are_as_they_were_again_come_after_nothing(folder: Path, followed: Path) -> None:
    save(folder, BEFORE)
    assert len(load_cache(folder).later) == 0
    assert known_of(folder) == BEFORE


def test_without_what_came_after_it_the_base_counts(folder: Path, followed: Path) -> None:
    followed.unlink()
    assert known_of(folder) == BEFORE


def test_without_its_base_nothing_counts(folder: Path, followed: Path) -> None:
    (folder / ".dsvc" / "stat-cache").unlink()
    assert known_of(folder) == {}
    save(folder, AFTER)
    assert known_of(folder) == AFTER


def test_what_came_after_another_base_does_not_count(folder: Path, followed: Path) -> None:
    """As after a crash between writing a new base and removing what came after the old one."""
    left = followed.read_bytes()
    other = dict.fromkeys(PATHS, 3)
    save_cache(folder, rows_of(other), Remembered())
    followed.write_bytes(left)
    assert known_of(folder) == other


def test_neither_file_is_taken_for_the_other(folder: Path, followed: Path) -> None:
    base = folder / ".dsvc" / "stat-cache"
    first, second = base.read_bytes(), followed.read_bytes()
    followed.write_bytes(first)
    assert known_of(folder) == BEFORE
    base.write_bytes(second)
    assert known_of(folder) == {}


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damage_of_what_came_after_leaves_the_base(
    folder: Path, followed: Path, data: st.DataObject
) -> None:
    save(folder, AFTER)
    bad = bytearray(followed.read_bytes())
    at = data.draw(st.integers(0, len(bad) - 1))
    if data.draw(st.booleans()):
        del bad[at:]
    else:
        bad[at] ^= data.draw(st.integers(1, 255))
    followed.write_bytes(bad)
    assert known_of(folder) == BEFORE


def test_a_base_that_was_replaced_meanwhile_counts_alone(folder: Path, followed: Path) -> None:
    before, other = load_cache(folder), dict.fromkeys(PATHS, 3)
    save_cache(folder, rows_of(other), Remembered())
    save_cache(folder, rows_of(AFTER), before)
    assert known_of(folder) == other


def test_a_full_disk_leaves_what_came_after(
    folder: Path, followed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remembered._HashingWriter, "write", full)
    save(folder, BEFORE)
    save(folder, {"new": 1})
    monkeypatch.undo()
    assert known_of(folder) == AFTER
    assert list((folder / ".dsvc" / "tmp").iterdir()) == []


def test_after_a_power_loss_young_rows_are_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    old, young = (
        cache_of(["a"], now - 3600 * SECOND, now - 3600 * SECOND),
        cache_of(["b"], now, now),
    )
    save_cache(folder, old.joined(young), Remembered())
    assert load_cache(folder).base.files.path.to_pylist() == ["a", "b"]

    monkeypatch.setattr(statcache, "_booted", lambda: time.time_ns() + SECOND)

    assert same(load_cache(folder).base, old)
