"""A `.dsvc` that came with a stranger's code, or out of an archive, is followed by no verb."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets_vc.cli.asking import own_secret
from datasets_vc.cli.main import main
from datasets_vc.config import Head, read_config
from datasets_vc.errors import AlreadyExistsError, UnsafeFolderError
from datasets_vc.gitindex import tracks
from datasets_vc.ownership import OURS
from datasets_vc.repository import Pin, Repository
from datasets_vc.workspace import Workspace
from datasets_vc.workspace.cloning import Cloning, write_note

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

AUTHOR = "Ada <ada@example.org>"
NOBODY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
SETTINGS = 'author = "Mallory <m@example.org>"\nstore = "{there}"\n[signing]\nverify = true\n'

Dsvc = Callable[..., tuple[int, str]]


def git(folder: Path, *words: str) -> None:
    named = ("-c", "user.name=m", "-c", "user.email=m@example.org", "-c", "gc.auto=0")
    subprocess.run(
        ["git", *named, "-C", str(folder), *words],
        env={**os.environ, **NOBODY},
        check=True,
        capture_output=True,
    )


@pytest.fixture
def dsvc(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Dsvc:
    monkeypatch.setenv("DSVC_AUTHOR", AUTHOR)

    def run(*words: str | Path) -> tuple[int, str]:
        capfd.readouterr()
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert "internal error" not in err
        return code, out + err

    return run


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """What the stranger would like to be written to."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


@pytest.fixture
def code(tmp_path: Path, there: Path) -> Path:
    """A git work tree with a `dataset.lock` of `data/`, whose store is `remote`."""
    work = Repository.init(tmp_path / "work")
    work.remotes.add("origin", str(tmp_path / "remote"))
    (work.folder / "a").write_text("a")
    work.commit("one", author=AUTHOR)
    work.push()
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "data").mkdir()
    lock = Pin.find(work.folder, folder / "dataset.lock").write().file
    lock.write_text(lock.read_text().replace("../work", "data"))
    return folder


def plant(code: Path, there: Path, *, head: bool = False, tracked: bool = True) -> Path:
    """A `.dsvc` of the stranger's in `data/`."""
    meta = code / "data" / ".dsvc"
    meta.mkdir(parents=True)
    (meta / "config.toml").write_text(SETTINGS.format(there=there))
    if head:
        Workspace(code / "data").set_head(Head("main", None))
        with (meta / "config.toml").open("a") as file:
            file.write(f'[remote.origin]\nurl = "{there}"\n')
    if tracked:
        git(code, "add", "-f", ".")
        git(code, "commit", "-qm", "data")
    return code / "data"


