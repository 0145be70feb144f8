"""Runs travel along: their heads and logs as objects, what they name as chunks."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from datasets_vc.digest import Digest
from datasets_vc.errors import FormatError, IntegrityError, MissingDataError, NotFoundError
from datasets_vc.format.location import DigestKeys, as_keys, digest_list, joined
from datasets_vc.format.run import (
    MAX_INPUT,
    RunHead,
    check_run_input,
    decode_run_head,
    decode_run_input,
    told_by,
)
from datasets_vc.history.cut import CutHistoryError
from datasets_vc.history.holders import read_run_head, run_checkpoints, run_head_bytes, run_ids
from datasets_vc.history.named import NAMED, NamedDatasets
from datasets_vc.store import Store
from datasets_vc.store.names import MAX_LOG, RUN_HEAD, RUN_LOG, RUNS, run_of, run_part
from datasets_vc.sync.closure import dataset_chunks, file_chunks
from datasets_vc.sync.push import Extra, new_datasets
from datasets_vc.sync.transfer import Moved, receive
from datasets_vc.sync.updates import PushedRefs

_NAMED = ("dataset", "code")
"""The datasets that a run names."""


@dataclass(frozen=True)
class Outgoing:
    """Finished runs that a remote does not have yet, and what has to be there before them.

    `foreign` are those among them that who pushes has not recorded; `kept` are others of these,
    which stay here since they name what the remote does not have. `damaged` says what is wrong
    with those that stay here for that; `incomplete` what is not here of what others name.
    """

    ids: Sequence[str] = ()
    extra: Extra = field(default_factory=Extra)
    damaged: Mapping[str, str] = field(default_factory=dict)
    foreign: Sequence[str] = ()
    kept: Sequence[str] = ()
    incomplete: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """Runs that came from a remote, what moved for them, and what is wrong with those left out.

    `incomplete` says of those that came what neither the remote has nor we.
    """

    moved: Moved
    runs: Sequence[str]
    damaged: Mapping[str, str]
    incomplete: Mapping[str, str] = field(default_factory=dict)


def finished_runs(store: Store) -> set[str]:
    """The ids of the runs in a store whose log is complete."""
    runs = (run_of(info.name, RUN_LOG) for info in store.backend.list(RUNS))
    return {run for run in runs if run}


def outgoing(
    local: Store,
    remote: Store,
    refs: PushedRefs,
    own: Container[str] = (),
    *,
    every: bool = False,
) -> Outgoing:
    """What a push has to take along so that the remote gets runs that are here.

    A run of our own goes with all that it names. One that was not recorded here, or that nobody
    knows to be, goes only if nothing but its record has to: who wrote it may have named what was
    never to be sent. A run of which not all is here stays here; so does a damaged one, for which no
    other has to wait.

    Args:
        refs: what else is pushed.
        own: the runs that who pushes has recorded here.
        every: send those of others as our own.
    """
    here = finished_runs(local)
    new = sorted(here - finished_runs(remote)) if here else []
    parts: dict[str, Extra] = {}
    damaged: dict[str, str] = {}
    incomplete: dict[str, str] = {}
    kept: list[str] = []
    rest = _Foreign(local, remote, refs, own)
    for run in new:
        with _noted(damaged, run, incomplete):
            part: Extra | None = _parts(local, remote, run)
            if part and not every and run not in own:
                part = rest.parts(run)
                kept += [] if part else [run]
            if part:
                parts[run] = part
    return Outgoing(
        damaged=damaged,
        ids=list(parts),
        extra=Extra(
            datasets=[dataset for part in parts.values() for dataset in part.datasets],
            chunks=[chunk for part in parts.values() for chunk in part.chunks],
        ),
        foreign=[run for run in parts if run not in own],
        kept=kept,
        incomplete=incomplete,
    )


class _Foreign:
    """Which runs of others may go to a remote with what goes there anyway."""

    def __init__(self, local: Store, remote: Store, refs: PushedRefs, own: Container[str]) -> None:
        self._local = local
        self._remote = remote
        self._refs = refs
        self._own = own

    def parts(self, run: str) -> Extra | None:
        """The input of a run, if the remote has, or will have, all that it names; else None."""
        head = read_run_head(self._local, run)
        members = _input(self._local, head.input, run)
        datasets = [Digest(bytes.fromhex(members[name])) for name in ("dataset", "code")]
        there = self._remote.index.contains
        if not there(as_keys(run_checkpoints(self._local, run))).all():
            return None
        if any(each not in self._going for each in datasets if not there(as_keys([each])).all()):
            return None
        if there(as_keys([head.input])).all():
            return Extra()
        return None if head.input in self._own_inputs else Extra(chunks=[head.input])

    @cached_property
    def _going(self) -> set[Digest]:
        """The datasets of the commits that are pushed."""
        try:
            return new_datasets(self._local, self._remote, self._refs)
        except CutHistoryError:
            return set()  # the push will say so

    @cached_property
    def _own_inputs(self) -> set[Digest]:
        """The inputs of our own runs, of those that have not ended, too."""
        own = (run for run in run_ids(self._local) if run in self._own)
        return {read_run_head(self._local, run).input for run in own}


class _IncompleteError(MissingDataError):
    """Not all of what a run names is here, or at the remote."""


def _parts(local: Store, remote: Store, run: str) -> Extra:
    """What the remote needs besides head and log of a run.

    Raises:
        _IncompleteError: not all of it is here or there.
    """
    head = read_run_head(local, run)
    if local.find(head.input) is None:
        raise _IncompleteError(f"Run {run} is not sent: its input is not here.")
    members = _input(local, head.input, run)
    present = remote.index.contains

    def lacks(find: Callable[[], DigestKeys]) -> bool:
        try:
            needed = find()
        except MissingDataError:
            return True
        return not (local.index.contains(needed) | present(needed)).all()

    def below(name: str) -> Callable[[], DigestKeys]:
        return lambda: dataset_chunks(local, _digest(members, name), present=present)

    checkpoints = run_checkpoints(local, run)
    lacking = [f"its {name} ({members[name][:12]})" for name in _NAMED if lacks(below(name))]
    if lacks(lambda: file_chunks(local, checkpoints)):
        lacking.append("a checkpoint")
    if lacking:
        raise _IncompleteError(f"Run {run} is not sent: {_listed(lacking)} not whole here.")
    chunks = joined([as_keys([head.input]), file_chunks(local, checkpoints)])
    return Extra([_digest(members, name) for name in _NAMED], digest_list(chunks))


def _listed(lacking: Sequence[str]) -> str:
    told = ", ".join([*lacking[:-2], " and ".join(lacking[-2:])])
    return f"{told} {'is' if len(lacking) == 1 else 'are'}"


def _digest(members: Mapping[str, Any], name: str) -> Digest:
    return Digest(bytes.fromhex(members[name]))


def send_runs(local: Store, remote: Store, ids: Iterable[str]) -> None:
    """Copy heads and logs; the log comes last, since it says that the run is all there."""
    for run in ids:
        for part in (RUN_HEAD, RUN_LOG):
            name = run_part(run, part)
            remote.backend.put(name, local.backend.get(name))


def receive_runs(local: Store, remote: Store, only: Container[str] | None = None) -> Received:
    """Bring the runs of a remote that we do not have: heads, logs and inputs, not checkpoints.

    One that is damaged there is left out: neither other runs nor any data have to wait for it.

    Args:
        only: the runs to bring, if not all.
    """
    new = sorted(finished_runs(remote) - finished_runs(local))
    heads: dict[str, bytes] = {}
    decoded: dict[str, RunHead] = {}
    inputs: dict[str, Digest] = {}
    damaged: dict[str, str] = {}
    for run in new if only is None else [run for run in new if run in only]:
        with _noted(damaged, run):
            heads[run] = run_head_bytes(remote, run)
            decoded[run] = decode_run_head(heads[run], f"The run {run} of {remote.url}")
            _check_size(remote, decoded[run].input, run)
            inputs[run] = decoded[run].input
    moved = _receive_inputs(local, remote, inputs, damaged)
    members: dict[str, dict[str, Any]] = {}
    for run in sorted(inputs.keys() - damaged.keys()):
        with _noted(damaged, run):
            members[run] = _input(local, inputs[run], run)
    named = NamedDatasets(local, remote)
    named.look_at(Digest(bytes.fromhex(said[name])) for said in members.values() for name in NAMED)
    for run, said in members.items():
        with _noted(damaged, run):
            named.check(said, f"The input of run {run}")
            log = remote.backend.get_whole(run_part(run, RUN_LOG), MAX_LOG)
            for _ in told_by(log, decoded[run], said, f"The log of run {run} of {remote.url}"):
                pass  # it is kept as it is, and no event of it in memory
        if run not in damaged:
            local.backend.put(run_part(run, RUN_HEAD), heads[run])
            local.backend.put(run_part(run, RUN_LOG), log)
    came = sorted(inputs.keys() - damaged.keys())
    return Received(moved, came, damaged, _not_there(local, remote, inputs, came))


def _not_there(
    local: Store, remote: Store, inputs: Mapping[str, Digest], runs: Sequence[str]
) -> dict[str, str]:
    """What neither a remote nor the store here has of what runs name, told by its first chunk.

    Who others fetch from holds all that lies below a node: no tree is read for this.
    """
    found: dict[str, str] = {}
    for run in runs:
        members = _input(local, inputs[run], run)
        names = {f"its {name} ({members[name][:12]})": _digest(members, name) for name in _NAMED}
        keys = as_keys(list(names.values()))
        there = (remote.index.contains(keys) | local.index.contains(keys)).tolist()
        lacking = [name for name, is_there in zip(names, there, strict=True) if not is_there]
        if lacking:
            found[run] = f"Run {run} has come, but {_listed(lacking)} not at the remote, nor here."
    return found


def _receive_inputs(
    local: Store, remote: Store, inputs: Mapping[str, Digest], damaged: dict[str, str]
) -> Moved:
    try:
        return receive(local, remote, list(inputs.values()))
    except (IntegrityError, MissingDataError):
        moved = Moved()
        for run, each in inputs.items():
            with _noted(damaged, run):
                moved += receive(local, remote, [each])
        return moved


def _check_size(remote: Store, given: Digest, run: str) -> None:
    """Check what an input takes before it is brought and unpacked."""
    if not remote.index.contains([given]).all():
        return
    if int(remote.index.locate([given]).rows["raw"][0]) > MAX_INPUT:
        raise IntegrityError(f"The input of run {run} has more than {MAX_INPUT:,} bytes.")


def _input(store: Store, digest: Digest, run: str) -> dict[str, Any]:
    what = f"The input of run {run}"
    members = decode_run_input(store.read(digest), what)
    check_run_input(members, what)
    return members


@contextmanager
def _noted(
    damaged: dict[str, str], run: str, incomplete: dict[str, str] | None = None
) -> Iterator[None]:
    """Note what is wrong with a run, and go on."""
    try:
        yield
    except _IncompleteError as error:
        (damaged if incomplete is None else incomplete)[run] = error.message
    except (FormatError, IntegrityError, MissingDataError, NotFoundError) as error:
        damaged[run] = error.message
