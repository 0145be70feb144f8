"""What is said of lock files, whatever the verb."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets_vc.addresses import without_secrets
from datasets_vc.cli.render import short, shown
from datasets_vc.cli.session import Session

if TYPE_CHECKING:
    from datasets_vc.format.lock import Lock
    from datasets_vc.repository import PinStatus


def named(lock: Lock) -> str:
    """A pinned version as people call it."""
    digits = short(lock.commit)
    return f"{shown(lock.revision)} ({digits})" if lock.revision else digits


def lock_json(file: Path, lock: Lock) -> dict[str, Any]:
    return {
        "file": str(file),
        "url": lock.url,
        "commit": lock.commit.hex(),
        "dataset": lock.dataset.hex(),
        "revision": lock.revision,
    }


def compared_json(found: PinStatus) -> dict[str, Any]:
    """What a comparison adds to a status."""
    return {
        "lock": lock_json(found.file, found.lock),
        "relation": found.relation,
        "matches": found.matches,
        "known_store": found.known,
    }


def compared_lines(session: Session, found: PinStatus) -> Iterator[str]:
    file = shown(os.path.relpath(found.file, session.folder))
    yield f"{file} pins {named(found.lock)}: {_words(found)}"
    if not found.known:
        store = shown(without_secrets(found.lock.url))
        yield f"Its store, {store}, is no remote here; it can be: dsvc remote add NAME URL"


def _words(found: PinStatus) -> str:
    if found.matches:
        return "that is what is here."
    follow = "'dsvc pull --lock' goes there"
    match found.relation:
        case "same":
            return "the commit here, but there are uncommitted changes."
        case "ahead":
            return f"an earlier version than the one here; {follow}, 'dsvc pin' pins this one."
        case "behind":
            return f"a later version than the one here; {follow}."
        case "unknown":
            return f"a version that is not here yet; {follow}."
        case "diverged":
            return f"a version of another branch than the one here; {follow}."
