"""Two workspaces and a remote, in any order of commands, against a model of dictionaries."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from datasets_vc.digest import Digest
from datasets_vc.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnsavedChangesError,
)
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.paths import is_under
from datasets_vc.repository import MergeResult, Repository
from tests.integration.trees import AUTHOR, Tree, committed_tree, digest_of_tree, make_tree, tree_of
from tests.stateful import model
from tests.stateful.model import History, RefusedError, Workspace

TIME = datetime(2026, 1, 1, tzinfo=UTC)
WHICH = st.integers(0, 1)
PATHS = st.sampled_from(["a", "a/b", "a/c", "a/b/c", "d.jpg", "d.json", "\N{ZEBRA FACE} e", "f/g"])
CONTENTS = st.one_of(
    st.tuples(st.just(FILE), st.sampled_from([b"", b"1", b"2", b"longer"])),
    st.tuples(st.just(SYMLINK), st.sampled_from([b"d.jpg", b"f"])),
)
SIDES = st.sampled_from([None, "ours", "theirs"])
BRANCHES = st.sampled_from(["main", "other", "team/labels"])
TAGS = st.sampled_from(["v1", "v2"])
ANNOTATED = "v2"


class RepositoryMachine(RuleBasedStateMachine):
    """Every rule does one thing to one of the workspaces and to its model."""

    @initialize(beginning=st.sampled_from(["apart", "shared", "diverged", "diverged"]))
    def start(self, beginning: str) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.remote = self.folder / "remote"
        self.history = History()
        self.there = Workspace(branch=None)
        self.has_remote = False
        self.models = [Workspace(), Workspace()]
        self.repositories = []
        for name in ("one", "two"):
            repository = Repository.init(self.folder / name)
            repository.remotes.add("origin", str(self.remote))
            self.repositories.append(repository)
        self.which = 0
        if beginning == "apart":
            return
        files = {"a/b": (FILE, b"1"), "a/c": (FILE, b"2"), "d.jpg": (FILE, b"3")}
        self._set_files(0, files)
        self._commit(0, None)
        self.push(0)
        self.pull(1)
        if beginning == "diverged":
            self._set_files(0, files | {"a/b": (FILE, b"2"), "f/g": (FILE, b"")})
            self._commit(0, None)
            self.push(0)
            self._set_files(1, {"a/b": (FILE, b"longer"), "d.jpg": (FILE, b"3")})
            self._commit(1, None)
            self.fetch(1)

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        for which in (0, 1):
            self._look_at_everything(which)
        if self.has_remote:
            self._clone_everything()
        shutil.rmtree(self.folder)

    # Files

    @rule(which=WHICH, path=PATHS, content=CONTENTS)
    def write(self, which: int, path: str, content: tuple[int, bytes]) -> None:
        self._set_files(which, model.put(self.models[which].files, path, content))

    @rule(which=WHICH, path=PATHS)
    def delete(self, which: int, path: str) -> None:
        files = self.models[which].files
        self._set_files(which, {other: files[other] for other in files if other != path})

    @rule(which=WHICH, old=PATHS, new=PATHS)
    def rename(self, which: int, old: str, new: str) -> None:
        files = dict(self.models[which].files)
        content = files.pop(old, None)
        if content is not None:
            self._set_files(which, model.put(files, new, content))

    # Versions

    @rule(which=WHICH)
    def commit_all(self, which: int) -> None:
        self._commit(which, None)

    @rule(which=WHICH, path=PATHS)
    def commit_path(self, which: int, path: str) -> None:
        workspace = self.models[which]
        head = self.history.tree(workspace.commit)
        if any(is_under(other, path) for other in (*head, *workspace.files)):
            self._commit(which, path)

    @rule(which=WHICH, data=st.data(), force=st.booleans(), by_branch=st.booleans())
    def checkout(self, which: int, data: st.DataObject, force: bool, by_branch: bool) -> None:
        workspace, repository = self._take(which)
        choices = sorted(workspace.branches) if by_branch else sorted(workspace.known)
        if not choices:
            return
        chosen = data.draw(st.sampled_from(choices))
        target = workspace.branches[chosen] if by_branch else chosen
        if workspace.unfinished:
            with pytest.raises(ConflictError):
                repository.checkout(chosen if by_branch else chosen.hex(), force=force)
            return
        with self._refusal(which, workspace.commit, target, force=force):
            repository.checkout(chosen if by_branch else chosen.hex(), force=force)
            workspace.branch = chosen if by_branch else None
            workspace.detached = None if by_branch else target

    @rule(which=WHICH, name=BRANCHES, data=st.data())
    def checkout_new_branch(self, which: int, name: str, data: st.DataObject) -> None:
        workspace, repository = self._take(which)
        if name in workspace.branches or not workspace.known:
            return
        target = data.draw(st.sampled_from(sorted(workspace.known)))
        if workspace.unfinished:
            with pytest.raises(ConflictError):
                repository.checkout(target.hex(), create=name)
            return
        with self._refusal(which, workspace.commit, target, force=False):
            repository.checkout(target.hex(), create=name)
            workspace.branches[name] = target
            workspace.branch, workspace.detached = name, None

    @rule(which=WHICH, path=PATHS, data=st.data())
    def restore(self, which: int, path: str, data: st.DataObject) -> None:
        workspace, repository = self._take(which)
        if not workspace.known:
            return
        source = data.draw(st.sampled_from(sorted(workspace.known)))
        old, new = self.history.tree(workspace.commit), self.history.tree(source)
        if not any(is_under(other, path) for other in (*old, *new)):
            with pytest.raises(NotFoundError):
                repository.restore([path], source=source.hex())
            return
        repository.restore([path], source=source.hex())
        workspace.files = model.overwrite(workspace.files, old, new, path)

    # Bringing versions together

    @rule(which=WHICH, data=st.data(), no_ff=st.booleans(), prefer=SIDES)
    def merge(self, which: int, data: st.DataObject, no_ff: bool, prefer: str | None) -> None:
        workspace, repository = self._take(which)
        if not workspace.known:
            return
        ours = workspace.commit
        news = workspace.known - self.history.before(ours)
        other = data.draw(st.sampled_from(sorted(news or workspace.known)))

        def act() -> MergeResult:
            return repository.merging.merge(
                other.hex(), author=AUTHOR, time=TIME, no_ff=no_ff, prefer=prefer, unrelated=True
            )

        if workspace.unfinished:
            with pytest.raises(ConflictError):
                act()
        elif ours and self.history.is_ancestor(other, ours):
            assert not act().updated
        elif ours is None or (self.history.is_ancestor(ours, other) and not no_ff):
            with self._refusal(which, ours, other, force=False):
                assert act().fast_forward
                workspace.go_to(other)
        else:
            trees = self.history.base([ours], other), self.history.tree(other)
            self._three_way(which, act, "merge", other, trees, prefer)

    @rule(which=WHICH, data=st.data(), back=st.booleans(), prefer=SIDES)
    def revert_or_cherry_pick(
        self, which: int, data: st.DataObject, back: bool, prefer: str | None
    ) -> None:
        workspace, repository = self._take(which)
        if not workspace.known:
            return
        other = data.draw(st.sampled_from(sorted(workspace.known)))
        parents = self.history.versions[other].parents
        mainline = data.draw(st.integers(1, len(parents))) if len(parents) > 1 else None
        trees = (
            self.history.tree(parents[(mainline or 1) - 1]) if parents else {},
            self.history.tree(other),
        )

        def act() -> MergeResult:
            verb = repository.merging.revert if back else repository.merging.cherry_pick
            return verb(other.hex(), author=AUTHOR, time=TIME, mainline=mainline, prefer=prefer)

        if workspace.unfinished:
            with pytest.raises(ConflictError):
                act()
        elif workspace.commit is None:
            with pytest.raises(NotFoundError):
                act()
        else:
            kind = "revert" if back else "cherry-pick"
            self._three_way(which, act, kind, other, trees[::-1] if back else trees, prefer)

    @precondition(lambda self: any(workspace.unfinished for workspace in self.models))
    @rule(which=WHICH, data=st.data(), side=st.sampled_from(["ours", "theirs"]))
    def take_a_side(self, which: int, data: st.DataObject, side: str) -> None:
        workspace, repository = self._take(which)
        unfinished = workspace.unfinished
        if not unfinished:
            return
        path = data.draw(st.sampled_from([None, *sorted(unfinished.sides)]))
        chosen = {other for other in unfinished.sides if path and is_under(other, path)}
        chosen = chosen if path else unfinished.open(workspace.files)
        paths = [path] if path else []
        wanted = {each: unfinished.sides[each][side == "theirs"] for each in chosen}
        here = unfinished.here | wanted
        try:
            model.with_changes(unfinished.tree, here)
        except RefusedError:
            with pytest.raises(InvalidInputError):
                repository.merging.resolve(paths, side)
            return
        try:
            files = model.with_changes(workspace.files, wanted)
        except RefusedError:
            with pytest.raises(UnsavedChangesError):
                repository.merging.resolve(paths, side)
            return
        repository.merging.resolve(paths, side)
        workspace.files, unfinished.here = files, here
        unfinished.resolved |= chosen

    @precondition(lambda self: any(workspace.unfinished for workspace in self.models))
    @rule(which=WHICH)
    def resume(self, which: int) -> None:
        workspace, repository = self._take(which)
        unfinished = workspace.unfinished
        if not unfinished:
            with pytest.raises(InvalidInputError):
                repository.merging.resume(author=AUTHOR)
            return
        left = unfinished.open(workspace.files)
        if left:
            result = repository.merging.resume(author=AUTHOR)
            assert {conflict.path for conflict in result.conflicts} == left
            return
        found = {path: workspace.files.get(path) for path in unfinished.sides}
        try:
            tree = model.with_changes(unfinished.tree, found)
        except RefusedError:
            tree = None
        nothing = unfinished.kind != "merge" and tree == self.history.tree(workspace.commit)
        if tree is None or nothing:
            with pytest.raises(InvalidInputError):
                repository.merging.resume(author=AUTHOR)
            return
        result = repository.merging.resume(author=AUTHOR, time=TIME)
        self._recorded(which, result, unfinished.kind, unfinished.other, tree)

    @precondition(lambda self: any(workspace.unfinished for workspace in self.models))
    @rule(which=WHICH)
    def abort(self, which: int) -> None:
        workspace, repository = self._take(which)
        unfinished = workspace.unfinished
        if not unfinished:
            return
        ours = self.history.tree(workspace.commit)
        touched = {
            path
            for path in ours.keys() | unfinished.tree.keys() | unfinished.sides.keys()
            if path in unfinished.sides or ours.get(path) != unfinished.tree.get(path)
        }
        try:
            files = model.with_changes(workspace.files, {path: ours.get(path) for path in touched})
        except RefusedError:
            with pytest.raises(UnsavedChangesError):
                repository.merging.abort()
            return
        repository.merging.abort()
        workspace.files, workspace.unfinished = files, None

    # Names

    @rule(which=WHICH, name=TAGS)
    def tag(self, which: int, name: str) -> None:
        workspace, repository = self._take(which)
        if workspace.commit and name not in workspace.tags:
            if name == ANNOTATED:
                repository.tags.annotate(name, message="two", tagger=AUTHOR, time=TIME)
            else:
                repository.tags.create(name)
            workspace.tags[name] = workspace.commit

    @rule(which=WHICH, name=BRANCHES)
    def branch(self, which: int, name: str) -> None:
        workspace, repository = self._take(which)
        if workspace.commit and name not in workspace.branches:
            repository.branches.create(name)
            workspace.branches[name] = workspace.commit

    @rule(which=WHICH, name=BRANCHES)
    def delete_branch(self, which: int, name: str) -> None:
        workspace, repository = self._take(which)
        if name in workspace.branches and name != workspace.branch:
            repository.branches.delete(name, force=True)
            del workspace.branches[name]

    @rule(which=WHICH, name=TAGS)
    def delete_tag(self, which: int, name: str) -> None:
        workspace, repository = self._take(which)
        if name in workspace.tags:
            repository.tags.delete(name)
            del workspace.tags[name]

    # Keeping stores in order

    @rule(which=WHICH)
    def collect(self, which: int) -> None:
        """What was known and nothing holds any more is gone, and nothing else."""
        workspace, repository = self._take(which)
        repository.maintenance.gc(grace=timedelta(0))
        held = [
            *workspace.branches.values(),
            *workspace.tags.values(),
            *repository.store.root().tracking.values(),
            workspace.commit,
            workspace.unfinished and workspace.unfinished.other,
        ]
        workspace.known &= self.history.before(*held)
        names = sorted(commit.hex() for commit in workspace.known)
        assert [repository.resolve(name).commit.hex() for name in names] == names
        assert repository.maintenance.gc(grace=timedelta(0)).objects == ()

    @rule(which=WHICH)
    def collect_remote(self, which: int) -> None:
        _, repository = self._take(which)
        if self.has_remote:
            repository.maintenance.gc(remote="origin", grace=timedelta(0))

    @rule(which=WHICH, remote=st.booleans())
    def check(self, which: int, remote: bool) -> None:
        _, repository = self._take(which)
        if self.has_remote or not remote:
            found = repository.maintenance.fsck(remote="origin" if remote else None)
            assert found.errors == []
            assert found.checked["root"] == 1

    @rule(which=WHICH)
    def drop(self, which: int) -> None:
        """All bytes that are elsewhere go, and come back when they are needed."""
        workspace, repository = self._take(which)
        if self.has_remote:
            repository.maintenance.drop(everything=True)
            if workspace.commit:
                repository.fetch(revisions=[workspace.commit.hex()])
                self._learn(workspace)

    # Elsewhere

    @precondition(lambda self: any(workspace.commit for workspace in self.models))
    @rule(which=WHICH)
    def push(self, which: int) -> None:
        workspace, repository = self._take(which)
        tip = workspace.commit
        if workspace.branch is None or tip is None:
            with pytest.raises((InvalidInputError, NotFoundError)):
                repository.push()
            return
        self.has_remote = True
        theirs = self.there.branches.get(workspace.branch)
        tags = model.among(workspace.tags, self.history.before(tip))
        if not self.history.is_ancestor(theirs, tip) or model.conflicting_tags(
            self.there.tags, tags
        ):
            with pytest.raises(ConflictError):
                repository.push()
            return
        assert repository.push().commit == tip
        self.there.branches[workspace.branch] = tip
        self.there.tags |= tags

    @rule(which=WHICH)
    def fetch(self, which: int) -> None:
        workspace, repository = self._take(which)
        if self.has_remote:
            repository.fetch()
            self._learn(workspace)

    @rule(which=WHICH)
    def pull(self, which: int) -> None:
        workspace, repository = self._take(which)
        if workspace.branch is None:
            with pytest.raises(InvalidInputError):
                repository.pull()
            return
        if not self.has_remote:
            with pytest.raises(NotFoundError):
                repository.pull()
            return
        if workspace.unfinished:
            with pytest.raises(ConflictError):
                repository.pull(author=AUTHOR)
            return
        self._learn(workspace)
        old, theirs = workspace.commit, self.there.branches.get(workspace.branch)
        if theirs is None:
            with pytest.raises(NotFoundError):
                repository.pull()
            return
        if self.history.is_ancestor(theirs, old):
            assert not repository.pull().updated
            return
        if self.history.is_ancestor(old, theirs):
            with self._refusal(which, old, theirs, force=False):
                assert repository.pull().commit == theirs
                workspace.branches[workspace.branch] = theirs
            return
        with pytest.raises(ConflictError):
            repository.pull()
        if not self.history.bases([old], theirs):
            with pytest.raises(InvalidInputError):
                repository.pull(author=AUTHOR)
            return
        base, tree = self.history.base([old], theirs), self.history.tree(theirs)
        act = lambda: repository.pull(author=AUTHOR, time=TIME).merge  # noqa: E731
        self._three_way(which, act, "merge", theirs, (base, tree), None)

    @rule(which=WHICH)
    def open_again(self, which: int) -> None:
        self.repositories[which] = Repository.open(self.repositories[which].folder)

    # What always holds

    @invariant()
    def files_and_status_are_right(self) -> None:
        if not hasattr(self, "folder"):
            return
        workspace, repository = self.models[self.which], self.repositories[self.which]
        assert tree_of(repository.folder) == workspace.files
        status = repository.status()
        expected = model.changes(self.history.tree(workspace.commit), workspace.files)
        assert (list(status.added), list(status.modified), list(status.deleted)) == expected
        assert (status.branch, status.commit) == (workspace.branch, workspace.commit)
        merging = status.merging
        left = workspace.unfinished.open(workspace.files) if workspace.unfinished else None
        assert (merging and {each.path for each in merging.open}) == left
        assert repository.branches.list() == workspace.branches
        assert repository.tags.list() == workspace.tags

    # Helpers

    def _take(self, which: int) -> tuple[Workspace, Repository]:
        self.which = which
        return self.models[which], self.repositories[which]

    def _set_files(self, which: int, files: model.Tree) -> None:
        workspace, repository = self._take(which)
        make_tree(repository.folder, files)
        workspace.files = files

    def _commit(self, which: int, path: str | None) -> None:
        workspace, repository = self._take(which)
        head = self.history.tree(workspace.commit)
        tree = model.commit(head, workspace.files, path)
        paths = [] if path is None else [path]
        if workspace.unfinished:
            with pytest.raises(ConflictError):
                repository.commit("mixed", paths, author=AUTHOR, time=TIME)
            return
        if tree == head:
            with pytest.raises(InvalidInputError):
                repository.commit("nothing", paths, author=AUTHOR, time=TIME)
            return
        parents = (workspace.commit,) if workspace.commit else ()
        made = repository.commit("something", paths, author=AUTHOR, time=TIME)
        self.history.versions[made.commit] = model.Version(tree, parents)
        workspace.go_to(made.commit)
        assert made.dataset == digest_of_tree(tree)
        assert (made.added, made.modified, made.deleted) == tuple(
            map(len, model.changes(head, tree))
        )
        assert committed_tree(repository) == tree

    def _three_way(
        self,
        which: int,
        act: Callable[[], MergeResult],
        kind: str,
        other: Digest,
        trees: tuple[Tree, Tree],
        prefer: str | None,
    ) -> None:
        workspace, _ = self._take(which)
        ours = self.history.tree(workspace.commit)
        tree, sides = model.merge(trees[0], ours, trees[1])
        if prefer:
            tree = model.with_changes(
                tree, {path: both[prefer == "theirs"] for path, both in sides.items()}
            )
            sides = {}
        if kind != "merge" and tree == ours and not sides:
            with pytest.raises(InvalidInputError):
                act()
            return
        here = {path: both[0] for path, both in sides.items()}
        try:
            files = model.switch(workspace.files, ours, tree)
            if any(files.get(path) != content for path, content in here.items()):
                raise RefusedError
        except RefusedError:
            with pytest.raises(UnsavedChangesError):
                act()
            return
        result = act()
        workspace.files = files
        assert {conflict.path for conflict in result.conflicts} == sides.keys()
        if sides:
            workspace.unfinished = model.Unfinished(kind, other, tree, sides, here)
        else:
            self._recorded(which, result, kind, other, tree)

    def _recorded(
        self, which: int, result: MergeResult, kind: str, other: Digest, tree: Tree
    ) -> None:
        workspace, repository = self._take(which)
        parents = (workspace.commit, other) if kind == "merge" else (workspace.commit,)
        self.history.versions[result.commit] = model.Version(tree, parents)
        workspace.go_to(result.commit)
        workspace.unfinished = None
        assert result.dataset == digest_of_tree(tree)
        assert committed_tree(repository) == tree

    def _learn(self, workspace: Workspace) -> None:
        workspace.tags = self.there.tags | workspace.tags
        for tip in (*self.there.branches.values(), *self.there.tags.values()):
            workspace.known.update(self.history.before(tip))

    @contextmanager
    def _refusal(self, which: int, old, new, *, force: bool):
        """What is done inside succeeds if no uncommitted work is in the way, and only then."""
        workspace = self.models[which]
        trees = self.history.tree(old), self.history.tree(new)
        change = model.overwrite if force else model.switch
        try:
            files = change(workspace.files, *trees)
        except RefusedError:
            with pytest.raises(UnsavedChangesError):
                yield
        else:
            yield
            workspace.files = files

    def _look_at_everything(self, which: int) -> None:
        workspace, repository = self.models[which], self.repositories[which]
        if workspace.commit is None:
            return
        infos = list(repository.log())
        assert {info.digest for info in infos} == self.history.before(workspace.commit)
        for info in infos:
            version = self.history.versions[info.digest]
            assert info.dataset == digest_of_tree(version.tree)
            assert tuple(info.parents) == version.parents

    def _clone_everything(self) -> None:
        folder = self.folder / "three"
        default = self.there.branches and Repository.clone(str(self.remote), folder)
        if not default:
            return
        repository = Repository.open(folder)
        assert tree_of(folder) == self.history.tree(default.commit)
        assert repository.tags.list() == self.there.tags
        for tip in self.there.branches.values():
            for commit in self.history.before(tip):
                repository.fetch(revisions=[commit.hex()])
                assert committed_tree(repository, commit.hex()) == self.history.tree(commit)


TestRepository = RepositoryMachine.TestCase
TestRepository.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
