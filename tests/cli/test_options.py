from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from datasets_vc.cli.options import Options
from datasets_vc.errors import InvalidInputError
from datasets_vc.repository import Status

CLEAN = Status("main", None)


@pytest.mark.parametrize("arguments", [("--json", "status"), ("status", "--json")])
def test_json_before_and_after_the_verb(dsvc, repository, arguments) -> None:
    repository.status = lambda _: CLEAN

    assert dsvc(*arguments).data["clean"] is True


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "remote", "list"),
        ("remote", "--json", "list"),
        ("remote", "list", "--json"),
        ("remote", "--json"),
        ("--json", "remote"),
    ],
)
def test_json_around_nested_verbs(dsvc, repository, arguments) -> None:
    repository.remotes = SimpleNamespace(list=dict)

    assert dsvc(*arguments).data == {"remotes": []}


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (["status"], "."),
        (["-C", "a", "status"], "a"),
        (["status", "-C", "a"], "a"),
        (["-C", "a", "status", "-C", "b"], "a/b"),
        (["-C", "/", "status"], "/"),
        (["-C", "a", "status", "-C", "/usr"], "/usr"),
    ],
)
def test_folder_before_and_after_the_verb(dsvc, repository, arguments, folder) -> None:
    Path("a/b").mkdir(parents=True)
    repository.status = lambda _: CLEAN

    assert dsvc(*arguments).code == 0
    assert repository.opened == [Path.cwd() / folder]


def test_later_options_add_to_earlier_ones() -> None:
    both = Options(json=True, folder=Path("a")).and_then(Options(quiet=True))

    assert both == Options(json=True, folder=Path("a"), quiet=True)


def test_options_after_two_dashes_are_words(dsvc, repository) -> None:
    asked = []
    repository.status = lambda paths: asked.append(paths) or CLEAN

    assert (
        dsvc("status", "--", "--json").out == "On branch main, no commit yet.\nNothing changed.\n"
    )
    assert asked == [["--json"]]


def test_quiet_leaves_out_what_was_done_but_not_what_was_asked(dsvc, repository) -> None:
    repository.status = lambda _: CLEAN
    repository.remotes = SimpleNamespace(remove=lambda _: None)

    assert dsvc("remote", "remove", "origin").out
    assert not dsvc("remote", "remove", "origin", "-q").out
    assert dsvc("remote", "remove", "origin", "-q", "--json").data["removed"] is True
    assert dsvc("status", "-q").out


@pytest.mark.parametrize(
    ("place", "path", "expected"),
    [
        (".", "a/b.txt", "a/b.txt"),
        ("a", "b.txt", "a/b.txt"),
        ("a", "../c", "c"),
        (".", "./a/", "a"),
        ("a", "..", "."),
        (".", ".", "."),
    ],
)
def test_paths_are_relative_to_where_we_are(dsvc, repository, place, path, expected) -> None:
    Path("a").mkdir()
    asked = []
    repository.status = lambda paths: asked.append(paths) or CLEAN

    dsvc("-C", place, "status", path)
    dsvc("-C", place, "status", os.path.abspath(Path(place) / path))  # noqa: PTH100

    assert asked == [[expected], [expected]]


def test_path_outside_is_refused(dsvc, repository) -> None:
    repository.status = lambda _: CLEAN

    outcome = dsvc("status", "../elsewhere", "--json")

    assert outcome.code == 2
    assert outcome.data["error"]["kind"] == InvalidInputError.kind


def test_path_through_a_link_to_the_workspace(dsvc, repository, tmp_path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    repository.folder = tmp_path / "link"
    asked = []
    repository.status = lambda paths: asked.append(paths) or CLEAN

    dsvc("status", str(real / "a.txt"))

    assert asked == [["a.txt"]]
