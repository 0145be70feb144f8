"""A lock file of a stranger's code leads nowhere that its user did not name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from datasets_vc import Snapshot
from datasets_vc.cli.main import main
from datasets_vc.config import read_head
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.lock import Lock, decode_lock, encode_lock
from datasets_vc.history.confined import address_of, place_of
from datasets_vc.repository import Pin, claims, following
from tests.fault.hostile import HostileStore


class Stranger:
    """Code somebody offers, with a lock file that pins a store of theirs."""

    def __init__(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.code = home / "src" / "code"
        self.code.mkdir(parents=True)
        self.capfd = capfd
        store = HostileStore(home.parent / "evil")
        self.dataset = store.leaf(store.entries({"authorized_keys": b"mine now\n"}))
        self.commit = store.commit(self.dataset)
        self.url = store.publish(self.commit)

    def lock(self, path: str | None, url: str | None = None, place: str = "dataset.lock") -> Path:
        file = self.code / place
        file.parent.mkdir(exist_ok=True, parents=True)
        lock = Lock(url or self.url, self.commit, self.dataset, path=path)
        file.write_bytes(encode_lock(lock))
        return file

    def dsvc(self, *words: str | Path, code: int | None = None) -> str:
        self.capfd.readouterr()
        ended = main(["-C", str(self.code), *map(str, words)])
        out, err = self.capfd.readouterr()
        assert "internal error" not in err
        assert code is None or ended == code, (ended, err)
        return out + err

    def refused(self, *words: str) -> str:
        """What is said of it; nothing but what was there is there afterwards."""
        before = _everything(self.home)
        told = self.dsvc(*words, code=2)
        assert _everything(self.home) == before
        return told


def _everything(top: Path) -> list[tuple[str, bytes | str]]:
    found: list[tuple[str, bytes | str]] = []
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                found.append((str(path), str(path.readlink())))
            else:
                found.append((str(path), path.read_bytes() if path.is_file() else "folder"))
    return sorted(found, key=lambda each: each[0])


@pytest.fixture
def stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Stranger:
    monkeypatch.setenv("DSVC_AUTHOR", "Ada <ada@example.org>")
    monkeypatch.chdir(tmp_path)
    return Stranger(tmp_path / "home", capfd)


@pytest.fixture
def mine(stranger: Stranger) -> Path:
    """A workspace of the user's own, elsewhere."""
    folder = stranger.home / "mine"
    stranger.dsvc("init", folder, code=0)
    (folder / "a.txt").write_text("mine")
    stranger.dsvc("-C", folder, "commit", "-m", "mine", code=0)
    return folder


OUT = ["../../.ssh", "..", "../code2", "a/../../x", "data/../../../.ssh", "./../x"]
RESERVED = [".git", ".git/hooks", ".GIT/hooks", "sub/.git", ".dsvc", "x/.DSVC/y", "git~1", ".git "]


@pytest.mark.parametrize("path", OUT)
@pytest.mark.parametrize("git", [False, True])
def test_its_path_stays_where_it_lies(stranger: Stranger, path: str, git: bool) -> None:
    if git:
        (stranger.code / ".git").mkdir()
    lock = stranger.lock(path)
    told = stranger.refused("clone", "--from", "dataset.lock")
    assert "lies outside" in told
    assert f"dsvc clone --from {lock} DIR" in told
    stranger.refused("pull", "--lock")
    stranger.refused("status", "--lock")
    with pytest.raises(InvalidInputError, match="outside"):
        Snapshot.open(lock)


@pytest.mark.parametrize("path", RESERVED)
def test_its_path_is_no_folder_of_git_or_ours(stranger: Stranger, path: str) -> None:
    (stranger.code / ".git").mkdir()
    stranger.lock(path)
    stranger.refused("clone", "--from", "dataset.lock")


@pytest.mark.parametrize("git", [False, True])
@pytest.mark.parametrize("path", ["data", "data/x", "data/x/y"])
@pytest.mark.parametrize("there", [False, True])
def test_its_path_goes_through_no_link(
    stranger: Stranger, path: str, git: bool, there: bool
) -> None:
    if git:
        (stranger.code / ".git").mkdir()
    if there:
        (stranger.home / ".config" / "autostart").mkdir(parents=True)
    (stranger.code / "data").symlink_to("../../.config/autostart")
    stranger.lock(path)
    assert "which is a link" in stranger.refused("clone", "--from", "dataset.lock")
    stranger.refused("status", "--lock")


