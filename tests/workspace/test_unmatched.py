"""What is said of a path that selects nothing: whether it is there, and why it is not recorded."""

from __future__ import annotations

import os

import pytest

from datasets_vc.errors import NotFoundError
from datasets_vc.repository import Repository
from tests.workspace.bench import Bench


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.put("a/kept", b"1")
    bench.put(".dsvcignore", b"# what is made anew\n*.tmp\n/cache/\nraw/*\n")
    bench.put("a/.dsvcignore", b"\n\xc3\xa4*\n")
    for path in ("x.tmp", "cache/x/y", "raw/x", "a/\xe4b", ".git/config"):
        bench.put(path)
    (bench.folder / "empty" / "er").mkdir(parents=True)
    bench.link("link", "a")
    os.mkfifo(bench.folder / "pipe")
    bench.put("inner/.dsvc/HEAD")
    bench.put("inner/data")
    bench.commit()
    return bench


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("x.tmp", "it is ignored ('.dsvcignore', line 2: '*.tmp')"),
        ("cache", "it is ignored ('.dsvcignore', line 3: '/cache/')"),
        ("cache/x", "it is ignored ('.dsvcignore', line 3: '/cache/')"),
        ("raw", "all that lies in it is ignored or left out, and a version has files only"),
        ("a/\xe4b", "it is ignored ('a/.dsvcignore', line 2: '\xe4*')"),
        ("empty", "no file lies in it, and a version has files only"),
        ("pipe", "it is a named pipe"),
        ("inner", "it is a workspace of its own"),
        ("inner/data", "it lies in 'inner', of which is said: it is a workspace of its own"),
        ("link/kept", "it lies in 'link', of which is said: it is a link, and what lies"),
        (".git/config", "it belongs to git or to dsvc itself"),
    ],
)
def test_what_is_here_but_not_recorded_is_told_why(bench: Bench, path: str, words: str) -> None:
    for verb in (bench.status, bench.ingest, lambda paths: bench.checkout(bench.version, paths)):
        with pytest.raises(NotFoundError) as caught:
            verb([path])
        start = f"'{path}' is here, but not recorded, nor in that version: "
        assert caught.value.message.startswith(start + words)


def test_of_what_is_not_here_the_hint_says_from_where_paths_count(bench: Bench) -> None:
    with pytest.raises(NotFoundError) as caught:
        bench.status(["a/a/kept"])
    assert caught.value.message == (
        "There is no 'a/a/kept' in the workspace, neither now nor in that version."
    )
    assert "the path from the top of the workspace" in caught.value.hint
    assert "count from the current folder" in caught.value.hint


def test_a_path_that_is_recorded_may_be_ignored(bench: Bench) -> None:
    bench.put(".dsvcignore", b"*\n")
    assert bench.status(["a/kept"]) == ([], [], [])


def test_of_a_version_too_the_hint_says_from_where_paths_count(bench: Bench) -> None:
    repository = Repository.open(bench.folder)
    repository.commit("one", author="Ada <ada@example.org>")
    for look in (repository.ls, lambda *given: list(repository.cat(*given))):
        with pytest.raises(NotFoundError) as caught:
            look("HEAD", "kept")
        assert caught.value.hint.endswith("paths count from the top of the workspace.")
