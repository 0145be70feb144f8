"""Runs travel along: their heads and logs as objects, what they name as chunks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import IntegrityError, MissingDataError
from datasets_vc.format.json import hex_digest
from datasets_vc.format.location import as_keys, digest_list, joined
from datasets_vc.format.run import decode_run_head, decode_run_input, decode_run_log
from datasets_vc.store import Store
from datasets_vc.store.names import RUNS, run_of
from datasets_vc.sync.closure import dataset_chunks, file_chunks
from datasets_vc.sync.push import Extra
from datasets_vc.sync.transfer import Moved, receive

HEAD = "head.json"
LOG = "log.jsonl"


@dataclass(frozen=True)
class Outgoing:
    """Finished runs that a remote does not have yet, and what has to be there before them."""

    ids: list[str] = field(default_factory=list)
    extra: Extra = field(default_factory=Extra)


def finished_runs(store: Store) -> set[str]:
    """The ids of the runs in a store whose log is complete."""
    runs = (run_of(info.name, LOG) for info in store.backend.list(RUNS))
    return {run for run in runs if run}


def outgoing(local: Store, remote: Store) -> Outgoing:
    """What a push has to take along so that the remote gets our runs.

    A run that came from another remote, and whose data or checkpoints did not, stays here.
    """
    ours = finished_runs(local)
    new = sorted(ours - finished_runs(remote)) if ours else []
    parts = {run: part for run in new if (part := _parts(local, remote, run))}
    return Outgoing(
        ids=list(parts),
        extra=Extra(
            datasets=[dataset for part in parts.values() for dataset in part.datasets],
            chunks=[chunk for part in parts.values() for chunk in part.chunks],
        ),
    )


def _parts(local: Store, remote: Store, run: str) -> Extra | None:
    """What the remote needs besides head and log of a run; None if not all of it is here."""
    head = decode_run_head(_head(local, run), f"The run {run}")
    members = decode_run_input(local.read(head.input), f"The input of run {run}")
    datasets = [Digest(bytes.fromhex(members[name])) for name in ("dataset", "code")]
    present = remote.index.contains
    try:
        chunks = joined([as_keys([head.input]), file_chunks(local, _checkpoints(local, run))])
        below = [
            dataset_chunks(local, dataset, local.index, present=present) for dataset in datasets
        ]
    except MissingDataError:
        return None
    needed = joined([chunks, *below])
    here = local.index.contains(needed) | present(needed)
    return Extra(datasets, digest_list(chunks)) if here.all() else None


def send_runs(local: Store, remote: Store, ids: Iterable[str]) -> None:
    """Copy heads and logs; the log comes last, since it says that the run is all there."""
    for run in ids:
        for part in (HEAD, LOG):
            remote.backend.put(_name(run, part), local.backend.get(_name(run, part)))


def receive_runs(local: Store, remote: Store) -> tuple[Moved, list[str]]:
    """Bring the runs of a remote that we do not have: heads, logs and inputs, not checkpoints."""
    new = sorted(finished_runs(remote) - finished_runs(local))
    heads = {run: _head(remote, run) for run in new}
    inputs = [decode_run_head(data, f"The run {run}").input for run, data in heads.items()]
    moved = receive(local, remote, inputs)
    for run, head in heads.items():
        log = remote.backend.get(_name(run, LOG))
        decode_run_log(log, f"The log of run {run} of {remote.url}")
        local.backend.put(_name(run, HEAD), head)
        local.backend.put(_name(run, LOG), log)
    return moved, new


def _head(store: Store, run: str) -> bytes:
    data = store.backend.get(_name(run, HEAD))
    if digest_of(data).hex() != run:
        raise IntegrityError(f"The run {run} of {store.url} is damaged: its head is not its own.")
    return data


def _checkpoints(store: Store, run: str) -> list[Digest]:
    what = f"The log of run {run}"
    return [
        hex_digest(event.get("digest"), what)
        for event in decode_run_log(store.backend.get(_name(run, LOG)), what)
        if event["event"] == "checkpoint"
    ]


def _name(run: str, part: str) -> str:
    return f"{RUNS}{run}/{part}"
