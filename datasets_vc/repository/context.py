"""What every verb of the repository works on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from datasets_vc.backends import open_backend
from datasets_vc.config import Head, read_config, store_location
from datasets_vc.digest import Digest
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.entries import ENTRY_SCHEMA
from datasets_vc.history.commits import read_commit
from datasets_vc.history.manifest import Manifest
from datasets_vc.history.refs import RefSpace
from datasets_vc.history.revisions import Revision, resolve
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store import Store
from datasets_vc.sync.remotes import Remotes
from datasets_vc.workspace import Workspace


class Context:
    """A workspace with its store, its refs and its remotes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = Workspace(folder)

    @cached_property
    def store(self) -> Store:
        return Store.open(open_backend(store_location(self.folder)))

    @cached_property
    def branches(self) -> RefSpace:
        return RefSpace(self.store, "branches", lambda: self.head)

    @cached_property
    def tags(self) -> RefSpace:
        return RefSpace(self.store, "tags", lambda: self.head)

    @cached_property
    def remotes(self) -> Remotes:
        return Remotes(self.folder, self.store)

    @property
    def head(self) -> Head:
        """The branch, if any, and the commit, if any, that the workspace stands at."""
        return self.workspace.head

    @property
    def tip(self) -> Digest | None:
        """The commit that the workspace's branch names in the store, or the one it stands at."""
        head = self.head
        return self.branches.get(head.branch) if head.branch else head.commit

    @property
    def has_files(self) -> bool:
        """Whether the workspace holds the files of its version; one for training need not."""
        return read_config(self.folder).files

    def need_files(self) -> None:
        """Refuse what makes no sense in a workspace without files.

        Raises:
            InvalidInputError: it has none.
        """
        if not self.has_files:
            raise InvalidInputError(
                "This workspace was made without files.", "Write them first: dsvc checkout BRANCH"
            )

    def resolve(self, revision: str) -> Revision:
        return resolve(self.store, revision, self.head.commit)

    def commit_of(self, revision: str) -> Digest:
        """The commit that a revision names.

        Raises:
            InvalidInputError: it names a dataset only.
        """
        commit = self.resolve(revision).commit
        if commit is None:
            raise InvalidInputError(f"'{revision}' is a dataset, and a commit is needed here.")
        return commit

    def dataset_of(self, commit: Digest | None) -> Digest | None:
        return read_commit(self.store, commit).dataset if commit else None

    def entries_of(self, commit: Digest | None) -> pa.Table:
        """The entries of a commit; none before the first."""
        dataset = self.dataset_of(commit)
        return Manifest(self.store, dataset).entries() if dataset else ENTRY_SCHEMA.empty_table()

    def write_files(
        self,
        old: Digest | None,
        target: pa.Table,
        paths: Sequence[str] = (),
        *,
        force: bool = False,
        progress: Progress = SILENT,
    ) -> tuple[int, int]:
        """Change the workspace's files from those of a commit; returns (written, removed)."""
        done = self.workspace.checkout(
            self.entries_of(old), target, self.store, paths, force=force, progress=progress
        )
        return done.written, done.removed
