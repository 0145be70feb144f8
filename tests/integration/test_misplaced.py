"""A store among the files of a workspace, however it came there: no verb writes to it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets_vc.backends import LocalBackend
from datasets_vc.config import RemoteConfig, add_remote, read_config, set_store
from datasets_vc.repository import Repository
from datasets_vc.store import Store
from datasets_vc.workspace import walk
from tests.integration.conftest import Dsvc, Refused
from tests.integration.trees import AUTHOR

Bytes = dict[str, bytes]


def bytes_of(folder: Path) -> Bytes:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> Callable[[Repository, str], str]:
    """Commits as versions did that took a store for data."""

    def commit(repository: Repository, message: str) -> str:
        with monkeypatch.context() as patched:
            patched.setattr(walk, "holds_versions", lambda _: False)
            return repository.commit(message, author=AUTHOR).commit.hex()

    return commit


@pytest.fixture
def work(home: Path, blind: Callable[[Repository, str], str]) -> Path:
    """A workspace with a remote among its files, which two versions have as data."""
    folder = home / "work"
    repository = Repository.init(folder)
    (folder / "f").write_text("one")
    repository.commit("one", author=AUTHOR)
    Store.create(LocalBackend(folder / "backup", create=True))
    add_remote(folder, RemoteConfig("origin", str(folder / "backup")))
    repository.push()
    blind(repository, "two, with the remote")
    repository.tags.create("t0")
    repository.push()
    (folder / "f").write_text("three")
    blind(repository, "three")
    repository.push()
    os.chdir(folder)
    return folder


def messages(found: object) -> str:
    assert isinstance(found, list)
    return " ".join(each["message"] for each in found)


@pytest.mark.parametrize(
    "words",
    [
        ["checkout", "t0"],
        ["checkout", "--force", "t0"],
        ["checkout", "t0", "backup"],
        ["checkout", "--force", "t0", "backup/root.json"],
        ["restore", "."],
        ["restore", "--source", "t0", "backup"],
        ["checkout", "main~2"],
        ["checkout", "--force", "main~2"],
        ["checkout", "HEAD", "--only", "f"],
        ["checkout", "--force", "t0", "--only", "backup"],
        ["revert", "HEAD"],
        ["commit", "-m", "all", "--consume"],
    ],
    ids=" ".join,
)
def test_no_verb_writes_to_it(words: list[str], work: Path, dsvc: Dsvc) -> None:
    before = bytes_of(work / "backup")
    done = dsvc(*words, "--json")
    assert done.code == 0, done
    assert bytes_of(work / "backup") == before
    assert dsvc("fetch").code == 0
    if "t0" in words and "--only" not in words:
        (left,) = done.data["skipped"]
        assert left["path"] == "backup"


@pytest.mark.parametrize("words", [["checkout", "t0"], ["restore", "."]], ids=" ".join)
def test_it_is_told_that_it_was_left_alone(words: list[str], work: Path, dsvc: Dsvc) -> None:
    assert b"Left out: backup (it is a store" in dsvc(*words).out


def test_merges_and_pulls_leave_it_alone(home: Path, work: Path, dsvc: Dsvc) -> None:
    before = bytes_of(work / "backup")
    assert dsvc("checkout", "-b", "side", "t0").code == 0
    (work / "g").write_text("side")
    assert dsvc("commit", "-m", "side").code == 0
    merged = dsvc("merge", "main")
    assert merged.code == 12  # one side took out what the other changed
    assert bytes_of(work / "backup") == before
    assert dsvc("merge", "--theirs", "backup").code == 0
    assert bytes_of(work / "backup") == before
    assert dsvc("merge", "--abort").code == 0
    assert bytes_of(work / "backup") == before
    assert dsvc("checkout", "main").code == 0
    assert dsvc("clone", work / "backup", home / "other").code == 0
    (home / "other" / "f").write_text("four")
    assert dsvc("-C", home / "other", "commit", "-m", "four").code == 0
    assert dsvc("-C", home / "other", "push").code == 0
    before = bytes_of(work / "backup")
    assert dsvc("pull").code == 0
    assert (work / "f").read_text() == "four"
    assert bytes_of(work / "backup") == before


def test_a_version_without_the_store_takes_nothing_away(work: Path, dsvc: Dsvc) -> None:
    before = bytes_of(work / "backup")
    for version in ("main~2", "main", "main~1"):
        assert dsvc("checkout", version).code == 0
        assert bytes_of(work / "backup") == before


def test_a_file_in_place_of_its_folder_is_refused(work: Path, dsvc: Dsvc, refused: Refused) -> None:
    (work / "backup").rename(work.parent / "aside")
    (work / "backup").write_text("a file")
    assert dsvc("commit", "-m", "a file").code == 0
    (work / "backup").unlink()
    (work.parent / "aside").rename(work / "backup")
    before = bytes_of(work / "backup")
    assert "holds a store" in refused(2, "restore", ".")
    assert bytes_of(work / "backup") == before


def test_status_and_fsck_lead_out(home: Path, work: Path, dsvc: Dsvc) -> None:
    """What the hints say is done as it is said, and then nothing is left to say."""
    told = dsvc("status", "--json").data
    assert [each["path"] for each in told["skipped"]] == ["backup"]
    assert "The remote 'origin' lies in the workspace" in messages(told["misplaced"])
    assert "The version has files of a store as data, in 'backup'" in messages(told["misplaced"])
    checked = dsvc("fsck", "--json")
    assert (checked.code, checked.data["misplaced"]) == (0, told["misplaced"])
    lines = dsvc("status").out.decode()
    history = dsvc("log", "--oneline").out
    for each in told["misplaced"]:
        assert f"warning: {each['message']}\nhint: {each['hint']}\n" in lines
        _, _, commands = each["hint"].partition(": ")
        for command in commands.split(" && "):
            words = shlex.split(command)
            if words[0] == "dsvc":
                assert dsvc(*words[1:]).code == 0, words
            else:
                subprocess.run(words, check=True)
    told = dsvc("status", "--json").data
    assert (told["clean"], told["skipped"], told["misplaced"]) == (True, [], [])
    assert dsvc("fsck", "--json").data["misplaced"] == []
    assert not (work / "backup").exists()
    assert dsvc("push").code == 0
    assert dsvc("clone", read_config(work).remotes["origin"].url, home / "new").code == 0
    assert not (home / "new" / "backup").exists()
    assert dsvc("log", "--oneline").out.endswith(history.partition(b" three")[2])


def test_the_store_itself_among_the_files(
    home: Path, dsvc: Dsvc, blind: Callable[[Repository, str], str]
) -> None:
    folder = home / "work"
    repository = Repository.init(folder, str(home / "versions"))
    for number in range(3):
        (folder / "f").write_text(str(number))
        repository.commit(str(number), author=AUTHOR)
        if number == 1:
            (home / "versions").rename(folder / "versions")
            set_store(folder, "versions")
            repository = Repository.open(folder)
            blind(repository, "with the store")
    os.chdir(folder)
    before = bytes_of(folder / "versions")
    (folder / "f").write_text("oops")
    assert dsvc("restore", ".").code == 0
    assert (folder / "f").read_text() == "2"
    assert bytes_of(folder / "versions") == before
    assert dsvc("fsck").code == 0
    (told, *_) = dsvc("status", "--json").data["misplaced"]
    assert "lies in the workspace" in told["message"]
    _, _, command = told["hint"].partition(": ")
    subprocess.run(shlex.split(command.partition(";")[0]), check=True)
    config = folder / ".dsvc" / "config.toml"
    config.write_text(config.read_text().replace('store = "versions"', ""))
    assert dsvc("commit", "-m", "no store").code in (0, 2)
    assert dsvc("status", "--json").data["misplaced"] == []
    assert dsvc("fsck").code == 0


def test_a_workspace_in_the_very_folder_of_a_store(
    home: Path, work: Path, dsvc: Dsvc, blind: Callable[[Repository, str], str]
) -> None:
    """`init` refuses that now; it did not always."""
    store = work.parent / "aside"
    (work / "backup").rename(store)
    (home / "empty").mkdir()
    Repository.init(home / "empty")
    (home / "empty" / ".dsvc").rename(store / ".dsvc")
    (store / "data").write_text("data")
    repository = Repository.open(store)
    blind(repository, "with the store")
    (store / "data").write_text("more")
    before = {name: data for name, data in bytes_of(store).items() if "/.dsvc/" not in name}
    os.chdir(store)
    assert dsvc("commit", "-m", "without").code == 0
    assert [line.split()[-1] for line in dsvc("ls", "HEAD").out.decode().splitlines()] == ["data"]
    for words in (["checkout", "HEAD~1"], ["checkout", "--force", "HEAD"], ["restore", "."]):
        assert dsvc(*words).code == 0
        now = bytes_of(store)
        assert {name: now[name] for name in before if not name.endswith("/data")} == {
            name: data for name, data in before.items() if not name.endswith("/data")
        }


def test_a_store_that_is_not_there_comes_back_from_a_version(work: Path, dsvc: Dsvc) -> None:
    """What was committed can be had again: it overwrites nothing."""
    (work / "backup").rename(work.parent / "aside")
    assert dsvc("checkout", "t0", "backup").code == 0
    assert (work / "backup" / "root.json").is_file()
    assert b"Left out: backup" in dsvc("status").out


def test_a_remote_that_is_the_store_itself(home: Path, dsvc: Dsvc) -> None:
    folder = home / "work"
    repository = Repository.init(folder, str(home / "shared"))
    (folder / "f").write_text("one")
    repository.commit("one", author=AUTHOR)
    (home / "link").symlink_to(home / "shared")
    add_remote(folder, RemoteConfig("origin", str(home / "link")))
    os.chdir(folder)
    assert "own store" in messages(dsvc("status", "--json").data["misplaced"])
    assert "own store" in messages(dsvc("fsck", "--json").data["misplaced"])


def test_a_store_by_a_link(home: Path, dsvc: Dsvc) -> None:
    repository = Repository.init(home / "work")
    (home / "work" / "f").write_text("one")
    repository.commit("one", author=AUTHOR)
    (home / "work" / ".dsvc" / "store").rename(home / "work" / "versions")
    (home / "work" / ".dsvc" / "store").symlink_to(home / "work" / "versions")
    os.chdir(home / "work")
    (told,) = dsvc("status", "--json").data["misplaced"]
    for command in told["hint"].partition(": ")[2].split(" && "):
        subprocess.run(shlex.split(command), check=True)
    assert dsvc("status", "--json").data["misplaced"] == []
    assert dsvc("fsck").code == 0


def test_status_lets_the_disks_of_other_remotes_sleep(
    home: Path, work: Path, dsvc: Dsvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dsvc("remote", "remove", "origin").code == 0
    assert dsvc("remote", "add", "far", home / "far").code == 0
    assert dsvc("push", "far").code == 0
    asked = []
    real = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda path: asked.append(path) or real(path))
    assert dsvc("status").code == 0
    assert home / "far" not in asked
    assert dsvc("fsck").code == 0
    assert home / "far" in asked


def test_an_ignored_place_is_no_ones_trouble(work: Path, dsvc: Dsvc) -> None:
    (work / ".dsvcignore").write_text("/backup/\n")
    assert dsvc("commit", "-m", "ignored").code == 0
    told = dsvc("status", "--json").data
    assert (told["skipped"], told["misplaced"]) == ([], [])
    before = bytes_of(work / "backup")
    assert dsvc("checkout", "--force", "t0").code == 0
    assert bytes_of(work / "backup") == before


def test_a_store_that_was_copied_in_is_led_out_by_status_and_fsck(
    home: Path, work: Path, dsvc: Dsvc
) -> None:
    shutil.copytree(work / "backup", work / "a copy" / "rem")
    for verb in ("status", "fsck"):
        found = dsvc(verb, "--json").data["misplaced"]
        (told,) = [each for each in found if "a copy/rem" in each["message"]]
        assert told["hint"].startswith(f"Move it out: mv '{work.resolve() / 'a copy' / 'rem'}' ")
        assert dsvc(verb).code == 0
    command = told["hint"].removeprefix("Move it out: ").partition(";")[0]
    subprocess.run(command, shell=True, check=True)  # what the hint says
    assert "a copy/rem" not in messages(dsvc("status", "--json").data["misplaced"])
