"""The branches of a store."""

from __future__ import annotations

from dataclasses import replace

from datasets_vc.config import Head
from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, InvalidInputError, UnsavedChangesError
from datasets_vc.format.commit import Commit, decode_commit
from datasets_vc.format.root import Refs, Root, check_ref_name
from datasets_vc.history.commits import walk
from datasets_vc.history.refs import RefSpace
from datasets_vc.history.tagobjects import tag_objects


class Branches(RefSpace):
    """The branches of a store."""

    _one = "branch"

    def commits(self) -> dict[str, Commit]:
        """What they name, read, by name."""
        refs = self.list()
        read = self._store.read_many(list(refs.values()))
        return {
            name: decode_commit(data, f"The commit {digest.hex()}")
            for (name, digest), data in zip(refs.items(), read, strict=True)
        }

    def delete(self, name: str, *, force: bool = False) -> Digest:
        """Forget a branch; returns the commit that it named.

        Args:
            force: even if nothing else reaches its commits.

        Raises:
            NotFoundError: there is no such branch.
            InvalidInputError: it is the branch that the workspace is on.
            UnsavedChangesError: no other ref reaches its commits.
        """

        def check(root: Root) -> None:
            head = self._workspace.head
            if head.branch == name:
                raise InvalidInputError(
                    f"'{name}' is the branch that you are on.", "Go to another one first."
                )
            if not force and not self._reached_otherwise(root, name, head):
                raise UnsavedChangesError(
                    f"The branch '{name}' has commits that no other branch or tag reaches.",
                    f"Merge or tag them, or give them up: dsvc branch -D {name}",
                )

        return self._forget(name, check)

    def rename(self, new: str, old: str | None = None) -> str:
        """Give a branch, by default the current one, another name; returns its old one.

        The new name is there before the workspace goes to it, and the old one until it has gone:
        wherever this is cut short, the workspace stands on a branch that exists, and the same
        call again goes on. So that it can, a branch `new` at the same commit is no obstacle.

        Raises:
            AlreadyExistsError: there is a branch `new`, elsewhere.
            InvalidInputError: it cannot be a name, or there is no current branch.
            NotFoundError: there is no branch `old`.
            ConflictError: the branch got new commits meanwhile.
        """
        check_ref_name(new)
        with self._workspace.lock():
            head = self._workspace.head
            old = old or head.branch
            if old is None:
                raise InvalidInputError(
                    "The workspace is on no branch.", "Say which to rename: dsvc branch -m OLD NEW"
                )
            if old != new:
                self._rename(old, new, head)
        return old

    def _rename(self, old: str, new: str, head: Head) -> None:
        root = self._store.root()
        # The branch of a workspace without a commit is nowhere but in its HEAD.
        unborn = old == head.branch and head.commit is None and old not in root.branches
        tip = None if unborn else self._known(root, old)

        def add(root: Root) -> Root:
            if tip is None or root.branches.get(new) != tip:
                self._check_free(root, new)
            return replace(root, branches=dict(root.branches) | {new: tip}) if tip else root

        def drop(root: Root) -> Root:
            if root.branches.get(old) != tip:
                raise ConflictError(
                    f"The branch '{old}' got new commits meanwhile and stays beside '{new}'.",
                    f"Bring them together: dsvc merge {old}",
                )
            rest = {name: commit for name, commit in root.branches.items() if name != old}
            default = new if root.default_branch == old else root.default_branch
            return replace(root, branches=rest, default_branch=default)

        self._store.swap_root(add, self._store.counting_on([tip] if tip else []))
        if old == head.branch:
            self._workspace.set_head(Head(new, head.commit))
        self._store.swap_root(drop)

    def _reached_otherwise(self, root: Root, name: str, head: Head) -> bool:
        """Whether the commits of a branch stay reachable without it."""
        named = [tip for other, tip in root.branches.items() if other != name]
        named += [*root.tags.values(), *root.tracking.values()]
        named += [head.commit] if head.commit else []
        held = [target for target in named if self._store.find(target)]
        objects = tag_objects(self._store, held)
        tips = {objects[target].object if target in objects else target for target in held}
        tip = root.branches[name]
        return tip in tips or any(commit == tip for commit, _ in walk(self._store, tips))

    def _of(self, root: Root) -> Refs:
        return root.branches

    def _with(self, root: Root, refs: Refs) -> Root:
        return replace(root, branches=refs)
