"""`dataset.lock`: pin a version for the code beside a workspace, and follow what is pinned."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from datasets_vc.addresses import PLAIN, Access
from datasets_vc.config import find_workspace
from datasets_vc.digest import Digest, is_hex
from datasets_vc.durable import replace_file
from datasets_vc.errors import (
    AlreadyExistsError,
    DatasetError,
    InvalidInputError,
    NotARepositoryError,
    NotFoundError,
)
from datasets_vc.format.lock import Lock, encode_lock
from datasets_vc.history.commits import walk
from datasets_vc.history.confined import address_of, is_place_beside, is_store_beside
from datasets_vc.history.pinned import pinned_workspace, read_lock
from datasets_vc.locations import Url, parse_address, relative_address
from datasets_vc.ownership import OURS, Trusted, check_plain
from datasets_vc.paths import META_DIR
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository import following
from datasets_vc.repository.context import Context, Secret, nobodys
from datasets_vc.repository.following import PinStatus
from datasets_vc.repository.results import CloneResult, SyncResult
from datasets_vc.sync.remotes import DEFAULT_REMOTE
from datasets_vc.workspace.beginning import check_begun
from datasets_vc.workspace.git import git_top
from datasets_vc.workspace.ignore import is_ignored

LOCK_FILE = "dataset.lock"


@dataclass(frozen=True, slots=True)
class PinResult:
    """A lock file that was written, unless it said so already; `old` is what it said before."""

    file: Path
    old: Lock | None
    new: Lock


class Pin:
    """A lock file, which need not exist yet, and a workspace that follows it."""

    def __init__(self, context: Context, file: Path) -> None:
        self._context = context
        self.file = file

    @classmethod
    def find(
        cls,
        folder: Path,
        file: Path | None = None,
        *,
        trusted: Trusted = OURS,
        secret: Secret = nobodys,
    ) -> Pin:
        """The lock file that counts in a folder, and the workspace that follows it.

        That is the workspace that the folder lies in, else the one that the lock file names.

        Args:
            file: by default the nearest `dataset.lock`, from the folder upwards to the top of the
                git work tree, that is no file of the dataset; if there is none, the place for one:
                beside the workspace, or in it if it is the top of a git work tree.
            trusted: whose settings are followed; see `Repository.open`.
            secret: see `Repository.open`.

        Raises:
            NotARepositoryError: neither leads to a workspace.
            InvalidInputError: see `read_lock`; or the workspace that it names lies where a lock
                file has no say.
            FormatError: see `read_lock`.
        """
        found = list(_places(folder)) if file is None else [file]
        there = [place for place in found if place.is_file()]
        try:
            context = Context(find_workspace(folder), trusted=trusted, secret=secret)
        except NotARepositoryError as error:
            if not there:
                raise
            named = pinned_workspace(there[0], read_lock(there[0]))
            if named is None:
                hint = f"Get what it pins: dsvc clone --from {quote(str(there[0]))}"
                raise NotARepositoryError(error.message, hint) from error
            check_plain(named)
            check_begun(named)
            return cls(Context(named, trusted=trusted, secret=secret), there[0])
        check_begun(context.folder)
        if file is None:
            # One that came with the dataset says nothing of the workspace that it lies in.
            file = next((each for each in there if not following.holds(context, each)), None)
            file = file or (there[0] if there else _place_beside(context.folder))
        return cls(context, file)

    @property
    def folder(self) -> Path:
        """The workspace."""
        return self._context.folder

    def read(self) -> Lock:
        """What the lock file says; raises what `read_lock` does."""
        return read_lock(self.file)

    def write(
        self, revision: str = "HEAD", remote: str = DEFAULT_REMOTE, *, force: bool = False
    ) -> PinResult:
        """Pin a version at a remote.

        Args:
            force: pin even what the remote does not have, or over a file that is no lock or that
                another workspace follows.

        Raises:
            InvalidInputError: the remote is not known to have the version; the file would be part
                of the dataset; or there is one that is no lock file.
            AlreadyExistsError: the file there pins another workspace.
            NotFoundError: there is no such revision or remote.
        """
        context = self._context
        self._check_place()
        old = self._old(force)
        config = context.remotes.list().get(remote)
        if config is None:
            raise NotFoundError(
                f"There is no remote '{remote}' to pin a version at.",
                f"Add it with: dsvc remote add {remote} URL; then push: dsvc push {remote}",
            )
        commit = context.commit_of(revision)
        if not force:
            self._check_pushed(commit, remote)
        dataset = context.dataset_of(commit)
        assert dataset is not None
        new = Lock(
            url=self._url_of(config.url),
            commit=commit,
            dataset=dataset,
            revision=self._name_of(revision),
            path=self._place_of(self.folder),
        )
        address_of(self.file, new)  # what nobody may follow is not written
        if new != old:
            _write(self.file, encode_lock(new))
        return PinResult(self.file, old, new)

    def status(self) -> PinStatus:
        """How the workspace differs from what is pinned; asks no remote.

        Raises:
            NotFoundError: there is no lock file.
            InvalidInputError: it is not that of the workspace.
        """
        return following.compare(self._context, self.file)

    def fetch(self, progress: Progress = SILENT) -> Lock:
        """Make the pinned commit present, with its history; returns what is pinned.

        Raises:
            NotFoundError: no remote has it.
            RemoteError: the remote that should have it cannot be reached.
            IntegrityError: it names another dataset than the lock file.
            InvalidInputError: the lock file is not that of the workspace.
        """
        following.fetch(self._context, self.file, progress)
        return self.read()

    def pull(self, progress: Progress = SILENT) -> SyncResult:
        """Bring what is pinned, go there, and write the files if there are any.

        The workspace stays on its branch, or gets to the default one, if that goes forward to the
        pinned commit and has it at a remote too; else it is on no branch then.

        Raises:
            UnsavedChangesError: it would overwrite changes; nothing was written.
            NotFoundError, RemoteError, IntegrityError, InvalidInputError: see `fetch`.
        """
        return following.pull(self._context, self.file, progress)

    @staticmethod
    def place_for(file: Path) -> Path:
        """Where to clone to what a lock file pins: where it has the workspace, if it says so.

        Raises:
            InvalidInputError: see `read_lock`; or a lock file has no say there.
            NotFoundError, FormatError: see `read_lock`.
        """
        return following.place_for(file)

    @classmethod
    def clone(
        cls,
        file: Path,
        folder: Path,
        *,
        checkout: bool = True,
        access: Access = PLAIN,
        secret: bytes | None = None,
        progress: Progress = SILENT,
    ) -> CloneResult:
        """Make a workspace of what a lock file pins.

        If it is cut short, calling it again with the same secret goes on where it stopped.

        Args:
            checkout: write the files; training does not need them.
            access: how to get to the store that it names, where the URL does not say it.
            secret: see `Repository.clone`.

        Raises:
            AlreadyExistsError: the folder has something else in it.
            NotFoundError: there is no such file, or the store that it names lacks the version.
            InvalidInputError: it names a store, or the folder where it has the workspace, that it
                has no say in.
            IntegrityError: the commit that it pins names another dataset.
        """
        return following.clone(
            file, folder, checkout=checkout, access=access, secret=secret, progress=progress
        )

    def _check_place(self) -> None:
        if self.file.is_dir():
            raise InvalidInputError(f"'{self.file}' is a folder.", "Name a file: dsvc pin -o FILE")
        here, folder = self.file.parent.resolve() / self.file.name, self.folder.resolve()
        if not here.is_relative_to(folder):
            return
        path = here.relative_to(folder).as_posix()
        if path.startswith(f"{META_DIR}/") or not is_ignored(folder, path):
            raise InvalidInputError(
                f"'{self.file}' lies in the workspace, and would be part of the dataset that it "
                "pins.",
                f"Put it beside the code: dsvc pin -o FILE; or name '/{path}' in .dsvcignore.",
            )

    def _old(self, force: bool) -> Lock | None:
        """What the file says now."""
        if not self.file.exists():
            return None
        try:
            old = read_lock(self.file)
            other = pinned_workspace(self.file, old)
        except DatasetError:
            if force:
                return None
            raise
        if other and not force and other.resolve() != self.folder.resolve():
            raise AlreadyExistsError(
                f"'{self.file}' pins the version of another workspace, '{other}'.",
                "Write another file: dsvc pin -o FILE; or overwrite this one with --force.",
            )
        return old

    def _check_pushed(self, commit: Digest, remote: str) -> None:
        store = self._context.store
        tracking = store.root().tracking
        tips = [tip for ref, tip in tracking.items() if ref.startswith(f"{remote}/")]
        if not any(seen == commit for seen, _ in walk(store, tips)):
            raise InvalidInputError(
                f"The remote '{remote}' is not known to have commit {commit.hex()[:12]}: nobody "
                "else could get it.",
                f"Push it first: dsvc push {remote}; or pin it all the same with --force.",
            )

    def _name_of(self, revision: str) -> str | None:
        """What people call a version; nothing if they would have to go by digits."""
        if revision == "HEAD":
            return self._context.head.branch
        base = re.split("[~^]", revision)[0]
        return None if base == "HEAD" or is_hex(base) else revision

    def _url_of(self, url: str) -> str:
        address = parse_address(url)
        if isinstance(address, Url):
            return url
        folder = str(Path(address.path).absolute())
        place = self._seen_from_it(folder, is_store_beside)
        return relative_address(place) if place else folder

    def _place_of(self, folder: Path) -> str | None:
        """A workspace as seen from the lock file, if it moves along with it."""
        return self._seen_from_it(str(folder), is_place_beside)

    def _seen_from_it(self, folder: str, allowed: Callable[[Path, str], bool]) -> str | None:
        try:
            seen = os.path.relpath(os.path.realpath(folder), self.file.parent.resolve())
        except ValueError:  # on another drive
            return None
        path = Path(seen).as_posix()
        return path if allowed(self.file, path) else None


def _places(folder: Path) -> Iterator[Path]:
    """Where a lock file may lie that counts in a folder."""
    folder = folder.absolute()
    top = git_top(folder)
    for place in (folder, *folder.parents):
        yield place / LOCK_FILE
        if place == top:
            return


def _place_beside(workspace: Path) -> Path:
    return (workspace if git_top(workspace) == workspace else workspace.parent) / LOCK_FILE


def _write(file: Path, data: bytes) -> None:
    try:
        replace_file(file, data)
    except OSError as error:
        raise DatasetError(
            f"'{file}' cannot be written: {error.strerror or error}.", "Put it elsewhere: -o FILE"
        ) from error
