"""Where bytes lie: named objects in a local folder or at a remote, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets_vc.addresses import PLAIN, Access, check_access, without_secrets
from datasets_vc.backends.base import Backend, ObjectInfo, Versioned
from datasets_vc.backends.kinds import check_place
from datasets_vc.backends.local import LocalBackend
from datasets_vc.backends.oserrors import our_errors
from datasets_vc.backends.probe import ProbeResult, probe
from datasets_vc.backends.readonly import ReadOnlyBackend
from datasets_vc.backends.remote import FsspecBackend
from datasets_vc.backends.wrappers import CountingBackend, RetryingBackend, RetryPolicy
from datasets_vc.errors import InvalidInputError, NotFoundError
from datasets_vc.locations import Url, parse_address
from datasets_vc.permissions import Sharing, share

__all__ = [
    "Backend",
    "CountingBackend",
    "FsspecBackend",
    "LocalBackend",
    "ObjectInfo",
    "ProbeResult",
    "ReadOnlyBackend",
    "RetryPolicy",
    "RetryingBackend",
    "Versioned",
    "open_backend",
    "probe",
]


def open_backend(
    url: str,
    *,
    create: bool = False,
    access: Access = PLAIN,
    single_writer: bool = False,
    options: Mapping[str, Any] | None = None,
    shared: Sharing | None = None,
) -> Backend:
    """The backend of a folder or a remote; a remote is not contacted yet.

    Args:
        url: a folder, "file:///folder", or the URL of a remote: "s3://bucket/prefix" and whatever
            else fsspec knows.
        create: make a missing folder, in one that is there.
        access: how to get to a remote, where its URL does not say it.
        single_writer: nobody else writes there, which a remote without conditional writes needs.
        options: passed to the remote's file system, such as `{"endpoint_url": ...}`.
        shared: make the folder, with all that lies in it, usable by its group; see
            `permissions.share`.

    Raises:
        NotFoundError: there is no such folder, or, to make it, none that it would lie in.
        InvalidInputError: it is no folder, or no address at all (see `parse_address`); or the URL's
            scheme is unknown or leads to no place that lasts (see `check_place`), it carries a
            secret, or a way of access means nothing there; or no folder is to be shared.
        DatasetError: a folder cannot be shared, as it or something in it is not ours.
    """
    address = parse_address(url)
    if not isinstance(address, Url):
        if access != PLAIN:
            raise InvalidInputError(
                f"'{url}' is a folder, which has no endpoint, region or profile.",
                "Leave them out, or give the URL of a remote.",
            )
        return _open_folder(Path(address.path), create, shared)
    if shared:
        raise InvalidInputError(
            f"'{without_secrets(url)}' is no folder: who may write there is its server's to say.",
            "Leave --shared out, and see docs/remotes.md.",
        )
    check_place(url)
    check_access(access)
    return RetryingBackend(FsspecBackend(url, options, access=access, single_writer=single_writer))


def is_remote(url: str) -> bool:
    """Whether an address names a remote rather than a local folder; raises as `parse_address`."""
    return isinstance(parse_address(url), Url)


def _open_folder(folder: Path, create: bool, shared: Sharing | None) -> LocalBackend:
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError(f"'{folder}' is not a folder.")
    if not create and not folder.exists():
        raise NotFoundError(f"There is no folder '{folder}'.", "Check the path, or make it first.")
    if not folder.parent.is_dir():
        raise NotFoundError(
            f"There is no folder '{folder.parent}' in which '{folder.name}' could be made.",
            "Check the path, and that the disk is mounted; or make that folder first.",
        )
    backend = LocalBackend(folder, create=create)
    if shared:
        with our_errors("share", backend.folder):
            share(backend.folder, shared)
    return backend
