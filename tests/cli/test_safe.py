"""Workspaces of somebody else: looked at, and worked in only where they are listed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets_vc import Snapshot
from datasets_vc.errors import UnsafeFolderError
from datasets_vc.ownership import OURS, Trusted
from datasets_vc.repository import Pin, Repository
from datasets_vc.workspace.cloning import Cloning, write_note
from tests.cli.conftest import Dsvc

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such owners")

AUTHOR = "Ada <ada@example.org>"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of the user's own that nothing else reads."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("SUDO_UID", raising=False)
    return tmp_path / "settings" / "dsvc" / "config.toml"


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with two versions, a remote and a change, of a user that we are not."""
    folder = tmp_path / "theirs"
    repository = Repository.init(folder)
    for text in ("first", "second"):
        (folder / "file").write_text(text)
        repository.commit(text, author=AUTHOR)
    repository.remotes.add("origin", str(tmp_path / "remote"))
    repository.push()
    (folder / "new").write_text("new")
    owner = (folder / ".dsvc").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    return folder


@pytest.fixture
def written(foreign: Path) -> Iterator[list[str]]:
    """What is done in the workspace, or tried, but to read: files that are gone again, too."""
    seen: list[str] = []
    _watched.append((str(foreign.resolve()), seen))
    yield seen
    _watched.clear()


_watched: list[tuple[str, list[str]]] = []
_CHANGES = ("mkdir", "rmdir", "remove", "rename", "link", "symlink", "truncate", "chmod", "utime")


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if not _watched:
        return
    changes = event.startswith("os.") and event[3:] in _CHANGES
    if event == "open":
        flags = arguments[2]
        changes = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    for folder, seen in _watched if changes else ():
        if any(folder in os.fsdecode(each) for each in arguments if isinstance(each, str | bytes)):
            seen.append(f"{event} {arguments}")


sys.addaudithook(_audit)


