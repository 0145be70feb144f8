"""What branches and tags have in common: names of commits in the root of a store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Protocol

from datasets_vc.config import Head
from datasets_vc.digest import Digest
from datasets_vc.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
)
from datasets_vc.format.root import Refs, Root, check_ref_name
from datasets_vc.history.revisions import Revision, resolve
from datasets_vc.store import Store, Written


class Standing(Protocol):
    """A workspace, as far as refs have to do with it: where it stands."""

    @property
    def head(self) -> Head: ...

    @property
    def remotes(self) -> Collection[str]: ...

    def set_head(self, head: Head) -> None: ...

    def lock(self) -> AbstractContextManager[None]: ...


class Nowhere:
    """Stands in where there is no workspace."""

    head = Head(None, None)
    remotes: Collection[str] = ()

    def set_head(self, head: Head) -> None:
        raise AssertionError(f"There is no workspace that could go to {head}.")

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()


class RefSpace(ABC):
    """The branches, or the tags, of a store.

    Args:
        workspace: whose `HEAD` names are relative to, and which stands on a branch.
    """

    _one: ClassVar[str]  # what to call one of them

    def __init__(self, store: Store, workspace: Standing | None = None) -> None:
        self._store = store
        self._workspace = workspace or Nowhere()

    def list(self) -> dict[str, Digest]:
        """The commits that they name, by name."""
        return dict(sorted(self._of(self._store.root()).items()))

    def get(self, name: str) -> Digest | None:
        """The commit that `name` names, if there is such a ref."""
        return self._of(self._store.root()).get(name)

    def create(self, name: str, revision: str = "HEAD") -> Digest:
        """Name a commit; returns it.

        Raises:
            AlreadyExistsError: the name is taken.
            InvalidInputError: it cannot be a name, or the revision is a dataset only.
            NotFoundError: there is no such revision.
        """
        commit, _ = self._target(name, revision)
        self._store.swap_root(self._adding(name, commit), self._store.counting_on([commit]))
        return commit

    def move(
        self, name: str, old: Digest | None, new: Digest, written: Written | None = None
    ) -> None:
        """Let `name` go from one commit to another, and publish what was written, in one step.

        Raises:
            ConflictError: it does not name `old` any more.
        """

        def change(root: Root) -> Root:
            if self._of(root).get(name) != old:
                raise ConflictError(
                    f"The {self._one} '{name}' was moved by somebody else meanwhile.",
                    "Look at it with `dsvc log`, then run the command again.",
                )
            return self._with(root, dict(self._of(root)) | {name: new})

        written = written or self._store.counting_on([new])
        self._store.publish(written, change)

    def _target(self, name: str, revision: str) -> tuple[Digest, Revision]:
        """The commit that a new `name` shall name, and how `revision` named it."""
        check_ref_name(name)
        head = self._workspace.head
        found = resolve(self._store, revision, head.commit, head.branch, self._workspace.remotes)
        if found.commit is None:
            raise InvalidInputError(f"'{revision}' is a dataset: a {self._one} names a commit.")
        return found.commit, found

    def _adding(self, name: str, target: Digest) -> Callable[[Root], Root]:
        def change(root: Root) -> Root:
            self._check_free(root, name)
            return self._with(root, dict(self._of(root)) | {name: target})

        return change

    def _forget(self, name: str, check: Callable[[Root], None] = lambda _: None) -> Digest:
        """Remove a name unless `check` objects; returns what the root had under it."""

        def change(root: Root) -> Root:
            gone.append(self._known(root, name))
            check(root)
            rest = {other: target for other, target in self._of(root).items() if other != name}
            return self._with(root, rest)

        gone: list[Digest] = []
        self._store.swap_root(change)
        return gone[-1]

    def _known(self, root: Root, name: str) -> Digest:
        if name not in self._of(root):
            raise NotFoundError(
                f"There is no {self._one} '{name}'.", f"`dsvc {self._one}` lists them."
            )
        return self._of(root)[name]

    def _check_free(self, root: Root, name: str) -> None:
        if name in self._of(root):
            raise AlreadyExistsError(
                f"There is a {self._one} '{name}' already.",
                f"Choose another name, or delete it: dsvc {self._one} -d {name}",
            )

    @abstractmethod
    def _of(self, root: Root) -> Refs: ...

    @abstractmethod
    def _with(self, root: Root, refs: Refs) -> Root: ...
