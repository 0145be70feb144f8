"""Which folder is a store, and where neither a store nor a workspace may be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datasets_vc.backends import LocalBackend
from datasets_vc.errors import InvalidInputError
from datasets_vc.store import Store
from datasets_vc.store.nesting import (
    check_new_place,
    check_new_workspace,
    enclosing_workspace,
    is_same_place,
    is_store,
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a pack."""
    folder = tmp_path / "store"
    made = Store.create(LocalBackend(folder, create=True, durable=False))
    with made.writer() as writer:
        writer.add_file(b"one")
        made.publish(writer.finish())
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / ".dsvc").mkdir(parents=True)
    return folder


def _without_root(store: Path) -> None:
    (store / "root.json").unlink()


def _with_damaged_root(store: Path) -> None:
    data = bytearray((store / "root.json").read_bytes())
    data[3] ^= 1
    (store / "root.json").write_bytes(data[: len(data) // 2])


def _with_loose_root(store: Path) -> None:
    text = (store / "root.json").read_text().replace(":", " : ")
    (store / "root.json").write_text(text)


@pytest.mark.parametrize(
    "change", [lambda _: None, _without_root, _with_damaged_root, _with_loose_root]
)
def test_a_store_is_known_by_what_it_holds(store: Path, change: object) -> None:
    assert callable(change)
    change(store)
    assert is_store(store)
    assert is_store(str(store))


def test_a_new_store_has_a_root_only(tmp_path: Path) -> None:
    Store.create(LocalBackend(tmp_path / "new", create=True))
    assert is_store(tmp_path / "new")


def test_what_only_looks_like_a_store_is_data(tmp_path: Path, store: Path) -> None:
    data = tmp_path / "data"
    for name in ("packs", "index"):
        (data / name).mkdir(parents=True)
    (data / "root.json").write_text('{"format": "tree", "branches": {}}')
    (data / "packs" / ("a" * 64)).write_text("no pack of ours")
    (data / "packs" / "b").write_bytes(b"DSVP")
    assert not is_store(data)
    assert not is_store(tmp_path)
    assert not is_store(store / "packs")
    assert not is_store(tmp_path / "missing")


def test_neither_pipes_nor_links_are_opened(tmp_path: Path, store: Path) -> None:
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "root.json")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "root.json").symlink_to(store / "root.json")
    assert not is_store(tmp_path / "pipe")
    assert not is_store(tmp_path / "link")


@pytest.mark.parametrize(
    "place", ["{work}", "{work}/backup", "{work}/a/b", "{work}/x/../backup", "{tmp}/link/backup"]
)
@pytest.mark.parametrize("url", [False, True])
def test_no_store_among_the_files_of_a_workspace(
    tmp_path: Path, workspace: Path, place: str, url: bool
) -> None:
    (tmp_path / "link").symlink_to(workspace)
    (tmp_path / "other" / ".dsvc").mkdir(parents=True)
    where = place.format(work=workspace, tmp=tmp_path)
    address = f"file://{where}" if url else where
    with pytest.raises(InvalidInputError, match="the workspace") as caught:
        check_new_place(address, workspace)
    assert str(workspace) in caught.value.hint
    with pytest.raises(InvalidInputError, match="another workspace"):
        check_new_place(address, tmp_path / "other")
    assert enclosing_workspace(address) == workspace


def test_a_workspace_that_is_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="the workspace"):
        check_new_place(str(tmp_path / "new" / "versions"), tmp_path / "new")


@pytest.mark.parametrize("name", ["store", "x", "STORE"])
def test_no_store_in_the_folder_of_dsvc(workspace: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"own folder '\.dsvc'"):
        check_new_place(str(workspace / ".dsvc" / name), workspace)


def test_the_store_of_another_workspace_may_be_shared(tmp_path: Path, workspace: Path) -> None:
    place = workspace / ".dsvc" / "store"
    with pytest.raises(InvalidInputError, match="another workspace"):
        check_new_place(str(place), tmp_path / "new")
    Store.create(LocalBackend(place, create=True))
    check_new_place(str(place), tmp_path / "new")
    assert enclosing_workspace(str(place)) is None


def test_no_store_around_a_workspace_or_in_a_store(tmp_path: Path, store: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be a store"):
        check_new_place(str(tmp_path), tmp_path / "a" / "work")
    for place in (store / "x", store / "packs"):
        with pytest.raises(InvalidInputError, match="lies in the store"):
            check_new_place(str(place), tmp_path / "work")
    check_new_place(str(store), tmp_path / "work")


def test_a_folder_is_made_only_where_its_parent_is(tmp_path: Path) -> None:
    check_new_place(str(tmp_path / "new"), tmp_path / "work")
    with pytest.raises(InvalidInputError, match="in which 'b' could be made") as caught:
        check_new_place(str(tmp_path / "a" / "b"), tmp_path / "work")
    assert "mounted" in caught.value.hint


def test_remotes_are_not_looked_at(tmp_path: Path) -> None:
    check_new_place("s3://bucket/work", tmp_path)
    assert enclosing_workspace("s3://bucket/work") is None


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InvalidInputError):
        check_new_place(str(tmp_path / "a" / "x"), tmp_path / "work")


def test_no_workspace_in_a_store(tmp_path: Path, store: Path) -> None:
    for place in (store, store / "work", store / "packs" / "work"):
        with pytest.raises(InvalidInputError, match="no workspace can be there"):
            check_new_workspace(place)
    check_new_workspace(tmp_path / "work", str(store))
    with pytest.raises(InvalidInputError, match="taken for data"):
        check_new_workspace(tmp_path, str(store))


def test_one_place_by_many_ways(tmp_path: Path, store: Path) -> None:
    (tmp_path / "link").symlink_to(store)
    for way in (str(store), f"file://{store}", str(tmp_path / "link"), f"{store}/packs/.."):
        assert is_same_place(way, str(store))
    assert is_same_place("s3://bucket/x/", "s3://bucket/x")
    assert not is_same_place("s3://bucket/x", str(store))
    assert not is_same_place(str(tmp_path), str(store))


def test_another_mount_of_the_workspace(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two names of one folder, as a mount or letters of another case give it."""
    other = tmp_path / "mount" / "backup"
    other.mkdir(parents=True)
    real = os.stat

    def stat(path: str, *args: object, **named: object) -> os.stat_result:
        seen = str(path).replace(str(tmp_path / "mount"), str(workspace))
        return real(seen, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(InvalidInputError, match="lies in the workspace"):
        check_new_place(str(other), workspace)
