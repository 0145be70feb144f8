"""One workspace with its store and its remotes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from datasets_vc.config import Head, find_workspace
from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import NotFoundError
from datasets_vc.history.branches import Branches
from datasets_vc.history.manifest import Manifest
from datasets_vc.history.revisions import Revision
from datasets_vc.history.snapshot import Snapshot
from datasets_vc.history.tags import Tags
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository import exchange, working
from datasets_vc.repository.bringing import ensure_files
from datasets_vc.repository.context import Context
from datasets_vc.repository.differences import Difference, diff_versions, diff_workspace
from datasets_vc.repository.looking import every_tip, log_of, show
from datasets_vc.repository.maintenance import Maintenance
from datasets_vc.repository.merging import Merging
from datasets_vc.repository.pulling import pull
from datasets_vc.repository.results import (
    CheckoutResult,
    CloneResult,
    CommitInfo,
    CommitResult,
    Status,
    SyncResult,
    Version,
)
from datasets_vc.repository.unfinished import Recorder
from datasets_vc.runs.runs import Runs
from datasets_vc.store import Store
from datasets_vc.sync.remotes import DEFAULT_REMOTE, Remotes
from datasets_vc.workspace.git import GitPlace, git_place
from datasets_vc.workspace.part import Part


class Repository:
    """A workspace, its store, and what can be done with them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @classmethod
    def init(cls, folder: Path, store_url: str | None = None) -> Repository:
        """Make a workspace of a folder, whose files stay as they are.

        Args:
            store_url: a store to keep versions in; one that exists is shared. By default the
                workspace has its own.

        Raises:
            AlreadyExistsError: it is a workspace already.
        """
        return cls(exchange.init(folder, store_url))

    @classmethod
    def open(cls, folder: Path) -> Repository:
        """The repository that a folder lies in.

        Raises:
            NotARepositoryError: neither it nor a folder above it is a workspace.
        """
        return cls(Context(find_workspace(folder)))

    @classmethod
    def clone(
        cls,
        url: str,
        folder: Path,
        *,
        revision: str | None = None,
        checkout: bool = True,
        only: Sequence[str] | None = None,
        progress: Progress = SILENT,
    ) -> CloneResult:
        """Make a workspace of a version in a remote store.

        If the transfer is cut short the workspace stays, and `pull` goes on where it stopped.

        Args:
            revision: the default branch if not given; on anything but a branch the workspace
                stands on no branch.
            checkout: write the files; training does not need them.
            only: get and write only the files that these patterns name; see `checkout`.

        Raises:
            AlreadyExistsError: the folder exists and is not empty.
        """
        return exchange.clone(
            url, folder, revision=revision, checkout=checkout, only=only, progress=progress
        )

    @property
    def folder(self) -> Path:
        """The workspace."""
        return self._context.folder

    @property
    def git(self) -> GitPlace | None:
        """How the workspace lies in a git work tree, if it does."""
        return git_place(self.folder)

    @property
    def store(self) -> Store:
        return self._context.store

    @property
    def head(self) -> Head:
        """The branch, if any, and the commit, if any, that the workspace stands at."""
        return self._context.head

    @property
    def branches(self) -> Branches:
        return self._context.branches

    @property
    def tags(self) -> Tags:
        return self._context.tags

    @property
    def remotes(self) -> Remotes:
        return self._context.remotes

    @cached_property
    def runs(self) -> Runs:
        return Runs(
            self.folder,
            self.store,
            resolve=self.resolve,
            ensure=self._ensure,
            fetch_runs=self._fetch_runs,
        )

    @cached_property
    def merging(self) -> Merging:
        """Merge, revert, cherry-pick."""
        return Merging(self._context)

    @cached_property
    def maintenance(self) -> Maintenance:
        """Collect, check, repair, free space."""
        return Maintenance(self._context)

    def resolve(self, revision: str) -> Revision:
        """What a revision names; see `history.revisions`."""
        return self._context.resolve(revision)

    def snapshot(self, revision: str = "HEAD") -> Snapshot:
        """A read-only view of a version."""
        found = self.resolve(revision)
        commit = found.commit.hex() if found.commit else None
        return Snapshot(self.store.url, found.dataset.hex(), commit)

    def status(self, paths: Sequence[str] = ()) -> Status:
        """What changed in the workspace, or under some paths of it, since HEAD."""
        return working.status(self._context, paths)

    def commit(
        self,
        message: str,
        paths: Sequence[str] = (),
        *,
        author: str,
        time: datetime | None = None,
        consume: bool = False,
        progress: Progress = SILENT,
    ) -> CommitResult:
        """Record all changes of the workspace, or those under some paths.

        Args:
            consume: remove the files that are as committed from the workspace afterwards, each
                once its bytes have been read back from the store; they are no part of it then.

        Raises:
            InvalidInputError: nothing changed (and nothing was consumed), or there is no message.
            UnreadableFileError: a file changed, vanished or could not be read meanwhile; nothing
                is recorded.
            ConflictError: another workspace on this store moved the branch meanwhile.
        """
        return working.commit(
            self._context, message, paths, author, time, progress, consume=consume
        )

    def log(
        self,
        revision: str | None = "HEAD",
        paths: Sequence[str] = (),
        *,
        limit: int | None = None,
        follow: bool = False,
        graph: bool = False,
    ) -> Iterator[CommitInfo]:
        """A commit and all before it, newest first; with paths, those that changed what is there.

        Args:
            revision: None starts from all branches and tags.
            follow: go on with the old name of a file that was renamed.
            graph: in the order in which lines of development are drawn, see `history.log`.
        """
        tips = [self._context.commit_of(revision)] if revision else every_tip(self._context)
        return log_of(self._context, tips, paths, limit=limit, follow=follow, graph=graph)

    def show(self, revision: str) -> Version:
        """One version and what samples it has."""
        return show(self._context, revision, self.snapshot(revision))

    def diff(self, a: str | None = None, b: str | None = None) -> Difference:
        """From one version to another; without `b` to the workspace, without `a` from HEAD."""
        if b is None:
            return diff_workspace(self._context, a)
        old, new = (self.resolve(revision).dataset for revision in (a or "HEAD", b))
        return diff_versions(self._context, old, new)

    def checkout(
        self,
        revision: str | None,
        paths: Sequence[str] = (),
        *,
        force: bool = False,
        create: str | None = None,
        part: Part | None = None,
        progress: Progress = SILENT,
    ) -> CheckoutResult:
        """Go to a version and write its files; with `paths`, write only these and stay.

        Args:
            revision: None stays where the workspace is.
            force: overwrite changes that are not committed.
            create: make a branch of this name there first, and go to it.
            part: what of this version, and those that come after it, the workspace is to have. By
                default what it has had of the one before.

        Raises:
            UnsavedChangesError: it would overwrite changes; nothing was written.
        """
        if paths:
            source = revision or "HEAD"
            return working.restore(self._context, paths, source, force=force, progress=progress)
        return working.checkout(
            self._context, revision, force=force, create=create, part=part, progress=progress
        )

    def restore(
        self, paths: Sequence[str], *, source: str = "HEAD", progress: Progress = SILENT
    ) -> CheckoutResult:
        """Put files back as a version has them; changes under `paths` are overwritten."""
        return working.restore(self._context, paths, source, force=True, progress=progress)

    def ls(self, revision: str, path: str = "") -> pa.Table:
        """The entries of a version at or below a path.

        Raises:
            NotFoundError: there are none.
        """
        table = Manifest(self.store, self.resolve(revision).dataset).entries(path)
        if path and not table.num_rows:
            raise NotFoundError(
                f"There is no '{path}' in {revision}.", f"See what there is: dsvc ls {revision}"
            )
        return table

    def cat(self, revision: str, path: str) -> Iterator[Buffer]:
        """The bytes of one file of a version, piece by piece; from a remote if they are not here.

        Raises:
            NotFoundError: the version has no such file.
            MissingDataError: nobody has its bytes.
        """
        entry = Manifest(self.store, self.resolve(revision).dataset).get(path)
        if entry is None:
            raise NotFoundError(
                f"There is no file '{path}' in {revision}.",
                f"See what there is: dsvc ls {revision}",
            )
        ensure_files(self._context, [entry.digest], f"'{path}'")
        return self.store.iter_file(entry.digest)

    def fetch(
        self,
        remote: str = DEFAULT_REMOTE,
        revisions: Sequence[str] = (),
        *,
        progress: Progress = SILENT,
    ) -> SyncResult:
        """Bring all history of a remote, and the files of what its branch of our name holds.

        Args:
            revisions: bring the files of these versions too.
        """
        return exchange.fetch(self._context, remote, revisions, progress)

    def pull(
        self,
        remote: str = DEFAULT_REMOTE,
        *,
        author: str | None = None,
        time: datetime | None = None,
        progress: Progress = SILENT,
    ) -> SyncResult:
        """Bring what a remote's branch has new, go there, and write the files if there are any.

        If both sides have commits that the other one lacks, they are merged; with open conflicts
        the result says which, and `merging` settles them.

        Args:
            author: who merges. Without one the branch only goes forward.
            time: of the merge; now if not given.

        Raises:
            ConflictError: it cannot go forward, and nobody is named who merges; new commits were
                fetched, and nothing else was changed. Or another merge is unfinished.
            UnsavedChangesError: it would overwrite changes; they were fetched, nothing written.
            InvalidInputError: on no branch, or the histories have nothing in common.
        """
        recorder = Recorder(author, time) if author else None
        return pull(self._context, remote, recorder, progress)

    def push(
        self,
        remote: str = DEFAULT_REMOTE,
        branch: str | None = None,
        *,
        progress: Progress = SILENT,
    ) -> SyncResult:
        """Bring a branch, the tags on it, and finished runs to a remote.

        Raises:
            ConflictError: the branch has commits there that ours does not build on.
        """
        return exchange.push(self._context, remote, branch, progress)

    def _ensure(self, dataset: Digest, progress: Progress) -> None:
        exchange.ensure(self._context, dataset, progress)

    def _fetch_runs(self) -> None:
        with self._context.workspace.lock():
            for name in self.remotes.list():
                exchange.fetch_all(self._context, self.remotes.connect(name), name, [])
