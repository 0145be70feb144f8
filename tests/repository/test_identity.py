"""A remote that is the workspace's own store is no backup; a copy of it is one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from datasets_vc.backends import Backend, FsspecBackend, LocalBackend, open_backend
from datasets_vc.backends.wrappers import Wrapper
from datasets_vc.config import RemoteConfig, add_remote
from datasets_vc.digest import Buffer, digest_of
from datasets_vc.errors import AlreadyExistsError, InvalidInputError, NotFoundError, RemoteError
from datasets_vc.format.json import encode_object
from datasets_vc.format.json import parse as parse_json
from datasets_vc.repository import Repository
from datasets_vc.store import Store
from datasets_vc.store.names import probe_name
from datasets_vc.sync import identity
from datasets_vc.sync.identity import check_no_workspace, relation_to
from tests.integration.trees import AUTHOR
from tests.servers.rclone import rclone_s3
from tests.servers.web import PlainHandler, web

NOW = timedelta(0)


def commit(repository: Repository, text: str) -> None:
    (repository.folder / "f").write_text(text)
    repository.commit(text, author=AUTHOR)


def made(folder: Path, store: str | None = None) -> Repository:
    """A workspace with two versions of a file."""
    repository = Repository.init(folder, store)
    commit(repository, "one")
    commit(repository, "two")
    return repository


@pytest.fixture
def work(tmp_path: Path) -> Repository:
    """Such a workspace; its store is a folder beside it, `shared`."""
    return made(tmp_path / "work", str(tmp_path / "shared"))


def again(repository: Repository) -> Repository:
    return Repository.open(repository.folder)


def holds_all(repository: Repository) -> bool:
    index = again(repository).store.index
    return bool(index.contains([digest_of(b"one"), digest_of(b"two")]).all())


def without_id(folder: Path) -> None:
    """Make of a store one from before stores had ids."""
    path = folder / "root.json"
    members = parse_json(path.read_bytes(), "the root")
    for name in ("id", "check", "write_flags", "format", "version", "algorithm", "read_flags"):
        members.pop(name, None)
    path.write_bytes(encode_object("dsvc-root", members))


@pytest.fixture
def unlike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders cannot be told to be one by the system, as where one is reached through a server."""
    monkeypatch.setattr(identity, "_folder_of", lambda _: None)


def ways(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "link").symlink_to(tmp_path / "shared")
    (tmp_path / "up").symlink_to(tmp_path)
    packs = tmp_path / "around"
    packs.mkdir()
    for name in ("index", "packs"):
        (packs / name).symlink_to(tmp_path / "shared" / name)
    shutil.copy(tmp_path / "shared" / "root.json", packs)
    return {
        "path": str(tmp_path / "shared"),
        "dots": f"{tmp_path / 'work'}/../shared/",
        "link": str(tmp_path / "link"),
        "linked parent": str(tmp_path / "up" / "shared"),
        "url": (tmp_path / "shared").as_uri(),
        "linked packs": str(packs),
    }


WAYS = ["path", "dots", "link", "linked parent", "url", "linked packs"]


@pytest.mark.parametrize("way", WAYS)
def test_the_own_store_is_refused_as_a_remote(work: Repository, tmp_path: Path, way: str) -> None:
    with pytest.raises(InvalidInputError, match="own store"):
        work.remotes.add("origin", ways(tmp_path)[way])
    assert work.remotes.list() == {}


