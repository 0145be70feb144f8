"""Files with several names: a change of one name is no change of the bytes behind the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc.errors import UnsavedChangesError
from datasets_vc.workspace.removing import Remover
from tests.workspace.bench import CLEAN, Bench

MIB = 1 << 20


@pytest.fixture(params=[7, 2 * MIB])
def linked(bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Three names of one file, and a version of each of two contents."""
    place = bench.put("a", b"1" * request.param)
    for name in ("c", "d/b"):
        (bench.folder / name).parent.mkdir(exist_ok=True)
        (bench.folder / name).hardlink_to(place)
    bench.commit()
    return bench


def names(bench: Bench) -> list[Path]:
    return [bench.folder / name for name in ("a", "c", "d/b")]


def test_a_checkout_replaces_every_name_at_once(linked: Bench) -> None:
    first = linked.version
    names(linked)[0].write_bytes(b"2")
    linked.commit()

    linked.checkout(first)

    assert linked.status() == CLEAN
    assert len({place.stat().st_ino for place in names(linked)}) == 3


def test_a_checkout_removes_every_name_at_once(linked: Bench) -> None:
    first = linked.version
    for place in names(linked):
        place.unlink()
    linked.put("other")
    second = linked.commit()
    linked.checkout(first)
    names(linked)[1].unlink()
    names(linked)[1].hardlink_to(names(linked)[0])

    linked.checkout(second)

    assert set(linked.tree()) == {"other"}


def test_a_change_of_one_name_reaches_no_other(linked: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.hardlink_to(names(linked)[0])
    before = outside.read_bytes()
    first = linked.version
    for place in names(linked):
        place.unlink()
        place.write_bytes(b"new")
    second = linked.commit()
    linked.checkout(first)
    for place in names(linked):
        place.unlink()
        place.hardlink_to(outside)

    linked.checkout(second)

    assert outside.read_bytes() == before
    assert linked.status() == CLEAN


def test_consuming_takes_every_name(linked: Bench) -> None:
    done = linked.workspace.consume(linked.version, linked.store)

    assert (done.files, done.kept) == (3, 0)
    assert not any(place.exists() for place in names(linked))


def test_what_was_typed_at_the_last_moment_is_still_kept(
    linked: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = linked.version
    names(linked)[0].write_bytes(b"2")
    linked.commit()
    check = Remover.check_unchanged

    def late(self: Remover, *file: object) -> None:
        names(linked)[2].write_bytes(b"typed")
        check(self, *file)  # type: ignore[arg-type]

    monkeypatch.setattr(Remover, "check_unchanged", late)
    with pytest.raises(UnsavedChangesError, match="while dsvc was at work"):
        linked.checkout(first)
    assert names(linked)[2].read_bytes() == b"typed"
