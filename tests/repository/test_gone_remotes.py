"""A remote that was a store and is none now, or another one, is told, and not made anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from datasets_vc.backends import open_backend
from datasets_vc.config import RemoteConfig, add_remote, edit_config
from datasets_vc.errors import DatasetError, NotFoundError, RemoteError
from datasets_vc.repository import Planning, RefChoice, Repository
from datasets_vc.store import Store
from tests.integration.trees import AUTHOR


def commit(repository: Repository, text: str) -> None:
    (repository.folder / "f").write_text(text)
    repository.commit(text, author=AUTHOR)


@pytest.fixture
def work(tmp_path: Path) -> Repository:
    """A workspace whose remote, `disk/signs`, has its first version and not its second."""
    repository = Repository.init(tmp_path / "work")
    commit(repository, "one")
    (tmp_path / "disk").mkdir()
    repository.remotes.add("origin", str(tmp_path / "disk" / "signs"))
    repository.push()
    commit(repository, "two")
    return Repository.open(repository.folder)


def unmount(tmp_path: Path, how: str) -> None:
    """The disk is not there, an empty folder is in its place, or one that something else made."""
    (tmp_path / "disk").rename(tmp_path / "real")
    if how != "no mount point":
        (tmp_path / "disk").mkdir()
    if how == "empty":
        (tmp_path / "disk" / "signs").mkdir()


def forget(repository: Repository, key: str) -> None:
    """As a workspace of before, which knows nothing but where branches were."""
    edit_config(repository.folder, lambda document: document["remote"]["origin"].pop(key, None))  # type: ignore[index]


VERBS: dict[str, Callable[[Repository], object]] = {
    "fetch": lambda repository: repository.fetch(),
    "pull": lambda repository: repository.pull(author=AUTHOR),
    "push": lambda repository: repository.push(),
    "push --all": lambda repository: repository.push(choice=RefChoice(branches=True)),
    "push --delete": lambda repository: repository.push(choice=RefChoice(["main"], delete=True)),
    "push --force": lambda repository: repository.push(choice=RefChoice(force=True)),
    "push --plan": lambda repository: Planning(repository.folder).push(),
    "fetch --plan": lambda repository: Planning(repository.folder).fetch(),
    "gc": lambda repository: repository.maintenance.gc(remote="origin", grace=timedelta(0)),
    "fsck": lambda repository: repository.maintenance.fsck(remote="origin", repair=True),
    "drop": lambda repository: repository.maintenance.drop(everything=True),
}


@pytest.mark.parametrize("how", ["no mount point", "no folder", "empty"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_remote_that_is_not_there_any_more_is_told(
    work: Repository, tmp_path: Path, verb: str, how: str
) -> None:
    unmount(tmp_path, how)
    with pytest.raises(RemoteError, match=r"no such folder|was a store before") as caught:
        VERBS[verb](work)
    assert "--new" in caught.value.hint or verb == "drop"
    assert not list(tmp_path.glob("disk/signs/*"))
    shutil.rmtree(tmp_path / "disk", ignore_errors=True)
    (tmp_path / "real").rename(tmp_path / "disk")
    work.push()
    assert work.maintenance.fsck(remote="origin").sound


@pytest.mark.parametrize("verb", ["fetch", "push", "fsck"])
def test_it_is_known_from_where_its_branches_were(
    work: Repository, tmp_path: Path, verb: str
) -> None:
    forget(work, "id")
    unmount(tmp_path, "empty")
    with pytest.raises(RemoteError, match="was a store before"):
        VERBS[verb](work)


def test_a_prefix_that_was_deleted(tmp_path: Path, s3_url: str) -> None:
    repository = Repository.init(tmp_path / "work")
    commit(repository, "one")
    repository.remotes.add("origin", s3_url)
    repository.push()
    backend = open_backend(s3_url)
    for info in list(backend.list("")):
        backend.delete(info.name)
    for verb in ("fetch", "push"):
        with pytest.raises(RemoteError, match="was a store before"):
            VERBS[verb](repository)
    assert list(backend.list("")) == []
    assert repository.push(new=True).refs[0].outcome == "created"
    assert Repository.clone(s3_url, tmp_path / "new").commit


@pytest.mark.parametrize("how", ["no folder", "empty"])
def test_it_is_made_anew_when_that_is_asked_for(work: Repository, tmp_path: Path, how: str) -> None:
    unmount(tmp_path, how)
    assert Planning(work.folder).push(new=True).transfer.chunks > 0
    work.push(new=True)
    assert Repository.clone(str(tmp_path / "disk" / "signs"), tmp_path / "new").dataset
    commit(work, "three")
    work.push()
    # The old disk comes back: what was pushed to the new store is not there.
    shutil.rmtree(tmp_path / "disk")
    (tmp_path / "real").rename(tmp_path / "disk")
    with pytest.raises(RemoteError, match="not the one"):
        work.push()


def test_a_remote_without_a_store_is_made_by_the_first_push(tmp_path: Path) -> None:
    repository = Repository.init(tmp_path / "work")
    commit(repository, "one")
    added = repository.remotes.add("origin", str(tmp_path / "remote"))
    assert added.relation is None
    with pytest.raises(NotFoundError, match="no store"):
        repository.fetch()
    repository.push()
    known = repository.remotes.list()["origin"]
    assert known.id == Store.open(open_backend(known.url)).root().id


def test_a_disk_that_went_before_the_first_push(tmp_path: Path) -> None:
    repository = Repository.init(tmp_path / "work")
    commit(repository, "one")
    repository.remotes.add("origin", str(tmp_path / "disk"))
    (tmp_path / "disk").rmdir()
    with pytest.raises(RemoteError, match="no such folder"):
        repository.push()
    assert not (tmp_path / "disk").exists()
    repository.push(new=True)
    assert Repository.clone(str(tmp_path / "disk"), tmp_path / "new").dataset


def test_a_remote_that_was_written_into_the_settings_is_made_by_the_first_push(
    tmp_path: Path,
) -> None:
    repository = Repository.init(tmp_path / "work")
    commit(repository, "one")
    add_remote(repository.folder, RemoteConfig("origin", str(tmp_path / "remote")))
    repository.push()
    assert repository.remotes.list()["origin"].id


def test_another_place_under_the_same_name_is_another_remote(
    work: Repository, tmp_path: Path
) -> None:
    """What was known of the old one says nothing of the new one."""
    work.remotes.remove("origin")
    work.remotes.add("origin", str(tmp_path / "elsewhere"))
    assert work.store.root().tracking
    work.push()
    assert Repository.clone(str(tmp_path / "elsewhere"), tmp_path / "new").dataset


@pytest.mark.parametrize("verb", VERBS)
def test_another_store_in_its_place_is_told(work: Repository, tmp_path: Path, verb: str) -> None:
    unmount(tmp_path, "no folder")
    other = Repository.init(tmp_path / "other")
    commit(other, "something else")
    other.remotes.add("origin", str(tmp_path / "disk" / "signs"))
    other.push()
    tracking = work.store.root().tracking
    with pytest.raises(RemoteError, match="not the one"):
        VERBS[verb](work)
    assert work.store.root().tracking == tracking
    work.remotes.remove("origin")
    work.remotes.add("origin", str(tmp_path / "disk" / "signs"))
    work.fetch()
    assert work.store.root().tracking != tracking


def test_a_mirror_of_it_is_the_same_remote(work: Repository, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "disk", tmp_path / "mirror")
    unmount(tmp_path, "no mount point")
    (tmp_path / "mirror").rename(tmp_path / "disk")
    work.push()
    assert work.maintenance.fsck(remote="origin").sound


def test_a_clone_and_a_fetch_remember_what_they_found(work: Repository, tmp_path: Path) -> None:
    url = str(tmp_path / "disk" / "signs")
    expected = Store.open(open_backend(url)).root().id
    Repository.clone(url, tmp_path / "new")
    assert Repository.open(tmp_path / "new").remotes.list()["origin"].id == expected
    forget(work, "id")
    work.fetch()
    assert work.remotes.list()["origin"].id == expected


def test_a_workspace_whose_settings_cannot_be_written_goes_on(
    work: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(work, "id")

    def refuse(*_: object) -> None:
        raise DatasetError("It cannot be written.")

    monkeypatch.setattr("datasets_vc.sync.remotes.keep_id", refuse)
    work.push()
    assert work.remotes.list()["origin"].id is None


@pytest.mark.parametrize("how", ["no folder", "empty"])
def test_a_store_that_is_not_there_any_more_is_told_and_not_made_anew(
    tmp_path: Path, how: str
) -> None:
    repository = Repository.init(tmp_path / "work", str(tmp_path / "shared"))
    commit(repository, "one")
    (tmp_path / "shared").rename(tmp_path / "real")
    if how == "empty":
        (tmp_path / "shared").mkdir()
    (repository.folder / "f").write_text("two")
    with pytest.raises(NotFoundError, match="has the versions of this workspace") as caught:
        Repository.open(repository.folder).commit("two", author=AUTHOR)
    assert "mounted" in caught.value.hint
    assert not list(tmp_path.glob("shared/*"))
