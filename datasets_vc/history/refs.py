"""Branches and tags of a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from datasets_vc.config import Head
from datasets_vc.digest import Digest
from datasets_vc.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
)
from datasets_vc.format.root import Refs, Root, check_ref_name
from datasets_vc.history.revisions import resolve
from datasets_vc.store import Store, Written


class RefSpace:
    """The branches, or the tags, of a store: names of commits.

    Args:
        kind: which of the two.
        head: tells where the workspace stands, if there is one.
    """

    def __init__(
        self,
        store: Store,
        kind: Literal["branches", "tags"],
        head: Callable[[], Head] = lambda: Head(None, None),
    ) -> None:
        self._store = store
        self._kind = kind
        self._head = head
        self._one = {"branches": "branch", "tags": "tag"}[kind]

    def list(self) -> dict[str, Digest]:
        """All of them, by name."""
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
        check_ref_name(name)
        commit = resolve(self._store, revision, self._head().commit).commit
        if commit is None:
            raise InvalidInputError(f"'{revision}' is a dataset: a {self._one} names a commit.")

        def change(root: Root) -> Root:
            if name in self._of(root):
                raise AlreadyExistsError(
                    f"There is a {self._one} '{name}' already.",
                    f"Choose another name, or delete it: dsvc {self._one} -d {name}",
                )
            return self._with(root, dict(self._of(root)) | {name: commit})

        self._store.swap_root(change)
        return commit

    def delete(self, name: str) -> Digest:
        """Forget a name; returns the commit that it named.

        Raises:
            NotFoundError: there is no such ref.
            InvalidInputError: it is the branch that the workspace is on.
        """
        if self._kind == "branches" and self._head().branch == name:
            raise InvalidInputError(
                f"'{name}' is the branch that you are on.", "Go to another one first."
            )

        def change(root: Root) -> Root:
            refs = dict(self._of(root))
            if name not in refs:
                raise NotFoundError(
                    f"There is no {self._one} '{name}'.", f"`dsvc {self._one}` lists them."
                )
            found.append(refs.pop(name))
            return self._with(root, refs)

        found: list[Digest] = []
        self._store.swap_root(change)
        return found[-1]

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

        self._store.publish(written or Written(), change)

    def _of(self, root: Root) -> Refs:
        return root.branches if self._kind == "branches" else root.tags

    def _with(self, root: Root, refs: Refs) -> Root:
        if self._kind == "branches":
            return replace(root, branches=refs)
        return replace(root, tags=refs)
