"""Where stores and workspaces may be: refused where they are named, in words that lead on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datasets_vc.config import CONFIG_FILE, read_config
from datasets_vc.errors import InvalidInputError
from datasets_vc.history.snapshot import Snapshot
from datasets_vc.repository import Repository
from tests.integration.conftest import Dsvc, Refused
from tests.integration.trees import AUTHOR


@pytest.fixture
def work(home: Path) -> Path:
    """A workspace with one commit; the current folder."""
    folder = home / "work"
    (folder / "sub").mkdir(parents=True)
    repository = Repository.init(folder)
    (folder / "f").write_text("one")
    repository.commit("one", author=AUTHOR)
    os.chdir(folder)
    return folder


def everything(folder: Path) -> dict[str, bytes | None]:
    """All files and folders below one."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


MISTYPED = ["s3:/bucket/x", "ada@host:/x", "", "~/x", "rclone:r:p", ".", "/", "C:\\x", " s3://b"]
MISTYPED += ["s3://b c", "https://a b/c", "memory://x", "dir://x", "reference://x", "data://x"]


@pytest.mark.parametrize("address", MISTYPED)
def test_a_mistyped_address_becomes_no_folder(
    address: str, home: Path, work: Path, refused: Refused
) -> None:
    before = everything(home)
    refused(2, "remote", "add", "far", address)
    refused(2, "clone", address, home / "new")
    refused(2, "clone", "--plan", address, home / "new")
    refused(2, "init", home / "new", "--store", address)
    assert everything(home) == before
    assert not read_config(work).remotes
    if address != ".":  # which may be a workspace
        with pytest.raises(InvalidInputError):
            Snapshot.open(address)


def test_settings_and_locks_lead_to_no_memory_of_a_process(
    home: Path, work: Path, refused: Refused
) -> None:
    config = work / ".dsvc" / CONFIG_FILE
    config.write_text('[remote.m]\nurl = "memory://x"\n')
    for words in (["push", "m"], ["fetch", "m"], ["fsck", "--remote", "m"]):
        assert "gone when that ends" in refused(2, *words)
    Repository.open(work).remotes.remove("m")
    config.write_text('store = "memory://x"\n')
    assert "gone when that ends" in refused(2, "log")


@pytest.mark.parametrize(
    "address", ["backup", "./s3:/x", "sub/../backup", ".dsvc/backup", ".dsvc/store", ".."]
)
def test_no_remote_in_the_workspace(address: str, home: Path, work: Path, refused: Refused) -> None:
    before = everything(home)
    for words in ([address], ["-C", str(work / "sub"), f"../{address}"]):
        options, (place,) = words[:-1], words[-1:]
        if address != ".." or not options:
            refused(2, *options, "remote", "add", "far", place)
    assert everything(home) == before


def test_no_store_in_a_workspace(home: Path, work: Path, refused: Refused) -> None:
    for place in (home / "new" / "versions", work / "versions", work, work / ".dsvc" / "versions"):
        refused(2, "init", home / "new", "--store", place)
    assert not (home / "new").exists()
    assert {path.name for path in work.iterdir()} == {".dsvc", "f", "sub"}


def test_no_workspace_in_a_store(home: Path, work: Path, dsvc: Dsvc, refused: Refused) -> None:
    assert dsvc("remote", "add", "origin", "../far").code == 0
    assert dsvc("push").code == 0
    before = everything(home / "far")
    refused(2, "init", "../far")
    refused(2, "init", "../far/work")
    refused(2, "clone", "../far", "../far/work")
    refused(2, "clone", "--plan", "../far", "../far/packs/work")
    assert everything(home / "far") == before


def test_a_folder_is_made_in_one_that_is_there_and_told(
    home: Path, work: Path, dsvc: Dsvc, refused: Refused
) -> None:
    assert "could be made" in refused(2, "remote", "add", "far", "../disk/signs")
    assert not (home / "disk").exists()
    (home / "disk").mkdir()
    added = dsvc("remote", "add", "far", "../disk/signs")
    assert b"Made that folder" in added.out
    again = dsvc("remote", "add", "again", "../disk/signs")
    assert b"Made" not in again.out
    assert dsvc("remote", "add", "new", "../disk/new", "--json").data["found"]["made"] is True


def test_a_folder_that_looks_like_an_address_can_be_said(
    home: Path, work: Path, dsvc: Dsvc
) -> None:
    os.chdir(home)
    (home / "s3:").mkdir()
    assert dsvc("-C", work, "remote", "add", "origin", "../s3:/x").code == 0
    assert dsvc("-C", work, "push").code == 0
    assert dsvc("clone", "./s3:/x", "new").code == 0
    assert read_config(home / "new").remotes["origin"].url == str(home / "s3:" / "x")
    assert bytes(Snapshot.open("./s3:/x").read("f")) == b"one"
    assert bytes(Snapshot.open(Path("s3:/x")).read("f")) == b"one"
    os.chdir(work / "sub")
    assert bytes(Snapshot.open(".").read("f")) == b"one"


