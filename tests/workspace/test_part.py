"""A workspace that has part of its version: what is outside and absent counts as unchanged."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc.config import set_only
from datasets_vc.errors import InvalidInputError, UnsavedChangesError
from datasets_vc.format.entries import FILE
from datasets_vc.workspace.part import Part
from tests.workspace.bench import CLEAN, Bench, Tree, table_from

TREE: Tree = {
    path: (FILE, path.encode())
    for path in ("train/a.jpg", "train/raw/x.raw", "train/b.json", "test/a.jpg", "labels.csv")
}


def chosen(patterns: Sequence[str], paths: Sequence[str] = tuple(TREE)) -> set[str]:
    return {
        path
        for path, taken in zip(paths, Part(patterns).mask(pa.array(paths)).tolist(), strict=True)
        if taken
    }


def narrow(bench: Bench, *patterns: str) -> None:
    """Make the workspace one of these patterns, with nothing else in it."""
    part = Part(patterns)
    bench.checkout(bench.version, part=part)
    set_only(bench.folder, patterns)


@pytest.fixture
def full(bench: Bench) -> Bench:
    for path, (_, data) in TREE.items():
        bench.put(path, data)
    bench.commit()
    return bench


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], set()),
        (["train/**"], {"train/a.jpg", "train/raw/x.raw", "train/b.json"}),
        (["train"], {"train/a.jpg", "train/raw/x.raw", "train/b.json"}),
        (["train", "!*.raw"], {"train/a.jpg", "train/b.json"}),
        (["train", "!train/raw"], {"train/a.jpg", "train/b.json"}),
        (["!train/raw", "train"], {"train/a.jpg", "train/raw/x.raw", "train/b.json"}),
        (["/*", "!train", "train/raw/"], {"train/raw/x.raw", "test/a.jpg", "labels.csv"}),
        (["*.jpg"], {"train/a.jpg", "test/a.jpg"}),
        (["/*.csv", "/a.jpg"], {"labels.csv"}),
    ],
)
def test_the_last_pattern_that_speaks_for_a_path_decides(
    patterns: list[str], expected: set[str]
) -> None:
    assert chosen(patterns) == expected
    assert {path for path in TREE if Part(patterns).has(path)} == expected


def test_files_of_rules_always_belong() -> None:
    paths = [".dsvcignore", "a/.dsvcignore", "a/.dsvcignore.old", "a/x.dsvcignore", "b"]
    assert chosen([], paths) == {".dsvcignore", "a/.dsvcignore"}
    column = pa.array(["none", *paths, "more"]).slice(1, len(paths))
    assert Part([]).mask(column).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("pattern", ["", "#comment", "!", "/", "a[", "\\"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInputError):
        Part(["train", pattern])


NAMES = st.sampled_from(["a", "b*", "[c]", "é", "new\nline", "x ", "#h", "!b", "\\w", "?"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@given(paths=st.lists(PATHS, unique=True), taken=st.lists(PATHS, min_size=1, max_size=3))
def test_without_leaves_out_exactly_what_lies_there(paths: list[str], taken: list[str]) -> None:
    part = Part().without(taken)
    below = {path for path in paths if any(f"{path}/".startswith(f"{each}/") for each in taken)}
    assert {path for path in paths if not part.has(path)} == below
    assert Part(part.patterns).without(taken).patterns == part.patterns
    assert part.without(["."]).patterns == part.without([]).patterns == ()


def test_what_is_outside_and_absent_is_unchanged(full: Bench) -> None:
    narrow(full, "train/**", "!*.raw")
    assert set(full.tree()) == {"train/a.jpg", "train/b.json"}
    assert full.status() == CLEAN
    assert full.workspace.status(full.version).left_out == 3
    (full.folder / "train/a.jpg").unlink()
    assert full.status() == ([], [], ["train/a.jpg"])
    assert full.workspace.entries(full.version).equals(
        table_from({path: TREE[path] for path in TREE if path != "train/a.jpg"})
    )


def test_what_is_outside_and_present_is_compared(full: Bench) -> None:
    narrow(full, "train/**")
    full.put("test/a.jpg", b"test/A.jpg")
    full.put("test/new.jpg", b"new")
    full.put("labels.csv", b"labels.csv")
    assert full.status() == (["test/new.jpg"], ["test/a.jpg"], [])
    made = full.ingest()
    assert (made.added, made.modified, made.deleted) == (1, 1, 0)
    new = {"test/a.jpg": (FILE, b"test/A.jpg"), "test/new.jpg": (FILE, b"new")}
    assert made.entries.equals(table_from({**TREE, **new}))
    (full.folder / "test/new.jpg").unlink()
    assert full.status(["test"]) == ([], ["test/a.jpg"], [])


@pytest.mark.parametrize("narrowed", [[], ["test/**"]])
@pytest.mark.parametrize("path", ["train", "labels.csv/inside", "train/raw/x.raw/deep/er"])
def test_what_takes_the_place_of_absent_files_deletes_them(
    full: Bench, narrowed: list[str], path: str
) -> None:
    narrow(full, *narrowed)
    full.put(path, b"here")
    gone = sorted(each for each in TREE if each.startswith(f"{path}/") or path.startswith(each))
    assert gone
    assert full.status() == ([path], [], gone)
    expected = {each: TREE[each] for each in TREE if each not in gone} | {path: (FILE, b"here")}
    assert full.ingest().entries.equals(table_from(expected))


def test_narrowing_refuses_to_remove_changes(full: Bench) -> None:
    full.put("test/a.jpg", b"edited")
    full.put("test/mine", b"untracked")
    with pytest.raises(UnsavedChangesError, match=r"test/a\.jpg"):
        narrow(full, "train/**")
    assert full.tree() == TREE | {
        "test/a.jpg": (FILE, b"edited"),
        "test/mine": (FILE, b"untracked"),
    }
    full.put("test/a.jpg", TREE["test/a.jpg"][1])
    narrow(full, "train/**")
    assert "test/mine" in full.tree()
    assert "test/a.jpg" not in full.tree()


def test_other_patterns_bring_what_they_name_and_remove_the_rest(full: Bench) -> None:
    narrow(full, "train/**")
    (full.folder / "train/a.jpg").unlink()
    done = full.checkout(full.version, part=Part(["test/**", "train/*.jpg"]))
    # What somebody deleted stays deleted.
    assert set(full.tree()) == {"test/a.jpg"}
    assert (done.written, done.removed) == (1, 2)
    set_only(full.folder, ["test/**", "train/*.jpg"])
    assert full.status() == ([], [], ["train/a.jpg"])
    full.checkout(full.version, part=Part())
    set_only(full.folder, None)
    assert full.status() == ([], [], ["train/a.jpg"])
    full.checkout(full.version, force=True)
    assert full.tree() == TREE


def test_a_switch_writes_the_part_and_what_is_present(full: Bench) -> None:
    other = {path: (FILE, data + b"!") for path, (_, data) in TREE.items()}
    new = {**other, "train/new": (FILE, b"n"), "test/new": (FILE, b"n")}
    old = full.version
    for path, (_, data) in new.items():
        full.put(path, data)
    version = full.commit()
    full.checkout(old)
    narrow(full, "train/**")
    full.put("labels.csv", TREE["labels.csv"][1])
    assert full.status() == CLEAN

    full.checkout(version)

    present = {"train/a.jpg", "train/raw/x.raw", "train/b.json", "train/new", "labels.csv"}
    assert full.tree() == {path: new[path] for path in present}
    assert full.status() == CLEAN
    full.put("labels.csv", b"edited")
    with pytest.raises(UnsavedChangesError):
        full.checkout(old)
    full.checkout(old, force=True)
    assert full.tree() == {path: TREE[path] for path in present if path in TREE}


def test_an_absent_file_outside_does_not_hide_an_untracked_one(full: Bench) -> None:
    old = full.version
    full.put("test/new", b"new")
    version = full.commit()
    full.checkout(old)
    narrow(full, "train/**")
    full.put("test/new", b"mine")
    with pytest.raises(UnsavedChangesError):
        full.checkout(version)
    full.put("test/new", b"new")
    full.checkout(version)
    assert full.status() == CLEAN


def test_named_paths_come_although_they_are_outside(full: Bench) -> None:
    narrow(full)
    assert full.tree() == {}
    full.checkout(full.version, ["test", "train/a.jpg"])
    assert set(full.tree()) == {"test/a.jpg", "train/a.jpg"}
    assert full.status() == CLEAN
    full.checkout(full.version, ["."], force=True)
    assert set(full.tree()) == {"test/a.jpg", "train/a.jpg"}


def test_a_pattern_that_is_not_utf_8_is_none() -> None:
    with pytest.raises(InvalidInputError, match="is no pattern"):
        Part(["caf\udce9"])
