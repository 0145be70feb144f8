"""A folder into which something is cloned: who may begin there, and what was begun before."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from datasets_vc.addresses import check_access, check_url
from datasets_vc.backends import open_backend
from datasets_vc.config import (
    CONFIG_FILE,
    HEAD_FILE,
    Config,
    Head,
    RemoteConfig,
    add_remote,
    read_config,
    read_head,
    set_files,
    set_only,
    store_location,
)
from datasets_vc.digest import Digest
from datasets_vc.errors import (
    AlreadyExistsError,
    DatasetError,
    InvalidInputError,
    NotFoundError,
)
from datasets_vc.format.root import DEFAULT_BRANCH
from datasets_vc.history.manifest import Manifest
from datasets_vc.ownership import OURS, came_with_code, check_plain
from datasets_vc.paths import META_DIR
from datasets_vc.permissions import Sharing
from datasets_vc.repository.context import Context
from datasets_vc.signing import trust_only
from datasets_vc.store import Store
from datasets_vc.sync.remotes import DEFAULT_REMOTE
from datasets_vc.workspace import Workspace
from datasets_vc.workspace.beginning import begin, is_hollow, lay_out, take_back
from datasets_vc.workspace.cloning import (
    Cloning,
    is_marked,
    read_note,
    remove_note,
    write_note,
)


def check_new(folder: Path) -> None:
    """Check that a clone may be made there.

    Raises:
        AlreadyExistsError: the folder exists and is not empty.
        InvalidInputError: it is no folder.
    """
    _begun(folder, None, None)


@dataclass(frozen=True, slots=True)
class Claim:
    """A folder into which this process, and no other, is cloning.

    Attributes:
        goes_on: with what the same clone has left there when it was cut short.
        existed: the folder was there before.
    """

    folder: Path
    wanted: Cloning
    goes_on: bool
    existed: bool

    def lay_out(self, secret: bytes | None) -> Context:
        """Make store, settings and HEAD, as far as they are not there."""
        lay_out(self.folder)
        make_store(store_location(self.folder), None)
        wanted = self.wanted
        if DEFAULT_REMOTE not in read_config(self.folder).remotes:
            remote = RemoteConfig(DEFAULT_REMOTE, wanted.url, access=wanted.access)
            add_remote(self.folder, remote)
        set_files(self.folder, wanted.checkout)
        set_only(self.folder, wanted.only)
        if wanted.allowed_signers:
            trust_only(self.folder, Path(wanted.allowed_signers))
        if not (self.folder / META_DIR / HEAD_FILE).exists():
            Workspace(self.folder).set_head(Head(DEFAULT_BRANCH, None))
        return Context(self.folder, secret=lambda: secret)

    @contextmanager
    def whole_or_not_at_all(self) -> Iterator[None]:
        """Take back what was begun, unless something was there, when it fails."""
        try:
            yield
        except BaseException:
            if not self.goes_on:
                take_back(self.folder, existed=self.existed)
            raise

    def is_done(self, head: Head) -> bool:
        """Whether all was done but to say so, and the workspace stands where it is to stand.

        Raises:
            AlreadyExistsError: it has gone on to another version.
        """
        found = read_head(self.folder)
        if found.commit in (None, head.commit):
            return found.commit is not None
        remove_note(self.folder)
        raise AlreadyExistsError(
            f"'{self.folder}' is a clone of {self.wanted.url} that has gone on to another version.",
            f"Bring what is new: dsvc -C {shlex.quote(str(self.folder))} pull; or give another "
            "folder.",
        )

    def check_files(self, dataset: Digest | None) -> None:
        """Check that what lies there is what a clone that was cut short may have written.

        Raises:
            AlreadyExistsError: there are other files.
        """
        if not self.goes_on:
            return
        context = Context(self.folder)
        here: list[str] = context.workspace.scan().listing.path.to_pylist()
        wanted: set[str] = set()
        if here and dataset and self.wanted.checkout:
            wanted.update(Manifest(context.store, dataset).entries().column("path").to_pylist())
        foreign = [path for path in here if path not in wanted]
        if foreign:
            raise AlreadyExistsError(
                f"'{self.folder}' has files that are not of the version that is cloned into it, "
                f"such as '{foreign[0]}'.",
                "Move them away, then run it again; or give another folder.",
            )


@contextmanager
def claimed(folder: Path, wanted: Cloning, secret: bytes | None) -> Iterator[Claim]:
    """Hold a folder for a clone, which is done when this ends without an error.

    Args:
        secret: by it a clone that is cut short is known again; without one it is not gone on with.

    Raises:
        AlreadyExistsError: the folder has something else.
        LockedError: another process is cloning into it.
        InvalidInputError: it is no folder, or what is wanted is not acceptable.
    """
    check_url(wanted.url)
    check_access(wanted.access)
    _begun(folder, wanted, secret)
    existed = folder.exists()
    begin(folder)
    with Workspace(folder).lock():
        claim = Claim(folder, wanted, _begun(folder, wanted, secret), existed)
        with claim.whole_or_not_at_all():
            write_note(folder, wanted, secret)
        yield claim
        remove_note(folder)


def _begun(folder: Path, wanted: Cloning | None, secret: bytes | None) -> bool:
    """Whether the same clone was begun in a folder; False if a clone may begin there.

    Raises:
        AlreadyExistsError: neither.
        InvalidInputError: it is no folder.
    """
    check_folder(folder)
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if META_DIR in names and came_with_code(folder):
        raise AlreadyExistsError(
            f"'{folder / META_DIR}' came with the code around it, as git tracks what is in it: "
            "nothing is cloned by what it says.",
            f"Remove it, then clone again: git rm -r {quote(str(folder / META_DIR))}; or give "
            "another folder.",
        )
    # One of somebody else would send us where they like.
    noted = read_note(folder) if META_DIR in names and OURS.has(folder) else None
    if noted is not None:
        if noted == wanted and is_marked(folder, secret):
            return True
        if noted == wanted:
            raise AlreadyExistsError(
                f"A clone of {noted.url} into '{folder}' was cut short, and nothing proves that "
                "you began it: what is there may have come with an archive, or with code.",
                f"Remove '{folder / META_DIR}', then clone again; or give another folder.",
            )
        again = noted.command(folder)
        if wanted and again == wanted.command(folder):
            raise AlreadyExistsError(
                f"A clone into '{folder}' was cut short, and '{noted.lock}' pins another version "
                "by now.",
                f"Remove '{folder}', then clone again.",
            )
        raise AlreadyExistsError(
            f"A clone of {noted.url} into '{folder}' was cut short.",
            f"Go on with it: {again}; or give another folder.",
        )
    if not names:
        return False
    if names == {META_DIR} and is_hollow(folder):
        check_settings(folder, Config())
        return False
    hint = "Give another folder: dsvc clone URL DIR"
    if _can_pull(folder):
        hint += f"; or bring what is new: dsvc -C {shlex.quote(str(folder))} pull"
    raise AlreadyExistsError(f"'{folder}' exists and is not empty.", hint)


def _can_pull(folder: Path) -> bool:
    """Whether a folder is a workspace on a branch that has the default remote."""
    try:
        return (
            OURS.has(folder)
            and bool(read_head(folder).branch)
            and DEFAULT_REMOTE in read_config(folder).remotes
        )
    except DatasetError:
        return False


def check_folder(folder: Path) -> None:
    """Check that something may be made in a folder, which need not be there.

    Raises:
        InvalidInputError: it is none.
        UnsafeFolderError: it has a `.dsvc` in which something leads elsewhere.
    """
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError(f"'{folder}' is not a folder.", "Give another place.")
    check_plain(folder)


def check_settings(folder: Path, own: Config) -> None:
    """Check that a `.dsvc` that was begun has no settings but our own: others may be planted.

    Raises:
        AlreadyExistsError: it has.
        InvalidInputError: see `read_config`.
    """
    if read_config(folder) not in (Config(), own):
        raise AlreadyExistsError(
            f"'{folder / META_DIR / CONFIG_FILE}' has settings that nobody here is known to have "
            "made, and nothing else is there yet: no workspace is made by them.",
            f"Remove '{folder / META_DIR}', then run it again; or give another folder.",
        )


def make_store(location: str, shared: Sharing | None) -> Store:
    """Make an empty store, or use the one that is there."""
    backend = open_backend(location, create=True, shared=shared)
    try:
        return Store.open(backend)  # who may only read it can look at it from here
    except NotFoundError:
        with suppress(AlreadyExistsError):  # another process was first
            return Store.create(backend)
    return Store.open(backend)
