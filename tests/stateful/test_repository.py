"""Two workspaces and a remote, in any order of commands, against a model of dictionaries."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from datasets_vc.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnsavedChangesError,
)
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.paths import is_under
from datasets_vc.repository import Repository
from tests.integration.trees import AUTHOR, committed_tree, digest_of_tree, make_tree, tree_of
from tests.stateful import model
from tests.stateful.model import History, RefusedError, Workspace

TIME = datetime(2026, 1, 1, tzinfo=UTC)
WHICH = st.integers(0, 1)
PATHS = st.sampled_from(["a", "a/b", "a/c", "a/b/c", "d.jpg", "d.json", "\N{ZEBRA FACE} e", "f/g"])
CONTENTS = st.one_of(
    st.tuples(st.just(FILE), st.sampled_from([b"", b"1", b"2", b"longer"])),
    st.tuples(st.just(SYMLINK), st.sampled_from([b"d.jpg", b"f"])),
)
BRANCHES = st.sampled_from(["main", "other", "team/labels"])
TAGS = st.sampled_from(["v1", "v2"])
ANNOTATED = "v2"


class RepositoryMachine(RuleBasedStateMachine):
    """Every rule does one thing to one of the workspaces and to its model."""

    @initialize(shared=st.booleans())
    def start(self, shared: bool) -> None:
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
        if shared:
            self._set_files(0, {"a/b": (FILE, b"1"), "a/c": (FILE, b"2"), "d.jpg": (FILE, b"3")})
            self._commit(0, None)
            self.push(0)
            self.pull(1)

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
        tags = model.among(workspace.tags, self.history.line(tip))
        if not self.history.is_ancestor(theirs, tip) or model.conflicting_tags(
            self.there.tags, tags
        ):
            with pytest.raises(ConflictError):
                repository.push()
            return
        assert repository.push().commit == tip
        self.there.branches[workspace.branch] = tip
        self.there.tags |= tags
        known = {name: tip for name, tip in self.there.tags.items() if tip in workspace.known}
        workspace.tags = known | workspace.tags

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
        self._learn(workspace)
        old, theirs = workspace.commit, self.there.branches.get(workspace.branch)
        if theirs is None:
            with pytest.raises(NotFoundError):
                repository.pull()
            return
        if self.history.is_ancestor(theirs, old):
            assert not repository.pull().updated
            return
        if not self.history.is_ancestor(old, theirs):
            with pytest.raises(ConflictError):
                repository.pull()
            return
        with self._refusal(which, old, theirs, force=False):
            assert repository.pull().commit == theirs
            workspace.branches[workspace.branch] = theirs

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
        if tree == head:
            with pytest.raises(InvalidInputError):
                repository.commit("nothing", paths, author=AUTHOR, time=TIME)
            return
        parents = (workspace.commit,) if workspace.commit else ()
        made = repository.commit("something", paths, author=AUTHOR, time=TIME)
        self.history.versions[made.commit] = model.Version(tree, parents)
        workspace.known.add(made.commit)
        if workspace.branch:
            workspace.branches[workspace.branch] = made.commit
        else:
            workspace.detached = made.commit
        assert made.dataset == digest_of_tree(tree)
        assert (made.added, made.modified, made.deleted) == tuple(
            map(len, model.changes(head, tree))
        )
        assert committed_tree(repository) == tree

    def _learn(self, workspace: Workspace) -> None:
        workspace.tags = self.there.tags | workspace.tags
        for tip in (*self.there.branches.values(), *self.there.tags.values()):
            workspace.known.update(self.history.line(tip))

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
        line = self.history.line(workspace.commit)
        assert [info.digest for info in repository.log()] == line
        for info in repository.log():
            assert info.dataset == digest_of_tree(self.history.tree(info.digest))

    def _clone_everything(self) -> None:
        folder = self.folder / "three"
        default = self.there.branches and Repository.clone(str(self.remote), folder)
        if not default:
            return
        repository = Repository.open(folder)
        assert tree_of(folder) == self.history.tree(default.commit)
        assert repository.tags.list() == self.there.tags
        for tip in self.there.branches.values():
            for commit in self.history.line(tip):
                repository.fetch(revisions=[commit.hex()])
                assert committed_tree(repository, commit.hex()) == self.history.tree(commit)


TestRepository = RepositoryMachine.TestCase
TestRepository.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
