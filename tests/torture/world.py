"""Workspaces where something is about to be done; what has to hold whenever it is stopped."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from datasets_vc.backends import Backend, open_backend
from datasets_vc.digest import Digest
from datasets_vc.errors import MissingDataError
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.history.commits import read_commit, walk
from datasets_vc.history.manifest import Manifest
from datasets_vc.repository import Repository
from datasets_vc.store import Store
from datasets_vc.store.names import pack_name
from datasets_vc.store.verify import verify_pack
from tests.integration.trees import AUTHOR, Tree, committed_tree, digest_of_tree, make_tree, tree_of

REMOTE = "remote"

MINE: Tree = {"notes": (FILE, b"mine"), "added/mine": (FILE, b"mine, too")}
EDITED: Tree = {"labels/edited": (FILE, b"edited, and not committed")}


def _tree(first: str, second: str, **files: bytes) -> Tree:
    tree: Tree = {f"kept/{number}": (FILE, b"%d" % number * 50) for number in range(6)}
    tree |= {"labels/edited": (FILE, b"as committed"), "link": (SYMLINK, b"kept/1")}
    table = f"file_name,label\na.png,{first}\nb.png,{second}\n"
    tree["metadata.csv"] = (FILE, table.encode())
    return tree | {path.replace("__", "/"): (FILE, data) for path, data in files.items()}


def _large(seed: int) -> bytes:
    """Bytes of a file of more than one chunk."""
    return random.Random(seed).randbytes(1_100_000)


_NEW = {"changed": b"new", "added__a": b"a" * 1000, "added__b": b"", "large": _large(1)}
ONE = _tree("x", "x", changed=b"old", gone__deep=b"gone", other=b"1")
TWO = _tree("y", "x", other=b"1", **_NEW)
SIDE = _tree("x", "z", changed=b"old", gone__deep=b"gone", other=b"2", side__s=b"s" * 500)
MERGED = _tree("y", "z", other=b"2", side__s=b"s" * 500, **_NEW)
THREE = TWO | {"sent": (FILE, _large(3)), "sent too": (FILE, b"small")}
STEPS = [ONE | {"changed": (FILE, b"step %d" % number)} for number in range(6)]
LAST = ONE | {"changed": (FILE, b"last")}

TREES = {"one": ONE, "side": SIDE, "two": TWO, "three": THREE, "last": LAST}
TREES |= {f"step {number}": tree for number, tree in enumerate(STEPS)}
"""What each commit has, by its message; every other is a merge."""


@dataclass(frozen=True, slots=True)
class Act:
    """One command in one workspace.

    Attributes:
        name: what is done; the workspace has this name, too.
        argv: of `dsvc`, in that workspace.
        before, after: the files of the workspace, uncommitted ones too.
        leads: the version that it stands on when all is done.
        codes: how the command may end when it is run again.
    """

    name: str
    argv: tuple[str, ...]
    before: Tree
    after: Tree
    leads: Tree
    codes: tuple[int, ...] = (0,)


def _acts() -> Iterable[Act]:
    # A commit that was recorded before it was stopped has nothing left to do.
    yield Act("commit", ("commit", "-m", "two"), TWO, TWO, TWO, (0, 2))
    # After six small commits the next one merges what all of them wrote of metadata.
    yield Act("repack", ("commit", "-m", "last"), LAST, LAST, LAST, (0, 2))
    mine = MINE | EDITED
    yield Act("gc", ("gc", "--grace", "0"), ONE | mine, ONE | mine, ONE)
    # Its own version, too: all that is left is fetched again.
    yield Act("drop", ("drop", "--all"), ONE | mine, ONE | mine, ONE)
    yield Act("push", ("push",), THREE | mine, THREE | mine, THREE)
    yield Act("pull", ("pull",), ONE | mine, TWO | mine, TWO)
    yield Act("checkout", ("checkout", "side"), TWO | mine, SIDE | mine, SIDE)
    yield Act("merge", ("merge", "origin/side"), TWO | MINE, MERGED | MINE, MERGED)


ACTS = {act.name: act for act in _acts()}

OTHERS = (
    ("fetch", "origin", "origin/main"),
    ("fetch", "origin", "origin/side"),
    ("gc", "--grace", "0"),
    ("fsck", "--repair"),
    ("status",),
    ("cat", "HEAD:other"),
    ("restore", "kept/1"),
    ("push", "origin", "main"),
    ("runs", "list"),
)
"""What may be done in any of the workspaces after something was cut short there: all of it ends
right, and changes no file."""


class World:
    """The workspaces of all acts and their remote, as they are before anything is done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        _build(folder)
        self.complete = {name: _complete(Store.open(_store(folder / name))) for name in ACTS}
        self.complete["drop"] = frozenset()  # the remote has it

    def case(self, act: Act, folder: Path) -> Case:
        """A copy of what an act needs."""
        folder.mkdir(parents=True)
        for name in (act.name, REMOTE):
            shutil.copytree(self.folder / name, folder / name, symlinks=True)
        config = folder / act.name / ".dsvc" / "config.toml"
        config.write_text(config.read_text().replace(f"{self.folder}/", f"{folder}/"))
        return Case(folder, act, self.complete[act.name])


