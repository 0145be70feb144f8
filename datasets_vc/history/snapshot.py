"""Snapshots: one dataset of a store, to read from and never to change."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from datasets_vc.addresses import PLAIN, Access
from datasets_vc.backends import is_remote, open_backend
from datasets_vc.config import find_workspace, read_config, read_head, store_location
from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import InvalidInputError, MissingDataError, NotFoundError, UnsafeFolderError
from datasets_vc.format.lock import LOCK_SUFFIX
from datasets_vc.history.manifest import Manifest
from datasets_vc.history.pinned import open_pinned
from datasets_vc.history.revisions import resolve
from datasets_vc.locations import Folder, parse_address
from datasets_vc.ownership import OURS
from datasets_vc.store import Store
from datasets_vc.store.names import ROOT


class Snapshot:
    """A read-only view of one dataset.

    A snapshot is its address and a digest: it pickles as these, opens the store again wherever it
    is used first, and may be shared by threads and inherited by forked processes.

    Attributes:
        url: the address of the store.
        digest: the dataset digest, 64 hex digits.
        commit: the digest of the commit that it was opened by, or None.
        access: how to get to the store, where its address does not say it.
    """

    def __init__(
        self, url: str, digest: str, commit: str | None = None, access: Access = PLAIN
    ) -> None:
        self.url = url
        self.digest = digest
        self.commit = commit
        self.access = access

    @classmethod
    def open(
        cls, location: str | Path, revision: str = "HEAD", *, access: Access = PLAIN
    ) -> Snapshot:
        """Open what `revision` names in a store, or what a `dataset.lock` pins.

        Args:
            location: a store's URL or folder, a folder in a workspace, or a lock file. What that
                pins is read from the workspace that it names, if this has all of it, else from the
                store that it names.
            revision: a branch, tag, commit or dataset digest, `HEAD` or the like; a lock file has
                but one version.
            access: how to get to a remote store: endpoint, region, profile, anonymously.

        Raises:
            NotARepositoryError: there is no store or workspace at `location`.
            NotFoundError: the store has no such revision.
            IntegrityError: a lock file's commit and dataset do not belong together.
            InvalidInputError, FormatError: a file is no lock file, or one of a newer format; or
                the location is no address (see `parse_address`).
            UnsafeFolderError: the workspace of somebody else has its versions at a remote.
        """
        if _is_file(location):
            return cls._open_pinned(Path(location), revision, access)
        url, head, remotes = _find_store(location)
        store = Store.open(open_backend(url, access=access))
        if head is None and revision == "HEAD":
            root = store.root()
            head = root.branches.get(root.default_branch)
        found = resolve(store, revision, head, remotes=remotes)
        commit = found.commit.hex() if found.commit else None
        snapshot = cls(store.url, found.dataset.hex(), commit, access)
        snapshot.__dict__["_store"] = store
        return snapshot

    @classmethod
    def _open_pinned(cls, file: Path, revision: str, access: Access) -> Snapshot:
        if revision != "HEAD":
            raise InvalidInputError(
                f"'{file}' is a file, which pins one version: there is no '{revision}' in it.",
                "Leave the revision out, or open the store or the workspace.",
            )
        store, lock = open_pinned(file, access)
        access = access if is_remote(store.url) else PLAIN
        return cls(store.url, lock.dataset.hex(), lock.commit.hex(), access)

    @property
    def name(self) -> str:
        """How to call the dataset in a message to its user."""
        return f"commit {self.commit[:12]}" if self.commit else f"dataset {self.digest[:12]}"

    def __len__(self) -> int:
        """How many entries the dataset has."""
        return self._manifest.count

    @property
    def bytes(self) -> int:
        """The sum of the entries' sizes."""
        return self._manifest.bytes

    def entries(self, prefix: str = "") -> pa.Table:
        """The entries at or below the path `prefix`: columns path, kind, size, digest; by path."""
        return self._manifest.entries(prefix)

    def read(self, path: str) -> Buffer:
        """The bytes of the file at `path`, verified.

        Raises:
            NotFoundError: the dataset has no such path.
            MissingDataError: the store does not have the file; says how to get it.
        """
        entry = self._manifest.get(path)
        if entry is None:
            raise NotFoundError(f"There is no '{path}' in {self.name}.")
        with self._told_how_to_get(f"'{path}'", f" --path {shlex.quote(path)}"):
            return self._store.read_files([entry.digest], [entry.size])[0]

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        """Files by their digests, in the order asked for, verified.

        Many at a time: from a remote store they come in few requests.

        Raises:
            MissingDataError: the store does not have all of them; says how to get them.
        """
        with self._told_how_to_get("a file"):
            return self._store.read_files(digests)

    @contextmanager
    def _told_how_to_get(self, what: str, part: str = "") -> Iterator[None]:
        try:
            yield
        except MissingDataError as error:
            version = (self.commit or self.digest)[:12]
            raise MissingDataError(
                f"The bytes of {what} of {self.name} are not in the store at {self.url}.",
                f"Bring them from a remote: dsvc fetch REMOTE {version}{part}",
            ) from error

    @cached_property
    def _store(self) -> Store:
        return Store.open(open_backend(self.url, access=self.access))

    @cached_property
    def _manifest(self) -> Manifest:
        return Manifest(self._store, Digest(bytes.fromhex(self.digest)))

    def __getstate__(self) -> tuple[str, Digest, Digest, Access]:
        # Raw digests: every worker of a loader gets a copy.
        digest, commit = bytes.fromhex(self.digest), bytes.fromhex(self.commit or "")
        return self.url, Digest(digest), Digest(commit), self.access

    def __setstate__(self, state: tuple[str, Digest, Digest, Access]) -> None:
        self.url, digest, commit, self.access = state
        self.digest = digest.hex()
        self.commit = commit.hex() or None

    def __repr__(self) -> str:
        return f"Snapshot({self.url!r}, {self.digest[:12]!r})"


def _is_file(location: str | Path) -> bool:
    """Whether a location is meant to be a lock file."""
    path = Path(location)
    return "://" not in str(location) and (
        path.is_file() or (path.suffix == LOCK_SUFFIX and not path.exists())
    )


def _find_store(location: str | Path) -> tuple[str, Digest | None, Collection[str]]:
    """The store at a location; where a workspace there stands, and the names of its remotes."""
    text = str(location)
    # A Path is no text that could mean anything else, and where one is there may be a workspace.
    plain = isinstance(location, Path) or (text != "" and Path(text) == Path())
    address = Folder(text) if plain else parse_address(text)
    if not isinstance(address, Folder):
        return text, None, ()
    place = Path(address.path).absolute()
    if text.startswith("file://") or (place / ROOT).is_file():
        return str(place), None, ()
    folder = find_workspace(place)
    url = store_location(folder)
    if is_remote(url) and not OURS.has(folder):
        raise UnsafeFolderError(
            f"The workspace '{folder}' belongs to somebody else, or came with code, and sends "
            f"whoever reads it to '{url}'.",
            "If you trust it, open that address itself.",
        )
    return url, read_head(folder).commit, read_config(folder).remotes.keys()
