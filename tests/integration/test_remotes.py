"""Each kind of remote on the command line: added, pushed to, cloned from, refused."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets_vc import Access, Snapshot
from datasets_vc.config import RemoteConfig, read_config
from datasets_vc.repository import Repository
from tests.integration.conftest import Dsvc, Refused
from tests.integration.trees import AUTHOR, tree_of
from tests.servers.openssh import SshServer
from tests.servers.web import PlainHandler, RangeHandler, web


@pytest.fixture
def work(home: Path) -> Path:
    """A workspace with two commits; the current folder."""
    folder = home / "work"
    repository = Repository.init(folder)
    (folder / "a").write_text("one")
    (folder / "b").write_bytes(os.urandom(100_000))
    repository.commit("one", author=AUTHOR)
    (folder / "a").write_text("two")
    repository.commit("two", author=AUTHOR)
    os.chdir(folder)
    return folder


def _sftp(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("ssh_home").url(request.getfixturevalue("home") / "far")


@pytest.mark.parametrize("kind", ["s3_url", "gcs_url", "azure_url", "ssh_home"])
def test_push_and_clone(
    kind: str, request: pytest.FixtureRequest, work: Path, home: Path, dsvc: Dsvc
) -> None:
    url = _sftp(request) if kind == "ssh_home" else request.getfixturevalue(kind)
    how = ["--anonymous"] if kind == "gcs_url" else []
    added = dsvc("remote", "add", "origin", url, *how, "--json").data
    assert added["found"] == dict.fromkeys(
        ("reachable", "readable", "writable", "conditional_writes", "ranges"), True
    ) | {"made": False}
    assert dsvc("push").code == 0

    assert dsvc("clone", url, home / "new", *how).code == 0

    assert tree_of(home / "new") == tree_of(work)
    assert read_config(home / "new").remotes["origin"] == RemoteConfig(
        "origin", url, access=Access(anonymous=bool(how))
    )
    (home / "new" / "a").write_text("three")
    assert dsvc("-C", home / "new", "commit", "-m", "three").code == 0
    assert dsvc("-C", home / "new", "push").code == 0
    assert dsvc("pull").code == 0
    assert (work / "a").read_text() == "three"


def test_a_server_of_another_make_needs_a_promise(
    rclone_url: str, work: Path, home: Path, dsvc: Dsvc, refused: Refused
) -> None:
    assert "--single-writer" in refused(14, "remote", "add", "origin", rclone_url)
    assert dsvc("remote", "list", "--json").data == {"remotes": []}

    added = dsvc("remote", "add", "origin", rclone_url, "--single-writer")

    assert b"conditional writes no" in b" ".join(added.out.split())
    assert b"Only one machine may push there" in added.out
    assert dsvc("push").code == 0
    assert dsvc("clone", rclone_url, home / "new").code == 0
    assert tree_of(home / "new") == tree_of(work)


def test_sftp_without_commands_needs_a_promise(
    ssh_home: SshServer, work: Path, home: Path, dsvc: Dsvc, refused: Refused
) -> None:
    url = ssh_home.url(home / "far", commands=False)
    assert "--single-writer" in refused(14, "remote", "add", "origin", url)
    assert dsvc("remote", "add", "origin", url, "--single-writer").code == 0
    assert dsvc("push").code == 0
    (work / "a").write_text("three")
    assert dsvc("commit", "-m", "three").code == 0
    assert dsvc("push").code == 0
    assert dsvc("clone", url, home / "new").code == 0
    assert tree_of(home / "new") == tree_of(work)


@pytest.fixture(params=[RangeHandler, PlainHandler], ids=["ranges", "no ranges"])
def site(request: pytest.FixtureRequest, work: Path, home: Path) -> Iterator[str]:
    """A store that a web server shows."""
    repository = Repository.open(work)
    (home / "www").mkdir()
    repository.remotes.add("disk", str(home / "www" / "signs"))
    repository.push("disk")
    with web(home / "www", request.param) as url:
        yield f"{url}/signs"


def test_a_web_server_is_for_reading(
    site: str, work: Path, home: Path, dsvc: Dsvc, refused: Refused, request: pytest.FixtureRequest
) -> None:
    assert dsvc("clone", site, home / "new").code == 0
    assert tree_of(home / "new") == tree_of(work)
    added = dsvc("remote", "add", "web", site)
    assert added.code == 0
    assert b"Nothing can be pushed there" in added.out
    slow = "no ranges" in request.node.callspec.id
    assert (b"Objects come only whole" in added.out) == slow
    assert dsvc("fetch", "web").code == 0
    assert "can only be read" in refused(14, "push", "web")
    (work / "a").write_text("three")
    assert dsvc("commit", "-m", "three").code == 0
    assert dsvc("push", "disk").code == 0
    assert dsvc("-C", home / "new", "pull").code == 0
    assert (home / "new" / "a").read_text() == "three"
    assert bytes(Snapshot.open(site).read("a")) == b"three"


def test_a_web_server_without_a_store(home: Path, work: Path, refused: Refused) -> None:
    (home / "www").mkdir()
    with web(home / "www") as url:
        assert "no store" in refused(1, "remote", "add", "web", f"{url}/signs")
        assert "no store" in refused(1, "clone", f"{url}/signs", str(home / "new"))
    assert not (home / "new").exists()


@pytest.mark.usefixtures("s3_environment")
def test_endpoint_and_region_are_for_one_remote(
    s3_url: str,
    s3_endpoint: str,
    work: Path,
    home: Path,
    dsvc: Dsvc,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    how = ["--endpoint", s3_endpoint, "--region", "eu-central-1"]
    assert dsvc("remote", "add", "origin", s3_url, *how).code == 0
    assert dsvc("push").code == 0
    assert dsvc("clone", s3_url, home / "new", *how).code == 0
    assert tree_of(home / "new") == tree_of(work)
    assert dsvc("-C", home / "new", "pull").code == 0
    access = Access(s3_endpoint, "eu-central-1")
    assert bytes(Snapshot.open(s3_url, access=access).read("a")) == b"two"
    listed = dsvc("remote", "list", "--json").data["remotes"]
    assert listed == [
        {
            "name": "origin",
            "url": s3_url,
            "single_writer": False,
            "endpoint": s3_endpoint,
            "region": "eu-central-1",
            "profile": None,
            "anonymous": False,
        }
    ]
    assert (
        f"endpoint {s3_endpoint}, region eu-central-1".encode() in dsvc("remote", "list", "-v").out
    )


def test_what_means_nothing_is_refused_before_anything_is_made(
    home: Path, work: Path, refused: Refused
) -> None:
    user = getpass.getuser()
    words = ["clone", f"sftp://{user}@127.0.0.1:1/x", str(home / "new"), "--region", "eu"]
    assert "means nothing" in refused(2, *words)
    assert "is a folder" in refused(2, "remote", "add", "x", str(home / "x"), "--anonymous")
    assert not (home / "new").exists()


def test_a_library_that_talks_does_not_talk_here(
    work: Path, process: Dsvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure's would write a page about every place where it looked for credentials."""
    pytest.importorskip("adlfs")
    for name in ("CONNECTION_STRING", "ACCOUNT_KEY", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "nobody")
    said = process("remote", "add", "origin", "az://box/x")
    assert said.code == 14
    error, hint = said.err.splitlines()
    assert error == "error: 'az://box/x' needs credentials, and none were found."
    assert hint.startswith("hint: ")