@pytest.mark.parametrize("before_ids", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("unlike")
def test_it_is_found_by_what_is_written_where_the_system_says_nothing(
    work: Repository, tmp_path: Path, way: str, before_ids: bool
) -> None:
    if before_ids:
        without_id(tmp_path / "shared")
    url = ways(tmp_path)[way]
    with pytest.raises(InvalidInputError, match="own store"):
        again(work).remotes.add("origin", url)
    assert not list((tmp_path / "shared" / "packs").glob("*.probe"))


def test_the_own_store_of_a_plain_workspace(tmp_path: Path) -> None:
    repository = made(tmp_path / "work")
    with pytest.raises(InvalidInputError, match="own"):
        repository.remotes.add("origin", repository.store.url)


@pytest.mark.parametrize("before_ids", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("alike", [False, True])
def test_drop_never_counts_the_own_store(
    work: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    before_ids: bool,
    alike: bool,
) -> None:
    if before_ids:
        without_id(tmp_path / "shared")
    if alike:
        monkeypatch.setattr(identity, "_folder_of", lambda _: None)
    add_remote(work.folder, RemoteConfig("origin", ways(tmp_path)[way]))
    with pytest.raises(RemoteError, match="own store"):
        again(work).maintenance.drop(everything=True)
    assert holds_all(work)


def test_another_remote_counts_beside_it(work: Repository, tmp_path: Path) -> None:
    work.remotes.add("disk", str(tmp_path / "disk"))
    work.push("disk")
    add_remote(work.folder, RemoteConfig("mine", str(tmp_path / "shared")))
    commit(work, "three")
    dropped = again(work).maintenance.drop(everything=True)
    assert dropped.chunks == 2
    assert dropped.only_here > 0
    assert list(dropped.not_counted) == ["mine"]


@pytest.mark.parametrize("verb", ["push", "fetch", "pull", "gc", "fsck"])
def test_verbs_refuse_the_own_store_as_a_remote(
    work: Repository, tmp_path: Path, verb: str
) -> None:
    """A collection would know of no HEAD and no unfinished merge, and a push saves nothing."""
    add_remote(work.folder, RemoteConfig("origin", str(tmp_path / "shared")))
    repository = again(work)
    act: dict[str, Callable[[], object]] = {
        "push": repository.push,
        "fetch": repository.fetch,
        "pull": lambda: repository.pull(author=AUTHOR),
        "gc": lambda: repository.maintenance.gc(remote="origin", grace=NOW),
        "fsck": lambda: repository.maintenance.fsck(remote="origin", repair=True),
    }
    with pytest.raises(InvalidInputError, match="own store"):
        act[verb]()
    assert holds_all(work)


@pytest.mark.parametrize("alike", [False, True])
def test_a_copy_is_a_backup(
    work: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alike: bool
) -> None:
    if alike:
        monkeypatch.setattr(identity, "_folder_of", lambda _: None)
    shutil.copytree(tmp_path / "shared", tmp_path / "copy")
    added = work.remotes.add("copy", str(tmp_path / "copy"))
    assert (added.relation, added.renewed) == ("copy", False)
    assert again(work).maintenance.drop(everything=True).chunks == 2
    assert not list(tmp_path.rglob("*.probe"))
    repository = again(work)
    repository.fetch("copy", ["HEAD", "HEAD~1"])
    assert holds_all(work)


def test_a_copy_gets_an_id_of_its_own(work: Repository, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "shared", tmp_path / "copy")
    before = work.store.root()
    added = work.remotes.add("copy", str(tmp_path / "copy"), new_id=True)
    assert (added.relation, added.renewed) == ("copy", True)
    copy = Store.open(open_backend(str(tmp_path / "copy"))).root()
    assert work.store.root() == before
    assert copy.id not in ("", before.id)
    assert replace(copy, id="", write_id="") == replace(before, id="", write_id="")
    commit(work, "three")
    work.push("copy")
    assert again(work).remotes.list()["copy"].id == copy.id
    assert again(work).maintenance.drop(everything=True).only_here == 0


def test_what_another_workspace_stands_at_is_not_collected_from_here(tmp_path: Path) -> None:
    other = made(tmp_path / "other")
    other.checkout("HEAD~1")
    commit(other, "on no branch")
    Repository.clone(other.store.url, tmp_path / "here")
    here = Repository.open(tmp_path / "here")
    for act in (
        lambda: here.maintenance.gc(remote="origin", grace=NOW),
        lambda: here.maintenance.fsck(remote="origin", repair=True),
    ):
        with pytest.raises(InvalidInputError, match="own store of a workspace"):
            act()
    assert here.maintenance.fsck(remote="origin").sound
    assert other.maintenance.fsck().sound
    assert other.store.index.contains([digest_of(b"on no branch")]).all()


@pytest.mark.parametrize("url", ["sftp://host/home/ada/signs/.dsvc/store", "s3://b/.dsvc/store/"])
def test_another_workspaces_store_is_known_by_its_address(url: str) -> None:
    with pytest.raises(InvalidInputError, match="own store of a workspace"):
        check_no_workspace("far", url)
    check_no_workspace("far", url.replace(".dsvc/store", "store"))


def test_a_mirror_that_got_an_id_and_is_synchronised_again(
    work: Repository, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "shared", tmp_path / "copy")
    work.remotes.add("copy", str(tmp_path / "copy"), new_id=True)
    commit(work, "three")
    shutil.copytree(tmp_path / "shared", tmp_path / "copy", dirs_exist_ok=True)
    work.fetch("copy")
    assert work.maintenance.drop(everything=True).only_here == 0


def test_two_copies_of_a_workspace_push_to_one_remote(tmp_path: Path) -> None:
    one = made(tmp_path / "one")
    one.remotes.add("origin", str(tmp_path / "remote"))
    one.push()
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    two = Repository.open(tmp_path / "two")
    commit(two, "three")
    two.push()
    one.pull(author=AUTHOR)
    assert (one.folder / "f").read_text() == "three"
    one.remotes.add("two", two.store.url)
    assert one.maintenance.drop(everything=True).only_here == 0


def linked(source: Path, target: Path, link: Callable[[Path, Path], None]) -> None:
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            link(path, place)


@pytest.mark.parametrize("how", [os.link, os.symlink], ids=["hard links", "symbolic links"])
def test_links_to_our_packs_are_no_backup(
    work: Repository, tmp_path: Path, how: Callable[[Path, Path], None]
) -> None:
    linked(tmp_path / "shared", tmp_path / "farm", how)
    add_remote(work.folder, RemoteConfig("farm", str(tmp_path / "farm")))
    dropped = again(work).maintenance.drop(everything=True)
    assert dropped.chunks == 0
    assert dropped.only_here > 0
    assert holds_all(work)


@pytest.mark.usefixtures("unlike")
def test_a_web_server_before_the_own_store(work: Repository, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "shared", tmp_path / "copy")
    with web(tmp_path, PlainHandler) as url:
        with pytest.raises(InvalidInputError, match="own store"):
            work.remotes.add("web", f"{url}/shared")
        assert work.remotes.add("copy", f"{url}/copy").relation == "copy"
        with pytest.raises(InvalidInputError, match="only be read"):
            work.remotes.add("other", f"{url}/copy", new_id=True)
        add_remote(work.folder, RemoteConfig("mine", f"{url}/shared"))
        dropped = again(work).maintenance.drop(everything=True)
        assert dropped.chunks == 2
        assert list(dropped.not_counted) == ["mine"]


def test_a_bucket_that_is_the_own_store_by_another_name(
    tmp_path: Path, s3_url: str, s3_endpoint: str
) -> None:
    repository = made(tmp_path / "work", s3_url)
    config = tmp_path / "work" / ".dsvc" / "config.toml"
    other = s3_endpoint.replace("127.0.0.1", "localhost")
    with pytest.raises(InvalidInputError, match="own store"):
        repository.remotes.add("origin", f"{s3_url}/")
    config.write_text(
        f'{config.read_text()}\n[remote.origin]\nurl = "{s3_url}"\nendpoint = "{other}"\n'
    )
    with pytest.raises(RemoteError, match="own store"):
        again(repository).maintenance.drop(everything=True)
    assert holds_all(repository)
    assert not [i for i in repository.store.backend.list("packs/") if i.name.endswith("probe")]


def test_a_server_that_shows_the_own_folder_as_a_bucket(
    work: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with rclone_s3(tmp_path) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(InvalidInputError, match="own store"):
            work.remotes.add("origin", "s3://shared", single_writer=True)


@pytest.mark.parametrize("before_ids", [False, True])
def test_a_client_of_another_make(work: Repository, tmp_path: Path, before_ids: bool) -> None:
    """As where a folder is reached over SSH."""
    shutil.copytree(tmp_path / "shared", tmp_path / "copy")
    for name in ("shared", "copy") if before_ids else ():
        without_id(tmp_path / name)
    store = again(work).store
    relation = {
        name: relation_to(
            store, FsspecBackend((tmp_path / name).as_uri()), store.root(), thorough=True
        )
        for name in ("shared", "copy")
    }
    assert relation == {"shared": "itself", "copy": "other" if before_ids else "copy"}
    assert not list(tmp_path.rglob("*.probe"))


class Mute(Wrapper):
    """Cannot be written, and does not say what is not there."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.writable = False

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        try:
            return super().get(name, start, end)
        except NotFoundError as error:
            raise RemoteError("It refuses access.") from error


def test_what_cannot_be_tried_counts_as_the_store_itself(work: Repository, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "shared", tmp_path / "copy")
    store, mute = work.store, Mute(LocalBackend(tmp_path / "copy"))
    root = store.root()
    assert relation_to(store, mute, root) == "unknown"
    assert relation_to(store, mute, root, thorough=True) == "unknown"
    assert relation_to(store, mute, replace(root, id="")) == "other"
    assert relation_to(store, mute, replace(root, id=""), thorough=True) == "unknown"
    assert relation_to(store, mute, replace(root, id="a" * 32), thorough=True) == "other"


def test_drop_does_not_count_what_may_be_the_store_itself(
    work: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tmp_path / "shared", tmp_path / "copy")
    monkeypatch.setattr(identity, "_shows", lambda *_: None)
    assert work.remotes.add("copy", str(tmp_path / "copy")).relation == "unknown"
    work.fetch("copy")
    with pytest.raises(RemoteError, match="may be this workspace's own"):
        work.maintenance.drop(everything=True)
    assert holds_all(work)


class Swept(Wrapper):
    """Loses what is written, as where a collection removes it at once."""

    def put(self, name: str, *parts: Buffer) -> None:
        del name, parts


@pytest.mark.usefixtures("unlike")
def test_a_probe_that_somebody_removed_does_not_make_another_store(
    work: Repository, tmp_path: Path
) -> None:
    local = Store(Swept(work.store.backend))
    assert relation_to(local, Swept(LocalBackend(tmp_path / "shared")), local.root()) == "unknown"


def test_a_probe_that_was_left_behind_is_collected_and_disturbs_nobody(
    work: Repository, tmp_path: Path
) -> None:
    name = probe_name("a" * 32)
    work.store.backend.put(name, b"left")
    assert again(work).maintenance.fsck().sound
    assert Repository.clone(str(tmp_path / "shared"), tmp_path / "new").dataset
    assert [g for g in again(work).maintenance.gc(grace=NOW).objects if g.name == name] == []
    old = time.time() - 7200
    os.utime(tmp_path / "shared" / name, (old, old))
    gone = again(work).maintenance.gc(grace=NOW).objects
    assert [each.reason for each in gone if each.name == name] == [
        "left by a probe that was cut short"
    ]
    assert not (tmp_path / "shared" / name).exists()


def test_who_has_which_id(tmp_path: Path) -> None:
    """A clone, a remote made by a push and a workspace's store are stores of their own."""
    one = made(tmp_path / "one")
    one.remotes.add("origin", str(tmp_path / "remote"))
    one.push()
    Repository.clone(str(tmp_path / "remote"), tmp_path / "two")
    sharing = Repository.init(tmp_path / "three", str(tmp_path / "remote"))
    ids = [one.store.root().id, Repository.open(tmp_path / "two").store.root().id]
    remote = Store.open(open_backend(str(tmp_path / "remote"))).root().id
    assert sharing.store.root().id == remote
    assert len({*ids, remote}) == 3
    assert "" not in ids


def test_the_name_is_still_the_first_thing_that_is_checked(
    work: Repository, tmp_path: Path
) -> None:
    work.remotes.add("disk", str(tmp_path / "disk"))
    with pytest.raises(AlreadyExistsError):
        work.remotes.add("disk", str(tmp_path / "shared"))
