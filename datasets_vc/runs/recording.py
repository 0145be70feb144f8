"""One training process: started, recorded as it goes, and what it leaves kept."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError, IntegrityError, error_of
from datasets_vc.format.pack import DATA
from datasets_vc.format.run import RunHead, encode_run_input
from datasets_vc.runs.arguments import option_of
from datasets_vc.runs.origin import RecordedRuns
from datasets_vc.runs.process import Command, failure, run
from datasets_vc.runs.record import Event, RunFiles, RunRecord, without_floats
from datasets_vc.store import Store
from datasets_vc.sync.closure import dataset_chunks


@dataclass(frozen=True)
class Job:
    arguments: Sequence[str]
    dataset: Digest
    commit: str | None
    code: Digest
    folder: Path
    config: bytes = b""
    config_suffix: str = ".json"
    reproduces: Digest | None = None
    quiet: bool = False
    environment: Mapping[str, str] | None = None
    recorded: RecordedRuns | None = None


@dataclass
class Recording:
    """A run under way: its events so far, and its id once its input is known."""

    nonce: str
    out: Path
    id: str = ""
    head: RunHead | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def record(self) -> RunRecord:
        assert self.head is not None
        return RunRecord(self.id, self.head, self.members, self.events)


class Recorder:
    """Records trainings in a store.

    Args:
        meta: the `.dsvc` of the workspace, where their outputs lie.
    """

    def __init__(self, meta: Path, store: Store) -> None:
        self._meta = meta
        self._store = store
        self._files = RunFiles(store)

    def execute(self, job: Job) -> Recording:
        """Run the training process of a job to its end and store its checkpoints."""
        nonce = secrets.token_hex(8)
        recording = Recording(nonce, self._meta / "runs" / nonce)
        recording.out.mkdir(parents=True)
        config = recording.out / f"config{job.config_suffix}"
        if job.config:
            config.write_bytes(job.config)
        command = Command(
            job.arguments,
            job.folder,
            self._store.url,
            recording.out,
            config,
            job.quiet,
            job.environment,
        )

        def listen(event: dict[str, Any]) -> None:
            recording.events.append(event)
            if event["event"] == "inputs" and not recording.id:
                self._begin(recording, job, event)

        try:
            status = run(command, listen)
        except KeyboardInterrupt:
            if not recording.id:
                shutil.rmtree(recording.out)
                raise
            status = 130
        self._check_end(recording, command, status)
        self._store_checkpoints(recording)
        return recording

    def _begin(self, recording: Recording, job: Job, event: Event) -> None:
        told = {name: member for name, member in event.items() if name != "event"}
        # What the process says of itself replaces nothing that we know.
        members = told | {
            "dataset": job.dataset.hex(),
            "commit": job.commit,
            "command": list(job.arguments),
            "code": job.code.hex(),
            "topology": {"workers": int(option_of(job.arguments, "--workers")), "ranks": 1},
        }
        recording.members = without_floats(members)
        with self._store.writer() as writer:
            digest = writer.add_meta(encode_run_input(recording.members))
            self._store.publish(writer.finish())
        started = datetime.now(UTC).replace(microsecond=0)
        recording.head = RunHead(digest, started, recording.nonce, job.reproduces)
        recording.id = self._files.begin(recording.head)
        if job.recorded is not None:
            job.recorded.add(recording.id)
        self._files.pin(recording.id, _packs_of(self._store, job.dataset))

    def _check_end(self, recording: Recording, command: Command, status: int) -> None:
        """Make sure that the events have an end; raise if there is not even a beginning."""
        end = next((event for event in recording.events if event["event"] == "end"), None)
        if not recording.id:
            error = error_in(end or {}) or failure(command, status)
            shutil.rmtree(recording.out)
            raise error
        if end is None:
            state = "interrupted" if status == 130 else "failed"
            error = failure(command, status)
            told = {"kind": error.kind, "message": error.message, "hint": error.hint}
            recording.events.append({"event": "end", "status": state, "error": told})

    def _store_checkpoints(self, recording: Recording) -> None:
        with self._store.writer() as writer:
            for event in recording.events:
                if event["event"] != "checkpoint":
                    continue
                name = str(event.get("name"))
                data = _checkpoint(recording.out, name)
                if writer.add_file(data).hex() != event.get("digest"):
                    raise IntegrityError(f"Checkpoint {name} changed after it was written.")
            self._store.publish(writer.finish())


def error_in(end: Event) -> DatasetError | None:
    error = end.get("error")
    if not error:
        return None
    message = error.get("message", "It does not say what went wrong.")
    return error_of(error.get("kind", ""), message, error.get("hint", ""))


def _checkpoint(folder: Path, name: str) -> bytes:
    """A file that the training process says to have written."""
    path = folder / name
    if Path(name).name != name or path.is_symlink() or not path.is_file():
        raise IntegrityError(f"The training process names a checkpoint {name!a} that is none.")
    return path.read_bytes()


def _packs_of(store: Store, dataset: Digest) -> list[Digest]:
    """The packs that hold the files of a dataset."""
    index = store.index
    found = index.locate(dataset_chunks(store, dataset))
    packs = [index.packs[number] for number in set(found.rows["pack"][found.found].tolist())]
    return [pack.digest for pack in packs if pack.category == DATA]