@dataclass(frozen=True, slots=True)
class Case:
    """A copy of the world in which one act is done."""

    folder: Path
    act: Act
    complete: frozenset[Digest]

    @property
    def workspace(self) -> Path:
        return self.folder / self.act.name

    @property
    def argv(self) -> list[str]:
        return ["-C", str(self.workspace), *self.act.argv]

    def check_stopped(self, *, torn: bool = False) -> None:
        """What holds whenever it was stopped.

        Args:
            torn: files that it was to change may hold anything, as nobody waited for the disk.
        """
        found = tree_of(self.workspace)
        for path in found.keys() | self.act.before.keys() | self.act.after.keys():
            old, new = self.act.before.get(path), self.act.after.get(path)
            assert found.get(path) in (old, new) or (torn and old != new), path
        check_store(Store.open(_store(self.workspace)), self.complete)
        remote = Store.open(open_backend(str(self.folder / REMOTE)))
        check_store(remote, _reachable(remote))
        repository = Repository.open(self.workspace)
        repository.status()
        for name in (None, "origin"):
            checked = repository.maintenance.fsck(remote=name)
            assert not checked.errors, checked.errors

    def check_done(self) -> None:
        """What holds once it was run again."""
        self.check_stopped()
        repository = Repository.open(self.workspace)
        assert tree_of(self.workspace) == self.act.after
        assert repository.resolve("HEAD").dataset == digest_of_tree(self.act.leads)
        assert committed_tree(repository) == self.act.leads
        uncommitted = {
            path for path, entry in self.act.after.items() if self.act.leads.get(path) != entry
        }
        status = repository.status()
        assert {*status.added, *status.modified, *status.deleted} == uncommitted
        assert not status.merging
        _check_tidy(self.workspace / ".dsvc")


def check_store(store: Store, complete: Iterable[Digest]) -> None:
    """All that the index lists is whole, each commit is what it says, and some have every file."""
    for pack in {pack.digest: pack for pack in store.index.packs}.values():
        data = store.backend.get(pack_name(pack.digest))
        assert len(data) == pack.size
        verify_pack(data, pack.digest, store.url)
    for commit in _reachable(store):
        found = read_commit(store, commit)
        expected = TREES.get(found.message, MERGED)
        assert found.dataset == digest_of_tree(expected), found.message
    for commit in complete:
        assert _files(store, commit) == TREES.get(read_commit(store, commit).message, MERGED)


def _reachable(store: Store) -> frozenset[Digest]:
    root = store.root()
    tips = {*root.branches.values(), *root.tags.values(), *root.tracking.values()}
    return frozenset(digest for digest, _ in walk(store, tips))


def _complete(store: Store) -> frozenset[Digest]:
    """The commits of which the store has every file."""
    return frozenset(commit for commit in _reachable(store) if _files(store, commit) is not None)


def _files(store: Store, commit: Digest) -> Tree | None:
    entries = Manifest(store, read_commit(store, commit).dataset).entries().to_pylist()
    try:
        data = store.read_files([row["digest"] for row in entries])
    except MissingDataError:
        return None
    return {
        row["path"]: (row["kind"], bytes(each)) for row, each in zip(entries, data, strict=True)
    }


def _check_tidy(meta: Path) -> None:
    assert [path for path in (meta / "tmp").iterdir() if path.is_dir()] == []


def _store(workspace: Path) -> Backend:
    return open_backend(str(workspace / ".dsvc" / "store"))


def _build(folder: Path) -> None:
    url = str(folder / REMOTE)
    push = Repository.init(folder / "push")
    push.remotes.add("origin", url)
    _commit(push, ONE, "one")
    push.push()
    push.checkout("HEAD", create="side")
    _commit(push, SIDE, "side")
    push.push(branch="side")
    push.checkout("main")
    for name in ("commit", "pull", "repack", "gc", "drop"):
        Repository.clone(url, folder / name)
    repack = Repository.open(folder / "repack")
    for number, tree in enumerate(STEPS):
        _commit(repack, tree, f"step {number}")
    _commit(push, TWO, "two")
    push.push()
    for name in ("checkout", "merge"):
        Repository.clone(url, folder / name)
    _commit(push, THREE, "three")
    _abandon(Repository.open(folder / "gc"))
    for act in ACTS.values():
        make_tree(folder / act.name, act.before)


def _abandon(repository: Repository) -> None:
    """Record versions that no branch names any more."""
    repository.checkout("HEAD", create="gone")
    for tree in STEPS[:3]:
        _commit(repository, SIDE | tree, "abandoned")
    make_tree(repository.folder, ONE)
    repository.checkout("main", force=True)
    repository.branches.delete("gone", force=True)


def _commit(repository: Repository, tree: Tree, message: str) -> None:
    make_tree(repository.folder, tree)
    repository.commit(message, author=AUTHOR)
