"""Checking a store whole, and mending what is damaged from wherever sound bytes are."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace

from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError
from datasets_vc.format.root import Root
from datasets_vc.history.affected import Affected, affected_paths
from datasets_vc.history.damaged import damaged_parts, set_damaged_aside
from datasets_vc.history.holders import ref_holders, run_holders, run_ids
from datasets_vc.history.inspect import inspect_meaning
from datasets_vc.history.meaning import Meaning
from datasets_vc.history.reachable import Holder, mark_held
from datasets_vc.progress import Progress
from datasets_vc.repository.bringing import OF_A_REMOTE
from datasets_vc.repository.collecting import Nearby, workspace_holders
from datasets_vc.repository.context import Context
from datasets_vc.repository.misplaced import misplaced_places, recorded_at_head, stores_among
from datasets_vc.repository.results import Misplaced
from datasets_vc.repository.salvage import from_workspace
from datasets_vc.store.heal import heal
from datasets_vc.store.inspect import Finding, Inspection, Sample, Seen, inspect_objects
from datasets_vc.store.marks import Marks, Mask
from datasets_vc.store.names import QUARANTINE, damaged_name
from datasets_vc.store.repair import forget, rebuild_index
from datasets_vc.sync.fetch import fetch_files
from datasets_vc.sync.remotes import connect
from datasets_vc.sync.runs import finished_runs, receive_runs, send_runs
from datasets_vc.sync.sending import send

_ROUNDS = 5
_LOOKS = 6
_LOST = "It is lost: no remote and no file of the workspace has its bytes."
_LOST_RUN = "Its record is lost: nobody else has it whole."


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to.

    Attributes:
        store: its address.
        checked: how many objects of each kind were looked at.
        bytes: how many bytes of packs were read.
        errors: what was wrong.
        mended: those of the errors that a repair has put right.
        affected: paths that cannot be read whole, after the repair if there was one.
        names: what refs name the commits of these.
        quarantined: what is left of damaged packs and runs, kept aside.
        absent: chunks that the store need not have, and has not.
        cut: commits that it need not have, since history is cut before them.
        sample: which part of the bytes was read, and by what seed it was drawn.
        misplaced: stores among the files, or in the version, and remotes that are the store itself.
    """

    store: str
    checked: Mapping[str, int]
    bytes: int
    errors: Sequence[Finding]
    mended: Sequence[Finding] = ()
    affected: Sequence[Affected] = ()
    names: Mapping[Digest, str] = field(default_factory=dict)
    quarantined: Sequence[str] = ()
    absent: int = 0
    cut: int = 0
    sample: Sample = field(default_factory=Sample)
    misplaced: Sequence[Misplaced] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong any more."""
        return len(self.mended) == len(self.errors)


@dataclass(frozen=True)
class _Look:
    """One look at a store."""

    found: Inspection
    meaning: Meaning
    holders: Sequence[Holder]

    @property
    def lost(self) -> set[Digest]:
        return self.found.bad | self.meaning.missing

    def confirmed_by(self, other: _Look) -> _Look:
        """This look, with only that to be wrong which the other one found, too."""
        found, meaning = self.found, self.meaning
        both = {*other.found.findings}.intersection(found.findings)
        findings = [each for each in found.findings if each in both]
        bad, missing = found.bad & other.found.bad, meaning.missing & other.meaning.missing
        return replace(
            self,
            found=replace(found, findings=findings, bad=bad),
            meaning=replace(meaning, missing=missing),
        )

    @property
    def errors(self) -> set[tuple[str, str]]:
        return {(each.kind, each.name) for each in self.found.findings}


@dataclass(frozen=True)
class _Lost:
    """What could not be mended: chunks, and runs of which nobody has a sound record.

    A store that forgot chunks looks like a partial one, and damaged records are put aside.
    """

    chunks: frozenset[Digest] = frozenset()
    runs: frozenset[str] = frozenset()

    def __or__(self, other: _Lost) -> _Lost:
        return _Lost(self.chunks | other.chunks, self.runs | other.runs)


_NOTHING = _Lost()


def check(
    context: Context, remote: str | None, sample: float | None, *, repair: bool, progress: Progress
) -> Checked:
    if remote and repair:
        context.remotes.check_droppable(remote)
    drawn = Sample() if sample is None else Sample(sample, secrets.randbits(32))
    checker = _Checker(context, remote, progress)
    with context.workspace.lock() if repair else nullcontext():
        looks = [checker.look(drawn)]
        lost = _NOTHING
        # What could not be seen behind other damage is seen once that is mended.
        while repair and looks[-1].found.findings and len(looks) <= _ROUNDS:
            lost |= checker.repair(looks[-1])
            looks.append(checker.look(drawn, lost))
            if looks[-1].errors == looks[-2].errors:
                break
        return checker.result(looks, drawn)


class _Checker:
    def __init__(self, context: Context, remote: str | None, progress: Progress) -> None:
        self._context = context
        self._remote = remote
        self._progress = progress
        self._store = context.remotes.open_store(remote) if remote else context.store
        # A remote is read where its objects are looked at; what they mean is told by equal ones.
        self._source = Nearby(self._store, context.store) if remote else self._store

    def look(self, sample: Sample, lost: _Lost = _NOTHING) -> _Look:
        """Look at everything, and find what is known to be lost again.

        What others move meanwhile may look like damage: a commit that came after the index was
        read, a pack that was replaced by another. Therefore, if somebody was at it, what was found
        is looked for again; if they go on all the time, damage is what was found twice.
        """
        sound: dict[Digest, Seen] = {}
        looks: list[_Look] = []
        for _ in range(_LOOKS):
            # What the workspace names now is in an index that is read later.
            holders = self._workspace_holders()
            state = self._state()
            looks.append(self._look(sample, lost, sound, holders))
            if not looks[-1].found.findings or (state, holders) == (
                self._state(),
                self._workspace_holders(),
            ):
                return looks[-1]
        return looks[-1].confirmed_by(looks[-2])

    def _state(self) -> object:
        """What changes whenever somebody changes the store."""
        return self._store.root().write_id, run_ids(self._store)

    def _workspace_holders(self) -> list[Holder]:
        return [] if self._remote else workspace_holders(self._context)

    def _look(
        self,
        sample: Sample,
        lost: _Lost,
        sound: dict[Digest, Seen],
        of_workspace: Sequence[Holder],
    ) -> _Look:
        store = self._store
        found = inspect_objects(store, sample, self._progress, sound)
        store.look_by(found.index, found.root)
        holders = [*ref_holders(found.root), *of_workspace]
        complete = self._remote is not None or not found.root.tracking
        meaning = inspect_meaning(
            store,
            self._source,
            holders,
            found,
            complete=complete,
            sample=sample,
            progress=self._progress,
        )
        for digest in lost.chunks:
            if found.index.find(digest) is None:
                meaning.missing.add(digest)
                if digest.hex() not in {each.name for each in found.findings}:
                    found.find("chunk", digest, _LOST)
        # A later round may have brought it: with the index mended, or from another remote.
        for run in sorted(lost.runs - finished_runs(store)) if lost.runs else ():
            found.find("run", run, _LOST_RUN)
        return _Look(found, meaning, holders)

    def result(self, looks: Sequence[_Look], sample: Sample) -> Checked:
        first, last = looks[0].found, looks[-1]
        errors = {
            (each.kind, each.name): each for look in looks[::-1] for each in look.found.findings
        }
        kept = self._store.backend.list(QUARANTINE)
        context = self._context
        misplaced = [] if self._remote else list(_misplaced(context))
        return Checked(
            store=self._store.url,
            checked=first.checked,
            bytes=first.bytes,
            errors=list(errors.values()),
            mended=[each for name, each in errors.items() if name not in last.errors],
            affected=self._affected(last),
            names=_names(last.found.root),
            quarantined=[info.name for info in kept],
            absent=last.meaning.absent,
            cut=last.meaning.cut,
            sample=sample,
            misplaced=misplaced,
        )

    def repair(self, look: _Look) -> _Lost:
        """Mend what can be; returns the rest."""
        runs = self._repair_runs(look)
        return _Lost(frozenset(self._repair_chunks(look)), runs)

    def _repair_runs(self, look: _Look) -> frozenset[str]:
        """Get damaged records of runs from elsewhere; returns those that nobody has."""
        store = self._store
        damaged = [each.name for each in look.found.findings if each.kind == "run"]
        lying = look.meaning.lying
        # Nobody has a better record of a run that lies: its id is the digest of what says so.
        broken = set_damaged_aside(store, damaged, lying) - lying
        if not broken:
            return frozenset()
        if self._remote is not None:
            local = self._context.store
            here = sorted(broken & finished_runs(local))
            send_runs(local, store, [run for run in here if not damaged_parts(local, run)])
        else:
            for config in self._context.remotes.list().values():
                with suppress(*OF_A_REMOTE):
                    receive_runs(store, connect(config, store).store, broken)
        return frozenset(broken - finished_runs(store))

    def _repair_chunks(self, look: _Look) -> list[Digest]:
        """The index, then packs, then what these have lost."""
        store, found = self._store, look.found
        wrong = {
            Digest(bytes.fromhex(each.name)) for each in found.findings if each.kind == "recipe"
        }
        if rebuild_index(store, found, self._held):
            return []
        store.refresh()
        for pack in found.damaged:
            store.backend.put(damaged_name(pack))
        lost = set(heal(store))
        forget(store, wrong)
        lost |= wrong | look.lost
        for fetch in (self._from_elsewhere, self._from_files):
            rest = [each for each in lost if store.find(each) is None]
            if rest:
                fetch(look, rest)
        rest = [each for each in lost if store.find(each) is None]
        if not rest:
            return []
        marks = Marks(found.index)
        held, rows = self._held(marks), marks.rows(rest)
        return [each for each, row in zip(rest, rows.tolist(), strict=True) if row < 0 or held[row]]

    def _from_elsewhere(self, look: _Look, lost: Sequence[Digest]) -> None:
        """Get chunks from the remotes that have them; for a remote from the store here."""
        del look
        if self._remote is not None:
            local = self._context.store
            held = local.index.contains(lost).tolist()
            some = [each for each, there in zip(lost, held, strict=True) if there]
            self._store.publish(send(local, self._store, some, self._progress))
            return
        for config in self._context.remotes.list().values():
            # Another one may have it; what nobody has is told in the end.
            with suppress(*OF_A_REMOTE):
                other = connect(config, self._store).store
                some = [each for each in lost if other.find(each) is not None]
                fetch_files(self._store, other, some, self._progress)

    def _from_files(self, look: _Look, lost: Sequence[Digest]) -> None:
        """Get files from the workspace that still have the bytes which some version needs."""
        del lost
        if self._remote is None and self._context.has_files:
            from_workspace(self._context.folder, self._store, self._affected(look))

    def _affected(self, look: _Look) -> list[Affected]:
        commits, lost = look.meaning.commits, look.lost
        return affected_paths(self._source, look.found.index, commits, lost)

    def _held(self, marks: Marks) -> Mask:
        """What is held, as far as it can be known; if it cannot, everything may be."""
        root = self._store.seen
        holders = [*ref_holders(root), *run_holders(self._store), *self._workspace_holders()]
        try:
            return mark_held(marks.index, self._source, holders).held
        except DatasetError:
            return ~marks.held


def _names(root: Root) -> dict[Digest, str]:
    """What refs call the commits that they name."""
    named: dict[Digest, str] = {}
    for refs in (root.branches, root.tags, root.tracking):
        for name, commit in refs.items():
            named.setdefault(commit, name)
    return named


def _misplaced(context: Context) -> Iterator[Misplaced]:
    yield from misplaced_places(context, thorough=True)
    if context.has_files:
        with suppress(DatasetError):  # a folder that cannot be read is told by `status`
            yield from stores_among(context, context.workspace.scan().listing.skipped)
    yield from recorded_at_head(context)
