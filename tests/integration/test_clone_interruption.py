"""A clone or init that is killed or interrupted at any moment: the same again goes on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from datasets_vc.cli.asking import own_secret
from datasets_vc.config import Head
from datasets_vc.errors import (
    AlreadyExistsError,
    DatasetError,
    IntegrityError,
    LockedError,
    NotARepositoryError,
    UnsavedChangesError,
)
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.repository import Pin, Repository
from datasets_vc.workspace import Workspace
from datasets_vc.workspace.cloning import Cloning, read_note, write_note
from tests.integration.conftest import Dsvc
from tests.integration.interrupting import Case, cases
from tests.integration.trees import AUTHOR, Tree, committed_tree, make_tree, tree_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ONE: Tree = {"a/1": (FILE, b"one"), "b": (FILE, b"b" * 1000), "link": (SYMLINK, b"b")}
TWO: Tree = {"a/1": (FILE, b"two"), "b": (FILE, b"b" * 1000), "c/2": (FILE, bytes(1_200_000))}
PART = {path: entry for path, entry in TWO.items() if path.startswith("a/")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`remote` with two versions, a lock of it beside `code`, and `mine`, an empty folder."""
    folder = tmp_path_factory.mktemp("made")
    work = Repository.init(folder / "work")
    work.remotes.add("origin", str(folder / "remote"))
    make_tree(work.folder, ONE)
    work.commit("one", author=AUTHOR)
    work.tags.create("v1")
    make_tree(work.folder, TWO)
    work.commit("two", author=AUTHOR)
    work.push()
    Pin.find(work.folder, folder / "dataset.lock").write()
    shutil.rmtree(work.folder)
    (folder / "mine").mkdir()
    return folder


REMOTE = "{}/remote"
CLONES = {
    "plain": ((REMOTE, "{}/new"), TWO),
    "into an empty folder": ((REMOTE, "{}/mine"), TWO),
    "of a tag": ((REMOTE, "{}/new", "--rev", "v1"), ONE),
    "of a part": ((REMOTE, "{}/new", "--only", "a"), PART),
    "without files": ((REMOTE, "{}/new", "--no-checkout"), {}),
    "of a part of the history": ((REMOTE, "{}/new", "--depth", "1"), TWO),
    "of a pinned version": (("--from", "{}/dataset.lock", "{}/new"), TWO),
}


@pytest.mark.parametrize(("arguments", "files"), CLONES.values(), ids=CLONES.keys())
def test_a_clone_that_was_killed_goes_on(
    home: Path, made: Path, arguments: tuple[str, ...], files: Tree
) -> None:
    states = set()
    every = 2 if arguments == CLONES["plain"][0] else 5
    for case in cases(home, made, "SIGKILL", "clone", *arguments, every=every):
        folder = case.folder / ("mine" if "{}/mine" in arguments else "new")
        states.add(_state(folder))
        # Whatever there is, another verb says how to go on, or works.
        _check_verbs(folder)

        _again(case, arguments, folder)

        assert tree_of(folder) == files, case
        repository = Repository.open(folder)
        assert repository.status().clean, case
        assert committed_tree(repository) == (ONE if "v1" in arguments else TWO), case
        assert repository.maintenance.fsck().errors == [], case
        assert read_note(folder) is None
        shutil.rmtree(case.folder)
    assert len(states) > 2


def test_a_clone_that_was_interrupted_goes_on_or_is_gone(home: Path, made: Path) -> None:
    arguments = CLONES["plain"][0]
    for case in cases(home, made, "SIGINT", "clone", *arguments, every=2):
        _again(case, arguments, case.folder / "new")
        assert tree_of(case.folder / "new") == TWO, case
        assert case.repository("new").status().clean, case


