"""The kinds of remotes: which client library reaches them, and what they can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from datasets_vc.addresses import PLAIN, Access, without_secrets
from datasets_vc.backends import azure, gcs, s3, sftp, web
from datasets_vc.backends.files import Files, PlainFiles
from datasets_vc.errors import InvalidInputError

Connect = Callable[[], Any]
"""Makes a file system of the client library."""


@dataclass(frozen=True)
class Kind:
    """What is particular to the remotes of a scheme.

    Attributes:
        files: their objects, given how to connect.
        options: what the client library calls the ways of access.
        understands: the ways of access that mean something there.
        swaps: a swap there is meant to be safe between machines.
        writable: it can be written at all.
        streams: its files are `StreamingFiles`.
        extra: the extra of this package that installs the client library; empty if none is needed.
        client: the class of the client library as "module.Class", where fsspec knows another one.
    """

    files: Callable[[Connect], Files]
    options: Callable[[Access], dict[str, Any]] = lambda _: {}
    understands: frozenset[str] = frozenset()
    swaps: bool = True
    writable: bool = True
    streams: bool = False
    extra: str = ""
    client: str = ""


def _plain(connect: Connect) -> Files:
    return PlainFiles(connect(), whole_writes=False)


def _plain_whole(connect: Connect) -> Files:
    return PlainFiles(connect(), whole_writes=True)


_S3 = Kind(
    files=lambda connect: s3.S3Files(connect()),
    options=s3.options_of,
    understands=frozenset({"endpoint", "region", "profile", "anonymous"}),
    streams=True,
)
_GCS = Kind(
    files=lambda connect: gcs.GcsFiles(connect()),
    options=gcs.options_of,
    understands=frozenset({"endpoint", "anonymous"}),
    extra="gcs",
)
_AZURE = Kind(
    files=azure.files_of,
    options=azure.options_of,
    understands=frozenset({"endpoint", "anonymous"}),
    extra="azure",
)
_SFTP = Kind(
    files=sftp.SftpFiles, options=sftp.options_of, extra="sftp", client="sshfs.SSHFileSystem"
)
_WEB = Kind(
    files=lambda connect: web.WebFiles(connect()),
    options=web.options_of,
    swaps=False,
    writable=False,
)
_OTHER = Kind(files=_plain, swaps=False)
_OTHER_WHOLE = Kind(files=_plain_whole, swaps=False)

_KINDS = {
    "s3": _S3,
    "s3a": _S3,
    "gs": _GCS,
    "gcs": _GCS,
    "az": _AZURE,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "sftp": _SFTP,
    "ssh": _SFTP,
    "http": _WEB,
    "https": _WEB,
    "memory": Kind(files=_plain_whole),  # for tests; `check_place` keeps stores out of it
    "adl": _OTHER_WHOLE,
    "oss": _OTHER_WHOLE,
    "hf": _OTHER_WHOLE,
}
SCHEMES = frozenset({*_KINDS, "file"}) - {"memory"}
"""The addresses of stores that people use; fsspec knows more, which lead anywhere."""

_LAYERS = frozenset(
    {
        *("async_wrapper", "asyncwrapper", "blockcache", "cached", "dask", "dir", "filecache"),
        *("generic", "libarchive", "reference", "simplecache", "tar", "zip"),
    }
)
_USUAL_PLACE = "Give a folder, as /mnt/disk/signs, or a URL, as s3://bucket/signs."


def kind_of(scheme: str) -> Kind:
    """What is known of the remotes of a scheme; little of those that only fsspec knows."""
    return _KINDS.get(scheme, _OTHER)


def check_place(url: str) -> None:
    """Check that what a URL names is a place, which is still there when this process has ended.

    Raises:
        InvalidInputError: it is the memory of a process, the URL itself, or a layer of fsspec's
            over some other place.
    """
    scheme = url.partition("://")[0]
    why = ""
    if scheme == "memory":
        why = "it is the memory of one process, and all in it is gone when that ends"
    elif scheme == "data":
        why = "such a URL is itself all that it holds"
    elif scheme in _LAYERS:
        why = f"'{scheme}' is a layer over another place or an archive in one, and no place itself"
    if why:
        shown = without_secrets(url)
        raise InvalidInputError(f"'{shown}' is not the address of a store: {why}.", _USUAL_PLACE)


def check_understood(kind: Kind, url: str, access: Access) -> None:
    """Check that a remote can make something of each way of access that was given.

    Raises:
        InvalidInputError: it cannot, so that it would be left out silently.
    """
    for field in fields(access):
        name = field.name
        if getattr(access, name) != getattr(PLAIN, name) and name not in kind.understands:
            known = ", ".join(sorted(kind.understands)) or "none of them"
            raise InvalidInputError(
                f"'{name}' means nothing for '{without_secrets(url)}'.",
                f"Of endpoint, region, profile and anonymous it takes: {known}.",
            )
