"""Who holds what of a store, as far as the store itself tells: its refs and its runs."""

from __future__ import annotations

from collections.abc import Iterator

from datasets_vc.digest import digest_of
from datasets_vc.errors import IntegrityError, NotFoundError
from datasets_vc.format.json import hex_digest
from datasets_vc.format.root import Root
from datasets_vc.format.run import decode_run_head, decode_run_log, decode_run_packs
from datasets_vc.history.reachable import Holder
from datasets_vc.store import Store
from datasets_vc.store.names import RUN_PACKS, RUNS, run_of

RUN_HEAD = "head.json"
RUN_LOG = "log.jsonl"


def ref_holders(root: Root) -> Iterator[Holder]:
    """The branches, tags and tracking refs of a root."""
    for kind, refs in (("branch", root.branches), ("tag", root.tags), ("tracking", root.tracking)):
        for name, target in sorted(refs.items()):
            yield Holder(kind, name, commits=(target,))


def run_holders(store: Store) -> Iterator[Holder]:
    """The runs of a store, ended or not.

    Raises:
        IntegrityError: one is damaged, so that nobody knows what it needs.
    """
    return (run_holder(store, run) for run in run_ids(store))


def run_ids(store: Store) -> list[str]:
    """The ids of the runs of a store, ended or not."""
    runs = (run_of(info.name, RUN_HEAD) for info in store.backend.list(RUNS))
    return sorted(run for run in runs if run)


def run_holder(store: Store, run: str) -> Holder:
    """What one run holds: its input with dataset and code, checkpoints, and pinned packs."""
    head = store.backend.get(f"{RUNS}{run}/{RUN_HEAD}")
    if digest_of(head).hex() != run:
        raise IntegrityError(f"The run {run} is damaged: its head does not match its id.")
    log = _optional(store, f"{RUNS}{run}/{RUN_LOG}")
    packs = _optional(store, f"{RUNS}{run}/{RUN_PACKS}")
    what = f"The log of run {run}"
    checkpoints = [
        hex_digest(event.get("digest"), what)
        for event in decode_run_log(log, what)
        if event["event"] == "checkpoint"
    ]
    given = decode_run_head(head, f"The run {run}").input
    pinned = decode_run_packs(packs, f"The pins of run {run}") if packs else ()
    return Holder("run", run, chunks=(given, *checkpoints), packs=tuple(pinned))


def _optional(store: Store, name: str) -> bytes:
    try:
        return store.backend.get(name)
    except NotFoundError:
        return b""