@pytest.mark.parametrize("inside", ["sub", "sub/data", "sub/a/b"])
def test_its_path_is_in_no_other_work_tree(stranger: Stranger, inside: str) -> None:
    (stranger.code / ".git").mkdir()
    (stranger.code / "sub").mkdir()
    (stranger.code / "sub" / ".git").write_text("gitdir: ../.git/modules/sub\n")
    stranger.lock(inside)
    assert "another git work tree" in stranger.refused("clone", "--from", "dataset.lock")


def test_its_path_is_in_no_other_workspace(stranger: Stranger) -> None:
    (stranger.code / ".git").mkdir()
    stranger.dsvc("init", stranger.code / "own", code=0)
    stranger.lock("own/data")
    assert "another workspace" in stranger.refused("clone", "--from", "dataset.lock")


def test_up_within_the_work_tree_is_fine(stranger: Stranger) -> None:
    (stranger.code / ".git").mkdir()
    stranger.lock("../data", place="configs/dataset.lock")
    stranger.dsvc("clone", "--from", "configs/dataset.lock", code=0)
    assert (stranger.code / "data" / "authorized_keys").is_file()


def test_without_a_path_the_folder_is_called_as_the_store(stranger: Stranger) -> None:
    for url in ("s3://bucket/..", "s3://bucket/.", f"{stranger.url}/."):
        file = stranger.lock(None, url=url)
        assert Pin.place_for(file) == file.parent / "data"
    stranger.lock(None, url="s3://bucket/.git")
    stranger.refused("clone", "--from", "dataset.lock")


def test_a_place_that_its_user_names_is_not_questioned(stranger: Stranger) -> None:
    lock = stranger.lock("../../.ssh")
    stranger.dsvc("clone", "--from", lock, stranger.home / "there", code=0)
    assert (stranger.home / "there" / "authorized_keys").is_file()


