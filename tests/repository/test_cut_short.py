"""What frees space is cut short between any two calls to the store; then another verb is asked."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, DatasetError, LockedError, MissingDataError
from datasets_vc.repository import Repository, bringing, exchange
from datasets_vc.store import collect
from datasets_vc.store.counted import CollectedError
from datasets_vc.sync import transfer
from tests.integration.trees import AUTHOR
from tests.repository.test_collecting_between import watched

TIME = datetime(2026, 1, 1, tzinfo=UTC)
NOW = timedelta(0)


def noise(size: int, seed: int) -> bytes:
    return np.random.Generator(np.random.PCG64(seed)).bytes(size)


OLD = {"a": noise(3000, 1), "b": noise(2000, 2), "video": noise(3 << 20, 3)}
NEW = {"a": noise(3000, 4), "b": noise(2000, 6), "video": b"short now"}
SIDE = OLD | {"side": noise(4000, 5)}
VERSIONS = {"v1": OLD, "main": NEW, "side": SIDE}


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)


def commit(repository: Repository, message: str) -> Digest:
    return repository.commit(message, author=AUTHOR, time=TIME).commit


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that has all of three versions, in packs of the names that the remote has."""
    folder = tmp_path_factory.mktemp("made")
    first = Repository.init(folder / "first")
    first.remotes.add("origin", str(folder / "remote"))
    fill(first.folder, OLD)
    commit(first, "one")
    first.tags.create("v1")
    first.push()
    first.checkout("HEAD", create="side")
    fill(first.folder, SIDE)
    commit(first, "side")
    first.push(branch="side")
    first.checkout("main")
    fill(first.folder, NEW)
    commit(first, "two")
    first.push()
    shutil.rmtree(first.folder)
    Repository.clone(str(folder / "remote"), folder / "work")
    work = Repository.open(folder / "work")
    work.fetch("origin", ["v1", "origin/side"])
    work.branches.create("side", "origin/side")
    return folder


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True)
    for config in target.glob("*/.dsvc/config.toml"):
        config.write_text(config.read_text().replace(str(source), str(target)))
    return target


def drop(work: Repository) -> None:
    work.maintenance.drop(["v1", "side"])


def drop_all(work: Repository) -> None:
    work.maintenance.drop(everything=True)


def gc(work: Repository) -> None:
    work.branches.delete("side", force=True)
    work.tags.delete("v1")
    work.maintenance.gc(grace=NOW)


def fetch(work: Repository) -> None:
    work.fetch("origin", ["origin/side"])
    assert files_of(work, "origin/side") == SIDE


def go_there(work: Repository) -> None:
    work.checkout("origin/side")
    assert {path: (work.folder / path).read_bytes() for path in SIDE} == SIDE


def look(work: Repository) -> None:
    assert files_of(work, "origin/side") == SIDE


def commit_the_same(work: Repository) -> None:
    """The bytes that are being deleted are committed again."""
    fill(work.folder, SIDE)
    commit(work, "again")
    assert files_of(work, "HEAD") == SIDE


def merge(work: Repository) -> None:
    work.merging.merge("origin/side", author=AUTHOR, time=TIME)
    assert files_of(work, "HEAD") == NEW | {"side": SIDE["side"]}


def pull(work: Repository) -> None:
    work.pull(author=AUTHOR, time=TIME)
    assert files_of(work, "HEAD") == NEW


def mend(work: Repository) -> None:
    assert work.maintenance.fsck(repair=True).errors == []


def collect_again(work: Repository) -> None:
    work.maintenance.gc(grace=NOW)
    assert not work.store.root().doomed


CUT = {"drop": drop, "drop all": drop_all, "gc": gc}
THEN = [fetch, go_there, look, commit_the_same, merge, pull, mend, collect_again, drop_all]


def files_of(work: Repository, revision: str) -> dict[str, bytes]:
    paths = work.ls(revision).column("path").to_pylist()
    return {path: b"".join(map(bytes, work.cat(revision, path))) for path in paths}


class CutShortError(BaseException):
    """As when the process ends: nothing goes on after it."""


def cut_off(*_: object, **__: object) -> None:
    raise CutShortError


