"""Wrong requests and bad luck: a sentence, a hint, the exit code; nothing lost, nothing left."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from datasets_vc.repository import Repository
from datasets_vc.workspace import Workspace
from tests.integration.conftest import Dsvc, Refused
from tests.integration.trees import AUTHOR, tree_of


@pytest.fixture
def work(home: Path) -> Path:
    """A workspace with one commit, pushed to `remote`; the current folder."""
    folder = home / "work"
    repository = Repository.init(folder)
    (folder / "a").write_text("one")
    repository.commit("one", author=AUTHOR)
    repository.remotes.add("origin", str(home / "remote"))
    repository.push()
    os.chdir(folder)
    return folder


def _commit(folder: Path, path: str, text: str) -> None:
    (folder / path).write_text(text)
    Repository.open(folder).commit(text, author=AUTHOR)


@pytest.fixture
def diverged(home: Path, work: Path) -> Path:
    """Another workspace has pushed what `work` does not know, and `work` has gone on, too."""
    Repository.clone(str(home / "remote"), home / "other")
    _commit(home / "other", "theirs", "theirs")
    Repository.open(home / "other").push()
    _commit(work, "ours", "ours")
    return work


def test_not_a_repository(refused: Refused) -> None:
    for words in (["status"], ["commit", "-m", "x"], ["log"], ["push"], ["show", "main"]):
        assert "dsvc init" in refused(10, *words)


def test_no_commit_yet(refused: Refused, home: Path) -> None:
    Repository.init(home)

    for words in (["log"], ["show"], ["tag", "v1"], ["ls"], ["diff", "HEAD", "HEAD"]):
        assert "no commit yet" in refused(1, *words)
    refused(2, "commit", "-m", "nothing")


def test_unknown_revisions(refused: Refused, work: Path) -> None:
    commit = Repository.open(work).resolve("HEAD").commit.hex()
    for revision in ("nope", "f" * 64, "f" * 9, "main~5", "HEAD^2", commit[:7]):
        assert revision.partition("~")[0].partition("^")[0] in refused(
            1, "show", revision, hint=revision not in ("main~5", "HEAD^2")
        )
    assert "at least 8 digits" in refused(1, "show", commit[:7])
    for words in (["checkout", "nope"], ["cat", "nope:a"], ["diff", "nope"], ["tag", "t", "nope"]):
        assert "'nope'" in refused(1, *words)
    refused(2, "show", "~1")


def test_an_ambiguous_prefix_names_what_it_fits(
    refused: Refused, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody finds two digests that share 8 digits in a test's time: let fewer do.
    monkeypatch.setattr("datasets_vc.history.revisions.MIN_PREFIX", 1)
    repository = Repository.open(work)
    for number in range(17):
        _commit(work, "a", str(number))
    commits = [info.digest.hex() for info in repository.log()]
    firsts = [commit[0] for commit in commits]
    prefix = next(first for first in firsts if firsts.count(first) > 1)

    message = refused(2, "show", prefix)

    fitting = [commit for commit in commits if commit[0] == prefix]
    assert "ambiguous" in message
    assert any(commit[:16] in message for commit in fitting)


def test_nothing_to_commit(refused: Refused, work: Path) -> None:
    before = Repository.open(work).head
    assert "Nothing changed" in refused(2, "commit", "-m", "x")
    (work / "b").write_text("b")
    assert "Nothing changed" in refused(2, "commit", "-m", "x", "a")
    assert "empty" in refused(2, "commit", "-m", " ")
    assert "'nope'" in refused(1, "commit", "-m", "x", "nope")
    assert Repository.open(work).head == before


def test_paths_outside(refused: Refused, work: Path) -> None:
    for words in (["status", ".."], ["commit", "-m", "x", "/etc"], ["restore", "../other"]):
        refused(2, *words, hint=False)


def test_names_that_are_not_utf8(dsvc: Dsvc, work: Path) -> None:
    (Path(os.fsdecode(os.fsencode(work) + b"/bad-\xff.jpg"))).write_bytes(b"")
    (work / "good").touch()

    for words in (["status"], ["commit", "-m", "x"]):
        outcome = dsvc(*words)
        assert outcome.code == 0
        assert b"Left out: bad-\\xff.jpg (its name is not valid UTF-8" in outcome.out
    assert Repository.open(work).status().clean
    (work / ".dsvcignore").write_text("bad-*\n")
    assert Repository.open(work).status().added == [".dsvcignore"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../remote", "a/../../remote", "loop/../.."])
def test_links_that_leave_the_workspace(refused: Refused, work: Path, target: str) -> None:
    (work / "loop").symlink_to(".")
    (work / "link").symlink_to(target)
    before = Repository.open(work).head

    message = refused(2, "commit", "-m", "x")

    assert "'link'" in message
    assert target in message
    assert Repository.open(work).head == before


def test_remotes_that_are_not_there(refused: Refused, dsvc: Dsvc, home: Path, work: Path) -> None:
    for verb in ("fetch", "pull", "push"):
        assert "'nope'" in refused(1, verb, "nope")
    assert "'nope'" in refused(1, "remote", "remove", "nope")
    assert "unknown" in refused(2, "remote", "add", "other", "foo://bar/x")
    assert "password" in refused(2, "remote", "add", "other", "s3://ada:secret@bucket/x")
    assert "already" in refused(1, "remote", "add", "origin", home / "third")
    assert not (home / "third").exists()
    dsvc("remote", "add", "empty", home / "empty")
    assert "no store" in refused(1, "pull", "empty")
    assert "no store" in refused(1, "fetch", "empty")
    clones = {home / "nope": 14, home / "empty": 1, work / "a": 2, "foo://bar/x": 2}
    for url, code in clones.items():
        refused(code, "clone", url, "new", hint=url != work / "a")
        assert not (work / "new").exists()


def test_a_remote_that_refuses(
    refused: Refused, home: Path, s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("datasets_vc.backends.wrappers.RetryPolicy.delay", lambda *_: 0.0)
    Repository.init(home / "work")

    message = refused(14, "-C", home / "work", "remote", "add", "origin", "s3://bucket/x")

    assert "s3://bucket/x" in message or f"127.0.0.1:{port}" in message
    refused(14, "clone", "s3://bucket/x", home / "new")
    assert not (home / "new").exists()
    assert Repository.open(home / "work").remotes.list() == {}


def test_a_bucket_that_does_not_exist(refused: Refused, home: Path, s3_environment: None) -> None:
    Repository.init(home / "work")

    code_and_words = refused(14, "-C", home / "work", "remote", "add", "origin", "s3://absent/x")

    assert "absent" in code_and_words


def test_diverged_branches(refused: Refused, diverged: Path) -> None:
    before = Repository.open(diverged).head
    files = tree_of(diverged)

    assert "'main'" in refused(12, "push")
    assert "'origin/main'" in refused(12, "pull", "--ff-only")
    assert "'origin/main'" in refused(12, "merge", "--ff-only", "origin/main")

    repository = Repository.open(diverged)
    assert (repository.head, tree_of(diverged)) == (before, files)
    assert repository.resolve("origin/main").commit != before.commit


def test_uncommitted_work_is_not_overwritten(
    refused: Refused, home: Path, work: Path, dsvc: Dsvc
) -> None:
    _commit(work, "a", "two")
    _commit(work, "b", "three")
    Repository.open(work).push()
    (work / "a").write_text("mine")
    before = tree_of(work)

    assert "'a'" in refused(12, "checkout", "main~2")
    assert "'a'" in refused(12, "checkout", "main~2", "a")
    assert tree_of(work) == before
    assert Repository.open(work).head.branch == "main"

    Repository.clone(str(home / "remote"), home / "other", revision="main~2")
    os.chdir(home / "other")
    assert dsvc("checkout", "-b", "main").code == 0
    (home / "other" / "b").write_text("untracked")
    before = tree_of(home / "other")
    assert "'b'" in refused(12, "pull")
    assert tree_of(home / "other") == before
    (home / "other" / "b").unlink()
    assert dsvc("pull").code == 0
    assert dsvc("checkout", "main~1", "--force").code == 0


def test_locked_workspace(refused: Refused, dsvc: Dsvc, work: Path) -> None:
    (work / "b").write_text("b")

    with Workspace(work).lock():
        for words in (["commit", "-m", "x"], ["checkout", "main"], ["restore", "a"], ["pull"]):
            assert "Another dsvc" in refused(11, *words)
        assert dsvc("status").code == 0
        assert dsvc("log").code == 0

    assert dsvc("commit", "-m", "x").code == 0


def test_store_of_a_newer_format(refused: Refused, work: Path) -> None:
    place = work / ".dsvc" / "store" / "root.json"
    root = json.loads(place.read_text())
    del root["check"]
    root["write_flags"] = []
    for change in ({"version": 2}, {"read_flags": ["holograms"]}, {"algorithm": "sha3"}):
        place.write_text(json.dumps(root | change))
        for words in (["status"], ["log"], ["commit", "-m", "x"], ["clone", place.parent, "new"]):
            message = refused(1, *words)
            assert "newer version" in message
        assert not (work / "new").exists()
    place.write_text(json.dumps(root | {"write_flags": ["holograms"]}))
    assert Repository.open(work).status().clean
    (work / "b").write_text("b")
    assert "holograms" in refused(1, "commit", "-m", "x")


def test_second_init_and_places_that_are_taken(refused: Refused, home: Path, work: Path) -> None:
    before = Repository.open(work).head
    assert "already" in refused(1, "init", hint=False)
    assert "not a folder" in refused(2, "init", "a")
    assert Repository.open(work).head == before
    assert "not empty" in refused(1, "clone", home / "remote", work)
    assert "not a folder" in refused(2, "clone", home / "remote", work / "a")


@pytest.mark.parametrize("existed", [False, True])
def test_clone_of_a_version_that_is_not_there_leaves_nothing(
    refused: Refused, home: Path, work: Path, existed: bool
) -> None:
    folder = home / "new"
    if existed:
        folder.mkdir()
    dataset = Repository.open(work).resolve("HEAD").dataset.hex()

    assert "'v9'" in refused(1, "clone", home / "remote", folder, "--rev", "v9")
    refused(2, "clone", home / "remote", folder, "--rev", dataset, hint=False)

    assert folder.exists() == existed
    assert not existed or not any(folder.iterdir())


def test_versions_without_their_data_here(
    refused: Refused, dsvc: Dsvc, home: Path, work: Path
) -> None:
    _commit(work, "a", "two")
    Repository.open(work).push()
    Repository.clone(str(home / "remote"), home / "other")
    os.chdir(home / "other")

    (home / "remote").rename(home / "away")
    assert "cannot be reached" in refused(16, "cat", "main~1:a")
    (home / "away").rename(home / "remote")
    assert dsvc("cat", "main~1:a").out == b"one"
    assert dsvc("fetch", "origin", "main~1").code == 0
    assert dsvc("checkout", "main~1").code == 0


def test_wrong_usage_as_a_process(process: Dsvc, home: Path) -> None:
    for words in (["frobnicate"], ["commit"], ["status", "--nope"], ["log", "-n", "zero"]):
        outcome = process(*words)
        assert outcome.code == 2
        assert outcome.err.startswith("error: ")
        assert "Traceback" not in outcome.err
    outcome = process("status", "--json")
    assert outcome.code == 10
    assert outcome.data["error"]["kind"] == "no_repository"


def test_a_clone_that_was_cut_short_says_how_to_go_on(
    refused: Refused, dsvc: Dsvc, home: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("datasets_vc.repository.exchange.fetch_needed", _interrupted)
        assert dsvc("clone", home / "remote", home / "new").code == 130

    again = ["clone", str(home / "remote"), str(home / "new")]

    message = refused(1, *again, "--no-checkout")

    assert f"Go on with it: dsvc {' '.join(again)}" in message
    assert dsvc(*again).code == 0
    assert tree_of(home / "new") == tree_of(work)


@pytest.mark.parametrize("revision", ["main~1", "HEAD^", "origin/main~1"])
def test_clone_of_an_earlier_version(home: Path, work: Path, revision: str) -> None:
    _commit(work, "a", "two")
    Repository.open(work).push()

    result = Repository.clone(str(home / "remote"), home / "new", revision=revision)

    assert result.commit == Repository.open(work).resolve("HEAD~1").commit
    assert result.branch is None
    assert (home / "new" / "a").read_text() == "one"


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt
