"""What git is told of a workspace, asked of git itself."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets_vc.repository import Repository
from datasets_vc.workspace.git import git_place, git_top, hide_from_git

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

Git = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that git looks after, as far as we can tell."""
    (tmp_path / "project" / ".git").mkdir(parents=True)
    return tmp_path / "project"


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """`git("status")` in a work tree of its own, without settings of whoever runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "absent"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(tmp_path / "absent"))
    folder = tmp_path / "project"
    subprocess.run(["git", "init", "-q", str(folder)], check=True)

    def run(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run


@needs_git
@pytest.mark.parametrize(
    "name",
    ["data", "a b", "a*[b]?", "back\\slash", "#data", "!data", " data ", "dätä", "two\nlines"],
)
def test_git_sees_the_line_and_nothing_of_the_data(git: Git, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "project" / name
    Repository.init(folder)
    (folder / "image.png").write_bytes(b"image")
    assert git("status", "--porcelain", "-uall") == "?? .gitignore\n"
    assert git_place(folder) is not None
    assert git_place(folder).ignored


@needs_git
def test_beside_code_git_sees_the_data_but_nothing_of_ours(git: Git, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    Repository.init(folder)
    (folder / "image.png").write_bytes(b"image")
    assert git("status", "--porcelain", "-uall") == "?? image.png\n"
    place = git_place(folder)
    assert place is not None
    assert (place.top, place.ignored) == (folder, False)


@needs_git
@pytest.mark.parametrize(
    "rules", ["data/\n", "/data\n", "/data/\r\n", "da*", "*.pyc\n!data\ndata/\n", "  \ndat[a]/\n"]
)
def test_rules_that_ignore_it_already_are_left_as_they_are(
    git: Git, tmp_path: Path, rules: str
) -> None:
    gitignore = tmp_path / "project" / ".gitignore"
    gitignore.write_bytes(rules.encode())
    Repository.init(tmp_path / "project" / "data")
    assert gitignore.read_bytes() == rules.encode()
    assert git("status", "--porcelain", "-uall") == "?? .gitignore\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"/data/\n"),
        (b"*.pyc\n", b"*.pyc\n/data/\n"),
        (b"*.pyc", b"*.pyc\n/data/\n"),
        (b"*.pyc\r\n", b"*.pyc\r\n/data/\r\n"),
        (b"*.pyc\r\nbuild", b"*.pyc\r\nbuild\r\n/data/\r\n"),
        (b"# data/\nmore/data/\ndata/old/\n", b"# data/\nmore/data/\ndata/old/\n/data/\n"),
        (b"\xff\xfe\x85[z-a]\n", b"\xff\xfe\x85[z-a]\n/data/\n"),
    ],
)
def test_the_line_is_added_once_whatever_was_there(
    project: Path, before: bytes, after: bytes
) -> None:
    (project / ".gitignore").write_bytes(before)
    for _ in range(2):
        hide_from_git(project / "data")
        assert (project / ".gitignore").read_bytes() == after


def test_a_rule_that_keeps_it_in_git_is_respected_and_told(project: Path) -> None:
    (project / ".gitignore").write_bytes(b"/*\n!data/\n")
    hide_from_git(project / "data")
    assert (project / ".gitignore").read_bytes() == b"/*\n!data/\n"
    place = git_place(project / "data")
    assert place is not None
    assert (place.ignored, place.gitignore) == (False, project / ".gitignore")


def test_the_file_nearest_to_it_decides(project: Path) -> None:
    (project / ".gitignore").write_bytes(b"signs/\n")
    place = git_place(project / "sets" / "signs")
    assert place is not None
    assert (place.ignored, place.gitignore) == (True, project / ".gitignore")
    (project / "sets").mkdir()
    (project / "sets" / ".gitignore").write_bytes(b"!signs/\n")
    place = git_place(project / "sets" / "signs")
    assert place is not None
    assert (place.ignored, place.gitignore) == (False, project / "sets" / ".gitignore")


def test_where_nothing_can_be_written_it_is_told(project: Path) -> None:
    (project / ".gitignore").mkdir()
    hide_from_git(project / "data")
    place = git_place(project / "data")
    assert place is not None
    assert not place.ignored


def test_outside_of_git_nothing_is_written(tmp_path: Path) -> None:
    if git_top(tmp_path):
        pytest.skip("the folder of the tests lies in a git work tree")
    Repository.init(tmp_path / "data")
    assert git_place(tmp_path / "data") is None
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_work_tree_may_have_a_file_for_git(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /elsewhere/.git/worktrees/project\n")
    assert git_top(tmp_path / "sets" / "signs") == tmp_path


def test_a_clone_is_hidden_too_and_one_that_fails_leaves_no_trace(
    project: Path, tmp_path: Path
) -> None:
    repository = Repository.init(tmp_path / "work")
    (tmp_path / "work" / "a.txt").write_text("a")
    repository.commit("one", author="Ada")
    with pytest.raises(Exception, match="cannot be reached"):
        Repository.clone(str(tmp_path / "absent"), project / "data")
    assert [path.name for path in project.iterdir()] == [".git"]
    Repository.clone(str(tmp_path / "work" / ".dsvc" / "store"), project / "data")
    assert (project / ".gitignore").read_bytes() == b"/data/\n"
