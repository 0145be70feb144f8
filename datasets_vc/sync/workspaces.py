"""A workspace that is named where a store is meant: its store is taken, as git takes a work tree.

The store of a workspace is in its `.dsvc`, or where its `config.toml` says; what the settings of
somebody else say is not followed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from datasets_vc.config import DEFAULT_STORE, read_head, store_location
from datasets_vc.errors import DatasetError, UnsafeFolderError
from datasets_vc.ownership import OURS
from datasets_vc.paths import META_DIR
from datasets_vc.store.nesting import is_store, local_folder


@dataclass(frozen=True, slots=True)
class Named:
    """What an address leads to.

    Attributes:
        url: the address of the store.
        branch: the one that the workspace is on, if one was named and has a version.
    """

    url: str
    branch: str | None = None


def named(address: str) -> Named:
    """The store that an address names: by itself, or by the workspace that it is the store of.

    Args:
        address: a path in it is absolute.

    Raises:
        InvalidInputError: it is no address; or the settings of the workspace say nonsense.
        UnsafeFolderError: it is the workspace of somebody else, and has its store elsewhere.
    """
    folder = local_folder(address)
    if folder is None or is_store(folder) or not (folder / META_DIR).is_dir():
        return Named(address)
    own = folder / META_DIR / DEFAULT_STORE
    url = store_location(folder) if OURS.has(folder) else str(own)
    if url == str(own) and not is_store(own) and not OURS.has(folder):
        raise UnsafeFolderError(
            f"The workspace '{folder}' belongs to somebody else, and its store is elsewhere.",
            "Ask them where, and name the store itself.",
        )
    url = str(local_folder(url) or url)
    with suppress(DatasetError):
        head = read_head(folder)
        return Named(url, head.branch if head.commit else None)
    return Named(url)
