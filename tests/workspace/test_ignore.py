"""Our rules against git's own, on the same trees."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.errors import InvalidInputError, UnreadableFileError
from datasets_vc.workspace.ignore import is_ignored
from datasets_vc.workspace.tracked import Tracked
from datasets_vc.workspace.walk import walk


def make(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(os.fsencode(text))


def ours(root: Path) -> set[str]:
    return set(walk(root).path.to_pylist())


def gits(root: Path) -> set[str]:
    """What git would list, if its rules were in our files."""
    # Git looks for files of rules of any name, and needs a repository to look in.
    if not (root / ".git").exists():
        (root / ".git" / "objects").mkdir(parents=True)
        (root / ".git" / "refs").mkdir()
        (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    command = ["git", "ls-files", "--others", "-z", "--exclude-per-directory=.dsvcignore"]
    found = subprocess.run(command, cwd=root, capture_output=True, check=True)
    return {os.fsdecode(name) for name in found.stdout.split(b"\0") if name}


PATHS = [
    "a", "b.tmp", "c.TMP", "keep.tmp", "foo/a", "foo/keep", "foo/bar/a", "foo/bar/keep",
    "foo/b.tmp", "bar/foo/a", "bar/a", "build/x", "x/build/y", "x/y/build", "deep/d/e/f/a",
    "deep/d/a", "#hash", "!bang", " lead", "trail ", "new\nline", "br[a]c", "bra", "star*", "ä",
    "a b", "back\\slash", "foo.bar/foo", "foobar",
]  # fmt: skip
TREE = dict.fromkeys(PATHS, "")


@pytest.mark.parametrize(
    "rules",
    [
        "", "\n\n", "# comment", "*.tmp", "*.tmp\n!keep.tmp", "/a", "a", "foo", "foo/", "/foo/",
        "foo/*", "foo/*\n!foo/keep", "foo/**", "foo/**\n!foo/keep", "foo/\n!foo/keep", "**/foo",
        "**/foo/a", "foo/**/a", "**", "*\n!*/\n!a", "*\n!a", "build", "build/", "/build", "x/build",
        "x/**/build", "\\#hash", "#hash", "\\!bang", "!bang", " lead", "trail ", "trail\\ ", "a b",
        "br[a]c", "bra", "br\\[a]c", "[ab]", "[!a]", "[^a]*", "[a-c]*", "star\\*", "star*", "?",
        "ä", "foo.bar", "foo*", "*/a", "deep/*/a", "deep/**/a", "deep/d/e", "deep/**/f/", "!a\na",
        "a\n!a", "foo/bar/*\n!foo/bar/keep", "*\n!foo/\n!foo/bar/\n!foo/bar/keep", "/*\n!/foo",
        "a\r\nfoo/\r\n", "\ufeffa", "back\\\\slash", "new*", "foo/bar\n!foo/bar/", "***", "a/", "/",
        "//", "foo//", "**/", "*/", "/**", "a/**", "**/**", "[a", "foo/**/", "!foo/**\nfoo/a",
    ],
)  # fmt: skip
def test_one_file_of_rules_means_what_it_means_to_git(tmp_path: Path, rules: str) -> None:
    make(tmp_path, {**TREE, ".dsvcignore": rules})
    assert ours(tmp_path) == gits(tmp_path)


COMPONENT = st.sampled_from(["a", "b", "ab", "a.x", "b.x", "*", "a*", "*.x", "?", "[ab]", "**"])
PATTERN = st.builds(
    lambda bang, lead, parts, tail: bang + lead + "/".join(parts) + tail,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(COMPONENT, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
RULES = st.lists(PATTERN, min_size=1, max_size=4).map("\n".join)
NAME = st.sampled_from(["a", "b", "ab", "a.x", "b.x", "c"])
PATH = st.lists(NAME, min_size=1, max_size=4).map("/".join)


@settings(max_examples=60, deadline=None)
@given(paths=st.sets(PATH, min_size=1, max_size=14), rules=st.dictionaries(PATH, RULES), top=RULES)
def test_many_files_of_rules_mean_what_they_mean_to_git(
    paths: set[str], rules: dict[str, str], top: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".dsvcignore").write_text(top)
        for path in sorted(paths | rules.keys(), reverse=True):
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True) if _free(root, path) else None
            if _free(root, path) and not place.exists():
                place.write_text("")
        for path, text in rules.items():
            if (root / path).parent.is_dir():
                ((root / path).parent / ".dsvcignore").write_text(text)
        assert ours(root) == gits(root)


def _free(root: Path, path: str) -> bool:
    parts = path.split("/")
    above = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
    return not any(place.is_file() for place in above)


def test_rules_of_several_folders_work_together(tmp_path: Path) -> None:
    make(
        tmp_path,
        {
            **TREE,
            ".dsvcignore": "*.tmp\nfoo/bar\n",
            "foo/.dsvcignore": "!b.tmp\n/a\n",
            "deep/.dsvcignore": "a\n",
            "deep/d/.dsvcignore": "!/a\n",
        },
    )
    found = ours(tmp_path)
    assert found == gits(tmp_path)
    assert {"foo/b.tmp", "deep/d/a", "foo/keep"} <= found
    assert not {"b.tmp", "foo/a", "deep/d/e/f/a", "foo/bar/a"} & found


@pytest.mark.parametrize("line", ["!", "a\\", "[z-a]"])
def test_a_line_that_is_no_pattern_is_named(tmp_path: Path, line: str) -> None:
    make(tmp_path, {"sub/.dsvcignore": f"# fine\n*.tmp\n{line}\n"})
    with pytest.raises(InvalidInputError) as caught:
        walk(tmp_path)
    assert "sub/.dsvcignore', line 3" in caught.value.message


def test_a_link_is_no_file_of_rules(tmp_path: Path) -> None:
    make(tmp_path, {"a": "", "rules": "a\n"})
    (tmp_path / ".dsvcignore").symlink_to("rules")
    assert ours(tmp_path) == {"a", "rules", ".dsvcignore"}


def test_a_folder_is_no_file_of_rules(tmp_path: Path) -> None:
    make(tmp_path, {"a": "", ".dsvcignore/b": "a\n"})
    assert ours(tmp_path) == {"a", ".dsvcignore/b"}


def test_rules_that_cannot_be_read_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, {"sub/.dsvcignore": "a\n"})
    real = os.open

    def refuse(path: str, *rest: int, **named: int) -> int:
        if path == ".dsvcignore" and "dir_fd" in named:
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnreadableFileError, match=r"sub/\.dsvcignore' cannot be read"):
        walk(tmp_path)


def test_one_path_is_asked_about_as_the_walk_decides(tmp_path: Path) -> None:
    make(
        tmp_path,
        {
            ".dsvcignore": "*.lock\n/build/\ndeep/d\n!keep.lock\n",
            "sub/.dsvcignore": "!here.lock\n/there\n",
            "build/.dsvcignore": "!a.lock\n",
        },
    )
    paths = [
        "a.lock", "keep.lock", "a", "build/a.lock", "build/x", "sub/here.lock", "sub/other.lock",
        "sub/there", "sub/more/there", "sub/more/here.lock", "deep/d/x", "deep/e/x",
    ]  # fmt: skip
    told = {path: is_ignored(tmp_path, path) for path in paths}
    make(tmp_path, dict.fromkeys(paths, ""))
    assert told == {path: path not in ours(tmp_path) for path in paths}
    assert set(told.values()) == {True, False}


@settings(max_examples=15)
@given(
    top=st.lists(st.sampled_from(["*.tmp", "foo", "/bar", "build/", "deep/**", "!keep", "*", "a"])),
    tracked=st.sets(st.sampled_from(PATHS)),
)
def test_tracked_files_are_listed_as_git_does(top: list[str], tracked: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root, {**TREE, ".dsvcignore": "\n".join(top)})
        column = pa.array(sorted(tracked), pa.string())

        listed = set(walk(root, tracked=Tracked(column)).path.to_pylist())

        assert listed == gits(root) | tracked


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_rules_that_are_not_utf_8_are_refused(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".dsvcignore").write_bytes("*.tmp\n".encode(encoding))
    with pytest.raises(InvalidInputError, match="is not UTF-8 text") as caught:
        walk(tmp_path)
    assert caught.value.hint == "Save it as UTF-8."


def test_rules_behind_a_link_do_not_count_and_are_told(tmp_path: Path) -> None:
    make(tmp_path, {"rules": "*.tmp\n", "a/x.tmp": "", "a/b/.dsvcignore": "*.tmp\n"})
    (tmp_path / ".dsvcignore").symlink_to("rules")
    (tmp_path / "a" / ".dsvcignore").symlink_to("nowhere")

    listing = walk(tmp_path)

    assert "a/x.tmp" in listing.path.to_pylist()
    assert listing.unread_rules == (".dsvcignore", "a/.dsvcignore")