def all_of(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("note", [True, False])
def test_nothing_is_cloned_by_its_settings(
    dsvc: Dsvc, code: Path, there: Path, tmp_path: Path, tracked: bool, note: bool
) -> None:
    remote = str(tmp_path / "remote")
    data = plant(code, there, tracked=tracked)
    if note:
        write_note(data, Cloning(remote), os.urandom(32))
    before = all_of(code)
    for words in (
        ("clone", remote, data),
        ("clone", "--from", code / "dataset.lock", data),
        ("init", data),
    ):
        ended, told = dsvc(*words)
        assert ended != 0, words
        assert "internal" not in told
    assert all_of(code) == before
    assert list(there.iterdir()) == []
    assert dsvc("clone", remote, tmp_path / "new")[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("commit", "-m", "m"),
        ("fetch",),
        ("pull",),
        ("push",),
        ("pull", "--lock"),
        ("gc",),
        ("remote", "add", "x", "y"),
        ("checkout", "-b", "x"),
    ],
    ids=" ".join,
)
def test_a_tracked_one_is_looked_at_and_no_more(
    dsvc: Dsvc, code: Path, there: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    shutil.copytree(tmp_path / "remote", there, dirs_exist_ok=True)
    data = plant(code, there, head=True)
    (data / "mine").write_text("mine")
    before = all_of(tmp_path)
    ended, told = dsvc("-C", data, *words)
    assert ended == 1, told
    assert "came with the code" in told
    assert f"git rm -rf --cached {data}" in told
    assert f"dsvc safe add {data}" in told
    for looking in (("status",), ("log",), ("diff",), ("status", "--lock"), ("branch",)):
        assert "internal" not in dsvc("-C", data, *looking)[1]
    assert "came with code" in dsvc("-C", data, "status")[1]
    assert all_of(tmp_path) == before
    with pytest.raises(UnsafeFolderError):
        Repository.open(data).commit("m", author=AUTHOR)


def test_one_that_is_listed_or_forgotten_by_git_is_worked_in(
    dsvc: Dsvc, code: Path, there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    data = code / "data"
    dsvc("init", data)
    git(code, "add", "-f", "data/.dsvc")
    assert dsvc("-C", data, "branch", "x")[0] == 1
    assert dsvc("safe", "add", data)[0] == 0
    (data / "a").write_text("a")
    assert dsvc("-C", data, "commit", "-m", "m")[0] == 0
    assert dsvc("safe", "remove", data)[0] == 0
    git(code, "rm", "-rfq", "--cached", "data/.dsvc")
    assert dsvc("-C", data, "branch", "x")[0] == 0


def test_a_clone_goes_on_for_who_began_it_and_where(dsvc: Dsvc, tmp_path: Path, code: Path) -> None:
    remote = str(tmp_path / "remote")
    cut = tmp_path / "cut"
    secret = own_secret()
    assert secret
    Repository.clone(remote, cut, secret=secret)
    Workspace(cut).set_head(Head("main", None))
    write_note(cut, Cloning(remote), secret)
    for other in (None, os.urandom(32)):
        with pytest.raises(AlreadyExistsError, match="nothing proves"):
            Repository.clone(remote, cut, secret=other)
    moved = tmp_path / "moved"
    shutil.copytree(cut, moved)
    assert "nothing proves" in dsvc("clone", remote, moved)[1]
    assert dsvc("clone", remote, cut)[0] == 0


def test_what_init_was_told_itself_is_gone_on_with(dsvc: Dsvc, tmp_path: Path) -> None:
    new = tmp_path / "new"
    (new / ".dsvc").mkdir(parents=True)
    (new / ".dsvc" / "config.toml").write_text(f'store = "{tmp_path / "store"}"\n')
    assert dsvc("init", new)[0] == 1
    assert dsvc("init", new, "--store", tmp_path / "other")[0] == 1
    assert dsvc("init", new, "--store", tmp_path / "store")[0] == 0
    assert read_config(new).store == str(tmp_path / "store")


@pytest.mark.parametrize("version", ["2", "3", "4", "split", "split 4", "sha256", "sha256 4"])
def test_the_index_is_read_as_git_wrote_it(tmp_path: Path, version: str) -> None:
    top = tmp_path / "top"
    top.mkdir()
    git(top, "init", "-q", *(["--object-format=sha256"] if "sha256" in version else []))
    names = ("a", "data/.ds/x", "data/.dsvc/HEAD", f"d/{'long' * 50}/{'er' * 100}", "x/d/.dsvc/y")
    # Longer than the flags can say.
    deep = "/".join(["p" * 250] * 6)
    for name in (*names, "data/.dsvc.old/x", f"z/{deep}/.dsvc"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    git(top, "add", "-f", ".")
    if "3" in version:
        (top / "later").write_text("")
        git(top, "add", "-N", "later")
        git(top, "rm", "-q", "--cached", "data/.dsvc/HEAD")
        git(top, "add", "-N", "-f", "data/.dsvc/HEAD")
    if "4" in version:
        git(top, "update-index", "--index-version", "4")
    if "split" in version:
        git(top, "update-index", "--split-index")
    head = (top / ".git" / "index").read_bytes()[:8]
    if "split" not in version and version[-1] in "234":
        assert head[7] == int(version[-1]) or "sha" in version
    for tracked in ("data/.dsvc", "x/d/.dsvc", "a", "data", f"z/{deep}/.dsvc"):
        assert tracks(top / ".git", tracked), tracked
    for other in ("d/.dsvc", ".dsvc", "data/.dsv", "data/.dsvc/HEA", "HEAD", "y"):
        assert not tracks(top / ".git", other), other
    git(top, "commit", "-qm", "m")
    git(top, "worktree", "add", "-q", str(tmp_path / "second"), "-b", "second")
    assert tracks(tmp_path / "second" / ".git", "x/d/.dsvc")
    assert not tracks(tmp_path / "second" / ".git", "d/.dsvc")


def test_what_is_no_index_tracks_nothing(tmp_path: Path) -> None:
    git_folder = tmp_path / ".git"
    git_folder.mkdir()
    assert not tracks(git_folder, "a")
    for data in (
        b"",
        b"DIRC",
        b"DIRC\0\0\0\4\0\0\xff\xff" + bytes(62),
        b"a/" * 99,
        os.urandom(999),
    ):
        (git_folder / "index").write_bytes(data)
        assert not tracks(git_folder, "a")
    (git_folder / "index").unlink()
    os.mkfifo(git_folder / "index")
    assert not tracks(git_folder, "a")
    assert not tracks(tmp_path / "none", "a")


def test_a_link_that_came_with_code_is_no_workspace_of_ours(tmp_path: Path, code: Path) -> None:
    (code / "data" / ".dsvc").symlink_to(tmp_path / "work" / ".dsvc")
    assert OURS.has(code / "data")
    git(code, "add", "-f", ".")
    assert not OURS.has(code / "data")
    assert OURS.has(tmp_path / "work")
