"""A repository as one looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from datasets_vc.config import Head
from datasets_vc.digest import Buffer
from datasets_vc.history.branches import Branches
from datasets_vc.history.revisions import Revision
from datasets_vc.history.tags import Tags
from datasets_vc.repository import families
from datasets_vc.repository.context import Context
from datasets_vc.repository.results import (
    CommitInfo,
    Status,
    Version,
)
from datasets_vc.repository.status import status
from datasets_vc.store import Store
from datasets_vc.sync.remotes import Remotes

if TYPE_CHECKING:
    from datasets_vc.history.snapshot import Snapshot
    from datasets_vc.repository.differences import Difference
    from datasets_vc.workspace.git import GitPlace


class Viewing:
    """A workspace, its store, and what there is to see of them; nothing here changes anything."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def folder(self) -> Path:
        """The workspace."""
        return self._context.folder

    @property
    def is_safe(self) -> bool:
        """Whether its settings are followed; else it can only be looked at."""
        return self._context.is_safe

    @property
    def git(self) -> GitPlace | None:
        """How the workspace lies in a git work tree, if it does."""
        return families.git.git_place(self.folder)

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

    def resolve(self, revision: str) -> Revision:
        """What a revision names; see `history.revisions`."""
        return self._context.resolve(revision)

    def snapshot(self, revision: str = "HEAD") -> Snapshot:
        """A read-only view of a version."""
        found = self.resolve(revision)
        commit = found.commit.hex() if found.commit else None
        return families.snapshot.Snapshot(self.store.url, found.dataset.hex(), commit)

    def status(self, paths: Sequence[str] = ()) -> Status:
        """What changed in the workspace, or under some paths of it, since HEAD."""
        return status(self._context, paths)

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
        tips = (
            [self._context.commit_of(revision)]
            if revision
            else families.looking.every_tip(self._context)
        )
        return families.looking.log_of(
            self._context, tips, paths, limit=limit, follow=follow, graph=graph
        )

    def show(self, revision: str) -> Version:
        """One version and what samples it has."""
        return families.looking.show(self._context, revision, self.snapshot(revision))

    def diff(self, a: str | None = None, b: str | None = None) -> Difference:
        """From one version to another; without `b` to the workspace, without `a` from HEAD."""
        if b is None:
            return families.differences.diff_workspace(self._context, a)
        old, new = (self.resolve(revision).dataset for revision in (a or "HEAD", b))
        return families.differences.diff_versions(self._context, old, new)

    def ls(self, revision: str, path: str = "") -> pa.Table:
        """The entries of a version at or below a path.

        Raises:
            NotFoundError: there are none.
        """
        return families.looking.ls(self._context, revision, path)

    def cat(self, revision: str, path: str) -> Iterator[Buffer]:
        """The bytes of one file of a version, piece by piece; from a remote if they are not here.

        Raises:
            NotFoundError: the version has no such file.
            MissingDataError: nobody has its bytes.
            MissingDataError: the store does not hold it.
        """
        return families.looking.cat(self._context, revision, path)
