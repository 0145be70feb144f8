"""What every verb of the repository works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from datasets_vc.backends import ReadOnlyBackend, is_remote, open_backend
from datasets_vc.config import CONFIG_FILE, Head, find_workspace, read_config, store_location
from datasets_vc.deferred import Deferred
from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import ConflictError, DatasetError, InvalidInputError, NotFoundError
from datasets_vc.format.entries import ENTRY_SCHEMA
from datasets_vc.history.branches import Branches
from datasets_vc.history.commits import read_commit
from datasets_vc.history.manifest import Manifest
from datasets_vc.history.revisions import Revision, resolve
from datasets_vc.history.tags import Tags
from datasets_vc.ownership import OURS, Trusted, refusal
from datasets_vc.paths import META_DIR
from datasets_vc.store import Store
from datasets_vc.store.compact import compact
from datasets_vc.sync.remotes import Remotes
from datasets_vc.workspace import Workspace
from datasets_vc.workspace.beginning import check_begun
from datasets_vc.workspace.exact import found_at
from datasets_vc.workspace.mergestate import MergeState, read_state
from datasets_vc.workspace.part import WHOLE, Part
from datasets_vc.workspace.switching import Switching, read_switching

if TYPE_CHECKING:
    from datasets_vc import tables
else:
    tables = Deferred("datasets_vc.tables")


Secret = Callable[[], bytes | None]


def nobodys() -> bytes | None:
    """The secret of nobody: no run counts as recorded here."""
    return None


def workspace_at(start: Path) -> Path:
    """The workspace that `start` lies in; raises what `find_workspace` and `check_begun` do."""
    folder = find_workspace(start)
    check_begun(folder)
    return folder


class Context:
    """A workspace with its store, its refs and its remotes.

    Args:
        home: what `~/` means in its settings, if they may say that.
        trusted: whose settings are followed; the workspace of others can only be looked at.
        secret: gives what this user alone knows, when it is needed; see `runs.origin`.
    """

    def __init__(
        self,
        folder: Path,
        home: Path | None = None,
        trusted: Trusted = OURS,
        secret: Secret = nobodys,
    ) -> None:
        self.folder = folder
        self.home = home
        self._secret = secret
        self.is_safe = trusted.has(folder)
        self.workspace = Workspace(folder, None if self.is_safe else refusal(folder))

    def check_safe(self) -> None:
        """Refuse to do more than look at the workspace of somebody else.

        Raises:
            UnsafeFolderError: it is one.
        """
        if not self.is_safe:
            raise refusal(self.folder)

    @cached_property
    def store(self) -> Store:
        location = store_location(self.folder)
        if not self.is_safe and is_remote(location):
            self.check_safe()
        try:
            backend = open_backend(location)
            if not self.is_safe:
                backend = ReadOnlyBackend(backend, refusal(self.folder))
            return Store.open(backend)
        except NotFoundError as error:
            raise NotFoundError(
                f"There is no store at {location}, which has the versions of this workspace.",
                f"Check that its disk is mounted; 'store' in {META_DIR}/{CONFIG_FILE} says where "
                f"it is, if not in {META_DIR}.",
            ) from error

    @cached_property
    def secret(self) -> bytes | None:
        """What this user alone knows; None where nobody does."""
        return self._secret()

    @cached_property
    def branches(self) -> Branches:
        return Branches(self.store, self.workspace)

    @cached_property
    def tags(self) -> Tags:
        return Tags(self.store, self.workspace)

    @cached_property
    def remotes(self) -> Remotes:
        self.check_safe()
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

    @property
    def part(self) -> Part:
        """What of its version the workspace has, and its store needs."""
        return self.workspace.part if self.has_files else WHOLE

    def need_files(self) -> None:
        """Refuse what makes no sense in a workspace without files.

        Raises:
            InvalidInputError: it has none.
        """
        if not self.has_files:
            raise InvalidInputError(
                "This workspace was made without files.", "Write them first: dsvc checkout --all"
            )

    @property
    def unfinished(self) -> MergeState | None:
        """The merge, revert or cherry-pick that is not recorded yet, if there is one."""
        state = read_state(self.folder)
        if state is None or state.commit is None:
            return state
        # Cut short when nothing was left but to forget it.
        return None if state.commit == self.head.commit else state

    def looked_at(self, state: MergeState) -> MergeState:
        """The state with those conflicts resolved whose files somebody has changed since."""
        if not (self.has_files and state.written and state.open):
            return state
        found = found_at(self.workspace, [conflict.path for conflict in state.open])
        edited = [each for each in state.open if found.get(each.path) != each.here]
        return state.with_conflicts([replace(each, resolved=True) for each in edited])

    def refuse_unfinished(self) -> None:
        """Refuse what would mix with a merge that is not finished.

        Raises:
            ConflictError: there is one.
        """
        state = self.unfinished
        if state is not None:
            raise ConflictError(
                f"A {state.kind} of '{state.revision}' is not finished.",
                f"Go on with it: dsvc {state.kind} --continue; or take it back: "
                f"dsvc {state.kind} --abort",
            )

    @property
    def cut_short(self) -> Switching | None:
        """The move to another version that stopped in the middle of its files, if one did."""
        found = read_switching(self.folder)
        if found is None:
            return None
        here, only = self.head.commit, read_config(self.folder).only
        if here == found.after:
            # Nothing is left but to note what part of it is here, or to forget it.
            return found if only != found.only else None
        return found if here == found.before else None  # an older version of ours went elsewhere

    def refuse_cut_short(self) -> None:
        """Refuse what would record, or mix with, files of two versions.

        Raises:
            ConflictError: a checkout, or what else moves to another version, was cut short.
        """
        cut = self.cut_short
        if cut is not None:
            raise ConflictError(
                f"{cut.told}: some files are as they were, others as they are to be.",
                f"Go on: {cut.command}; or go back: dsvc checkout --abort",
            )

    def tidy(self) -> None:
        """Merge small packs of the store where there are many; what was published stands anyway.

        A store that others use, too, keeps what was replaced until it is collected: their readers
        may be on other machines.
        """
        own = read_config(self.folder).store is None
        with suppress(DatasetError):
            compact(self.store, delete=own)
            if own:
                self.store.delete_replaced()

    def resolve(self, revision: str) -> Revision:
        head = self.head
        remotes = self.workspace.remotes
        return resolve(self.store, revision, head.commit, head.branch, remotes)

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
        if dataset is None:
            return ENTRY_SCHEMA.empty_table()
        entries = Manifest(self.store, dataset).entries()
        self.store.let_go()
        return entries

    def table_keys(self, declared: Buffer | None) -> Mapping[str, str]:
        """Which tables have which key: pattern -> column, for `tables.key_of`.

        Args:
            declared: what the dataset's `dsvc.toml` says, if it has one; `config.toml` comes first.

        Raises:
            InvalidInputError: one of the two says nonsense.
        """
        travelling = tables.declared_keys(bytes(declared)) if declared else {}
        try:
            own = tables.check_keys(read_config(self.folder).tables)
        except InvalidInputError as error:
            where = self.folder / META_DIR / CONFIG_FILE
            raise InvalidInputError(f"'{where}': {error.message}", error.hint) from error
        # Of several patterns that fit the last one counts.
        return {name: travelling[name] for name in travelling if name not in own} | dict(own)
