"""A collection without grace between any two steps of a writer: all of it lands, or none."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets_vc.backends import Backend, open_backend
from datasets_vc.backends.wrappers import Wrapper
from datasets_vc.errors import ConflictError, DatasetError
from datasets_vc.format.root import Root
from datasets_vc.repository import Repository
from datasets_vc.sync import remotes
from tests.integration.trees import AUTHOR

TIME = datetime(2026, 1, 1, tzinfo=UTC)
VERBS = ("get", "put", "stat", "list", "delete", "read_root", "swap", "map")


class Between(Wrapper):
    """Does something once, just before one of the calls."""

    def __init__(self, inner: Backend, call: int, act: Callable[[], object]) -> None:
        super().__init__(inner)
        self.calls = 0
        self._call = call
        self._act = act
        for verb in VERBS:
            setattr(self, verb, partial(self._pass_on, verb))

    def _pass_on(self, verb: str, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == self._call:
            self._act()
        return getattr(self.inner, verb)(*arguments)


class Opening:
    """Opens backends, and lets something happen between the calls to the first."""

    def __init__(self, call: int, act: Callable[[], object]) -> None:
        self.made: Between | None = None
        self._call = call
        self._act = act

    def __call__(self, url: str, **options: Any) -> Backend:
        backend = open_backend(url, **options)
        if self.made is not None:
            return backend
        self.made = Between(backend, self._call, self._act)
        return self.made


def noise(size: int, seed: int) -> bytes:
    return np.random.Generator(np.random.PCG64(seed)).bytes(size)


def fill(folder: Path, **files: bytes) -> None:
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def commit(repository: Repository, message: str) -> None:
    repository.commit(message, author=AUTHOR, time=TIME)


def in_order(folder: Path) -> None:
    """Everything that any ref reaches is there, as a fresh look at the store finds."""
    checked = Repository.open(folder).maintenance.fsck()
    assert checked.errors == []


BASE = {"a": noise(3000, 1), "b": noise(3000, 2)}
AGAIN = {"z": noise(5000, 3), "large": noise(2 << 20, 4)}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two workspaces on one store, in which lies what the first is about to commit: as garbage."""
    folder = tmp_path_factory.mktemp("shared")
    one = Repository.init(folder / "one", str(folder / "store"))
    fill(folder / "one", **BASE)
    commit(one, "base")
    one.checkout("main", create="side")
    fill(folder / "one", **BASE, **AGAIN)
    commit(one, "side")
    one.checkout("main")
    one.branches.delete("side", force=True)
    Repository.init(folder / "two", str(folder / "store")).checkout("main")
    return folder


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True)
    for name in ("one", "two"):
        config = target / name / ".dsvc" / "config.toml"
        if config.exists():
            config.write_text(config.read_text().replace(str(source), str(target)))
    return target


def watched(repository: Repository, call: int, act: Callable[[], object]) -> Between:
    """Let something happen before a call that this repository makes to its store."""
    store = repository.store
    backend = Between(store.backend, call, act)
    store.backend = store.indexes._backend = store._reader._backend = backend
    return backend


@pytest.mark.parametrize("files", [AGAIN, {"new": noise(5000, 5)}], ids=["garbage", "new"])
def test_a_commit_counts_on_nothing_that_is_collected(
    shared: Path, tmp_path: Path, files: dict[str, bytes]
) -> None:
    """What it commits lies there as garbage, or is in packs that nothing lists yet."""
    outcomes = set()
    for call in itertools.count(1):
        folder = copied(shared, tmp_path / str(call))
        one, two = (Repository.open(folder / name) for name in ("one", "two"))
        fill(folder / "one", **BASE, **files)
        backend = watched(one, call, partial(two.maintenance.gc, grace=timedelta(0)))
        try:
            commit(one, "again")
            outcomes.add("made")
        except ConflictError:
            outcomes.add("refused")
        in_order(folder / "two")
        if backend.calls < call:
            break
        fresh = Repository.open(folder / "one")
        if not fresh.status().clean:
            commit(fresh, "again")
        assert {*fresh.ls("main").column("path").to_pylist()} == {*BASE, *files}
        in_order(folder / "one")
        shutil.rmtree(folder)
    assert call > 10
    assert "made" in outcomes


def test_a_commit_on_a_version_that_is_collected_is_refused(shared: Path, tmp_path: Path) -> None:
    """Its unchanged files are not read, so that they can neither be there nor come again."""
    made = 0
    for call in itertools.count(1):
        folder = copied(shared, tmp_path / str(call))
        one, two = (Repository.open(folder / name) for name in ("one", "two"))
        one.checkout("main", create="side")
        fill(folder / "one", **BASE, **AGAIN)
        commit(one, "side")
        one.checkout(one.head.commit.hex())
        two.branches.delete("side", force=True)
        fill(folder / "one", **BASE, **AGAIN, c=noise(100, 7))
        backend = watched(one, call, partial(two.maintenance.gc, grace=timedelta(0)))
        try:
            commit(one, "more")
            one.branches.create("kept")
            made += 1
        except DatasetError:
            pass
        in_order(folder / "two")
        shutil.rmtree(folder)
        if backend.calls < call:
            break
    assert 0 < made < call


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_nothing_is_lost_between_stores(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("one", "two"):
        Repository.init(source / name).remotes.add("origin", str(source / "remote"))
    one, two = (Repository.open(source / name) for name in ("one", "two"))
    fill(source / "one", **BASE)
    commit(one, "base")
    one.push()
    two.pull(author=AUTHOR)
    # What is to be pushed lies there, as garbage.
    one.checkout("main", create="side")
    fill(source / "one", **BASE, **AGAIN)
    commit(one, "again")
    one.push()
    one.branches.create("again")
    one.push(branch="again")
    there = remotes.connect(one.remotes.list()["origin"], one.store).store
    there.swap_root(_only_main)
    one.checkout("main")
    one.merging.merge("again", author=AUTHOR, time=TIME)
    fill(source / "two", **BASE, other=noise(2000, 9))
    commit(two, "other")
    if verb != "push":
        one.push()
    calls = 1
    while True:
        folder = copied(source, tmp_path / str(calls))
        one, two = (Repository.open(folder / name) for name in ("one", "two"))
        mover, other = (one, two) if verb == "push" else (two, one)
        opening = Opening(calls, partial(other.maintenance.gc, remote="origin", grace=timedelta(0)))
        monkeypatch.setattr(remotes, "open_backend", opening)
        try:
            if verb == "push":
                mover.push()
            else:
                mover.pull(author=AUTHOR, time=TIME)
        except ConflictError:
            pass
        finally:
            monkeypatch.undo()
        assert Repository.open(folder / "two").maintenance.fsck(remote="origin").errors == []
        for name in ("one", "two"):
            in_order(folder / name)
        fresh = Repository.open(folder / ("one" if verb == "push" else "two"))
        if verb == "push":
            fresh.push()
        else:
            fresh.pull(author=AUTHOR, time=TIME)
            assert "z" in fresh.ls("main").column("path").to_pylist()
        assert Repository.open(folder / "two").maintenance.fsck(remote="origin").errors == []
        shutil.rmtree(folder)
        if opening.made is not None and opening.made.calls < calls:
            break
        calls += 1
    assert calls > 3


def _only_main(root: Root) -> Root:
    return replace(root, branches={"main": root.branches["main"]})