def _again(case: Case, arguments: tuple[str, ...], folder: Path) -> None:
    """What the command line asks for, in this process."""
    url = str(case.folder / "remote")
    if arguments[0] == "--from":
        Pin.clone(case.folder / "dataset.lock", folder, secret=own_secret())
        return
    given = dict(zip(arguments[2::2], arguments[3::2], strict=False))
    Repository.clone(
        url,
        folder,
        revision=given.get("--rev"),
        checkout="--no-checkout" not in arguments,
        only=[given["--only"]] if "--only" in given else None,
        depth=1 if "--depth" in given else None,
        secret=own_secret(),
    )


def _state(folder: Path) -> frozenset[str]:
    meta = folder / ".dsvc"
    if not meta.exists():
        return frozenset()
    return frozenset(path.name for path in (*meta.iterdir(), *folder.iterdir()))


def _check_verbs(folder: Path) -> None:
    if not (folder / ".dsvc").exists():
        return
    told: NotARepositoryError | None = None
    try:
        Repository.open(folder).status()
    except NotARepositoryError as error:
        told = error
    if told:
        assert "was cut short" in told.message
        assert "dsvc clone" in told.hint or "dsvc init" in told.hint


def test_init_that_was_killed_goes_on(home: Path, made: Path) -> None:
    for case in cases(home, made, "SIGKILL", "init", "{}/mine"):
        folder = case.folder / "mine"
        _check_verbs(folder)
        try:
            repository = Repository.init(folder)
        except AlreadyExistsError:
            repository = Repository.open(folder)
        assert repository.status().clean


def test_what_init_left_may_be_cloned_into(home: Path, made: Path) -> None:
    cloned = 0
    for case in cases(home, made, "SIGKILL", "init", "{}/mine", every=2):
        folder = case.folder / "mine"
        try:
            Repository.clone(str(case.folder / "remote"), folder)
        except AlreadyExistsError:
            assert (folder / ".dsvc" / "HEAD").exists()
        else:
            cloned += 1
            assert tree_of(folder) == TWO
    assert cloned


# What is refused


@pytest.fixture
def cut(made: Path, tmp_path: Path) -> Path:
    """A clone that was cut short when its files came into place."""
    folder = tmp_path / "new"
    url = str(made / "remote")
    Repository.clone(url, folder)
    Workspace(folder).set_head(Head("main", None))
    (folder / "b").unlink()
    write_note(folder, Cloning(url), own_secret())
    return folder


def goes_on(made: Path, folder: Path) -> bool:
    Repository.clone(str(made / "remote"), folder, secret=own_secret())
    return tree_of(folder) == TWO


def test_other_clones_are_refused_and_change_nothing(made: Path, cut: Path) -> None:
    before = tree_of(cut)
    shutil.copytree(made / "remote", cut.parent / "other")
    for url, options in (
        (str(cut.parent / "other"), {}),
        (str(made / "remote"), {"depth": 1}),
        (str(made / "remote"), {"only": ["a"]}),
        (str(made / "remote"), {"checkout": False}),
    ):
        with pytest.raises(AlreadyExistsError) as caught:
            Repository.clone(url, cut, **options)  # type: ignore[arg-type]
        assert f"dsvc clone {made / 'remote'} {cut}" in caught.value.hint
    with pytest.raises(AlreadyExistsError, match="was cut short"):
        Repository.init(cut)
    assert tree_of(cut) == before
    assert goes_on(made, cut)


def test_files_of_others_are_left_alone(made: Path, cut: Path) -> None:
    (cut / "mine").write_bytes(b"mine")
    with pytest.raises(AlreadyExistsError, match="'mine'"):
        goes_on(made, cut)
    assert (cut / "mine").read_bytes() == b"mine"
    (cut / "mine").rename(cut.parent / "mine")
    (cut / "b").write_bytes(b"edited")
    with pytest.raises(UnsavedChangesError):
        goes_on(made, cut)
    assert (cut / "b").read_bytes() == b"edited"
    (cut / "b").unlink()
    assert goes_on(made, cut)


def test_two_at_once(made: Path, cut: Path) -> None:
    with Workspace(cut).lock(), pytest.raises(LockedError):
        goes_on(made, cut)
    assert goes_on(made, cut)


