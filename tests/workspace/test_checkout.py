from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from datasets_vc.digest import digest_of
from datasets_vc.errors import (
    DatasetError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    UnsavedChangesError,
)
from datasets_vc.format.entries import FILE, SYMLINK, Entry, entry_table
from datasets_vc.format.location import RECIPE
from datasets_vc.format.pack import METADATA
from datasets_vc.format.recipe import Recipe, encode_recipe
from datasets_vc.workspace import change as change_module
from datasets_vc.workspace import checkout as checkout_module
from datasets_vc.workspace import lasting as lasting_module
from datasets_vc.workspace import workspace as workspace_module
from datasets_vc.workspace.removing import Remover
from datasets_vc.workspace.staging import Staging
from tests.workspace.bench import CLEAN, Bench, Tree, table_from

MIB = 1 << 20


def remake(bench: Bench, tree: Tree) -> None:
    """Make the workspace's files those of `tree`, by hand."""
    for path in bench.tree():
        (bench.folder / path).unlink()
    for folder, _, _ in os.walk(bench.folder, topdown=False):
        place = Path(folder)
        if ".dsvc" not in place.parts and place != bench.folder and not any(place.iterdir()):
            place.rmdir()
    for path, (kind, data) in tree.items():
        if kind == FILE:
            bench.put(path, data)
        else:
            bench.link(path, data.decode())


def versions(bench: Bench, *trees: Tree) -> list[pa.Table]:
    """Commit each tree; the workspace is left on the last."""
    found = []
    for tree in trees:
        remake(bench, tree)
        found.append(bench.commit())
    return found


def files(**contents: str) -> Tree:
    return {path.replace("__", "/"): (FILE, text.encode()) for path, text in contents.items()}


def residue(bench: Bench) -> list[Path]:
    return list((bench.folder / ".dsvc" / "tmp").iterdir())


A = files(same="s", other="1", gone="g", deep__x__y="1", deep__z="1")
B = files(same="s", other="2", new__sub__n="n", deep__z="1")


def test_a_switch_brings_the_other_tree(bench: Bench) -> None:
    a, b = versions(bench, A, B)
    done = bench.checkout(a)
    assert (done.written, done.removed) == (3, 1)
    assert bench.tree() == A
    assert bench.status() == CLEAN
    bench.checkout(b)
    assert bench.tree() == B
    assert bench.status() == CLEAN
    assert not (bench.folder / "deep" / "x").exists()
    assert residue(bench) == []


def test_what_is_the_same_is_not_touched(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    before = os.lstat(bench.folder / "same")
    bench.checkout(a)
    assert os.lstat(bench.folder / "same") == before


def test_into_an_empty_folder(bench: Bench) -> None:
    tree = {**A, "l": (SYMLINK, b"deep/z"), "large": (FILE, os.urandom(5 * MIB)), "e": (FILE, b"")}
    (version,) = versions(bench, tree)
    remake(bench, {})
    bench.version = version.slice(0, 0)
    assert bench.checkout(version).written == len(tree)
    assert bench.tree() == tree


@pytest.mark.usefixtures("trusting")
def test_what_was_written_need_not_be_read_again(bench: Bench, read_paths: list[str]) -> None:
    a, _ = versions(bench, A, B)
    read_paths.clear()
    bench.checkout(a)
    assert bench.status() == CLEAN
    assert read_paths == []


def test_what_was_written_in_this_tick_is_not_trusted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, read_paths: list[str]
) -> None:
    a, _ = versions(bench, A, B)
    read_paths.clear()
    monkeypatch.setattr(
        workspace_module,
        "clock_of",
        lambda folder: max(
            (os.lstat(folder / path).st_ctime_ns for path in ("other", "same")), default=0
        ),
    )
    bench.checkout(a)
    assert bench.status() == CLEAN
    assert "other" in read_paths


def test_there_and_back_for_kinds_that_trade_places(bench: Bench) -> None:
    one: Tree = {
        "x": (FILE, b"file"),
        "y/a/b": (FILE, b"1"),
        "y/c": (FILE, b"2"),
        "z": (SYMLINK, b"x"),
        "f": (FILE, b"now a link"),
        "d/e": (FILE, b"1"),
    }
    two: Tree = {
        "x/now/folder": (FILE, b"1"),
        "y": (FILE, b"now a file"),
        "z/a": (FILE, b"link became folder"),
        "f": (SYMLINK, b"y"),
        "d": (SYMLINK, b"x"),
    }
    first, second = versions(bench, one, two)
    for version, tree in ((first, one), (second, two), (first, one)):
        bench.checkout(version)
        assert bench.tree() == tree
        assert bench.status() == CLEAN