@pytest.mark.parametrize("cut", CUT.values(), ids=CUT.keys())
def test_whatever_is_cut_short_another_verb_ends_right(
    made: Path, tmp_path: Path, cut: Callable[[Repository], None]
) -> None:
    then = itertools.cycle(THEN)
    doomed = 0
    for call in itertools.count(1, 2 if cut is gc else 5):
        folder = copied(made, tmp_path / str(call))
        work = Repository.open(folder / "work")
        backend = watched(work, call, cut_off)
        with suppress(CutShortError):
            cut(work)
        doomed += bool(Repository.open(folder / "work").store.root().doomed)
        act = next(then)
        act(Repository.open(folder / "work"))
        check(folder, act)
        shutil.rmtree(folder)
        if backend.calls < call:
            break
    assert call > len(THEN)
    assert doomed


@pytest.mark.parametrize("act", THEN)
@pytest.mark.parametrize("deleted", [False, True])
def test_objects_that_are_doomed_may_be_wanted_again(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[Repository], None],
    deleted: bool,
) -> None:
    """Cut short before anything was deleted, or when all was, and nobody had said so yet."""
    folder = copied(made, tmp_path / "copy")

    def stopped(*given: object) -> None:
        if deleted:
            monkeypatch.setattr(given[0], "swap_root", cut_off)
            deleting(*given)
        cut_off()

    deleting = collect._delete
    monkeypatch.setattr(collect, "_delete", stopped)
    with pytest.raises(CutShortError):
        drop(Repository.open(folder / "work"))
    monkeypatch.undo()
    assert Repository.open(folder / "work").store.root().doomed
    act(Repository.open(folder / "work"))
    check(folder, act)


def check(folder: Path, act: object) -> None:
    """Nothing is lost: what is not here comes from the remote, and both stores are sound."""
    for remote in (None, "origin"):
        found = Repository.open(folder / "work").maintenance.fsck(remote=remote)
        assert found.errors == [], act
    again = Repository.open(folder / "work")
    again.maintenance.gc(grace=NOW)
    assert not again.store.root().doomed
    again.fetch("origin", ["origin/main", "origin/side"])
    for name in ("main", "side"):
        assert files_of(again, f"origin/{name}") == VERSIONS[name], act
    if "v1" in again.tags.list():
        assert files_of(again, "v1") == OLD, act
    assert again.maintenance.fsck().errors == []


# What is told


@pytest.fixture
def dropped(made: Path, tmp_path: Path) -> Repository:
    folder = copied(made, tmp_path / "copy")
    drop(Repository.open(folder / "work"))
    return Repository.open(folder / "work")


ERRORS = [ConflictError("Others write."), LockedError("Locked."), DatasetError("No room.")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.kind)
@pytest.mark.parametrize("act", [fetch, go_there, look])
def test_what_is_wrong_here_is_not_told_as_the_lack_of_a_remote(
    dropped: Repository,
    monkeypatch: pytest.MonkeyPatch,
    error: DatasetError,
    act: Callable[[Repository], None],
) -> None:
    def fails(*_: object, **__: object) -> object:
        raise error

    monkeypatch.setattr(transfer._Receiver, "run", fails)
    with pytest.raises(type(error)) as caught:
        act(dropped)
    assert caught.value is error


def test_a_remote_that_cannot_be_asked_is_not_one_that_lacks_it(dropped: Repository) -> None:
    away = dropped.folder.parent / "remote"
    away.rename(away.with_name("unmounted"))
    with pytest.raises(MissingDataError, match="no remote that could be asked has them"):
        go_there(dropped)


def test_another_remote_gives_what_the_first_fails_to(
    dropped: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(dropped.folder.parent / "remote", dropped.folder.parent / "spare")
    dropped.remotes.add("spare", str(dropped.folder.parent / "spare"))
    for module, name in ((exchange, "connect"), (bringing, "connect")):
        monkeypatch.setattr(module, name, failing_at("origin", getattr(module, name)))
    look(dropped)


def failing_at(name: str, connect: Callable[..., object]) -> Callable[..., object]:
    def connecting(config: object, *given: object) -> object:
        if getattr(config, "name", "") == name:
            raise ConflictError("Others write.")
        return connect(config, *given)

    return connecting


def test_a_collection_that_goes_on_beside_a_fetch_is_no_lack(
    dropped: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two attempts lose to collections of the same store."""
    publish = transfer._Receiver._publish
    lost = iter([CollectedError("Deleted."), CollectedError("Deleted.")])

    def publishing(receiver: transfer._Receiver) -> None:
        for error in lost:
            raise error
        publish(receiver)

    monkeypatch.setattr(transfer._Receiver, "_publish", publishing)
    fetch(dropped)
