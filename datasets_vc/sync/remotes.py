"""The remotes of a workspace: named stores elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from datasets_vc.addresses import PLAIN, Access
from datasets_vc.backends import CountingBackend, ProbeResult, open_backend, probe
from datasets_vc.config import (
    RemoteConfig,
    add_remote,
    check_new_remote,
    read_config,
    remove_remote,
)
from datasets_vc.errors import MissingDataError, NotFoundError, RemoteError
from datasets_vc.format.root import Root
from datasets_vc.locations import absolute_address
from datasets_vc.permissions import Sharing
from datasets_vc.store import Store
from datasets_vc.store.names import ROOT
from datasets_vc.store.nesting import check_new_place, local_folder

DEFAULT_REMOTE = "origin"


@dataclass(frozen=True, slots=True)
class Connection:
    """An open remote: its store, its root, and the backend that counts what goes through it."""

    config: RemoteConfig
    store: Store
    root: Root
    backend: CountingBackend


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
    ) -> ProbeResult:
        """Try a remote and remember it.

        One that can only be read is remembered too: it is for fetching, pulling and cloning. A
        folder is made if only it itself is missing.

        Args:
            shared: let the group of a folder write to it, "all": and others read it.

        Returns:
            What was found out about it.

        Raises:
            AlreadyExistsError: the name is taken.
            InvalidInputError: the name, the URL or a way of access is not acceptable; or it is a
                folder where no store can be, see `check_new_place`.
            NotFoundError: there is no store there, and it cannot be written.
            RemoteError: it cannot be reached or read, or, unless `single_writer`, it ignores the
                conditions of writes, so that two machines that push could undo each other's work.
        """
        url = absolute_address(url, Path().absolute())
        config = RemoteConfig(name, url, single_writer, access)
        check_new_remote(self._folder, config)
        check_new_place(url, self._folder)
        folder = local_folder(url)
        if folder is None or folder.exists():
            return self._try(config, shared)
        try:
            return replace(self._try(config, shared), made=True)
        except BaseException:
            with suppress(OSError):
                folder.rmdir()
            raise

    def _try(self, config: RemoteConfig, shared: Sharing | None) -> ProbeResult:
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
        add_remote(self._folder, config)
        return found

    def open_store(self, name: str) -> Store:
        """The store of a remote, which may be too damaged to be connected to; read with care.

        Raises:
            NotFoundError: there is no remote of that name.
        """
        return Store(_backend_of(self._known(name)))

    def remove(self, name: str) -> None:
        """Forget a remote; nothing is deleted there."""
        remove_remote(self._folder, name)

    def connect(self, name: str, *, create: bool = False) -> Connection:
        """Open the store of a remote.

        Args:
            create: to write there; make an empty store if there is none yet.

        Raises:
            NotFoundError: there is no remote of that name, or no store there.
            RemoteError: it cannot be reached, or not be written.
        """
        return connect(self._known(name), self._local, create=create)

    def _known(self, name: str) -> RemoteConfig:
        config = self.list().get(name)
        if config is None:
            raise NotFoundError(
                f"There is no remote '{name}'.", f"Add it with: dsvc remote add {name} URL"
            )
        return config


def connect(config: RemoteConfig, local: Store, *, create: bool = False) -> Connection:
    """Open the store of a remote, keeping copies of its index objects in the local store."""
    backend = _backend_of(config, create=create)
    store = Store(backend, index_cache=local.backend)
    try:
        root = store.refresh()
    except NotFoundError as error:
        if not create:
            raise NotFoundError(
                f"There is no store at {config.url} yet.", "Push something there first: dsvc push"
            ) from error
        Store.create(backend)
        root = store.refresh()
    if root.shallow:
        raise MissingDataError(
            f"The store at {config.url} has only the newest part of its history, and a remote has "
            "to have all of it.",
            "Use the store that it was fetched from; or run `dsvc fetch --unshallow` there.",
        )
    return Connection(config, store, root, backend)


def _backend_of(config: RemoteConfig, *, create: bool = False) -> CountingBackend:
    try:
        backend = CountingBackend(
            open_backend(
                config.url,
                create=create,
                access=config.access,
                single_writer=config.single_writer,
            )
        )
    except NotFoundError as error:
        raise RemoteError(
            f"The remote '{config.url}' cannot be reached: there is no such folder.",
            "Check the address, and that the disk is mounted.",
        ) from error
    if create and not backend.writable:
        raise RemoteError(
            f"The remote '{config.url}' can only be read.", "Push to a remote of another kind."
        )
    return backend
