"""The runs of a workspace: train, list, show, reproduce."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datasets_vc.digest import Digest
from datasets_vc.errors import (
    DatasetError,
    IntegrityError,
    MissingDataError,
    NotFoundError,
    NotRestorableError,
    error_of,
)
from datasets_vc.format.json import hex_digest
from datasets_vc.format.pack import DATA
from datasets_vc.format.run import RunHead, encode_run_input
from datasets_vc.history.revisions import Revision
from datasets_vc.paths import META_DIR
from datasets_vc.progress import SILENT, Progress
from datasets_vc.runs.arguments import (
    Overrides,
    TrainRequest,
    option_of,
    repeat_arguments,
    train_arguments,
)
from datasets_vc.runs.code import code_root, record_code, restore_code
from datasets_vc.runs.compare import Comparison, compare
from datasets_vc.runs.process import Command, failure, run
from datasets_vc.runs.record import Event, RunFiles, RunRecord, dataset_of, without_floats
from datasets_vc.store import Store
from datasets_vc.sync.closure import dataset_chunks


@dataclass(frozen=True)
class Reproduction:
    """A run, the run that repeated it, and how they compare."""

    run: RunRecord
    again: RunRecord
    comparison: Comparison


@dataclass(frozen=True)
class _Job:
    arguments: Sequence[str]
    dataset: Digest
    commit: str | None
    code: Digest
    folder: Path
    config: bytes = b""
    config_suffix: str = ".json"
    reproduces: Digest | None = None
    quiet: bool = False


@dataclass
class _Recording:
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


class Runs:
    """The runs of the workspace `folder`, kept in its store.

    Args:
        resolve: finds what a revision names.
        ensure: makes a whole dataset present in the store, by its digest.
        fetch_runs: brings the runs of the remotes.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        resolve: Callable[[str], Revision],
        ensure: Callable[[Digest, Progress], object],
        fetch_runs: Callable[[], None],
        check_safe: Callable[[], None] = lambda: None,
    ) -> None:
        self._meta = folder / META_DIR
        self._store = store
        self._files = RunFiles(store)
        self._resolve = resolve
        self._ensure = ensure
        self._fetch_runs = fetch_runs
        self._check_safe = check_safe

    def list(self) -> list[RunRecord]:
        """All runs, the oldest first."""
        records = [self._files.read(run) for run in self._files.ids()]
        return sorted(records, key=lambda record: (record.started, record.id))

    def show(self, prefix: str) -> RunRecord:
        """The run whose id begins with `prefix`."""
        return self._files.read(self._files.find(prefix))

    def outputs(self, record: RunRecord) -> Path | None:
        """The folder with the checkpoints and curves of a run that was trained here."""
        folder = self._meta / "runs" / record.head.nonce
        return folder if folder.is_dir() else None

    def train(self, request: TrainRequest, progress: Progress = SILENT) -> RunRecord:
        """Train a model and record the run.

        Raises:
            DatasetError: what the training process failed with; what there is of the run is kept.
            KeyboardInterrupt: it was interrupted; what there is of the run is kept.
        """
        self._check_safe()
        version = self._resolve(request.revision)
        self._ensure(version.dataset, progress)
        folder = code_root()
        with self._store.writer() as writer:
            code = record_code(writer, folder)
            self._store.publish(writer.finish())
        job = _Job(
            arguments=train_arguments(request, (version.commit or version.dataset).hex()),
            dataset=version.dataset,
            commit=version.commit.hex() if version.commit else None,
            code=code,
            folder=folder,
            config=request.config.read_bytes() if request.config else b"",
            config_suffix=request.config.suffix if request.config else ".json",
            quiet=request.quiet,
        )
        recording = self._execute(job)
        self._files.finish(recording.id, recording.events)
        return _successful(recording.record())

    def reproduce(
        self, prefix: str, overrides: Overrides | None = None, progress: Progress = SILENT
    ) -> Reproduction:
        """Train again as a run did, from its data, code and configuration, and compare.

        Args:
            prefix: of the id of the run, here or at a remote.

        Raises:
            NotRestorableError: its dataset or code cannot be had.
        """
        self._check_safe()
        overrides = overrides or Overrides()
        original = self._find_anywhere(prefix)
        other = self._resolve(overrides.data) if overrides.data else None
        dataset = other.dataset if other else dataset_of(original.input)
        code = hex_digest(original.input.get("code"), f"The input of run {original.id}")
        self._restore(original, dataset, "dataset", progress)
        self._restore(original, code, "code", progress)
        # A commit is only a name of the dataset, and need not be here.
        version = dataset.hex()
        with self._restored_code(code) as folder:
            job = _Job(
                arguments=repeat_arguments(original.input["command"], overrides, version),
                dataset=dataset,
                commit=original.input.get("commit") if other is None else None,
                code=code,
                folder=folder,
                config=json.dumps(original.input["config"]).encode(),
                reproduces=Digest(bytes.fromhex(original.id)),
                quiet=overrides.quiet,
            )
            recording = self._execute(job)
        comparison = compare(
            original, recording.record(), steps=overrides.steps, tolerance=overrides.tolerance
        )
        recording.events.append(_verdict_event(comparison))
        self._files.finish(recording.id, recording.events)
        again = recording.record()
        if again.status == "interrupted":
            raise KeyboardInterrupt
        return Reproduction(original, again, comparison)

    def _execute(self, job: _Job) -> _Recording:
        """Run the training process of a job to its end and store its checkpoints."""
        nonce = secrets.token_hex(8)
        recording = _Recording(nonce, self._meta / "runs" / nonce)
        recording.out.mkdir(parents=True)
        config = recording.out / f"config{job.config_suffix}"
        if job.config:
            config.write_bytes(job.config)
        command = Command(
            job.arguments, job.folder, self._store.url, recording.out, config, job.quiet
        )

        def listen(event: dict[str, Any]) -> None:
            recording.events.append(event)
            if event["event"] == "inputs":
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

    def _begin(self, recording: _Recording, job: _Job, event: Event) -> None:
        told = {name: member for name, member in event.items() if name != "event"}
        members = {
            "dataset": job.dataset.hex(),
            "commit": job.commit,
            "command": list(job.arguments),
            "code": job.code.hex(),
            "topology": {"workers": int(option_of(job.arguments, "--workers")), "ranks": 1},
        } | told
        recording.members = without_floats(members)
        with self._store.writer() as writer:
            digest = writer.add_meta(encode_run_input(recording.members))
            self._store.publish(writer.finish())
        started = datetime.now(UTC).replace(microsecond=0)
        recording.head = RunHead(digest, started, recording.nonce, job.reproduces)
        recording.id = self._files.begin(recording.head)
        self._files.pin(recording.id, _packs_of(self._store, job.dataset))

    def _check_end(self, recording: _Recording, command: Command, status: int) -> None:
        """Make sure that the events have an end; raise if there is not even a beginning."""
        end = next((event for event in recording.events if event["event"] == "end"), None)
        if not recording.id:
            error = _error_in(end or {}) or failure(command, status)
            shutil.rmtree(recording.out)
            raise error
        if end is None:
            state = "interrupted" if status == 130 else "failed"
            error = failure(command, status)
            told = {"kind": error.kind, "message": error.message, "hint": error.hint}
            recording.events.append({"event": "end", "status": state, "error": told})

    def _store_checkpoints(self, recording: _Recording) -> None:
        with self._store.writer() as writer:
            for event in recording.events:
                if event["event"] != "checkpoint":
                    continue
                name = event["name"]
                if writer.add_file((recording.out / name).read_bytes()).hex() != event["digest"]:
                    raise IntegrityError(f"Checkpoint {name} changed after it was written.")
            self._store.publish(writer.finish())

    def _find_anywhere(self, prefix: str) -> RunRecord:
        try:
            return self.show(prefix)
        except NotFoundError:
            self._fetch_runs()
        return self.show(prefix)

    def _restore(self, record: RunRecord, digest: Digest, what: str, progress: Progress) -> None:
        try:
            self._ensure(digest, progress)
        except (MissingDataError, NotFoundError) as error:
            raise NotRestorableError(
                f"The {what} {digest.hex()} of run {record.id[:12]} is neither here nor at a "
                "remote.",
                "Push it from the machine that trained, or add the remote that has it.",
            ) from error

    @contextmanager
    def _restored_code(self, code: Digest) -> Iterator[Path]:
        folder = self._meta / "tmp" / f"code-{secrets.token_hex(8)}"
        folder.mkdir(parents=True)
        try:
            restore_code(self._store, code, folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _packs_of(store: Store, dataset: Digest) -> list[Digest]:
    """The packs that hold the files of a dataset."""
    index = store.index
    found = index.locate(dataset_chunks(store, dataset, index))
    packs = [index.packs[number] for number in set(found.rows["pack"][found.found].tolist())]
    return [pack.digest for pack in packs if pack.category == DATA]


def _verdict_event(comparison: Comparison) -> Event:
    found = comparison.first_difference
    where = {"part": found.part, "step": found.step} if found else None
    return {"event": "verdict", "verdict": comparison.verdict, "first_difference": where}


def _error_in(end: Event) -> DatasetError | None:
    error = end.get("error")
    return error_of(error["kind"], error["message"], error.get("hint", "")) if error else None


def _successful(record: RunRecord) -> RunRecord:
    if record.status == "interrupted":
        raise KeyboardInterrupt
    error = _error_in({"error": record.error} if record.error else {})
    if error:
        hint = error.hint or f"What there is of the run: dsvc runs show {record.id[:12]}"
        raise type(error)(error.message, hint)
    return record