def test_a_link_that_comes_meanwhile(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    (stranger.home / ".ssh").mkdir()
    stranger.lock("data")
    lay_out = claims.Claim.lay_out

    def swapped(claim: claims.Claim, *given: Any) -> object:
        made = lay_out(claim, *given)
        claim.folder.rename(claim.folder.with_name("aside"))
        claim.folder.symlink_to(stranger.home / ".ssh")
        return made

    monkeypatch.setattr(claims.Claim, "lay_out", swapped)
    stranger.dsvc("clone", "--from", "dataset.lock", code=2)
    assert list((stranger.home / ".ssh").iterdir()) == []


def test_a_link_that_comes_before_files_are_written(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stranger.code / ".git").mkdir()
    stranger.lock("data")
    stranger.dsvc("clone", "--from", "dataset.lock", "--no-checkout", code=0)
    folder = stranger.code / "data"
    bring = following.ensure

    def swapped(*given: object) -> object:
        moved = bring(*given)  # type: ignore[arg-type]
        folder.rename(stranger.home / ".ssh")
        folder.symlink_to(stranger.home / ".ssh")
        return moved

    monkeypatch.setattr(following, "ensure", swapped)
    assert "which is a link" in stranger.dsvc("pull", "--lock", code=2)
    assert not (stranger.home / ".ssh" / "authorized_keys").exists()


@pytest.mark.parametrize("verb", ["pull", "status"])
def test_another_workspace_is_not_moved(stranger: Stranger, mine: Path, verb: str) -> None:
    """By a path, by a link to it, or by a link to its `.dsvc`."""
    stranger.lock("../../mine")
    stranger.refused(verb, "--lock")
    (stranger.code / "data").symlink_to(mine)
    stranger.lock("data")
    stranger.refused(verb, "--lock")
    (stranger.code / "data").unlink()
    (stranger.code / "data").mkdir()
    (stranger.code / "data" / ".dsvc").symlink_to(mine / ".dsvc")
    stranger.refused(verb, "--lock")
    with pytest.raises(InvalidInputError, match="is a link"):
        Snapshot.open(stranger.code / "dataset.lock")


def test_the_lock_of_another_workspace_is_not_followed(stranger: Stranger) -> None:
    (stranger.code / ".git").mkdir()
    lock = stranger.lock("data")
    stranger.dsvc("clone", "--from", "dataset.lock", code=0)
    stranger.dsvc("clone", stranger.url, stranger.code / "more", code=0)
    for words in (("pull", "--lock"), ("status", "--lock"), ("pull", "--lock", str(lock))):
        told = stranger.refused("-C", str(stranger.code / "more"), *words)
        assert "of another workspace" in told
        assert stranger.commit.hex() in told


@pytest.fixture
def carrier(stranger: Stranger) -> Path:
    """A clone of a dataset whose newest version has a lock file that pins an older one."""
    store = HostileStore(stranger.home.parent / "carrier")
    old = store.leaf(store.entries({"z": b"other\n"}))
    first = store.commit(old, message="other")
    pin = encode_lock(Lock(str(store.folder), first, old))
    files = {"a.txt": b"a", "dataset.lock": pin, ".dsvcignore": b"dataset.lock\n"}
    last = store.commit(store.leaf(store.entries(files)), [first])
    clone = stranger.code / "clone"
    stranger.dsvc("clone", store.publish(last), clone, code=0)
    return clone


@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("git", [False, True])
def test_a_lock_of_the_dataset_says_nothing_of_its_workspace(
    stranger: Stranger, carrier: Path, ignored: bool, git: bool
) -> None:
    if git:
        (carrier / ".git").mkdir()
    if not ignored:
        (carrier / ".dsvcignore").unlink()
    head = read_head(carrier)
    for words in (("pull", "--lock"), ("status", "--lock"), ("pull", "--lock", "dataset.lock")):
        told = stranger.refused("-C", str(carrier), *words)
        assert "is a file of the dataset" in told
    pinned = decode_lock((carrier / "dataset.lock").read_bytes(), "it").commit
    assert f"dsvc checkout {pinned.hex()}" in told
    stranger.refused("-C", str(carrier), "train", "cnn", "--data", "dataset.lock")
    assert read_head(carrier) == head


def test_a_lock_of_the_dataset_hides_none_of_the_code(stranger: Stranger, carrier: Path) -> None:
    (stranger.code / ".git").mkdir()
    stranger.dsvc("-C", carrier, "pin", "-o", stranger.code / "dataset.lock", code=0)
    told = stranger.dsvc("-C", carrier, "status", "--lock", "--json")
    assert json.loads(told)["lock"]["file"] == str(stranger.code / "dataset.lock")
    assert json.loads(told)["relation"] == "same"


@pytest.mark.parametrize(
    "url",
    [
        "../../mine/.dsvc/store",
        "link",
        "//host/share",
        "\\\\host\\share",
        "file://host/share",
        "simplecache::s3://bucket/x",
        "reference://x/y",
        "github://repo@main/x",
        "sftp://-oProxyCommand=x/y",
        "sftp://user@-x/y",
        "sftp://$(id)/x",
        "ssh://a;b/c",
    ],
)
def test_its_address_is_one_that_people_use(stranger: Stranger, mine: Path, url: str) -> None:
    (stranger.code / "link").symlink_to(mine / ".dsvc" / "store")
    lock = stranger.lock("data", url=url)
    stranger.refused("clone", "--from", "dataset.lock")
    with pytest.raises(InvalidInputError):
        Snapshot.open(lock)


@pytest.mark.parametrize(
    "url", ["s3://bucket/x", "sftp://ada@host:22/x", "https://[::1]:80/x", "abfs://c@a.b.net/x"]
)
def test_usual_addresses_are_fine(stranger: Stranger, url: str) -> None:
    lock = stranger.lock("data", url=url)
    assert address_of(lock, decode_lock(lock.read_bytes(), "it")) == url


def test_a_store_that_is_no_remote_is_told(stranger: Stranger) -> None:
    (stranger.code / ".git").mkdir()
    stranger.lock("data")
    stranger.dsvc("clone", "--from", "dataset.lock", code=0)
    assert "no remote here" not in stranger.dsvc("status", "--lock", code=0)
    stranger.lock("data", url="s3://bucket/x")
    assert "s3://bucket/x, is no remote here" in stranger.dsvc("status", "--lock", code=0)


@pytest.mark.parametrize("verb", ["clone", "init"])
def test_git_is_told_through_no_link(stranger: Stranger, verb: str) -> None:
    """A `.gitignore` of a stranger's code may lead to a file that a shell reads."""
    (stranger.code / ".git").mkdir()
    profile = stranger.home / ".bashrc"
    profile.write_text("true\n")
    (stranger.code / ".gitignore").symlink_to("../../.bashrc")
    name = "$(touch x)"
    stranger.lock(name)
    words = ("clone", "--from", "dataset.lock") if verb == "clone" else ("init", name)
    stranger.dsvc(*words, code=0)
    assert (stranger.code / name / ".dsvc").is_dir()
    assert profile.read_text() == "true\n"


def test_places_are_judged_as_they_are(tmp_path: Path) -> None:
    """Whoever comes through a link of his own is where it leads."""
    top = tmp_path / "project"
    (top / ".git").mkdir(parents=True)
    (top / "deep").mkdir()
    (tmp_path / "short").symlink_to(top / "deep")
    assert place_of(tmp_path / "short" / "dataset.lock", "../data") == top / "data"
    for path in ("x" * 300, "x/" * 3000 + "x"):
        with pytest.raises(InvalidInputError):
            place_of(top / "dataset.lock", path)
