"""`fsck` beside another command: what moved meanwhile is no damage, and damage is found."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from datasets_vc.repository import Repository, checking
from datasets_vc.repository.checking import Checked
from datasets_vc.store.inspect import inspect_objects
from datasets_vc.sync import remotes
from tests.integration.trees import AUTHOR
from tests.repository.test_collecting_between import Opening, watched

TIME = datetime(2026, 1, 1, tzinfo=UTC)
NOW = timedelta(0)


def noise(size: int, seed: int) -> bytes:
    return np.random.Generator(np.random.PCG64(seed)).bytes(size)


def commit(work: Repository, number: int = 9) -> None:
    (work.folder / "new").write_bytes(noise(2000, number))
    work.commit("new", author=AUTHOR, time=TIME)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that is about to merge packs, another one, and their remote."""
    folder = tmp_path_factory.mktemp("made")
    work = Repository.init(folder / "work")
    work.remotes.add("origin", str(folder / "remote"))
    (work.folder / "a").write_bytes(noise(3000, 1))
    work.commit("one", author=AUTHOR, time=TIME)
    work.push()
    Repository.clone(str(folder / "remote"), folder / "other")
    work.checkout("HEAD", create="side")
    (work.folder / "side").write_bytes(noise(3000, 2))
    work.commit("side", author=AUTHOR, time=TIME)
    work.checkout("main")
    for number in range(6):
        commit(work, number)
    other = Repository.open(folder / "other")
    (other.folder / "b").write_bytes(noise(3000, 3))
    other.commit("b", author=AUTHOR, time=TIME)
    return folder


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True)
    for config in target.glob("*/.dsvc/config.toml"):
        config.write_text(config.read_text().replace(str(source), str(target)))
    return target


def commit_and_collect(work: Repository) -> None:
    commit(work)
    work.maintenance.gc(grace=NOW)


def go_to_a_new_commit(work: Repository) -> None:
    commit(work)
    work.checkout(work.head.commit.hex() if work.head.commit else None)


def give_up_a_branch(work: Repository) -> None:
    work.branches.delete("side", force=True)
    work.maintenance.gc(grace=NOW)


def merge(work: Repository) -> None:
    work.merging.merge("side", author=AUTHOR, time=TIME)


def push_and_drop(work: Repository) -> None:
    work.push()
    work.maintenance.drop(everything=True)


def pull(work: Repository) -> None:
    Repository.open(work.folder.parent / "other").pull(author=AUTHOR, time=TIME)
    Repository.open(work.folder.parent / "other").push()
    work.pull(author=AUTHOR, time=TIME)


def mend(work: Repository) -> None:
    pack = next((Path(work.store.url) / "packs").iterdir())
    pack.with_name(f"{pack.name}.damaged").touch()
    work.maintenance.fsck(repair=True)


def done(act: Callable[[Repository], None], folder: Path) -> None:
    act(Repository.open(folder / "work"))


ACTS = [
    commit,
    commit_and_collect,
    go_to_a_new_commit,
    give_up_a_branch,
    merge,
    push_and_drop,
    pull,
    mend,
]


@pytest.mark.parametrize("act", ACTS)
def test_what_others_do_meanwhile_is_no_damage(
    made: Path, tmp_path: Path, act: Callable[[Repository], None]
) -> None:
    for call in itertools.count(1, 7):
        folder = copied(made, tmp_path / str(call))
        work = Repository.open(folder / "work")
        backend = watched(work, call, partial(done, act, folder))
        assert work.maintenance.fsck().errors == [], call
        shutil.rmtree(folder)
        if backend.calls < call:
            break
    assert call > 10


def push(work: Repository) -> None:
    work.push()


def collect_there(work: Repository) -> None:
    work.push()
    work.maintenance.gc(remote="origin", grace=NOW)


@pytest.mark.parametrize("act", [push, collect_there])
def test_what_others_do_at_a_remote_is_no_damage(
    made: Path,
    tmp_path: Path,
    act: Callable[[Repository], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for call in itertools.count(1, 3):
        folder = copied(made, tmp_path / str(call))
        opening = Opening(call, partial(done, act, folder))
        monkeypatch.setattr(remotes, "open_backend", opening)
        checked = Repository.open(folder / "work").maintenance.fsck(remote="origin")
        monkeypatch.undo()
        assert checked.errors == [], call
        shutil.rmtree(folder)
        if opening.made is None or opening.made.calls < call:
            break
    assert call > 6


# Somebody is at it all the time


@pytest.mark.parametrize("when", ["before", "after"])
def test_one_who_never_stops_hides_no_damage_and_makes_none(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    folder = copied(made, tmp_path / "copy")
    assert checked_beside(folder, monkeypatch, when).errors == []
    packs = list((folder / "work" / ".dsvc" / "store" / "packs").iterdir())
    damaged = max(packs, key=lambda path: path.stat().st_size)
    data = bytearray(damaged.read_bytes())
    data[20] ^= 1
    damaged.unlink()
    damaged.write_bytes(data)
    found = checked_beside(folder, monkeypatch, when, start=100)
    assert ("pack", damaged.name) in {(each.kind, each.name) for each in found.errors}
    assert found.affected


def checked_beside(
    folder: Path, monkeypatch: pytest.MonkeyPatch, when: str, start: int = 10
) -> Checked:
    """What fsck finds while a commit comes with each of its looks."""
    numbers = itertools.count(start)

    def inspect(*given: object) -> object:
        act = partial(commit, Repository.open(folder / "work"))
        if when == "before":
            act(next(numbers))
        found = inspect_objects(*given)  # type: ignore[arg-type]
        if when == "after":
            act(next(numbers))
        return found

    monkeypatch.setattr(checking, "inspect_objects", inspect)
    checked = Repository.open(folder / "work").maintenance.fsck()
    monkeypatch.undo()
    return checked


# What need not be here


def test_what_is_absent_by_design_is_counted(made: Path, tmp_path: Path) -> None:
    folder = copied(made, tmp_path / "copy")
    work = Repository.open(folder / "work")
    assert (work.maintenance.fsck().absent, work.maintenance.fsck().cut) == (0, 0)
    work.push()
    dropped = work.maintenance.drop(everything=True)
    checked = Repository.open(folder / "work").maintenance.fsck()
    assert checked.sound
    assert checked.absent == dropped.chunks > 0
    Repository.clone(str(folder / "remote"), folder / "cut", depth=1)
    checked = Repository.open(folder / "cut").maintenance.fsck()
    assert checked.sound
    assert checked.cut == 1
