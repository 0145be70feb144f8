"""The tags of a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from datasets_vc.digest import Digest
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.commit import check_texts
from datasets_vc.format.root import Refs, Root
from datasets_vc.format.signed import Sign, signed
from datasets_vc.format.tag import Tag, encode_tag
from datasets_vc.history.describe import Description, describe
from datasets_vc.history.refs import RefSpace
from datasets_vc.history.revisions import resolve
from datasets_vc.history.tagobjects import peeled, read_tag, tag_objects


class Tags(RefSpace):
    """The tags of a store: names of commits, or of tag objects that name commits (annotated)."""

    _one = "tag"

    def list(self) -> dict[str, Digest]:
        """The commits that they name, by name."""
        return peeled(self._store, super().list())

    def get(self, name: str) -> Digest | None:
        """The commit that `name` names, if there is such a tag."""
        target = super().get(name)
        return peeled(self._store, {name: target})[name] if target else None

    def annotations(self) -> dict[str, Tag]:
        """What those say that are annotated, by name."""
        tags = super().list()
        objects = tag_objects(self._store, tags.values())
        return {name: objects[target] for name, target in tags.items() if target in objects}

    def create(self, name: str, revision: str = "HEAD") -> Digest:
        """Name a commit; returns it. See `RefSpace.create`.

        If the revision is the digest of a tag object of that very name, as `delete` returns it, the
        tag is as it was before.
        """
        commit, found = self._target(name, revision)
        same = found.tag is not None and read_tag(self._store, found.tag).name == name
        target = found.tag if found.tag and same else commit
        counting = self._store.counting_on({target, commit})
        self._store.swap_root(self._adding(name, target), counting)
        return commit

    def annotate(
        self,
        name: str,
        revision: str = "HEAD",
        *,
        message: str,
        tagger: str,
        time: datetime | None = None,
        sign: Sign | None = None,
    ) -> Digest:
        """Name a commit and say why, in a tag object, signed or not; returns the commit.

        Raises:
            AlreadyExistsError: the name is taken.
            InvalidInputError: it cannot be a name, the message is empty, or the revision is a
                dataset only.
            NotFoundError: there is no such revision.
        """
        if not message.strip():
            raise InvalidInputError("The message is empty.", "Say what it marks: -m MESSAGE")
        check_texts(tagger, message)
        commit, _ = self._target(name, revision)
        self._check_free(self._store.root(), name)
        now = (time or datetime.now(UTC)).replace(microsecond=0)
        self._store.refresh()
        writer = self._store.writer()
        plain = encode_tag(Tag(commit, name, tagger, now, message))
        writer.count_on(commit)
        target = writer.add_meta(signed(plain, sign))
        self._store.publish(writer.finish(), self._adding(name, target))
        return commit

    def delete(self, name: str) -> Digest:
        """Forget a tag; returns what it named: a commit, or its tag object.

        Raises:
            NotFoundError: there is no such tag.
        """
        return self._forget(name)

    def describe(self, revision: str = "HEAD") -> Description:
        """How far a commit is from the tag that is nearest before it; see `history.describe`.

        Raises:
            InvalidInputError: the revision is a dataset only.
            NotFoundError: there is no such revision.
        """
        head = self._workspace.head
        remotes = self._workspace.remotes
        commit = resolve(self._store, revision, head.commit, head.branch, remotes).commit
        if commit is None:
            raise InvalidInputError(f"'{revision}' is a dataset: only commits are described.")
        return describe(self._store, commit, self.list(), self.annotations())

    def _of(self, root: Root) -> Refs:
        return root.tags

    def _with(self, root: Root, refs: Refs) -> Root:
        return replace(root, tags=refs)
