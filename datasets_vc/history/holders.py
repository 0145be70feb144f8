"""Who holds what of a store, as far as the store itself tells: its refs and its runs."""

from __future__ import annotations

from collections.abc import Iterator

from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import FormatError, IntegrityError, NotFoundError
from datasets_vc.format.json import hex_digest
from datasets_vc.format.root import Root
from datasets_vc.format.run import (
    RunHead,
    decode_run_head,
    decode_run_packs,
    digests_in,
    read_run_log,
)
from datasets_vc.history.reachable import Holder
from datasets_vc.store import Store
from datasets_vc.store.names import (
    MAX_HEAD,
    MAX_LOG,
    RUN_HEAD,
    RUN_LOG,
    RUN_PACKS,
    RUNS,
    run_of,
    run_part,
)


def ref_holders(root: Root) -> Iterator[Holder]:
    """The branches, tags and tracking refs of a root."""
    for kind, refs in (("branch", root.branches), ("tag", root.tags), ("tracking", root.tracking)):
        for name, target in sorted(refs.items()):
            yield Holder(kind, name, commits=(target,))


def run_holders(store: Store) -> Iterator[Holder]:
    """The runs of a store, ended or not.

    Of one that cannot be read nobody knows for sure what it needs: it holds every digest that any
    of its parts names, and has a `problem`.
    """
    for run in run_ids(store):
        try:
            yield run_holder(store, run)
        except (FormatError, IntegrityError) as error:
            yield _unreadable(store, run, error.message)


def _unreadable(store: Store, run: str, problem: str) -> Holder:
    head, log, pins = (
        digests_in(_beginning(store, run_part(run, part)))
        for part in (RUN_HEAD, RUN_LOG, RUN_PACKS)
    )
    return Holder("run", run, chunks=(*head, *log), packs=tuple(pins), problem=problem)


def run_ids(store: Store) -> list[str]:
    """The ids of the runs of a store, ended or not."""
    names = [info.name for info in store.backend.list(RUNS)]
    # A log without a head is not a run, but what is left of one.
    return sorted(
        {run for name in names if (run := run_of(name, RUN_HEAD) or run_of(name, RUN_LOG))}
    )


def run_holder(store: Store, run: str) -> Holder:
    """What one run holds: its input with dataset and code, checkpoints, and pinned packs.

    Raises:
        FormatError, IntegrityError: a part of it is newer than this version, or damaged.
    """
    head = read_run_head(store, run)
    return Holder(
        "run", run, chunks=(head.input, *run_checkpoints(store, run)), packs=run_pins(store, run)
    )


def read_run_head(store: Store, run: str) -> RunHead:
    """The head of a run.

    Raises:
        IntegrityError: it is not what the run is called by, or is gone.
    """
    return decode_run_head(run_head_bytes(store, run), f"The run {run} of {store.url}")


def run_head_bytes(store: Store, run: str) -> bytes:
    """The head of a run as it is stored; raises as `read_run_head` does."""
    what = f"The run {run} of {store.url} is damaged"
    try:
        data = store.backend.get_whole(run_part(run, RUN_HEAD), MAX_HEAD)
    except NotFoundError as error:
        raise IntegrityError(f"{what}: it has no head.") from error
    if digest_of(data).hex() != run:
        raise IntegrityError(f"{what}: its head does not match its id.")
    return data


def run_checkpoints(store: Store, run: str) -> list[Digest]:
    """The checkpoints that the log of a run names; none while it has not ended."""
    what = f"The log of run {run} of {store.url}"
    return [
        hex_digest(event.get("digest"), what)
        for event in read_run_log(_optional(store, run_part(run, RUN_LOG)), what)
        if event["event"] == "checkpoint"
    ]


def run_pins(store: Store, run: str) -> tuple[Digest, ...]:
    """The packs that a run wants left as they are."""
    packs = _optional(store, run_part(run, RUN_PACKS))
    return tuple(decode_run_packs(packs, f"The pins of run {run} of {store.url}") if packs else ())


def _beginning(store: Store, name: str) -> bytes:
    """As much of a part as may be read of it, whatever it is."""
    try:
        return store.backend.get(name, 0, MAX_LOG)
    except NotFoundError:
        return b""


def _optional(store: Store, name: str) -> bytes:
    try:
        return store.backend.get_whole(name, MAX_LOG)
    except NotFoundError:
        return b""
