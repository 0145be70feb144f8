"""Stores in folders whose own folders are links: they may be read, and nothing leads out of them.

A link `packs` in the store of a stranger led what was pushed into another store, and a collection
deleted the packs of that one.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from datasets_vc.backends import LocalBackend
from datasets_vc.digest import digest_of
from datasets_vc.errors import UnsafeFolderError
from datasets_vc.repository import Repository
from datasets_vc.store.names import FOLDERS
from tests.integration.trees import AUTHOR

NOW = timedelta(0)
NAMES = [folder.rstrip("/") for folder in FOLDERS]


def made(folder: Path, text: str) -> Repository:
    """A workspace with a version, and one that no branch names any more."""
    repository = Repository.init(folder)
    for each in (text, f"{text} again"):
        (folder / "f").write_text(each)
        repository.commit(each, author=AUTHOR)
    return repository


def state(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """The store of somebody, in which every folder that a store can have has something."""
    store = Path(made(tmp_path / "victim", "precious").store.url)
    for name in NAMES:
        (store / name).mkdir(exist_ok=True)
        (store / name / digest_of(name.encode()).hex()).write_bytes(b"precious")
    return store


def link(store: Path, name: str, to: Path) -> None:
    if (store / name).is_dir():
        (store / name).rename(store / f"{name} of before")
    (store / name).symlink_to(to)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("empty", [False, True])
def test_a_push_and_a_collection_leave_what_a_link_of_a_remote_leads_to(
    tmp_path: Path, victim: Path, name: str, empty: bool
) -> None:
    work, there = made(tmp_path / "work", "mine"), tmp_path / "strange"
    there.mkdir()
    work.remotes.add("team", str(there))
    if not empty:
        work.push("team")
        (work.folder / "f").write_text("more")
        work.commit("more", author=AUTHOR)
    link(there, name, victim / name)
    before = state(victim), state(there)
    with pytest.raises(UnsafeFolderError, match=f"{name}' is a link"):
        work.push("team")
    if not empty:
        with pytest.raises(UnsafeFolderError, match=f"{name}' is a link"):
            work.maintenance.gc(remote="team", grace=NOW)
    assert (state(victim), state(there)) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_link_in_the_own_store_leads_nothing_out(tmp_path: Path, victim: Path, name: str) -> None:
    work = made(tmp_path / "work", "mine")
    link(Path(work.store.url), name, victim / name)
    for path in (Path(work.store.url) / f"{name} of before").glob("*"):
        shutil.copy(path, victim / name)  # so that all can be read
    before = state(victim), state(Path(work.store.url))
    again = Repository.open(work.folder)
    (work.folder / "f").write_text("more")
    acts: list[Callable[[], object]] = [
        lambda: again.commit("more", author=AUTHOR),
        lambda: again.branches.create("new"),
        lambda: again.maintenance.gc(grace=NOW),
    ]
    for act in acts:
        with pytest.raises(UnsafeFolderError, match=f"{name}' is a link"):
            act()
    assert state(victim) == before[0]
    here = state(Path(work.store.url))
    assert {each: here[each] for each in before[1]} == before[1]


def test_a_mirror_of_links_is_read(tmp_path: Path) -> None:
    """A farm of links, with a folder or with single packs linked, is a known way to mirror."""
    work = made(tmp_path / "work", "mine")
    store = Path(work.store.url)
    for kind in ("folders", "files"):
        farm = tmp_path / kind
        farm.mkdir()
        for path in store.iterdir():
            if kind == "folders" or path.is_file():
                (farm / path.name).symlink_to(path)
                continue
            (farm / path.name).mkdir()
            for each in path.iterdir():
                (farm / path.name / each.name).symlink_to(each)
        clone = tmp_path / f"clone of {kind}"
        Repository.clone(str(farm), clone)
        assert (clone / "f").read_text() == "mine again"


def test_linked_objects_are_replaced_and_deleted_as_links(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"precious")
    backend = LocalBackend(tmp_path / "store", create=True, durable=False)
    for name in ("packs/a", "packs/b"):
        backend.put(name, b"x")
        (backend.folder / name).unlink()
        (backend.folder / name).symlink_to(theirs)
    backend.put("packs/a", b"new")
    backend.delete("packs/b")
    assert backend.get("packs/a") == b"new"
    assert theirs.read_bytes() == b"precious"
    assert not os.path.lexists(backend.folder / "packs/b")


def test_each_way_to_write_stays_in_the_folder(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "inner").mkdir(parents=True)
    (theirs / "a").write_bytes(b"precious")
    (theirs / "inner" / "a").write_bytes(b"precious")
    backend = LocalBackend(tmp_path / "store", create=True, durable=False)
    (backend.folder / "packs").symlink_to(theirs)
    (backend.folder / "runs").mkdir()
    (backend.folder / "runs" / "r").symlink_to(theirs)
    (backend.folder / "gone").symlink_to(tmp_path / "nowhere")
    before = state(theirs)
    for folder in ("packs/", "packs/inner/", "runs/r/", "runs/r/inner/", "gone/"):
        name = f"{folder}a"

        def enter(name: str = name) -> None:
            with backend.exclusive(name):
                pass

        acts: list[Callable[[], object]] = [
            lambda name=name: backend.put(name, b"x"),
            lambda name=name: backend.put_from(name, io.BytesIO(b"x")),
            lambda name=name: backend.swap(name, b"x", None),
            lambda name=name: backend.delete(name),
            lambda folder=folder: backend.start(folder),
            lambda folder=folder: backend.check_places([folder]),
            enter,
        ]
        for act in acts:
            with pytest.raises(UnsafeFolderError, match="is a link"):
                act()
        writer = backend.start("")
        writer.write(b"x")
        with pytest.raises(UnsafeFolderError, match="is a link"):
            writer.finish(name)
        writer.abort()
    assert state(theirs) == before
    assert not (tmp_path / "nowhere").exists()


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"precious")
    theirs.chmod(0o644)
    backend = LocalBackend(tmp_path / "store", create=True, durable=False)
    (backend.folder / "root.json.lock").symlink_to(theirs)
    with pytest.raises(Exception, match="Cannot lock"):
        backend.swap("root.json", b"x", None)
    assert theirs.stat().st_mode & 0o777 == 0o644
    assert not (backend.folder / "root.json").exists()


def test_links_in_circles_end(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "store", create=True, durable=False)
    backend.put("packs/a", b"x")
    for number in range(30):
        (backend.folder / "packs" / f"loop{number}").symlink_to(backend.folder / "packs")
    found = [info.name for info in backend.list("packs/")]
    assert len(found) == 31
