"""Collecting, mending and dropping, with a workspace around it."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from datasets_vc.backends import open_backend
from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import InvalidInputError, MissingDataError, RemoteError
from datasets_vc.format.pack import DATA, METADATA
from datasets_vc.format.run import RunHead, encode_run_head, encode_run_input, encode_run_packs
from datasets_vc.repository import Pin, Repository
from datasets_vc.runs.record import RunFiles
from datasets_vc.store.names import index_name, pack_name
from tests.integration.trees import AUTHOR

TIME = datetime(2026, 1, 1, tzinfo=UTC)
NOW = timedelta(0)


def noise(size: int, seed: int) -> bytes:
    return np.random.Generator(np.random.PCG64(seed)).bytes(size)


FILES = {"a": noise(3000, 1), "d/b": noise(2000, 2), "video": noise(3 << 20, 3)}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def commit(repository: Repository, message: str) -> Digest:
    return repository.commit(message, author=AUTHOR, time=TIME).commit


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions in a workspace, pushed."""
    folder = tmp_path_factory.mktemp("made")
    repository = Repository.init(folder / "work")
    repository.remotes.add("origin", str(folder / "remote"))
    write(repository.folder, FILES)
    commit(repository, "one")
    repository.tags.create("v1")
    write(repository.folder, {"a": noise(3000, 4)})
    commit(repository, "two")
    repository.push()
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "copy", symlinks=True)
    config = tmp_path / "copy" / "work" / ".dsvc" / "config.toml"
    config.write_text(config.read_text().replace(str(made), str(tmp_path / "copy")))
    return tmp_path / "copy"


def opened(folder: Path) -> Repository:
    return Repository.open(folder / "work")


def packs(repository: Repository, category: int, root: Path | None = None) -> list[Path]:
    root = root or Path(repository.store.url)
    found = [pack for pack in repository.store.index.packs if pack.category == category]
    paths = [root / pack_name(pack.digest) for pack in sorted(found, key=lambda pack: -pack.size)]
    return [path for path in paths if path.exists()]