def test_what_was_fetched_stays_if_it_fails_again(made: Path, tmp_path: Path) -> None:
    there, cut = tmp_path / "remote", tmp_path / "new"
    shutil.copytree(made / "remote", there)
    Repository.clone(str(there), cut, secret=own_secret())
    Workspace(cut).set_head(Head("main", None))
    write_note(cut, Cloning(str(there)), own_secret())
    there.rename(cut.parent / "away")
    with pytest.raises(DatasetError):
        Repository.clone(str(there), cut, secret=own_secret())
    assert any((cut / ".dsvc" / "store" / "packs").iterdir())
    (cut.parent / "away").rename(there)
    Repository.clone(str(there), cut, secret=own_secret())
    assert tree_of(cut) == TWO


def test_a_workspace_that_went_on_is_no_clone_any_more(made: Path, cut: Path) -> None:
    assert goes_on(made, cut)
    repository = Repository.open(cut)
    write_note(cut, Cloning(str(made / "remote")), own_secret())
    assert goes_on(made, cut)
    make_tree(cut, ONE)
    repository.commit("mine", author=AUTHOR)
    write_note(cut, Cloning(str(made / "remote")), own_secret())
    with pytest.raises(AlreadyExistsError, match="has gone on"):
        goes_on(made, cut)
    assert tree_of(cut) == ONE
    assert Repository.open(cut).status().clean


def test_a_damaged_note_is_told(made: Path, cut: Path) -> None:
    note = cut / ".dsvc" / "cloning.json"
    note.write_bytes(note.read_bytes().replace(b"remote", b"Remote"))
    with pytest.raises(IntegrityError, match=r"cloning\.json"):
        goes_on(made, cut)


def test_the_note_has_no_secret(tmp_path: Path) -> None:
    url = "s3://key:secret@bucket/x"
    with pytest.raises(DatasetError):
        Repository.clone(url, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command_is_told_as_it_can_be_typed(dsvc: Dsvc, made: Path, cut: Path) -> None:
    outcome = dsvc("-C", cut, "status")
    assert outcome.code == 10
    assert f"dsvc clone {made / 'remote'} {cut}" in outcome.err
    assert dsvc("clone", made / "remote", cut).code == 0
    assert tree_of(cut) == TWO


@pytest.mark.parametrize("folders", [(), ("tmp",), ("tmp", "store")])
def test_skeletons_of_older_versions_can_be_used(
    made: Path, tmp_path: Path, folders: tuple[str, ...]
) -> None:
    """They made HEAD before the store, and no note."""
    meta = tmp_path / "new" / ".dsvc"
    meta.mkdir(parents=True)
    for name in folders:
        (meta / name).mkdir()
    (meta / "HEAD").write_text("ref: main\n")
    assert goes_on(made, tmp_path / "new")


def test_a_store_that_lost_its_root_is_not_taken_for_a_beginning(
    made: Path, tmp_path: Path
) -> None:
    assert goes_on(made, tmp_path / "new")
    (tmp_path / "new" / ".dsvc" / "store" / "root.json").unlink()
    for path in tree_of(tmp_path / "new"):
        (tmp_path / "new" / path).unlink()
    for folder in ("a", "c"):
        (tmp_path / "new" / folder).rmdir()
    with pytest.raises(AlreadyExistsError):
        goes_on(made, tmp_path / "new")
    with pytest.raises(AlreadyExistsError):
        Repository.init(tmp_path / "new")
    assert any((tmp_path / "new" / ".dsvc" / "store" / "packs").iterdir())


def test_the_way_on_is_for_paths_with_blanks_too(home: Path) -> None:
    folder = home / "with a blank"
    (folder / ".dsvc").mkdir(parents=True)
    with pytest.raises(NotARepositoryError) as caught:
        Repository.open(folder)
    assert f"dsvc init '{folder}'" in str(caught.value.hint)
