"""The remotes of a workspace: named stores elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from datasets_vc.addresses import PLAIN, Access
from datasets_vc.backends import Backend, CountingBackend, ProbeResult, open_backend, probe
from datasets_vc.config import (
    RemoteConfig,
    add_remote,
    check_new_remote,
    read_config,
    remove_remote,
)
from datasets_vc.errors import (
    AlreadyExistsError,
    DatasetError,
    IntegrityError,
    InvalidInputError,
    MissingDataError,
    NotFoundError,
    RemoteError,
)
from datasets_vc.format.root import Root
from datasets_vc.locations import absolute_address
from datasets_vc.permissions import Sharing
from datasets_vc.store import Store
from datasets_vc.store.names import FOLDERS, ROOT
from datasets_vc.store.nesting import check_new_place, is_store, local_folder
from datasets_vc.store.rootobject import RootObject, new_store_id
from datasets_vc.sync.identity import (
    Relation,
    check_no_workspace,
    identify,
    itself_error,
    relation_to,
)
from datasets_vc.sync.seen import NO_STORE, anew, check_same, keep_id, root_of, was_store
from datasets_vc.sync.workspaces import named

DEFAULT_REMOTE = "origin"


@dataclass(frozen=True, slots=True)
class Connection:
    """An open remote: its store, its root, and the backend that counts what goes through it."""

    config: RemoteConfig
    store: Store
    root: Root
    backend: CountingBackend


@dataclass(frozen=True)
class Added(ProbeResult):
    """What was found out about a remote that was added.

    Attributes:
        relation: what the store there is to the one here; None if there is no store yet.
        renewed: it got a new id.
    """

    relation: Relation | None = None
    renewed: bool = False


class Remotes:
    """The remotes that the workspace `folder` knows; `local` is its store."""

    def __init__(self, folder: Path, local: Store) -> None:
        self._folder = folder
        self._local = local

    def list(self) -> Mapping[str, RemoteConfig]:
        """All of them, by name."""
        return read_config(self._folder).remotes

    def add(
        self,
        name: str,
        url: str,
        *,
        single_writer: bool = False,
        access: Access = PLAIN,
        shared: Sharing | None = None,
        new_id: bool = False,
    ) -> Added:
        """Try a remote and remember it.

        One that can only be read is remembered too: it is for fetching, pulling and cloning. A
        folder is made if only it itself is missing. Of a workspace its store is meant.

        Args:
            shared: let the group of a folder write to it, "all": and others read it.
            new_id: give the store there another id, as a copy of the one here should have.

        Raises:
            AlreadyExistsError: the name is taken.
            InvalidInputError: the name, the URL or a way of access is not acceptable; or it is a
                folder where no store can be, see `check_new_place`; or it is the store here.
            UnsafeFolderError: see `named`.
            NotFoundError: there is no store there, and it cannot be written.
            RemoteError: it cannot be reached or read, or, unless `single_writer`, it ignores the
                conditions of writes, so that two machines that push could undo each other's work.
        """
        url = named(absolute_address(url, Path().absolute())).url
        config = RemoteConfig(name, url, single_writer, access)
        check_new_remote(self._folder, config)
        check_new_place(url, self._folder)
        folder = local_folder(url)
        if folder is None or folder.exists():
            return self._try(config, shared, new_id)
        try:
            return replace(self._try(config, shared, new_id), made=True)
        except BaseException:
            with suppress(OSError):
                folder.rmdir()
            raise

    def _try(self, config: RemoteConfig, shared: Sharing | None, new_id: bool) -> Added:
        url, single_writer, access = config.url, config.single_writer, config.access
        # Not as the single writer: what it can do by itself is what has to be known.
        backend = open_backend(url, create=True, access=access, shared=shared)
        found = probe(backend, known=ROOT)
        if not (found.reachable and found.readable):
            raise RemoteError(
                found.problem or f"The remote {url} cannot be read.",
                "Check the address and your credentials.",
            )
        if found.writable and not found.conditional_writes and not single_writer:
            raise RemoteError(
                f"The remote {url} has no conditional writes: two machines that push at the same "
                "time could undo each other's work.",
                "If only one machine at a time pushes to it, add --single-writer.",
            )
        if not found.writable and backend.read_root(ROOT) is None:
            raise NotFoundError(
                f"There is no store at {url}, and nothing can be written there: {found.problem}",
                "Check the address; where somebody is to push, check who may write.",
            )
        there = backend.read_root(ROOT) is not None
        if there:
            identify(self._local)
        # Read after that: if it is the store here, it has an id now.
        root = _readable_root(backend) if there else None
        relation = relation_to(self._local, backend, root, thorough=True) if root else None
        if relation == "itself":
            raise itself_error(config.name, url, known=False)
        renewed = new_id and root is not None
        if renewed:
            root = _renewed(config, found)
        seen = NO_STORE if not there else root.id or None if root else None
        add_remote(self._folder, replace(config, id=seen))
        return Added(**vars(found), relation=relation, renewed=renewed)

    def open_store(self, name: str) -> Store:
        """The store of a remote, which may be too damaged to be connected to; read with care.

        Raises:
            NotFoundError: there is no remote of that name, or no store there.
            RemoteError: there was a store, and there is none now, or another one.
            InvalidInputError: it is the store here.
        """
        config = self._known(name)
        store = Store(_backend_of(config))
        with suppress(IntegrityError):  # which is what it is looked at for
            root = root_of(config, store, self._local)
            check_same(config, root, self._local)
            self._refuse_itself(config, store.backend, root)
        return store

    def check_droppable(self, name: str) -> None:
        """Check that a collection, or a repair, at a remote knows all that is needed there.

        Raises:
            NotFoundError: there is no remote of that name.
            InvalidInputError: it is the own store of a workspace.
        """
        check_no_workspace(name, self._known(name).url)

    def remove(self, name: str) -> None:
        """Forget a remote; nothing is deleted there."""
        remove_remote(self._folder, name)

    def connect(self, name: str, *, create: bool = False, new: bool = False) -> Connection:
        """Open the store of a remote.

        Args:
            create: to write there; make an empty store if there is none yet.
            new: also where there was one before; and take another one than was there before.

        Raises:
            NotFoundError: there is no remote of that name, or no store there.
            RemoteError: it cannot be reached, or not be written; or there was a store, and there is
                none now, or another one.
            InvalidInputError: it is the store here; or one cannot be made there.
        """
        config = self._known(name)
        founds = create and (new or not was_store(config, self._local))
        place = local_folder(config.url) if founds else None
        if place and not is_store(place):  # somebody wrote it into the settings
            check_new_place(config.url, self._folder)
        connection = connect(config, self._local, create=create, new=new)
        self._refuse_itself(connection.config, connection.backend, connection.root)
        return connection

    def remember(self, name: str, root: Root) -> None:
        """Keep in mind which store a remote is, so that it is told when it is another one."""
        config = self._known(name)
        if config.id == NO_STORE or (root.id and root.id != config.id):
            # Where this cannot be written, what is being done goes on all the same.
            with suppress(DatasetError, OSError):
                keep_id(self._folder, name, root.id)

    def _refuse_itself(self, config: RemoteConfig, backend: Backend, root: Root) -> None:
        if relation_to(self._local, backend, root) == "itself":
            raise itself_error(config.name, config.url)

    def _known(self, name: str) -> RemoteConfig:
        config = self.list().get(name)
        if config is None:
            raise NotFoundError(
                f"There is no remote '{name}'.", f"Add it with: dsvc remote add {name} URL"
            )
        return config


def connect(
    config: RemoteConfig, local: Store, *, create: bool = False, new: bool = False
) -> Connection:
    """Open the store of a remote, keeping copies of its index objects in the local store.

    As `Remotes.connect`, but without a look whether it is the store here.
    """
    # A folder was made when the remote was added: one that is missing since is on another disk.
    make = create and (new or not (config.id or was_store(config, local)))
    backend = _backend_of(config, make=make, write=create)
    store = Store(backend, index_cache=local.backend)
    try:
        root = root_of(config, store, local, new=new)
    except NotFoundError:
        if not create:
            raise
        with suppress(AlreadyExistsError):  # somebody else pushes for the first time, too
            Store.create(backend)
        root = store.root()
    if not new:
        check_same(config, root, local)
    root = store.refresh(root)
    if root.shallow:
        raise MissingDataError(
            f"The store at {config.url} has only the newest part of its history, and a remote has "
            "to have all of it.",
            "Use the store that it was fetched from; or run `dsvc fetch --unshallow` there.",
        )
    return Connection(config, store, root, backend)


def _readable_root(backend: Backend) -> Root | None:
    with suppress(DatasetError):
        return RootObject(backend).read()
    return None


def _renewed(config: RemoteConfig, found: ProbeResult) -> Root:
    """The root of a remote that got another id."""
    if not found.writable:
        raise InvalidInputError(
            f"The store at {config.url} cannot get another id: it can only be read.",
            "Leave --new-id out: that it is a copy is found out each time that it matters.",
        )
    store = Store(_backend_of(config, write=True))
    return store.swap_root(lambda root: replace(root, id=new_store_id()))


def _backend_of(
    config: RemoteConfig, *, make: bool = False, write: bool = False
) -> CountingBackend:
    """The backend of a remote.

    Args:
        make: make its folder, if it is one and is missing.
        write: it is to be written.
    """
    try:
        backend = CountingBackend(
            open_backend(
                config.url,
                create=make,
                access=config.access,
                single_writer=config.single_writer,
            )
        )
    except NotFoundError as error:
        raise RemoteError(
            f"The remote '{config.url}' cannot be reached: there is no such folder.",
            # A clone looks at what nobody has seen yet.
            "Check the address, and that the disk is mounted."
            + (f" {anew(config)}" if config.id and not make else ""),
        ) from error
    if write and not backend.writable:
        raise RemoteError(
            f"The remote '{config.url}' can only be read.", "Push to a remote of another kind."
        )
    if write:
        backend.check_places(FOLDERS)
    return backend
