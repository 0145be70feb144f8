"""Records of runs that cannot be believed: which parts of them, and putting these aside."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from contextlib import suppress

from datasets_vc.errors import FormatError, IntegrityError, NotFoundError
from datasets_vc.history.holders import read_run_head, run_checkpoints, run_pins
from datasets_vc.store import Store
from datasets_vc.store.names import RUN_HEAD, RUN_LOG, RUN_PACKS, quarantined_run_part, run_part

_PARTS = (RUN_HEAD, RUN_LOG, RUN_PACKS)
_READERS = {RUN_LOG: run_checkpoints, RUN_PACKS: run_pins}


def set_damaged_aside(store: Store, runs: Iterable[str], lying: Container[str] = ()) -> set[str]:
    """Put the parts of some runs that cannot be believed where nobody takes them for runs.

    Args:
        lying: those that name what is not what they say it is; of these all parts are put there.

    Returns:
        The runs whose record is not whole any more; pins are no part of it.
    """
    broken = set()
    for run in runs:
        damaged = list(_PARTS) if run in lying else damaged_parts(store, run)
        for part in damaged:
            with suppress(NotFoundError):
                data = store.backend.get(run_part(run, part))
                store.backend.put(quarantined_run_part(run, part), data)
            store.backend.delete(run_part(run, part))
        if set(damaged) - {RUN_PACKS}:
            broken.add(run)
    return broken


def damaged_parts(store: Store, run: str) -> list[str]:
    """The parts of a run that cannot be believed; without its head the others mean nothing."""
    try:
        read_run_head(store, run)
    except IntegrityError:
        return list(_PARTS)
    except FormatError:
        return []  # newer than this version, and no damage
    return [part for part, read in _READERS.items() if not _can_be_read(read, store, run)]


def _can_be_read(read: Callable[[Store, str], object], store: Store, run: str) -> bool:
    try:
        read(store, run)
    except IntegrityError:
        return False
    except FormatError:
        return True  # by a newer version
    return True