def state(folder: Path) -> dict[str, bytes]:
    """Every file in a folder; locks have no content."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


LOOKING = [
    ("status",),
    ("log",),
    ("log", "file"),
    ("show", "HEAD"),
    ("diff",),
    ("diff", "HEAD~1"),
    ("diff", "HEAD~1", "HEAD"),
    ("diff", "--patch", "HEAD~1"),
    ("diff", "--stat"),
    ("log", "--all", "--graph"),
    ("log", "--follow", "file"),
    ("status", "--json"),
    ("safe", "list"),
    ("ls", "HEAD"),
    ("cat", "HEAD:file"),
    ("branch",),
    ("tag",),
    ("describe", "--always"),
    ("verify", "HEAD"),
    ("fsck",),
    ("gc", "--dry-run"),
    ("runs", "list"),
]

WORKING = [
    ("commit", "-m", "third"),
    ("checkout", "HEAD~1"),
    ("checkout", "-b", "other"),
    ("restore", "file"),
    ("branch", "other"),
    ("tag", "v1"),
    ("merge", "HEAD~1"),
    ("revert", "HEAD"),
    ("cherry-pick", "HEAD"),
    ("fetch",),
    ("fetch", "--plan"),
    ("fetch", "--all"),
    ("pull",),
    ("pull", "--plan"),
    ("pull", "--ff-only"),
    ("push",),
    ("push", "--plan"),
    ("push", "--force"),
    ("remote", "add", "other", "elsewhere"),
    ("remote", "remove", "origin"),
    ("remote", "list"),
    ("pin",),
    ("gc",),
    ("gc", "--remote", "origin"),
    ("fsck", "--repair"),
    ("fsck", "--remote", "origin"),
    ("drop", "--all"),
    ("train", "cnn", "--data", "HEAD"),
    ("reproduce", "3f9a1c20"),
]


@pytest.mark.parametrize("argv", LOOKING, ids=" ".join)
def test_it_can_be_looked_at(
    dsvc: Dsvc, foreign: Path, written: list[str], argv: tuple[str, ...]
) -> None:
    before = state(foreign)
    done = dsvc("-C", str(foreign), *argv)
    assert done.code in (0, 1), done.err
    assert "belongs to" not in done.err
    assert state(foreign) == before
    assert written == []


def test_the_watch_sees_what_is_written(
    dsvc: Dsvc, foreign: Path, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: (foreign / ".dsvc").stat().st_uid)
    assert dsvc("-C", str(foreign), "diff").code == 0
    assert any("clock-" in each for each in written)


def test_the_library_looks_and_writes_nothing(foreign: Path, written: list[str]) -> None:
    snapshot = Snapshot.open(foreign)
    assert len(snapshot.read("file")) == 6
    repository = Repository.open(foreign)
    assert not repository.status().clean
    assert repository.resolve("HEAD").dataset.hex() == snapshot.digest
    list(repository.cat("HEAD", "file"))
    assert written == []


@pytest.mark.parametrize("argv", WORKING, ids=" ".join)
def test_nothing_else_is_done_in_it(
    dsvc: Dsvc, foreign: Path, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    before = state(tmp_path)
    (foreign / "below").mkdir()
    done = dsvc("-C", str(foreign / "below"), *argv)
    assert done.code == 1, done.err
    assert "belongs to" in done.err
    assert f"dsvc safe add {foreign}" in done.err
    assert state(tmp_path) == before


def test_a_verb_of_a_listed_one_works(dsvc: Dsvc, foreign: Path, settings: Path) -> None:
    settings.parent.mkdir(parents=True)
    settings.write_text("# of mine\n[other]\nkey = 1\n")
    assert dsvc("safe", "list").out == "Only your own.\n"
    assert "Only your own." not in dsvc("safe", "add", str(foreign)).out
    text = settings.read_text()
    assert text.startswith("# of mine\n[other]\nkey = 1\n")
    assert str(foreign) in text
    assert dsvc("-C", str(foreign), "commit", "-m", "third").code == 0
    assert dsvc("-C", str(foreign), "push").code == 0
    assert dsvc("safe", "list").out == f"{foreign}\n"
    assert dsvc("safe", "add", str(foreign)).code == 1
    assert dsvc("-C", str(foreign), "safe", "remove").code == 0
    assert dsvc("-C", str(foreign), "push").code == 1
    assert dsvc("safe", "remove", str(foreign)).code == 1


@pytest.mark.parametrize("listed", ["*", "{above}/*"])
def test_many_can_be_listed(dsvc: Dsvc, foreign: Path, listed: str) -> None:
    assert dsvc("safe", "add", listed.format(above=foreign.parent)).code == 0
    assert dsvc("-C", str(foreign), "fetch").code == 0


def test_a_mark_that_an_editor_put_before_the_text_is_no_fault(
    dsvc: Dsvc, foreign: Path, settings: Path
) -> None:
    settings.parent.mkdir(parents=True)
    settings.write_text(f'\ufeff[safe]\ndirectory = ["{foreign}"]\n', encoding="utf-8")
    assert dsvc("-C", str(foreign), "tag", "new").code == 0


def test_what_is_listed_names_no_other(tmp_path: Path, foreign: Path) -> None:
    for other in (f"{foreign}x", f"{foreign}/*x", "theirs", "", f"{tmp_path}/their*"):
        assert not Trusted(folders=[other]).has(foreign)
    assert Trusted(folders=[f"{tmp_path}/elsewhere", f"{foreign}/"]).has(foreign)


def test_who_asked_by_sudo_counts_as_who_runs_it(
    dsvc: Dsvc, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_UID", str((foreign / ".dsvc").stat().st_uid))
    assert dsvc("-C", str(foreign), "fetch").code == 1  # only root is asked by sudo
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert dsvc("-C", str(foreign), "fetch").code == 0
    monkeypatch.setenv("SUDO_UID", "nobody")
    if (foreign / ".dsvc").stat().st_uid:
        assert dsvc("-C", str(foreign), "fetch").code == 1


def test_a_link_to_a_workspace_of_ours_is_whose_the_link_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Repository.init(tmp_path / "mine").folder
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / ".dsvc").symlink_to(mine / ".dsvc")
    assert OURS.has(planted)
    found = Path.lstat

    def of_others(path: Path) -> os.stat_result:
        status = found(path)
        return os.stat_result((*status[:4], status.st_uid + 1, *status[5:]))

    monkeypatch.setattr(Path, "lstat", of_others)
    assert not OURS.has(planted)


def test_a_clone_that_somebody_else_began_is_not_gone_on_with(
    dsvc: Dsvc, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "remote")
    planted = tmp_path / "planted"
    (planted / ".dsvc").mkdir(parents=True)
    write_note(planted, Cloning(url))  # with settings that lead elsewhere
    (planted / ".dsvc" / "config.toml").write_text(f'[remote.origin]\nurl = "{foreign}"\n')
    before = state(planted)
    assert "exists and is not empty" in dsvc("clone", url, str(planted)).err
    assert state(planted) == before
    hollow = tmp_path / "hollow"
    (hollow / ".dsvc").mkdir(parents=True)
    assert dsvc("clone", url, str(hollow)).code == 1
    assert dsvc("init", str(hollow)).code == 1
    assert state(hollow) == {}
    monkeypatch.setattr(os, "geteuid", lambda: (hollow / ".dsvc").stat().st_uid)
    assert dsvc("clone", url, str(hollow)).code == 0


def test_its_settings_lead_nowhere(dsvc: Dsvc, foreign: Path) -> None:
    config = foreign / ".dsvc" / "config.toml"
    config.write_text(
        "[signing]\nallowed_signers = 1\n"  # would be told if anybody read it
    )
    assert dsvc("-C", str(foreign), "verify").out.endswith("not signed\n")
    assert "somebody else's" in dsvc("-C", str(foreign), "status").out
    config.write_text('store = "s3://bucket/of-mallory"\n')
    for argv in (("status",), ("log",)):
        done = dsvc("-C", str(foreign), *argv)
        assert done.code == 1
        assert "belongs to" in done.err
    with pytest.raises(UnsafeFolderError, match="s3://bucket/of-mallory"):
        Snapshot.open(foreign)


def test_the_library_refuses_and_is_told_whom_to_trust(foreign: Path) -> None:
    assert len(Snapshot.open(foreign)) == 1
    with pytest.raises(UnsafeFolderError):
        Repository.open(foreign).commit("third", author=AUTHOR)
    with pytest.raises(UnsafeFolderError):
        Repository.open(foreign).runs.reproduce("3f9a1c20")
    with pytest.raises(UnsafeFolderError):
        Pin.find(foreign).write()
    trusted = Trusted(folders=[str(foreign)])
    Repository.open(foreign, trusted=trusted).commit("third", author=AUTHOR)


@pytest.mark.parametrize("text", ["[safe", "safe = 1", "[safe]\ndirectory = [1]", "\udc80"])
def test_a_file_that_says_nonsense_is_told(
    dsvc: Dsvc, tmp_path: Path, settings: Path, text: str
) -> None:
    settings.parent.mkdir(parents=True)
    settings.write_bytes(text.encode(errors="surrogateescape"))
    Repository.init(tmp_path / "work")
    done = dsvc("-C", "work", "status")
    assert done.code == 2
    assert str(settings) in done.err


def test_root_is_told_whose_the_files_are_that_it_writes(
    tmp_path: Path, dsvc: Dsvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs"
    Repository.init(folder)
    assert dsvc("-C", str(folder), "branch", "-m", "main", "trunk").err == ""
    if os.geteuid() == 0:
        os.chown(folder / ".dsvc", 4242, 4242)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    owner = (folder / ".dsvc").stat().st_uid
    (folder / "f").write_text("f")

    added = dsvc("safe", "add", str(folder))
    assert added.code == 0
    assert f"chown -R {owner}:" in added.out

    monkeypatch.setenv("DSVC_AUTHOR", AUTHOR)
    made = dsvc("-C", str(folder), "commit", "-m", "f")
    assert made.code == 0
    assert "belongs to root" in made.err
    assert f"chown -R {owner}:" in made.err
    assert dsvc("-C", str(folder), "status").err == ""
    assert dsvc("-C", str(folder), "tag", "v1", "--json").err == ""
    assert dsvc("-C", str(folder), "-q", "tag", "v2").err == ""
