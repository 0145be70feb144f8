"""The runs of a workspace: train, list, show, reproduce."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from datasets_vc.digest import Digest
from datasets_vc.errors import (
    FormatError,
    IntegrityError,
    MissingDataError,
    NotFoundError,
    NotRestorableError,
)
from datasets_vc.format.json import hex_digest
from datasets_vc.history.revisions import Revision
from datasets_vc.paths import META_DIR
from datasets_vc.progress import SILENT, Progress
from datasets_vc.runs.arguments import (
    Overrides,
    TrainRequest,
    check_arguments,
    repeat_arguments,
    train_arguments,
)
from datasets_vc.runs.code import code_root, record_code, restore_code
from datasets_vc.runs.compare import Comparison, compare
from datasets_vc.runs.environment import (
    applied,
    left_out,
    process_environment,
    recorded_variables,
)
from datasets_vc.runs.origin import NOBODY, Caller, ForeignRun, RecordedRuns, received_from
from datasets_vc.runs.record import Event, RunFiles, RunRecord, dataset_of
from datasets_vc.runs.recording import Job, Recorder, error_in
from datasets_vc.store import Store


@dataclass(frozen=True)
class Reproduction:
    """A run, the run that repeated it, and how they compare."""

    run: RunRecord
    again: RunRecord
    comparison: Comparison


@dataclass(frozen=True)
class RunList:
    """The runs of a store, the oldest first.

    Attributes:
        damaged: what is wrong with those that cannot be read, by their ids.
    """

    runs: Sequence[RunRecord]
    damaged: Mapping[str, str] = field(default_factory=dict)


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
        self._recorder = Recorder(self._meta, store)
        self._resolve = resolve
        self._ensure = ensure
        self._fetch_runs = fetch_runs
        self._check_safe = check_safe

    def list(self) -> list[RunRecord]:
        """The runs that can be read, the oldest first; see `look`."""
        return list(self.look().runs)

    def look(self) -> RunList:
        """All runs; one that is damaged hides no other.

        Of their events they have only what says how they ended; `show` gives all.
        """
        records, damaged = [], {}
        for name in self._files.ids():
            try:
                records.append(self._files.read(name, ("end", "verdict")))
            except (FormatError, IntegrityError, MissingDataError) as error:
                damaged[name] = error.message
        records.sort(key=lambda record: (record.started, record.id))
        return RunList(records, damaged)

    def show(self, prefix: str) -> RunRecord:
        """The run whose id begins with `prefix`."""
        return self._files.read(self._files.find(prefix))

    def outputs(self, record: RunRecord) -> Path | None:
        """The folder with the checkpoints and curves of a run that was trained here."""
        folder = self._meta / "runs" / record.head.nonce
        return folder if folder.is_dir() else None

    def train(
        self, request: TrainRequest, progress: Progress = SILENT, caller: Caller = NOBODY
    ) -> RunRecord:
        """Train a model and record the run. The process gets the environment that it is called in.

        Args:
            caller: who will be known to have recorded it here.

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
        job = Job(
            arguments=train_arguments(request, (version.commit or version.dataset).hex()),
            dataset=version.dataset,
            commit=version.commit.hex() if version.commit else None,
            code=code,
            folder=folder,
            config=request.config.read_bytes() if request.config else b"",
            config_suffix=request.config.suffix if request.config else ".json",
            quiet=request.quiet,
            recorded=RecordedRuns(self._meta, caller.secret),
        )
        recording = self._recorder.execute(job)
        self._files.finish(recording.id, recording.events)
        return _successful(recording.record())

    def reproduce(
        self,
        prefix: str,
        overrides: Overrides | None = None,
        progress: Progress = SILENT,
        caller: Caller = NOBODY,
    ) -> Reproduction:
        """Train again as a run did, from its data, code and configuration, and compare.

        This executes the code of the run. It gets the variables of the record and few others; see
        `process_environment`.

        Args:
            prefix: of the id of the run, here or at a remote.
            caller: who asks, and decides on runs that were not recorded here.

        Raises:
            NotRestorableError: its dataset or code cannot be had.
            IntegrityError: its record is malformed.
            InvalidInputError: it was not recorded here, and nobody allows it; a variable that is
                to be passed on is not there.
        """
        self._check_safe()
        overrides = overrides or Overrides()
        original = self._find_anywhere(prefix)
        what = f"The input of run {original.id}"
        check_arguments(original.input["command"], what)
        variables = recorded_variables(original.input, what)
        recorded = RecordedRuns(self._meta, caller.secret)
        ours = original.id in recorded
        if not ours:
            caller.allow(self._foreign(original, variables, caller.secret))
        other = self._resolve(overrides.data) if overrides.data else None
        dataset = other.dataset if other else dataset_of(original.input)
        code = hex_digest(original.input.get("code"), what)
        self._restore(original, dataset, "dataset", progress)
        self._restore(original, code, "code", progress)
        # A commit is only a name of the dataset, and need not be here.
        version = dataset.hex()
        with self._scratch(original, code) as (folder, home):
            environment = process_environment(
                caller.environment, variables, caller.passed, home, caller.user_packages
            )
            job = Job(
                arguments=repeat_arguments(original.input["command"], overrides, version),
                dataset=dataset,
                commit=original.input.get("commit") if other is None else None,
                code=code,
                folder=folder,
                config=json.dumps(original.input.get("config", {})).encode(),
                reproduces=Digest(bytes.fromhex(original.id)),
                quiet=overrides.quiet,
                environment=environment,
                # Of a run with foreign code this one has foreign code as well.
                recorded=recorded if ours else None,
            )
            recording = self._recorder.execute(job)
        comparison = compare(
            original, recording.record(), steps=overrides.steps, tolerance=overrides.tolerance
        )
        recording.events.append(_verdict_event(comparison))
        self._files.finish(recording.id, recording.events)
        again = recording.record()
        if again.status == "interrupted":
            raise KeyboardInterrupt
        return Reproduction(original, again, comparison)

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
                f"The {what} {digest.hex()} of run {record.id} is neither here nor at a remote.",
                "Push it from the machine that trained, or add the remote that has it.",
            ) from error

    def _foreign(
        self, record: RunRecord, variables: Mapping[str, str], secret: bytes | None
    ) -> ForeignRun:
        return ForeignRun(
            id=record.id,
            started=record.started,
            remote=received_from(self._meta, secret, record.id),
            code=str(record.input["code"]),
            dataset=record.dataset,
            command=("python", "-m", "models", *record.input["command"]),
            variables=applied(variables),
            left_out=left_out(variables),
        )

    @contextmanager
    def _scratch(self, record: RunRecord, code: Digest) -> Iterator[tuple[Path, Path]]:
        """A folder with the code of a run, and an empty one to be its home."""
        folder = self._meta / "tmp" / f"code-{secrets.token_hex(8)}"
        home = folder.with_name(f"home-{secrets.token_hex(8)}")
        try:
            folder.mkdir(parents=True)
            home.mkdir(mode=0o700)
            restore_code(self._store, code, folder, f"The code of run {record.id}")
            yield folder, home
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(home, ignore_errors=True)


def _verdict_event(comparison: Comparison) -> Event:
    found = comparison.first_difference
    where = {"part": found.part, "step": found.step} if found else None
    return {"event": "verdict", "verdict": comparison.verdict, "first_difference": where}


def _successful(record: RunRecord) -> RunRecord:
    if record.status == "interrupted":
        raise KeyboardInterrupt
    error = error_in({"error": record.error} if record.error else {})
    if error:
        hint = error.hint or f"What there is of the run: dsvc runs show {record.id}"
        raise type(error)(error.message, hint)
    return record
