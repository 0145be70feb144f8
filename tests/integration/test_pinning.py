"""A dataset pinned from a code repository: pin, clone --from, status --lock, pull --lock."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datasets_vc import Snapshot
from datasets_vc.backends import open_backend
from datasets_vc.config import read_head
from datasets_vc.digest import digest_of
from datasets_vc.errors import (
    IntegrityError,
    InvalidInputError,
    NotFoundError,
)
from datasets_vc.format.lock import Lock, decode_lock, encode_lock
from datasets_vc.store import Store
from tests.integration.conftest import Dsvc, Refused
from tests.integration.trees import tree_of

Data = Callable[..., Any]


@pytest.fixture
def data(dsvc: Dsvc) -> Data:
    """`data("status")`: what it says as JSON; it must not fail."""

    def run(*arguments: str | Path) -> Any:
        outcome = dsvc(*arguments, "--json")
        assert (outcome.code, outcome.err) == (0, ""), outcome
        return outcome.data

    return run


@pytest.fixture
def project(home: Path, data: Data) -> Path:
    """Code with data beside it, two versions pushed: v1 and the tip of main."""
    project = home / "project"
    (project / ".git").mkdir(parents=True)
    data("init", project / "data")
    for number, text in enumerate(("one", "two"), 1):
        (project / "data" / f"{text}.txt").write_text(text)
        data("-C", project / "data", "commit", "-m", text)
        data("-C", project / "data", "tag", f"v{number}")
    data("-C", project / "data", "remote", "add", "origin", home / "remote")
    data("-C", project / "data", "push")
    return project


def _lock(folder: Path) -> Lock:
    return decode_lock((folder / "dataset.lock").read_bytes(), "it")


def _checked_out(source: Path, target: Path) -> Path:
    """A second checkout of the code: what git would bring, without the data."""
    (target / ".git").mkdir(parents=True)
    for name in (".gitignore", "dataset.lock"):
        shutil.copy(source / name, target / name)
    return target


def test_what_a_pin_writes(project: Path, home: Path, data: Data) -> None:
    made = data("-C", project / "data", "pin", "v1")
    shown = data("-C", project / "data", "show", "v1")
    lock = _lock(project)
    assert lock.commit.hex() == made["commit"] == shown["commit"]
    assert lock.dataset.hex() == made["dataset"] == shown["dataset"]
    assert (lock.url, lock.path, lock.revision) == (str(home / "remote"), "data", "v1")
    assert made["file"] == str(project / "dataset.lock")
    assert (made["changed"], made["previous"]) == (True, None)


def test_pinning_again_says_from_what_to_what(project: Path, dsvc: Dsvc, data: Data) -> None:
    first = data("-C", project / "data", "pin", "v1")
    before = (project / "dataset.lock").read_bytes()
    assert data("-C", project / "data", "pin", "v1")["changed"] is False
    assert (project / "dataset.lock").read_bytes() == before
    # From the code's folder it is the workspace of the lock file.
    words = dsvc("-C", project, "pin")
    second = _lock(project)
    assert second.commit.hex() != first["commit"]
    assert second.revision == "main"
    old, new = first["commit"][:12], second.commit.hex()[:12]
    assert words.out.decode().startswith(f"dataset.lock: v1 ({old}) -> main ({new})\n")
    again = data("-C", project, "pin", "v2")
    assert (again["changed"], again["previous"]["revision"]) == (True, "main")


@pytest.mark.parametrize(
    ("revision", "name"),
    [("HEAD", "main"), ("HEAD~1", None), ("v1", "v1"), ("main~1", "main~1"), ("digest", None)],
)
def test_a_pin_keeps_the_name_that_people_know(
    project: Path, data: Data, revision: str, name: str | None
) -> None:
    if revision == "digest":
        revision = data("-C", project / "data", "show", "v1")["commit"][:12]
    assert data("-C", project / "data", "pin", revision)["revision"] == name


def test_another_checkout_of_the_code_gets_the_same_data(
    project: Path, home: Path, dsvc: Dsvc, data: Data
) -> None:
    data("-C", project / "data", "pin", "v1")
    other = _checked_out(project, home / "other")
    nothing_yet = dsvc("-C", other, "status", "--lock")
    assert nothing_yet.code == 10
    assert f"dsvc clone --from {other / 'dataset.lock'}" in nothing_yet.err
    cloned = data("-C", other, "clone", "--from", "dataset.lock")
    assert cloned["workspace"] == str(other / "data")
    assert cloned["dataset"] == _lock(project).dataset.hex()
    assert cloned["bytes_received"] > 0
    assert list(tree_of(other / "data")) == ["one.txt"]
    # The default branch has it, so that work can go on from there.
    assert cloned["branch"] == "main"
    assert data("-C", other, "status", "--lock")["relation"] == "same"
    assert data("-C", other / "data", "pull")["branch"] == "main"
    assert tree_of(other / "data") == tree_of(project / "data")


def test_a_lock_names_a_bucket_as_well_as_a_folder(
    project: Path, home: Path, data: Data, s3_url: str
) -> None:
    data("-C", project / "data", "remote", "add", "bucket", s3_url)
    data("-C", project / "data", "push", "bucket")
    data("-C", project / "data", "pin", "--remote", "bucket")
    assert _lock(project).url == s3_url
    other = _checked_out(project, home / "other")
    snapshot = Snapshot.open(other / "dataset.lock")
    assert (snapshot.url, bytes(snapshot.read("two.txt"))) == (s3_url, b"two")
    data("-C", other, "clone", "--from", "dataset.lock")
    assert tree_of(other / "data") == tree_of(project / "data")


def test_a_training_machine_follows_without_files(project: Path, home: Path, data: Data) -> None:
    data("-C", project / "data", "pin", "v1")
    other = _checked_out(project, home / "other")
    data("-C", other, "clone", "--from", "dataset.lock", "--no-checkout")
    data("-C", project / "data", "pin", "v2")
    shutil.copy(project / "dataset.lock", other)
    data("-C", other, "pull", "--lock")
    assert data("-C", other, "status", "--lock")["matches"] is True
    assert tree_of(other / "data") == {}
    assert bytes(Snapshot.open(other / "dataset.lock").read("two.txt")) == b"two"


def test_a_lock_that_moves_is_followed_there_and_back(
    project: Path, home: Path, dsvc: Dsvc, data: Data
) -> None:
    locks = {}
    for revision in ("v2", "v1"):
        data("-C", project / "data", "pin", revision)
        locks[revision] = (project / "dataset.lock").read_bytes()
    other = _checked_out(project, home / "other")
    inside = other / "data"
    data("-C", other, "clone", "--from", "dataset.lock")
    # Forward our branch comes along; back it stays where it is, and finds its way again.
    for revision, branch, files in (
        ("v2", "main", ["one.txt", "two.txt"]),
        ("v1", None, ["one.txt"]),
        ("v2", "main", ["one.txt", "two.txt"]),
    ):
        (other / "dataset.lock").write_bytes(locks[revision])
        assert dsvc("-C", inside, "status", "--lock").code == 1
        assert data("-C", inside, "pull", "--lock")["branch"] == branch
        assert sorted(tree_of(inside)) == files
        assert data("-C", inside, "status", "--lock")["matches"] is True
    assert data("-C", inside, "pull", "--lock", "../dataset.lock")["branch"] == "main"


def test_a_branch_gets_no_commits_of_another_one(project: Path, home: Path, data: Data) -> None:
    work = project / "data"
    data("-C", work, "pin", "v2")
    other = _checked_out(project, home / "other")
    data("-C", other, "clone", "--from", "dataset.lock")
    data("-C", work, "checkout", "-b", "experiment")
    (work / "three.txt").write_text("three")
    data("-C", work, "commit", "-m", "three")
    data("-C", work, "push")
    data("-C", work, "pin")
    shutil.copy(project / "dataset.lock", other)
    pulled = data("-C", other, "pull", "--lock")
    assert pulled["branch"] is None
    assert pulled["commit"] == _lock(project).commit.hex()
    assert read_head(other / "data").branch is None
    branches = data("-C", other / "data", "branch")["branches"]
    (main,) = [each for each in branches if each["name"] == "main"]
    assert main["commit"] == data("-C", work, "show", "v2")["commit"]


def test_status_tells_how_the_workspace_and_the_lock_differ(
    project: Path, home: Path, dsvc: Dsvc, data: Data
) -> None:
    work = project / "data"

    def told() -> tuple[int, str, bool]:
        outcome = dsvc("-C", work, "status", "--lock", "--json")
        assert outcome.data["lock"]["commit"] == _lock(project).commit.hex()
        return outcome.code, outcome.data["relation"], outcome.data["matches"]

    data("-C", work, "pin")
    assert told() == (0, "same", True)
    (work / "more.txt").write_text("more")
    assert told() == (1, "same", False)
    words = dsvc("-C", work, "status", "--lock").out.decode()
    assert "added:    more.txt" in words
    assert "uncommitted changes" in words
    data("-C", work, "commit", "-m", "more")
    assert told() == (1, "ahead", False)
    data("-C", work, "checkout", "v1")
    assert told() == (1, "behind", False)
    data("-C", work, "checkout", "-b", "aside")
    (work / "aside.txt").write_text("aside")
    data("-C", work, "commit", "-m", "aside")
    assert told() == (1, "diverged", False)
    # Other commits, the same files: that is what counts.
    (work / "two.txt").write_text("two")
    (work / "aside.txt").unlink()
    data("-C", work, "commit", "-m", "the same again")
    assert told() == (0, "diverged", True)


def test_a_version_that_is_not_here_yet(project: Path, home: Path, dsvc: Dsvc, data: Data) -> None:
    data("-C", project / "data", "pin", "v1")
    other = _checked_out(project, home / "other")
    data("-C", other, "clone", "--from", "dataset.lock")
    (project / "data" / "new.txt").write_text("new")
    data("-C", project / "data", "commit", "-m", "new")
    data("-C", project / "data", "push")
    data("-C", project / "data", "pin")
    shutil.copy(project / "dataset.lock", other)
    status = dsvc("-C", other, "status", "--lock", "--json")
    assert (status.code, status.data["relation"]) == (1, "unknown")
    assert data("-C", other, "pull", "--lock")["branch"] == "main"
    assert tree_of(other / "data") == tree_of(project / "data")


def test_uncommitted_changes_are_not_overwritten(
    project: Path, home: Path, data: Data, refused: Refused
) -> None:
    data("-C", project / "data", "pin", "v1")
    (project / "data" / "two.txt").write_text("in the way")
    refused(12, "-C", project, "pull", "--lock")
    assert (project / "data" / "two.txt").read_text() == "in the way"
    assert read_head(project / "data").branch == "main"


def test_only_what_others_can_get_is_pinned(project: Path, data: Data, refused: Refused) -> None:
    work = project / "data"
    (work / "three.txt").write_text("three")
    made = data("-C", work, "commit", "-m", "three")
    assert "dsvc push origin" in refused(2, "-C", work, "pin")
    assert not (project / "dataset.lock").exists()
    assert "dsvc remote add disk" in refused(1, "-C", work, "pin", "--remote", "disk")
    assert data("-C", work, "pin", "--force")["commit"] == made["commit"]
    data("-C", work, "push")
    assert data("-C", work, "pin")["changed"] is False


def test_a_dataset_alone_cannot_be_pinned(project: Path, data: Data, refused: Refused) -> None:
    dataset = data("-C", project / "data", "show")["dataset"]
    assert "a commit is needed" in refused(2, "-C", project / "data", "pin", dataset, hint=False)


def test_a_lock_is_never_part_of_the_dataset_that_it_pins(
    home: Path, data: Data, refused: Refused
) -> None:
    # Code and data in one folder: git's top is the workspace.
    (home / "both" / ".git").mkdir(parents=True)
    work = home / "both"
    data("init", work)
    (work / "a.txt").write_text("a")
    data("-C", work, "commit", "-m", "a")
    data("-C", work, "remote", "add", "origin", home / "remote")
    data("-C", work, "push")
    assert "'/dataset.lock' in .dsvcignore" in refused(2, "-C", work, "pin")
    refused(2, "-C", work, "pin", "-o", "deep/my.lock")
    refused(2, "-C", work, "pin", "-o", ".dsvc/my.lock")
    (work / ".dsvcignore").write_text("*.lock\n")
    data("-C", work, "commit", "-m", "leave it out")
    data("-C", work, "push")
    data("-C", work, "pin")
    assert _lock(work).path == "."
    assert data("-C", work, "status", "--lock")["matches"] is True
    assert Snapshot.open(work / "dataset.lock").url == str(work / ".dsvc" / "store")


def test_two_datasets_do_not_overwrite_the_locks_of_each_other(
    project: Path, home: Path, data: Data, refused: Refused
) -> None:
    data("-C", project / "data", "pin")
    data("-C", project, "clone", home / "remote", project / "more")
    assert "another workspace" in refused(1, "-C", project / "more", "pin")
    data("-C", project / "more", "pin", "-o", "../more.lock")
    assert _lock(project).path == "data"
    assert data("-C", project / "more", "status", "--lock", "../more.lock")["matches"] is True


def test_a_file_that_is_no_lock_is_not_overwritten(
    project: Path, data: Data, refused: Refused
) -> None:
    (project / "dataset.lock").write_text("mine\n")
    assert str(project / "dataset.lock") in refused(2, "-C", project / "data", "pin")
    refused(2, "-C", project / "data", "pin", "-o", project)
    refused(1, "-C", project / "data", "pin", "-o", project / "no" / "folder.lock")
    assert (project / "dataset.lock").read_text() == "mine\n"
    data("-C", project / "data", "pin", "--force")
    assert _lock(project).revision == "main"


def test_what_moves_along_is_named_relative_to_the_lock(home: Path, data: Data) -> None:
    project = home / "project"
    (project / ".git").mkdir(parents=True)
    (project / "configs").mkdir()
    data("init", project / "data")
    (project / "data" / "a.txt").write_text("a")
    data("-C", project / "data", "commit", "-m", "a")
    data("-C", project / "data", "remote", "add", "origin", project / "store")
    data("-C", project / "data", "push")
    data("-C", project / "data", "pin", "-o", "../configs/dataset.lock")
    lock = _lock(project / "configs")
    assert (lock.url, lock.path) == ("../store", "../data")
    moved = home / "moved"
    project.rename(moved)
    assert data("-C", moved / "configs", "status", "--lock")["matches"] is True
    shutil.rmtree(moved / "data")
    assert len(Snapshot.open(moved / "configs" / "dataset.lock")) == 1
    data("-C", moved / "configs", "clone", "--from", "dataset.lock")
    assert list(tree_of(moved / "data")) == ["a.txt"]


def test_a_lock_with_a_foreign_dataset_is_corrupt(
    project: Path, home: Path, data: Data, refused: Refused
) -> None:
    data("-C", project / "data", "pin", "v1")
    other = _checked_out(project, home / "other")
    lock = _lock(project)
    false = Lock(lock.url, lock.commit, digest_of(b"another"), lock.revision, lock.path)
    for folder in (project, other):
        (folder / "dataset.lock").write_bytes(encode_lock(false))
    refused(13, "-C", other, "clone", "--from", "dataset.lock")
    assert not (other / "data").exists()
    refused(13, "-C", project, "pull", "--lock")
    for folder in (project, other):
        with pytest.raises(IntegrityError, match=r"dataset\.lock' pins dataset"):
            Snapshot.open(folder / "dataset.lock")


def test_a_commit_that_no_remote_has(
    project: Path, home: Path, data: Data, refused: Refused
) -> None:
    data("-C", project / "data", "pin", "v1")
    other = _checked_out(project, home / "other")
    lock = _lock(project)
    unknown = Lock(lock.url, digest_of(b"no commit"), lock.dataset, path="data")
    (other / "dataset.lock").write_bytes(encode_lock(unknown))
    assert "dsvc push" in refused(1, "-C", other, "clone", "--from", "dataset.lock")
    with pytest.raises(NotFoundError, match="There is no commit"):
        Snapshot.open(other / "dataset.lock")
    (project / "dataset.lock").write_bytes(encode_lock(unknown))
    refused(1, "-C", project, "pull", "--lock")
    elsewhere = Lock("s3://bucket/signs", unknown.commit, lock.dataset, path="data")
    (project / "dataset.lock").write_bytes(encode_lock(elsewhere))
    assert "remote add NAME s3://bucket/signs" in refused(1, "-C", project, "pull", "--lock")


def test_a_pinned_commit_that_no_branch_leads_to_is_still_followed(
    project: Path, home: Path, data: Data
) -> None:
    work = project / "data"
    data("-C", work, "checkout", "-b", "gone")
    (work / "gone.txt").write_text("gone")
    data("-C", work, "commit", "-m", "gone")
    data("-C", work, "push")
    data("-C", work, "pin")
    other = _checked_out(project, home / "other")
    Store.open(open_backend(str(home / "remote"))).swap_root(
        lambda root: replace(root, branches={"main": root.branches["main"]})
    )
    assert data("-C", other, "clone", "--from", "dataset.lock")["branch"] is None
    assert "gone.txt" in tree_of(other / "data")


def test_a_snapshot_prefers_the_workspace_if_that_has_all_of_it(
    project: Path, home: Path, data: Data
) -> None:
    data("-C", project / "data", "pin", "v1")
    lock = project / "dataset.lock"
    local = str(project / "data" / ".dsvc" / "store")
    found = Snapshot.open(lock)
    assert (found.url, found.digest, found.commit) == (
        local,
        _lock(project).dataset.hex(),
        _lock(project).commit.hex(),
    )
    assert Snapshot.open(str(lock)).url == local
    # History alone is no dataset: a clone of another version has it, but not the files.
    other = _checked_out(project, home / "other")
    data("clone", home / "remote", other / "data", "--no-checkout")
    (project / "data" / "one.txt").write_text("changed")
    data("-C", project / "data", "commit", "-m", "changed")
    data("-C", project / "data", "push")
    data("-C", project / "data", "pin")
    shutil.copy(lock, other)
    assert Snapshot.open(other / "dataset.lock").url == str(home / "remote")
    assert bytes(Snapshot.open(other / "dataset.lock").read("one.txt")) == b"changed"
    shutil.rmtree(other / "data" / ".dsvc" / "store")
    assert bytes(Snapshot.open(other / "dataset.lock").read("one.txt")) == b"changed"


def test_a_snapshot_of_a_lock_has_one_version(project: Path, data: Data) -> None:
    data("-C", project / "data", "pin", "v1")
    with pytest.raises(InvalidInputError, match="pins one version"):
        Snapshot.open(project / "dataset.lock", "v2")
    # Never the workspace around it by mistake.
    with pytest.raises(NotFoundError, match="no lock file"):
        Snapshot.open(project / "data" / "absent.lock")
    with pytest.raises(InvalidInputError, match="not a lock file"):
        Snapshot.open(project / "data" / "one.txt")
    (project / "data" / "video.mp4").write_bytes(bytes(1 << 20))
    with pytest.raises(InvalidInputError, match="too long"):
        Snapshot.open(project / "data" / "video.mp4")


@pytest.mark.parametrize(
    "arguments",
    [
        ("clone",),
        ("clone", "--from", "dataset.lock", "a", "b"),
        ("clone", "--from", "dataset.lock", "--rev", "v1"),
        ("status", "--lock", "a.lock", "b.lock"),
    ],
)
def test_wrong_usage(project: Path, data: Data, refused: Refused, arguments: Any) -> None:
    data("-C", project / "data", "pin")
    refused(2, "-C", project, *arguments)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_sees_the_lock_and_the_ignore_file_and_nothing_else(
    home: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, str(home / "absent"))
    project = home / "project"

    def git(folder: Path, *arguments: str | Path) -> str:
        user = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        command = ["git", "-C", folder, *user, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    subprocess.run(["git", "init", "-q", project], check=True)
    data("init", project / "data")
    (project / "data" / "a.txt").write_text("a")
    data("-C", project / "data", "commit", "-m", "a")
    data("-C", project / "data", "remote", "add", "origin", home / "remote")
    data("-C", project / "data", "push")
    data("-C", project / "data", "pin")
    seen = git(project, "status", "--porcelain", "-uall").splitlines()
    assert seen == ["?? .gitignore", "?? dataset.lock"]
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "code")
    git(home, "clone", "-q", project, home / "other")
    data("-C", home / "other", "clone", "--from", "dataset.lock")
    assert git(home / "other", "status", "--porcelain", "-uall") == ""
    assert tree_of(home / "other" / "data") == tree_of(project / "data")
