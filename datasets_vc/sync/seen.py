"""What a remote was when it was last seen: a store that is gone, or another one, is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets_vc.config import RemoteConfig, edit_config
from datasets_vc.errors import NotFoundError, RemoteError
from datasets_vc.format.root import Root
from datasets_vc.store import Store

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

NO_STORE = "none"
"""Kept of a remote in place of an id: there was no store when it was added."""


def was_store(config: RemoteConfig, local: Store) -> bool:
    """Whether a remote is known to have been a store: by its id, or by where its branches were."""
    if config.id:
        return config.id != NO_STORE
    return any(ref.startswith(f"{config.name}/") for ref in local.root().tracking)


def root_of(config: RemoteConfig, store: Store, local: Store, *, new: bool = False) -> Root:
    """The root of a remote.

    Args:
        new: it does not matter whether there was one before.

    Raises:
        NotFoundError: there is none.
        RemoteError: there is none, and there was one.
    """
    try:
        return store.root()
    except NotFoundError as error:
        if not new and was_store(config, local):
            raise RemoteError(
                f"The remote '{config.name}' ({config.url}) was a store before, and there is none "
                "now.",
                f"Check the address, and that the disk is mounted. {anew(config)}",
            ) from error
        raise NotFoundError(
            f"There is no store at {config.url} yet.",
            f"Push something there first: dsvc push {config.name}",
        ) from error


def check_same(config: RemoteConfig, root: Root, local: Store) -> None:
    """Make sure that a remote is the store that it was; a mirror of the one here is, too.

    Raises:
        RemoteError: it is another one.
    """
    if config.id in (None, NO_STORE, root.id) or not root.id:
        return
    # A copy that got an id of its own, and was synchronised again, has ours again.
    if root.id != local.root().id:
        raise RemoteError(
            f"The store at {config.url} is not the one that the remote '{config.name}' was before.",
            "Check the address, and which disk is mounted. If it was replaced on purpose: dsvc "
            f"remote remove {config.name}, then dsvc remote add {config.name} {config.url}; or "
            f"take 'id' out of [remote.{config.name}] in .dsvc/config.toml.",
        )


def keep_id(folder: Path, name: str, store_id: str) -> None:
    """Write into `config.toml` which store a remote is; nothing of one from before ids."""

    def change(document: TOMLDocument) -> None:
        remotes: Any = document["remote"]
        remotes[name].pop("id", None)
        if store_id:
            remotes[name]["id"] = store_id

    edit_config(folder, change)


def anew(config: RemoteConfig) -> str:
    """What to do where there is none."""
    return f"To begin a new store there: dsvc push {config.name} --new"