def test_read_only_files_and_folders_of_removed_files(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    (bench.folder / "other").chmod(0o444)
    bench.checkout(a)
    assert bench.tree() == A


def test_odd_names_make_the_journey(bench: Bench) -> None:
    names = [
        "new\nline", "quote'\"", "back\\slash", "trailing ", "\U0001f4a9", "e\u0301", "\u00e9",
        "-x", "/".join(f"d{level}" for level in range(60)) + "/leaf", "n" * 255,
    ]  # fmt: skip
    tree: Tree = {name: (FILE, name.encode()) for name in names}
    full, _ = versions(bench, tree, {})
    bench.checkout(full)
    assert bench.tree() == tree
    assert bench.status() == CLEAN


# What the user has not committed.


def refused(bench: Bench, target: pa.Table, *paths: str, select: tuple[str, ...] = ()) -> None:
    before = bench.tree()
    with pytest.raises(UnsavedChangesError) as caught:
        bench.checkout(target, select)
    for path in paths:
        assert f"'{path}'" in caught.value.message
    assert "--force" in caught.value.hint
    assert bench.tree() == before
    assert residue(bench) == []


def test_modified_files_are_not_overwritten(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    bench.put("other", b"mine")
    refused(bench, a, "other")
    bench.checkout(a, force=True)
    assert bench.tree() == A


def test_modified_files_of_the_same_size_are_not_overwritten(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    bench.put("other", b"3")
    refused(bench, a, "other")


def test_modified_files_are_not_removed(bench: Bench) -> None:
    b, _ = versions(bench, B, A)
    bench.put("gone", b"mine")
    refused(bench, b, "gone")
    bench.checkout(b, force=True)
    assert bench.tree() == B


def test_untracked_files_are_not_overwritten(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    bench.put("gone", b"untracked, and in the way")
    refused(bench, a, "gone")
    bench.checkout(a, force=True)
    assert bench.tree() == A


def test_untracked_files_out_of_the_way_stay(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    bench.put("mine", b"1")
    bench.put("new/sub/mine", b"1")
    bench.checkout(a)
    kept = files(mine="1", new__sub__mine="1")
    assert bench.tree() == {**A, **kept}
    bench.checkout(a, force=True)
    assert bench.tree() == {**A, **kept}


def test_files_that_are_as_wanted_already_are_adopted(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    bench.put("other", b"1")
    place = bench.put("gone", b"g")
    before = place.stat().st_ino
    assert bench.checkout(a).written == 1
    assert place.stat().st_ino == before
    assert bench.tree() == A


def test_changes_in_what_both_versions_share_are_kept(bench: Bench) -> None:
    a, b = versions(bench, A, B)
    bench.put("same", b"mine")
    (bench.folder / "deep" / "z").unlink()
    bench.checkout(a)
    assert bench.status() == ([], ["same"], ["deep/z"])
    bench.checkout(b, force=True)
    assert bench.tree() == B


def test_deleted_files_come_back_where_versions_differ(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    (bench.folder / "other").unlink()
    bench.checkout(a)
    assert bench.tree() == A


def test_an_untracked_folder_is_not_replaced_by_a_file(bench: Bench) -> None:
    a, b = versions(bench, A, B)
    bench.put("gone/mine", b"1")
    refused(bench, a, "gone/mine")
    bench.checkout(a, force=True)
    assert bench.tree() == A
    bench.checkout(b)
    (bench.folder / "gone" / "empty").mkdir(parents=True)
    bench.checkout(a)
    assert bench.tree() == A


def test_an_untracked_file_is_not_replaced_by_a_folder(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    bench.put("deep/x", b"mine")
    refused(bench, a, "deep/x")
    bench.checkout(a, force=True)
    assert bench.tree() == A


def test_ignored_files_are_not_overwritten(bench: Bench) -> None:
    a, _ = versions(bench, A, {**B, ".dsvcignore": (FILE, b"gone\nx/\n")})
    bench.put("gone", b"ignored, and precious")
    refused(bench, a, "gone")
    bench.put("gone", b"g")
    bench.put("deep/x/y", b"2")
    refused(bench, a, "deep/x/y")
    bench.checkout(a, force=True)
    assert bench.tree() == A


def test_pipes_in_the_way_are_not_replaced(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    os.mkfifo(bench.folder / "gone")
    refused(bench, a, "gone")
    bench.checkout(a, force=True)
    assert bench.tree() == A


@pytest.mark.parametrize("marker", [".dsvc/HEAD", ".git/HEAD", "sub/.git"])
def test_a_repository_in_the_way_stays_even_with_force(bench: Bench, marker: str) -> None:
    a, _ = versions(bench, A, B)
    bench.put(f"gone/{marker}", b"1")
    with pytest.raises(InvalidInputError, match="'gone' is in the way"):
        bench.checkout(a, force=True)
    assert (bench.folder / "gone" / marker).exists()


def test_many_conflicts_are_counted(bench: Bench) -> None:
    names = [f"f{number:02}" for number in range(13)]
    a, _ = versions(bench, dict.fromkeys(names, (FILE, b"1")), {})
    for name in names:
        bench.put(name, b"mine")
    with pytest.raises(UnsavedChangesError, match="'f09' and 3 more"):
        bench.checkout(a)


def test_a_change_after_the_plan_is_not_overwritten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = versions(bench, A, B)
    prepare = Staging.prepare

    def late(self: Any, folders: set[str]) -> None:
        prepare(self, folders)
        bench.put("other", b"typed in at the last moment")

    monkeypatch.setattr(Staging, "prepare", late)
    with pytest.raises(UnsavedChangesError, match="'other'"):
        bench.checkout(a)
    assert (bench.folder / "other").read_bytes() == b"typed in at the last moment"
    assert residue(bench) == []
    assert bench.version.equals(b)


def test_a_change_after_the_plan_is_not_removed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    b, _ = versions(bench, B, A)
    remove = Remover.remove

    def late(self: Any, *doomed: Any) -> None:
        bench.put("gone", b"typed in at the last moment")
        remove(self, *doomed)

    monkeypatch.setattr(Remover, "remove", late)
    with pytest.raises(UnsavedChangesError, match="'gone'"):
        bench.checkout(b)
    assert (bench.folder / "gone").read_bytes() == b"typed in at the last moment"


# Some paths only.


def test_paths_narrow_it(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    bench.checkout(a, ["other", "deep", "new"])
    assert bench.tree() == files(same="s", other="1", deep__x__y="1", deep__z="1")
    assert bench.status() == (["deep/x/y"], ["other"], ["new/sub/n"])


def test_with_paths_changes_are_not_overwritten(bench: Bench) -> None:
    a, b = versions(bench, A, B)
    bench.put("same", b"mine")
    (bench.folder / "deep" / "z").unlink()
    refused(bench, b, "same", select=("same",))
    bench.checkout(a, ["deep"])
    assert (bench.folder / "deep" / "z").read_bytes() == b"1"


def test_restoring_gives_up_changes_under_the_paths(bench: Bench) -> None:
    _, b = versions(bench, A, B)
    bench.put("same", b"mine")
    bench.put("other", b"mine")
    bench.put("new/untracked", b"mine")
    (bench.folder / "new" / "sub" / "n").unlink()
    bench.checkout(b, ["same", "new"], force=True)
    assert bench.tree() == {**B, **files(other="mine", new__untracked="mine")}


def test_restoring_keeps_what_is_remembered_of_the_rest(
    bench: Bench, trusting: None, read_paths: list[str]
) -> None:
    _, b = versions(bench, A, B)
    bench.put("other", b"mine")
    read_paths.clear()
    bench.checkout(b, ["other"], force=True)
    assert bench.status() == CLEAN
    assert read_paths == []


def test_a_path_that_no_version_has_is_an_error(bench: Bench) -> None:
    a, _ = versions(bench, A, B)
    bench.put("untracked", b"1")
    with pytest.raises(NotFoundError, match="'untracked'"):
        bench.checkout(a, ["untracked"], force=True)
    assert (bench.folder / "untracked").exists()


def test_a_path_below_a_file_of_the_target_leaves_that_file_alone(bench: Bench) -> None:
    one, _ = versions(bench, files(x="a file"), files(x__a="1", x__b="2"))
    bench.checkout(one, ["x/a"])
    assert bench.tree() == files(x__b="2")


# Targets that mean harm, or that this place cannot hold.


def harmful(bench: Bench, path: str, kind: int = FILE, data: bytes = b"1") -> pa.Table:
    writer = bench.store.writer()
    digest = writer.add_file(data) if kind == FILE else writer.add_meta(data)
    bench.store.publish(writer.finish())
    return entry_table([Entry(path, kind, len(data), digest)])


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/x",
        "a//b",
        ".dsvc/HEAD",
        ".DSVC/x",
        ".git/hooks/x",
        "a/.GIT/x",
        "a/.git",
        "b/.dsvc/x",
    ],
)
def test_paths_that_must_not_be_written_are_refused(bench: Bench, path: str) -> None:
    target = harmful(bench, path)
    with pytest.raises(InvalidInputError):
        bench.checkout(target, force=True)
    assert bench.tree() == {}


@pytest.mark.parametrize("target", [b"/etc/passwd", b"../../x", b"\xff"])
def test_links_that_leave_the_workspace_are_not_written(bench: Bench, target: bytes) -> None:
    with pytest.raises(InvalidInputError):
        bench.checkout(harmful(bench, "sub/l", SYMLINK, target), force=True)
    assert bench.tree() == {}
    assert residue(bench) == []


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_written_through_a_link(bench: Bench, tmp_path: Path, force: bool) -> None:
    (target,) = versions(bench, files(sub__x="1"))
    remake(bench, {})
    bench.version = target.slice(0, 0)
    outside = tmp_path / "outside"
    outside.mkdir()
    bench.link("sub", str(outside))
    if force:
        bench.checkout(target, force=True)
        assert bench.tree() == files(sub__x="1")
    else:
        refused(bench, target, "sub")
    assert list(outside.iterdir()) == []


def test_a_committed_link_makes_room_for_a_folder(bench: Bench) -> None:
    one: Tree = {"d/x": (FILE, b"1"), "sub": (SYMLINK, b"d")}
    two: Tree = {"d/x": (FILE, b"1"), "sub/x": (FILE, b"2")}
    _, second, first = versions(bench, one, two, one)
    bench.version = first
    bench.checkout(second)
    assert bench.tree() == two


@pytest.mark.parametrize(("place", "target"), [("a", "a"), ("a", "z"), ("b/x", "x")])
def test_a_link_takes_the_place_of_a_folder(bench: Bench, place: str, target: str) -> None:
    bench.put("z/below/deep/file", b"z")
    bench.link(place, target)
    link = bench.commit()
    (bench.folder / place).unlink()
    bench.put(f"{place}/below/deep/file", b"1")
    folder = bench.commit()
    for version in (link, folder, link):
        bench.checkout(version)
        assert bench.status() == CLEAN
    assert (bench.folder / place).readlink() == Path(target)
    assert (bench.folder / "z/below/deep/file").read_bytes() == b"z"


def test_a_disk_that_cannot_keep_names_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (target,) = versions(bench, files(a__x="1"))
    remake(bench, {})
    bench.version = target.slice(0, 0)

    def failing(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(lasting_module, "sync_folder", failing)
    with pytest.raises(DatasetError, match="cannot be made to last: Input/output error"):
        bench.checkout(target)
    monkeypatch.undo()
    bench.checkout(target)
    assert bench.tree() == files(a__x="1")


def test_names_that_collide_here_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    target, _ = versions(bench, files(a="1", A="2"), {})
    monkeypatch.setattr(change_module, "folding_of", lambda _: str.casefold)
    with pytest.raises(InvalidInputError, match=r"'A' and 'a' are one name"):
        bench.checkout(target)
    assert bench.tree() == {}


# What can go wrong.


def test_what_was_written_before_a_failure_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree: Tree = {f"new/{number:03d}/x": (FILE, b"%d" % number) for number in range(100)}
    target, _ = versions(bench, tree, {})
    write_one: Callable[..., Any] = checkout_module._Writer._write_one
    calls = iter(range(200))

    def failing(self: Any, *file: Any) -> Any:
        if next(calls) == 50:
            raise KeyboardInterrupt
        return write_one(self, *file)

    monkeypatch.setattr(checkout_module._Writer, "_write_one", failing)
    with pytest.raises(KeyboardInterrupt):
        bench.checkout(target)
    found = bench.tree()
    assert len(found) == 50
    assert found.items() <= tree.items()
    assert residue(bench) == []


def test_folders_of_several_segments(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout_module, "_SEGMENT_BYTES", 50)
    tree: Tree = {f"a/{number % 7}/{number}": (FILE, b"x" * number) for number in range(40)}
    target, _ = versions(bench, {**tree, "z/l": (SYMLINK, b"../a")}, {})
    bench.checkout(target)
    assert bench.tree() == {**tree, "z/l": (SYMLINK, b"../a")}
    assert bench.status() == CLEAN
    assert residue(bench) == []


def test_memory_of_packs_is_given_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    target, _ = versions(bench, {str(number): (FILE, b"x" * number) for number in range(40)}, {})
    monkeypatch.setattr(checkout_module, "LET_GO_BYTES", 100)
    let_go: list[bool] = []
    monkeypatch.setattr(type(bench.store), "let_go", lambda _: let_go.append(True))
    bench.checkout(target)
    assert let_go


def test_bytes_that_do_not_match_are_not_put_in_place(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = versions(bench, A, B)
    before = bench.tree()
    monkeypatch.setattr(
        type(bench.store), "read_files", lambda _, digests, sizes: [b"wrong" for _ in digests]
    )
    with pytest.raises(IntegrityError, match="do not match its digest"):
        bench.checkout(a)
    assert bench.tree() == before
    assert residue(bench) == []


def test_pieces_that_do_not_make_the_file_are_not_put_in_place(bench: Bench) -> None:
    pieces = [os.urandom(600_000), os.urandom(600_000)]
    file = digest_of(b"".join(pieces))
    with bench.store.writer() as writer:
        digests = tuple(writer.add_file(piece) for piece in pieces)
        recipe = encode_recipe(Recipe(digests[::-1], (600_000, 600_000)))
        writer.add_encoded(file, RECIPE, recipe, len(recipe), METADATA)
        bench.store.publish(writer.finish())
    with pytest.raises(IntegrityError, match=file.hex()):
        bench.checkout(entry_table([Entry("sub/large", FILE, 1_200_000, file)]))
    assert bench.tree() == {}
    assert residue(bench) == []


@pytest.mark.parametrize("failing", ["write", "replace", "symlink", "mkdir", "rename", "unlink"])
def test_after_a_full_disk_it_can_be_run_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    one: Tree = {**A, "l": (SYMLINK, b"same"), "large": (FILE, os.urandom(2 * MIB))}
    a, b = versions(bench, one, B)
    real = getattr(os, failing)
    calls = iter(range(1000))

    def full(*args: Any, **named: Any) -> Any:
        ours = failing != "unlink" or ".dsvc" not in str(args[0])
        if ours and next(calls) >= (failing not in ("symlink", "rename", "unlink")):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **named)

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(DatasetError, match=r"cannot be (written|made|removed): No space left") as e:
        bench.checkout(a)
    assert "run it again" in e.value.hint
    monkeypatch.undo()
    whole = {**one, **B}
    found = bench.tree()
    assert all(found[path] in (one.get(path), whole.get(path)) for path in found)
    assert bench.version.equals(b)
    bench.checkout(a)
    assert bench.tree() == one
    assert residue(bench) == []


def test_part_of_the_workspace_may_be_another_file_system(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one: Tree = {**A, "l": (SYMLINK, b"same")}
    a, _ = versions(bench, one, B)
    real = os.replace

    def replace(source: str, target: str) -> None:
        if ".dsvc/tmp" in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    bench.checkout(a)
    assert bench.tree() == one
    assert residue(bench) == []


def test_an_interrupted_checkout_ends_when_it_is_run_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = versions(bench, A, B)
    write_one: Callable[..., Any] = checkout_module._Writer._write_one
    calls = iter(range(100))

    def interrupted(self: Any, *file: Any) -> Any:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return write_one(self, *file)

    monkeypatch.setattr(checkout_module._Writer, "_write_one", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.checkout(a)
    monkeypatch.undo()
    assert residue(bench) == []
    bench.checkout(a)
    assert bench.tree() == A
    assert bench.version.equals(table_from(A))
