"""Runs in a store: what went in, what happened."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datasets_vc.digest import MIN_PREFIX, Digest, digest_of, is_hex
from datasets_vc.errors import InvalidInputError, NotFoundError
from datasets_vc.format.run import (
    RunHead,
    check_run_input,
    decode_run_input,
    encode_run_head,
    encode_run_log,
    encode_run_packs,
    told_by,
)
from datasets_vc.history.holders import read_run_head
from datasets_vc.history.named import NamedDatasets
from datasets_vc.store import Store
from datasets_vc.store.names import MAX_LOG, RUN_HEAD, RUN_LOG, RUN_PACKS, RUNS, run_of, run_part

Event = Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Attributes:
        id: 64 hex digits.
        input: what went in, as docs/format.md lists it.
        events: what happened, oldest first; empty while the run has not ended.
    """

    id: str
    head: RunHead
    input: Mapping[str, Any]
    events: Sequence[Event] = ()

    @property
    def started(self) -> datetime:
        return self.head.started

    @property
    def model(self) -> str:
        return str(self.input["command"][0])

    @property
    def dataset(self) -> str:
        return str(self.input["dataset"])

    @property
    def status(self) -> str:
        """`done`, `failed`, `interrupted`, or `unfinished` while no end is known."""
        return str(self._last("end").get("status", "unfinished"))

    @property
    def metrics(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._last("end").get("metrics", {})
        return found

    @property
    def error(self) -> Mapping[str, str]:
        """Kind, message and hint of what ended the run, if it failed."""
        found: Mapping[str, str] = self._last("end").get("error", {})
        return found

    @property
    def verdict(self) -> str | None:
        """What came out when this run reproduced another one."""
        return self._last("verdict").get("verdict")

    def _last(self, kind: str) -> Event:
        return next((event for event in reversed(self.events) if event["event"] == kind), {})


class RunFiles:
    """The runs that a store holds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._named = NamedDatasets(store)

    def ids(self) -> list[str]:
        """The ids of all runs, finished or not."""
        runs = (run_of(info.name, RUN_HEAD) for info in self._store.backend.list(RUNS))
        return sorted(run for run in runs if run)

    def find(self, prefix: str) -> str:
        """The id that begins with `prefix`, which has 8 digits or more.

        Raises:
            NotFoundError: no run has such an id.
            InvalidInputError: several have.
        """
        found = [run for run in self.ids() if run.startswith(prefix)]
        if len(prefix) < MIN_PREFIX or not is_hex(prefix) or not found:
            raise NotFoundError(
                f"There is no run '{prefix}'.",
                f"`dsvc runs list` lists them; give {MIN_PREFIX} digits or more.",
            )
        if len(found) > 1:
            raise InvalidInputError(f"'{prefix}' fits {len(found)} runs.", "Give more digits.")
        return found[0]

    def begin(self, head: RunHead) -> str:
        """Record that a run has started; its input is in the store. Returns the id."""
        data = encode_run_head(head)
        run = digest_of(data).hex()
        self._store.backend.put(run_part(run, RUN_HEAD), data)
        return run

    def pin(self, run: str, packs: Iterable[Digest]) -> None:
        """Keep packs that a run reads as they are; see docs/format.md, section 10."""
        self._store.backend.put(run_part(run, RUN_PACKS), encode_run_packs(packs))

    def finish(self, run: str, events: Iterable[Event]) -> None:
        """Record what happened in a run that has ended."""
        log = encode_run_log([without_floats(event) for event in events])
        self._store.backend.put(run_part(run, RUN_LOG), log)

    def read(self, run: str, kinds: Collection[str] = ()) -> RunRecord:
        """One run by its full id.

        Args:
            kinds: of the events that are wanted, if not all: of these only the last ones.

        Raises:
            IntegrityError, FormatError: it is damaged, names what is no dataset, or is newer than
                this version.
            MissingDataError: its input is not here.
        """
        head = read_run_head(self._store, run)
        what = f"The input of run {run}"
        members = decode_run_input(self._store.read(head.input), what)
        check_run_input(members, what)
        self._named.check(members, what)
        events = told_by(self._log(run), head, members, f"The log of run {run}")
        if not kinds:
            return RunRecord(run, head, members, list(events))
        # A log may be long, and there may be many: no more is kept of it than is wanted.
        last = {event["event"]: event for event in events if event["event"] in kinds}
        return RunRecord(run, head, members, list(last.values()))

    def _log(self, run: str) -> bytes:
        try:
            return self._store.backend.get_whole(run_part(run, RUN_LOG), MAX_LOG)
        except NotFoundError:
            return b""


def without_floats(value: Any) -> Any:
    """`value` with floating-point numbers as the text that `repr` gives, for canonical JSON."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {name: without_floats(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [without_floats(member) for member in value]
    return value


def dataset_of(members: Mapping[str, Any]) -> Digest:
    """The dataset digest in the input of a run."""
    return Digest(bytes.fromhex(members["dataset"]))
