"""Runs travel along: their heads and logs as objects, what they name as chunks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from datasets_vc.digest import Digest
from datasets_vc.format.json import hex_digest
from datasets_vc.format.run import decode_run_head, decode_run_input, decode_run_log
from datasets_vc.store import Store
from datasets_vc.store.names import RUNS
from datasets_vc.sync.closure import file_chunks
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
    return {
        info.name.removeprefix(RUNS).removesuffix("/" + LOG)
        for info in store.backend.list(RUNS)
        if info.name.endswith("/" + LOG)
    }


def outgoing(local: Store, remote: Store) -> Outgoing:
    """What a push has to take along so that the remote gets our runs."""
    ids = sorted(finished_runs(local))
    ids = sorted(set(ids) - finished_runs(remote)) if ids else []
    datasets: list[Digest] = []
    chunks: list[Digest] = []
    for run in ids:
        head = decode_run_head(local.backend.get(_name(run, HEAD)), f"The run {run}")
        members = decode_run_input(local.read(head.input), f"The input of run {run}")
        datasets += [Digest(bytes.fromhex(members[name])) for name in ("dataset", "code")]
        chunks += [head.input, *file_chunks(local, _checkpoints(local, run))]
    return Outgoing(ids, Extra(datasets, chunks))


def send_runs(local: Store, remote: Store, ids: Iterable[str]) -> None:
    """Copy heads and logs; the log comes last, since it says that the run is all there."""
    for run in ids:
        for part in (HEAD, LOG):
            remote.backend.put(_name(run, part), local.backend.get(_name(run, part)))


def receive_runs(local: Store, remote: Store) -> tuple[Moved, list[str]]:
    """Bring the runs of a remote that we do not have: heads, logs and inputs, not checkpoints."""
    new = sorted(finished_runs(remote) - finished_runs(local))
    heads = {run: remote.backend.get(_name(run, HEAD)) for run in new}
    inputs = [decode_run_head(data, f"The run {run}").input for run, data in heads.items()]
    moved = receive(local, remote, inputs)
    for run, head in heads.items():
        local.backend.put(_name(run, HEAD), head)
        local.backend.put(_name(run, LOG), remote.backend.get(_name(run, LOG)))
    return moved, new


def _checkpoints(store: Store, run: str) -> list[Digest]:
    what = f"The log of run {run}"
    return [
        hex_digest(event.get("digest"), what)
        for event in decode_run_log(store.backend.get(_name(run, LOG)), what)
        if event["event"] == "checkpoint"
    ]


def _name(run: str, part: str) -> str:
    return f"{RUNS}{run}/{part}"