def damage(path: Path) -> None:
    """Another file in its place: maps of the old one stay as they are."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.unlink()
    path.write_bytes(data)


def sound(folder: Path, remote: str | None = None) -> bool:
    return opened(folder).maintenance.fsck(remote=remote).errors == []


def versions(repository: Repository) -> dict[str, dict[str, bytes]]:
    return {
        revision: {path: b"".join(repository.cat(revision, path)) for path in FILES}
        for revision in ("v1", "main")
    }


VERSIONS = {"v1": FILES, "main": FILES | {"a": noise(3000, 4)}}


# Collecting


def test_head_and_an_unfinished_merge_hold_what_they_name(folder: Path) -> None:
    repository = opened(folder)
    repository.checkout("v1", create="theirs")
    write(repository.folder, {"a": b"theirs", "new": b"of theirs"})
    theirs = commit(repository, "theirs")
    repository.checkout("main")
    assert repository.merging.merge("theirs", author=AUTHOR).conflicts
    repository.branches.delete("theirs", force=True)
    gone = repository.maintenance.gc(grace=NOW)
    assert not [each for each in gone.objects if each.name.startswith("packs/")]
    repository.merging.resolve(["a"], "theirs")
    merged = repository.merging.resume(author=AUTHOR)
    assert b"".join(repository.cat("HEAD", "a")) == b"theirs"
    repository.checkout(merged.commit.hex())
    repository.branches.delete("main", force=True)
    repository.maintenance.gc(grace=NOW)
    assert b"".join(repository.cat("HEAD~1", "a")) == VERSIONS["main"]["a"]
    assert repository.resolve(theirs.hex()).commit == theirs
    assert sound(folder)


def test_runs_hold_their_input_data_code_and_checkpoints(folder: Path) -> None:
    repository = opened(folder)
    store = repository.store
    repository.checkout("main", create="side")
    write(repository.folder, {"only": b"of the run"})
    commit(repository, "for the run")
    dataset = repository.resolve("HEAD").dataset
    pinned = packs(repository, DATA)[0].name
    with store.writer() as writer:
        members = {"dataset": dataset.hex(), "code": dataset.hex(), "command": ["cnn"]}
        given = writer.add_meta(encode_run_input(members))
        checkpoint = writer.add_file(b"checkpoint")
        loose = writer.add_file(b"of no run")
        store.publish(writer.finish())
    head = encode_run_head(RunHead(given, TIME, "ab" * 8))
    run = f"runs/{digest_of(head).hex()}"
    store.backend.put(f"{run}/head.json", head)
    line = b'{"digest":"%s","event":"checkpoint","name":"c","size":10}\n'
    store.backend.put(f"{run}/log.jsonl", line % checkpoint.hex().encode())
    store.backend.put(f"{run}/packs.json", encode_run_packs([Digest(bytes.fromhex(pinned))]))
    repository.checkout("main")
    repository.branches.delete("side", force=True)
    result = repository.maintenance.gc(grace=NOW, explain=True)
    kept = {each.name: each for each in result.held if each.kind == "run"}
    assert kept.keys() == {run.removeprefix("runs/")}
    store.refresh()
    found = store.index.contains([given, checkpoint, loose, digest_of(b"of the run")])
    assert found.tolist() == [True, True, False, True]
    assert sound(folder)


def test_what_each_ref_keeps_alone_and_together(folder: Path) -> None:
    repository = opened(folder)
    result = repository.maintenance.gc(dry_run=True, explain=True)
    held = {(each.kind, each.name): each for each in result.held}
    assert held.keys() == {("branch", "main"), ("tag", "v1"), ("tracking", "origin/main")}
    main, v1 = held["branch", "main"], held["tag", "v1"]
    assert main.bytes > v1.bytes > 3 << 20
    assert main.alone == v1.alone == 0  # origin/main has them, too
    assert main.bytes == held["tracking", "origin/main"].bytes


def test_defaults_are_a_day_here_and_two_weeks_where_others_are(folder: Path) -> None:
    repository = opened(folder)
    assert repository.maintenance.gc().grace == timedelta(days=1)
    assert repository.maintenance.gc(remote="origin").grace == timedelta(days=14)
    other = Repository.init(folder / "other", str(folder / "shared"))
    assert other.maintenance.gc().grace == timedelta(days=14)


def test_temporary_files_of_dead_writers_go_when_they_are_old(folder: Path) -> None:
    repository = opened(folder)
    store = Path(repository.store.url)
    young, old = store / "packs" / ".tmp-young", store / "packs" / ".tmp-old"
    for path in (young, old):
        path.write_bytes(b"half a pack")
    os.utime(old, (1, 1))
    gone = repository.maintenance.gc()
    assert [each.name for each in gone.objects] == ["packs/.tmp-old"]
    assert (young.exists(), old.exists()) == (True, False)
    repository.maintenance.gc(grace=NOW)
    assert not young.exists()
    assert (store / "root.json.lock").exists()


def test_a_remote_is_collected_without_reading_what_is_here(folder: Path) -> None:
    repository = opened(folder)
    remote = folder / "remote"
    (remote / "packs" / ("ab" * 32)).write_bytes(b"left by a push that was cut short")
    first = repository.maintenance.gc(remote="origin")
    assert first.objects == ()
    assert first.waiting_since
    assert first.waiting_bytes == len(b"left by a push that was cut short")
    gone = repository.maintenance.gc(remote="origin", grace=NOW)
    assert [each.name for each in gone.objects] == [f"packs/{'ab' * 32}"]
    assert sound(folder, "origin")


def test_a_partial_store_is_collected(folder: Path) -> None:
    Repository.clone(str(folder / "remote"), folder / "clone", only=["d/**"])
    clone = Repository.open(folder / "clone")
    clone.checkout("v1", create="side")
    write(clone.folder, {"d/new": b"new"})
    commit(clone, "side")
    clone.checkout("main")
    clone.branches.delete("side", force=True)
    assert clone.maintenance.gc(grace=NOW).chunks > 0
    assert clone.maintenance.fsck().errors == []
    assert b"".join(clone.cat("main", "d/b")) == FILES["d/b"]


# Mending


@pytest.mark.parametrize("act", ["damage", "remove"])
@pytest.mark.parametrize("what", ["index", "data", "metadata"])
def test_damage_is_mended_from_the_remote(folder: Path, what: str, act: str) -> None:
    repository = opened(folder)
    store = Path(repository.store.url)
    index = store / index_name(repository.store.root().indexes[0])
    category = DATA if what == "data" else METADATA
    path = index if what == "index" else packs(repository, category)[0]
    damage(path) if act == "damage" else path.unlink()
    found = opened(folder).maintenance.fsck()
    assert path.name in {error.name for error in found.errors}
    assert not found.sound
    mended = opened(folder).maintenance.fsck(repair=True)
    assert mended.sound
    assert mended.affected == []
    assert sound(folder)
    assert versions(opened(folder)) == VERSIONS


def test_a_lost_index_of_all_is_put_together_from_the_packs(folder: Path) -> None:
    """Without a remote; what had been collected does not come back."""
    repository = opened(folder)
    repository.remotes.remove("origin")
    shutil.rmtree(Path(repository.store.url) / "index")
    assert opened(folder).maintenance.fsck(repair=True).sound
    assert versions(opened(folder)) == VERSIONS
    assert sound(folder)


def test_what_only_the_workspace_has_is_mended_from_there(folder: Path) -> None:
    repository = opened(folder)
    repository.remotes.remove("origin")
    store = Path(repository.store.url)
    for path in packs(repository, DATA):
        damage(path)
    found = opened(folder).maintenance.fsck()
    assert {each.path for each in found.affected} >= {"video"}
    mended = opened(folder).maintenance.fsck(repair=True)
    lost = {(each.path, len(each.commits)) for each in mended.affected}
    assert lost <= {("a", 1)}  # the old one is nowhere but in a quarantined pack
    assert mended.sound == (not lost)
    assert [path.name for path in (store / "quarantine").iterdir()]
    for path, data in VERSIONS["main"].items():
        assert b"".join(opened(folder).cat("main", path)) == data


def test_what_nobody_has_is_told_and_kept_aside(folder: Path) -> None:
    repository = opened(folder)
    repository.remotes.remove("origin")
    pack = max(packs(repository, DATA), key=lambda path: path.stat().st_size)
    damage(pack)
    (repository.folder / "video").unlink()
    mended = opened(folder).maintenance.fsck(repair=True)
    assert not mended.sound
    assert [(each.path, len(each.commits)) for each in mended.affected] == [("video", 2)]
    assert mended.quarantined == [f"quarantine/{pack.name}"]
    with pytest.raises(MissingDataError):
        b"".join(opened(folder).cat("main", "video"))
    assert b"".join(opened(folder).cat("main", "a")) == VERSIONS["main"]["a"]
    opened(folder).maintenance.gc(grace=NOW)
    assert (Path(repository.store.url) / "quarantine" / pack.name).exists()


@pytest.mark.parametrize("what", ["index", "data", "metadata"])
def test_a_remote_is_mended_from_here(folder: Path, what: str) -> None:
    remote = folder / "remote"
    folders = {"index": "index", "data": "packs", "metadata": "packs"}
    paths = sorted((remote / folders[what]).iterdir(), key=lambda path: path.stat().st_size)
    damage(paths[0] if what == "metadata" else paths[-1])
    found = opened(folder).maintenance.fsck(remote="origin")
    assert found.errors
    assert opened(folder).maintenance.fsck(remote="origin", repair=True).sound
    assert sound(folder, "origin")
    Repository.clone(str(remote), folder / "clone")
    assert versions(Repository.open(folder / "clone")) == VERSIONS


def record_run(repository: Repository) -> Path:
    """A finished run, pushed; returns its folder in the store."""
    store = repository.store
    dataset = repository.resolve("HEAD").dataset.hex()
    with store.writer() as writer:
        members = {"dataset": dataset, "code": dataset, "command": ["cnn"]}
        given = writer.add_meta(encode_run_input(members))
        store.publish(writer.finish())
    files = RunFiles(store)
    run = files.begin(RunHead(given, TIME, "ab" * 8))
    files.pin(run, [pack.digest for pack in store.index.packs if pack.category == DATA])
    files.finish(run, [{"event": "end", "status": "done"}])
    repository.push()
    return Path(store.url) / "runs" / run


@pytest.mark.parametrize("part", ["head.json", "log.jsonl", "packs.json"])
def test_a_damaged_run_is_mended_from_the_remote(folder: Path, part: str) -> None:
    run = record_run(opened(folder))
    sound_bytes = (run / part).read_bytes()
    damage(run / part)
    assert [each.name for each in opened(folder).maintenance.fsck().errors] == [run.name]
    mended = opened(folder).maintenance.fsck(repair=True)
    assert mended.sound
    assert f"quarantine/{run.name}.{part}" in mended.quarantined
    assert sound(folder)
    assert RunFiles(opened(folder).store).read(run.name).status == "done"
    if part != "packs.json":  # which no other store has
        assert (run / part).read_bytes() == sound_bytes
    opened(folder).maintenance.gc(grace=NOW)


@pytest.mark.parametrize("part", ["head.json", "log.jsonl"])
def test_a_damaged_run_of_a_remote_is_mended_from_here(folder: Path, part: str) -> None:
    run = record_run(opened(folder))
    there = folder / "remote" / "runs" / run.name / part
    damage(there)
    clone = Repository.clone(str(folder / "remote"), folder / "clone")
    assert clone.damaged.keys() == {run.name}
    assert versions(Repository.open(folder / "clone")) == VERSIONS
    assert opened(folder).maintenance.fsck(remote="origin", repair=True).sound
    assert sound(folder, "origin")
    assert there.read_bytes() == (run / part).read_bytes()
    fetched = Repository.open(folder / "clone").fetch()
    assert (fetched.runs, fetched.damaged) == (1, {})


def test_following_a_lock_file_tells_of_damaged_runs(folder: Path) -> None:
    repository = opened(folder)
    run = record_run(repository)
    damage(folder / "remote" / "runs" / run.name / "log.jsonl")
    lock = folder / "dataset.lock"
    Pin.find(repository.folder, lock).write()
    clone = Pin.clone(lock, folder / "clone")
    assert clone.damaged.keys() == {run.name}


def test_a_run_that_nobody_else_has_is_kept_aside(folder: Path) -> None:
    repository = opened(folder)
    run = record_run(repository)
    repository.remotes.remove("origin")
    damage(run / "log.jsonl")
    assert opened(folder).maintenance.gc(grace=NOW).unreadable.keys() == {run.name}
    assert versions(opened(folder)) == VERSIONS
    mended = opened(folder).maintenance.fsck(repair=True)
    assert not mended.sound
    assert [each.name for each in mended.errors] == [run.name]
    assert mended.quarantined == [f"quarantine/{run.name}.log.jsonl"]
    assert sound(folder)
    assert RunFiles(opened(folder).store).read(run.name).status == "unfinished"
    opened(folder).maintenance.gc(grace=NOW)
    assert versions(opened(folder)) == VERSIONS


def test_a_damaged_run_does_not_keep_an_index_from_being_mended(folder: Path) -> None:
    run = record_run(opened(folder))
    damage(run / "log.jsonl")
    store = opened(folder).store
    damage(Path(store.url) / index_name(store.root().indexes[0]))
    assert opened(folder).maintenance.fsck(repair=True).sound
    assert sound(folder)
    assert RunFiles(opened(folder).store).read(run.name).status == "done"


def test_a_lost_root_is_said(folder: Path) -> None:
    (Path(opened(folder).store.url) / "root.json").unlink()
    with pytest.raises(Exception, match="no store"):
        opened(folder).maintenance.fsck()


# Dropping


def test_what_a_remote_has_is_dropped_and_comes_back(folder: Path) -> None:
    repository = opened(folder)
    planned = repository.maintenance.drop(everything=True, dry_run=True)
    assert versions(repository) == VERSIONS
    dropped = repository.maintenance.drop(everything=True)
    assert (dropped.chunks, dropped.bytes) == (planned.chunks, planned.bytes)
    assert dropped.freed > 3 << 20
    assert packs(opened(folder), DATA) == []
    assert opened(folder).status().clean
    assert sound(folder)
    with pytest.raises(MissingDataError) as caught:
        opened(folder).snapshot("v1").read("video")
    assert "dsvc fetch" in caught.value.hint
    again = opened(folder)
    again.checkout("v1")
    assert (again.folder / "a").read_bytes() == FILES["a"]
    assert versions(again) == VERSIONS
    assert again.snapshot("v1").read("video") == FILES["video"]


def test_what_the_current_version_needs_stays_unless_it_is_named(folder: Path) -> None:
    repository = opened(folder)
    repository.maintenance.drop(["v1"])
    with pytest.raises(MissingDataError):
        repository.snapshot("v1").read("a")
    assert {path: b"".join(repository.cat("main", path)) for path in FILES} == VERSIONS["main"]
    repository.maintenance.drop(["v1", "main"])
    assert packs(opened(folder), DATA) == []


def test_what_a_deleted_branch_had_is_told_as_what_no_push_sends(folder: Path) -> None:
    repository = opened(folder)
    repository.checkout("HEAD", create="side")
    write(repository.folder, {"a": noise(5000, 8)})
    commit(repository, "on a branch that goes")
    unpushed = repository.maintenance.drop(everything=True, dry_run=True)
    repository.checkout("main", force=True)
    repository.branches.delete("side", force=True)
    dropped = repository.maintenance.drop(everything=True, dry_run=True)
    assert unpushed.unused == 0
    assert unpushed.unsent >= 5000
    assert "--all" in unpushed.push
    assert dropped.unused == dropped.only_here >= 5000
    assert not dropped.unsent


@pytest.mark.parametrize("how", ["not pushed", "pack gone", "pack cut", "pack marked"])
def test_what_no_remote_has_for_sure_is_never_dropped(folder: Path, how: str) -> None:
    repository = opened(folder)
    if how == "not pushed":
        write(repository.folder, {"a": noise(100, 8)})
        commit(repository, "not pushed")
    else:
        for path in (folder / "remote" / "packs").iterdir():
            if path.stat().st_size > 1 << 20:
                data = path.read_bytes()
                if how == "pack marked":
                    path.with_name(path.name + ".damaged").touch()
                    continue
                path.unlink()
                if how == "pack cut":
                    path.write_bytes(data[:-1])
    dropped = repository.maintenance.drop(everything=True)
    assert dropped.only_here > 0
    if how == "not pushed":
        assert dropped.unsent == dropped.only_here
    else:
        assert dropped.damaged == {"origin": dropped.only_here}
        assert not dropped.unsent
    kept = "a" if how == "not pushed" else "video"
    expected = noise(100, 8) if how == "not pushed" else FILES["video"]
    assert bytes(opened(folder).snapshot().read(kept)) == expected


def test_nothing_is_dropped_without_a_remote_or_a_name(folder: Path) -> None:
    repository = opened(folder)
    with pytest.raises(InvalidInputError):
        repository.maintenance.drop()
    shutil.rmtree(folder / "remote")
    with pytest.raises(RemoteError):
        repository.maintenance.drop(everything=True)
    assert versions(repository) == VERSIONS


def test_pinned_packs_are_kept_if_asked_and_unpinned_if_not(folder: Path) -> None:
    repository = opened(folder)
    store = repository.store
    large = max(packs(repository, DATA), key=lambda path: path.stat().st_size)
    dataset = repository.resolve("main").dataset.hex()
    with store.writer() as writer:
        members = {"dataset": dataset, "code": dataset, "command": ["cnn"]}
        given = writer.add_meta(encode_run_input(members))
        store.publish(writer.finish())
    head = encode_run_head(RunHead(given, TIME, "ab" * 8))
    run = f"runs/{digest_of(head).hex()}"
    store.backend.put(f"{run}/head.json", head)
    store.backend.put(f"{run}/packs.json", encode_run_packs([Digest(bytes.fromhex(large.name))]))
    repository.maintenance.drop(everything=True, keep_pinned=True)
    assert packs(opened(folder), DATA) == [large]
    assert (Path(store.url) / run / "packs.json").exists()
    opened(folder).maintenance.drop(everything=True)
    assert packs(opened(folder), DATA) == []
    assert not (Path(store.url) / run / "packs.json").exists()


def test_a_version_that_was_never_pushed_comes_back_from_files_that_were(folder: Path) -> None:
    repository = opened(folder)
    (repository.folder / "a").unlink()
    tip = commit(repository, "without a")
    assert repository.maintenance.drop(everything=True).only_here == 0
    again = opened(folder)
    again.fetch(revisions=[tip.hex()])
    assert bytes(again.snapshot().read("video")) == FILES["video"]


def test_a_remote_that_cannot_be_mapped_is_checked_mended_and_collected(
    folder: Path, s3_url: str
) -> None:
    repository, url = opened(folder), s3_url
    repository.remotes.add("far", url)
    repository.push("far")
    there = open_backend(url)
    for info in [*there.list("packs/"), *there.list("index/")]:
        data = bytearray(there.get(info.name))
        data[len(data) // 3] ^= 1
        there.put(info.name, bytes(data))
    there.put(f"packs/{'ab' * 32}", b"left by a push that was cut short")
    found = opened(folder).maintenance.fsck(remote="far")
    assert {error.kind for error in found.errors} >= {"index"}
    assert opened(folder).maintenance.fsck(remote="far", repair=True).sound
    assert sound(folder, "far")
    gone = opened(folder).maintenance.gc(remote="far", grace=NOW)
    assert f"packs/{'ab' * 32}" in {each.name for each in gone.objects}
    assert sound(folder, "far")
    Repository.clone(url, folder / "clone")
    assert versions(Repository.open(folder / "clone")) == VERSIONS
    assert list(there.list("quarantine/"))