def test_an_address_in_the_settings(home: Path, work: Path, dsvc: Dsvc, refused: Refused) -> None:
    (home / "far").mkdir()
    file = work / ".dsvc" / CONFIG_FILE
    file.write_text('[remote.origin]\nurl = "../far"\n')
    os.chdir(home)
    assert dsvc("-C", work / "sub", "push").code == 0
    assert (home / "far" / "root.json").exists()
    file.write_text('[remote.other]\nurl = "backup"\n')
    refused(2, "-C", work, "push", "other")
    assert not (work / "backup").exists()
    for line in ('store = "~/x"\n', '[remote.origin]\nurl = "host:x"\n'):
        file.write_text(line)
        assert str(file) in refused(2, "-C", work, "status")


def test_an_address_in_a_lock(home: Path, work: Path, dsvc: Dsvc, refused: Refused) -> None:
    place = home / "code" / "a:b"
    (home / "code").mkdir()
    assert dsvc("remote", "add", "origin", place).code == 0
    assert dsvc("push").code == 0
    lock = home / "code" / "dataset.lock"
    assert dsvc("pin", "-o", lock).code == 0
    assert 'url = "./a:b"' in lock.read_text()
    assert dsvc("clone", "--from", lock, home / "new").code == 0
    lock.write_text(lock.read_text().replace("./a:b", "a:b"))
    assert str(lock) in refused(2, "clone", "--from", lock, home / "other")
    assert not (home / "other").exists()


def test_of_a_workspace_its_store_is_cloned_and_its_branch(
    home: Path, work: Path, dsvc: Dsvc
) -> None:
    assert dsvc("checkout", "-b", "topic").code == 0
    (work / "f").write_text("two")
    assert dsvc("commit", "-m", "two").code == 0
    os.chdir(home / "work" / "..")
    assert dsvc("clone", "--plan", "work", "planned").code == 0
    assert not (home / "planned").exists()
    assert dsvc("clone", "work", "new").code == 0
    assert (home / "new" / "f").read_text() == "two"
    assert Repository.open(home / "new").head.branch == "topic"
    assert read_config(home / "new").remotes["origin"].url == str(work / ".dsvc" / "store")
    assert dsvc("clone", "work", "old", "--rev", "main").code == 0
    assert (home / "old" / "f").read_text() == "one"
    (home / "new" / "g").write_text("g")
    assert dsvc("-C", "new", "commit", "-m", "g").code == 0
    assert dsvc("-C", "new", "push").code == 0
    assert b"'dsvc checkout topic' brings its files" in dsvc("-C", "work", "status").out
    assert dsvc("-C", "work", "checkout", "topic").code == 0
    assert (work / "g").read_text() == "g"


def test_a_workspace_with_its_store_elsewhere_is_cloned_from_there(
    home: Path, work: Path, dsvc: Dsvc
) -> None:
    (work / ".dsvc" / "store").rename(home / "shared")
    (work / ".dsvc" / CONFIG_FILE).write_text('store = "../shared"\n')
    os.chdir(home)
    assert dsvc("clone", "work", "new").code == 0
    assert read_config(home / "new").remotes["origin"].url == str(home / "shared")


def test_a_workspace_as_remote_is_its_store(
    home: Path, work: Path, dsvc: Dsvc, refused: Refused
) -> None:
    Repository.init(home / "other")
    added = dsvc("remote", "add", "far", "../other", "--json").data
    store = home / "other" / ".dsvc" / "store"
    assert added["url"] == str(store)
    assert dsvc("push", "far").code == 0
    assert "dsvc checkout main" in refused(1, "-C", home / "other", "log")
    assert dsvc("-C", home / "other", "checkout", "main").code == 0
    assert (home / "other" / "f").read_text() == "one"
    refused(2, "remote", "add", "own", "../work")
    assert str(store) in refused(2, "init", home / "new", "--store", home / "other")
    assert dsvc("init", home / "new", "--store", store).code == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such owners")
def test_settings_of_somebody_else_send_no_clone_elsewhere(
    home: Path, work: Path, refused: Refused, dsvc: Dsvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = home / "other"
    Repository.init(other, str(work / ".dsvc" / "store"))
    os.chdir(home)
    owner = other.stat().st_uid
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: owner + 1)
        assert "belongs to somebody else" in refused(1, "clone", "other", "new")
        assert not (home / "new").exists()
    assert dsvc("clone", "other", "new").code == 0


def test_what_is_said_of_a_clone_of_nothing_leads_to_a_store(
    home: Path, dsvc: Dsvc, refused: Refused
) -> None:
    (home / "far").mkdir()
    for words in (["far", "new"], ["--plan", "far", "new"]):
        said = refused(1, "clone", *words)
        assert "'dsvc init'" in said
        assert f"dsvc remote add origin {home / 'far'}; dsvc push" in said
    (home / "files").mkdir()
    os.chdir(home / "files")
    Path("f").write_text("f")
    for line in (["init"], ["commit", "-m", "f"], ["remote", "add", "origin", "../far"], ["push"]):
        assert dsvc(*line).code == 0
    os.chdir(home)
    assert dsvc("clone", "far", "new").code == 0
