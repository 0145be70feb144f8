"""Whatever is done to the files: status tells it, commits hold it, checkouts bring it back."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.errors import UnsavedChangesError
from datasets_vc.format.entries import FILE, SYMLINK
from tests.workspace.bench import Bench, Tree, changes_between, table_from

PATHS = ["a", "a.x", "a/b", "a/b/c", "b", "é", "e\u0301", "new\nline/ "]
# Each example has few of them, so that they meet.
FEW = st.lists(st.sampled_from(PATHS), min_size=2, max_size=3, unique=True)
DATA = st.sampled_from([b"", b"1", b"2", b"12"])
Edit = tuple[str, str, bytes | str | None]
Step = tuple[list[Edit], str, int, str]


def steps_on(paths: list[str]) -> st.SearchStrategy[list[Step]]:
    path = st.sampled_from(paths)
    put: st.SearchStrategy[Edit] = st.tuples(st.just("put"), path, DATA)
    move: st.SearchStrategy[Edit] = st.tuples(st.sampled_from(["rename", "link"]), path, path)
    verbs = st.sampled_from(["delete", "touch", "rewrite", "chmod", "folder"])
    other: st.SearchStrategy[Edit] = st.tuples(verbs, path, st.none())
    edit = st.one_of(put, put, put, move, other)
    verb = ["commit", "switch", "commit", "switch", "force", "commit paths", "restore"]
    step = st.tuples(st.lists(edit, max_size=2), st.sampled_from(verb), st.integers(0, 3), path)
    return st.lists(step, min_size=4, max_size=10)


@settings(max_examples=100, deadline=None)
@given(steps=FEW.flatmap(steps_on))
def test_nothing_escapes_and_nothing_is_lost(steps: list[Step]) -> None:
    with made() as bench:
        versions: list[Tree] = [{}]
        current: Tree = {}
        for edits, verb, choice, path in steps:
            for edit in edits:
                apply(bench.folder, *edit)
            before = bench.tree()
            assert bench.status() == changes_between(bench.version, before)
            target = versions[-1 - choice % len(versions)]
            if verb == "commit":
                bench.commit()
                current = before
                versions.append(current)
            elif verb == "commit paths":
                current = commit_paths(bench, current, before, path)
                versions.append(current)
            elif verb == "switch":
                current = switch(bench, current, target, before)
            elif verb == "force":
                bench.checkout(table_from(target), force=True)
                current = target
                assert bench.tree() == forced(target, before, bench)
            elif verb == "restore" and any(is_at(path, each) for each in current):
                bench.checkout(bench.version, [path], force=True)
                check_restored(bench, current, before, path)
            assert bench.status() == changes_between(table_from(current), bench.tree())
            assert not list((bench.folder / ".dsvc" / "tmp").iterdir())


def commit_paths(bench: Bench, current: Tree, before: Tree, path: str) -> Tree:
    if not any(is_at(path, each) for each in (*current, *before)):
        return current
    bench.commit([path])
    kept = {
        each: entry
        for each, entry in current.items()
        if not is_at(path, each) and not (is_at(each, path) and each not in before)
    }
    # A file above the path is covered, too: the path can only be there if the file is not.
    covered = {each: entry for each, entry in before.items() if is_at(path, each)}
    above = {each: entry for each, entry in before.items() if is_at(each, path)}
    wanted = {**kept, **covered, **above}
    assert bench.version.equals(table_from(wanted))
    return wanted


def switch(bench: Bench, current: Tree, target: Tree, before: Tree) -> Tree:
    """Go to `target` without force; returns where that leads."""
    try:
        bench.checkout(table_from(target))
    except UnsavedChangesError:
        assert bench.tree() == before
        touched = {
            path for path in current.keys() | target if current.get(path) != target.get(path)
        }
        # There must be a reason: work at, above or below a path that would be touched.
        work = {path for path in before if before[path] != current.get(path)}
        assert any(is_at(one, two) or is_at(two, one) for one in work for two in touched)
        return current
    after = bench.tree()
    for path, entry in before.items():
        if path not in target and path not in current:
            assert after[path] == entry  # untracked
        if current.get(path) not in (None, entry):
            assert after[path] in (entry, target.get(path))  # modified
            assert after[path] == entry or entry == target.get(path)
    for path in current.keys() | target:
        if current.get(path) != target.get(path):
            assert after.get(path) == target.get(path)
    return target


def forced(target: Tree, before: Tree, bench: Bench) -> Tree:
    """The target, and what was untracked and not in the way."""
    after = bench.tree()
    extra = {path: entry for path, entry in after.items() if path not in target}
    assert extra.items() <= before.items()
    return {**extra, **target}


def check_restored(bench: Bench, current: Tree, before: Tree, path: str) -> None:
    after = bench.tree()
    for each, entry in current.items():
        if is_at(path, each):
            assert after[each] == entry
    for each, entry in before.items():
        if not is_at(path, each) and not is_at(each, path):
            assert after[each] == entry


def is_at(path: str, each: str) -> bool:
    """Whether `each` is `path` or lies below it."""
    return each == path or each.startswith(path + "/")


@contextmanager
def made() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        yield Bench(Path(folder) / "data")


def apply(root: Path, verb: str, path: str, more: object) -> None:
    place = root / path
    if verb in ("put", "link", "folder"):
        make_room(root, path)
        if verb == "put":
            assert isinstance(more, bytes)
            place.write_bytes(more)
        elif verb == "folder":
            place.mkdir()
        else:
            place.symlink_to(os.path.relpath(root / str(more), place.parent))
        return
    if not os.path.lexists(place):
        return
    if verb == "delete":
        remove(place)
    elif verb == "rename":
        # A link that is moved may lead out of the workspace, which is another test's matter.
        links = [each for each in (place, *place.rglob("*")) if each.is_symlink()]
        if not links and not is_at(path, str(more)) and not is_at(str(more), path):
            make_room(root, str(more))
            place.rename(root / str(more))
    elif place.is_symlink() or place.is_dir():
        return
    elif verb == "touch":
        os.utime(place)
    elif verb == "chmod":
        place.chmod(0o400 if place.stat().st_mode & 0o200 else 0o600)
    elif verb == "rewrite":
        old = place.stat()
        place.write_bytes(b"x" * old.st_size)
        os.utime(place, ns=(old.st_atime_ns, old.st_mtime_ns))


def make_room(root: Path, path: str) -> None:
    """Remove what is at `path`, and files where its folders have to be."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        above = root.joinpath(*parts[:depth])
        if above.is_symlink() or above.is_file():
            above.unlink()
    place = root / path
    if os.path.lexists(place):
        remove(place)
    place.parent.mkdir(parents=True, exist_ok=True)


def remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()


def test_the_naive_comparison_can_fail() -> None:
    one: Tree = {"a": (FILE, b"1"), "b": (FILE, b"1"), "c": (FILE, b"1")}
    two: Tree = {"a": (FILE, b"2"), "b": (SYMLINK, b"1"), "d": (FILE, b"1")}
    assert changes_between(table_from(one), two) == (["d"], ["a", "b"], ["c"])
