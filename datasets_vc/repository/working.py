"""Verbs between the workspace and its store: commit, checkout, restore."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from datasets_vc.config import Head, set_files, set_only
from datasets_vc.digest import Digest
from datasets_vc.errors import (
    AlreadyExistsError,
    ConflictError,
    DatasetError,
    InvalidInputError,
)
from datasets_vc.format.commit import Commit, check_texts, encode_commit
from datasets_vc.format.entries import ENTRY_SCHEMA
from datasets_vc.format.root import check_ref_name
from datasets_vc.format.signed import signed
from datasets_vc.history.commits import read_commit
from datasets_vc.history.manifest import Manifest, write_manifest
from datasets_vc.history.revisions import is_of_remote
from datasets_vc.memory import give_back
from datasets_vc.progress import Progress
from datasets_vc.repository.again import once_more
from datasets_vc.repository.context import Context
from datasets_vc.repository.files import write_files
from datasets_vc.repository.results import CheckoutResult, CommitResult
from datasets_vc.repository.switching import abort, arrive, note, turn
from datasets_vc.repository.unfinished import committable
from datasets_vc.signing import Signer
from datasets_vc.store.writer import ChunkWriter
from datasets_vc.workspace import CheckedOut, Ingested
from datasets_vc.workspace.consume import Consumed
from datasets_vc.workspace.part import WHOLE, Part
from datasets_vc.workspace.selection import Selection
from datasets_vc.workspace.unrecorded import warnings_once

_CLOCKS_DIFFER = timedelta(minutes=5)


def commit(
    context: Context,
    message: str,
    paths: Sequence[str],
    author: str,
    time: datetime | None,
    progress: Progress,
    *,
    consume: bool,
    signer: Signer | None,
) -> CommitResult:
    if not message.strip():
        raise InvalidInputError("The message is empty.", "Say what changed: -m MESSAGE")
    context.need_files()
    if signer:
        signer.check()
    consumed = Consumed()
    with context.workspace.lock():
        context.refuse_unfinished()
        context.refuse_cut_short()
        made = once_more(
            context.store,
            lambda needed: _record(context, message, paths, author, time, progress, signer, needed),
        )
        if consume:
            version = context.entries_of(context.head.commit)
            consumed = context.workspace.consume(version, context.store, paths, progress=progress)
        if made is None and not consumed.files:
            raise InvalidInputError(
                "Nothing changed since the last commit.", "`dsvc status` shows what would be."
            )
        context.tidy()
    return replace(made or _as_it_is(context), consumed=consumed)


def _record(
    context: Context,
    message: str,
    paths: Sequence[str],
    author: str,
    time: datetime | None,
    progress: Progress,
    signer: Signer | None,
    needed: bytes,
) -> CommitResult | None:
    """Make a commit; None if nothing changed."""
    check_texts(author, message)
    head = context.head
    context.store.refresh()
    with context.store.writer(needed=needed) as writer:
        dataset, made = _ingest(context, writer, paths, progress)
        if dataset is None or _was_recorded(context, dataset):
            return None
        now = (time or datetime.now(UTC)).replace(microsecond=0)
        parents = (head.commit,) if head.commit else ()
        plain = encode_commit(Commit(dataset, parents, author, now, message))
        writer.count_on(b"".join(parents))
        try:
            digest = writer.add_meta(signed(plain, signer))
        except (DatasetError, KeyboardInterrupt):
            # A passphrase was mistyped, say: what was read and stored need not be done again.
            context.store.publish(writer.finish())
            raise
        written = writer.finish()
    if head.branch is None:
        context.store.publish(written)
    else:
        context.branches.move(head.branch, head.commit, digest, written)
    context.workspace.set_head(Head(head.branch, digest))
    return CommitResult(
        commit=digest,
        dataset=dataset,
        files=made.files,
        bytes=made.bytes,
        added=made.added,
        modified=made.modified,
        deleted=made.deleted,
        bytes_written=written.bytes,
        skipped=made.skipped,
        warnings=(
            *_odd_clock(context, head.commit, now),
            *map(_unread, made.unread_rules),
            *warnings_once(context.folder, made.unrecorded),
        ),
    )


def _unread(place: str) -> str:
    return f"'{place}' is a link, so that no rule in it counts: what it names was recorded, too."


def _odd_clock(context: Context, parent: Digest | None, now: datetime) -> Iterator[str]:
    """A word if a commit is dated before the one that it is based on."""
    before = read_commit(context.store, parent).time if parent else now
    if before - now > _CLOCKS_DIFFER:
        yield (
            f"This commit is dated {now:%Y-%m-%d %H:%M} UTC, before its parent "
            f"({before:%Y-%m-%d %H:%M} UTC): is the clock of this machine right?"
        )


def _as_it_is(context: Context) -> CommitResult:
    """The commit that the workspace stands at, to which nothing was added."""
    commit = context.commit_of("HEAD")
    dataset = read_commit(context.store, commit).dataset
    manifest = Manifest(context.store, dataset)
    return CommitResult(commit, dataset, manifest.count, manifest.bytes, 0, 0, 0, 0)


def _ingest(
    context: Context, writer: ChunkWriter, paths: Sequence[str], progress: Progress
) -> tuple[Digest | None, Ingested]:
    """Store what changed; returns the dataset, if anything did, and the counts.

    Of a million files the tables end with this call: the index of all their chunks comes next.
    """
    head = context.head.commit
    made = context.workspace.ingest(context.entries_of(head), writer, paths, progress=progress)
    give_back()
    dataset = write_manifest(writer, made.entries) if made.changed else None
    made = replace(made, entries=ENTRY_SCHEMA.empty_table())
    give_back()
    return dataset, made


def checkout(
    context: Context,
    revision: str | None,
    *,
    force: bool,
    create: str | None,
    part: Part | None,
    progress: Progress,
) -> CheckoutResult:
    with context.workspace.lock():
        context.refuse_unfinished()
        _check_new_branch(context, create)
        if create and revision == "HEAD" and context.head.commit is None:
            revision = None  # as in git: another name for the branch that is to begin here
        branch, target = _destination(context, revision)
        old = context.head.commit if context.has_files else None
        done = CheckedOut(0, 0)
        turn(context, target, part, progress)
        if target:
            begin = _note(context, Head(create or branch, target), revision, create, part)
            with committable(context):
                done = _bring(context, old, target, part, begin, progress, force=force)
        if create:
            branch = create
            if target:
                # Cut short, it may have been there before.
                context.branches.move(create, context.branches.list().get(create), target)
        context.workspace.set_head(Head(branch, target))
        if part is not None:
            set_only(context.folder, part.patterns)
        if not context.has_files:
            set_files(context.folder, True)
        arrive(context)
    return CheckoutResult(branch, target, done.written, done.removed, done.skipped)


def abort_checkout(context: Context, progress: Progress) -> CheckoutResult:
    with context.workspace.lock():
        return abort(context, progress)


def _check_new_branch(context: Context, name: str | None) -> None:
    if name is None:
        return
    check_ref_name(name)
    tip = context.branches.list().get(name)
    cut = context.cut_short
    if tip is not None and not (cut and (cut.branch, cut.after) == (name, tip)):
        raise AlreadyExistsError(
            f"There is a branch '{name}' already.", f"Go to it: dsvc checkout {name}"
        )


def _destination(context: Context, revision: str | None) -> tuple[str | None, Digest | None]:
    """The branch and the commit that a revision names; None is to stay."""
    if revision is None:
        return context.head.branch, context.head.commit
    _adopt_branch(context, revision)
    target = context.commit_of(revision)
    return (revision if revision in context.branches.list() else None), target


def _note(
    context: Context, goal: Head, revision: str | None, create: str | None, part: Part | None
) -> Callable[[], None]:
    """What notes a checkout; without files there is nothing that could be mixed."""
    if not context.has_files:
        return lambda: None
    words = ["dsvc", "checkout", *([revision] if revision else [])]
    words += ["-b", create] if create else []
    if part is not None:
        words += ["--all"] if part.whole else [f"--only={each}" for each in part.patterns or ()]
    return note(context, goal, part, shlex.join(words))


def _bring(
    context: Context,
    old: Digest | None,
    target: Digest,
    part: Part | None,
    begin: Callable[[], None],
    progress: Progress,
    *,
    force: bool,
) -> CheckedOut:
    """Put the files of one commit in the place of another's; returns how many came and went."""
    dataset = read_commit(context.store, target).dataset
    return write_files(
        context, old, dataset, part=part, force=force, progress=progress, begin=begin
    )


def restore(
    context: Context, paths: Sequence[str], revision: str, *, force: bool, progress: Progress
) -> CheckoutResult:
    context.need_files()
    with context.workspace.lock():
        head = context.head
        found = context.resolve(revision)
        # Who names the whole folder means all of it, as who names one that is outside the part.
        selection = Selection(paths)
        part = WHOLE if selection.everything else None
        paths = selection.paths or ["."]
        done = write_files(
            context, head.commit, found.dataset, paths, part=part, force=force, progress=progress
        )
        if part and not context.part.whole:
            set_only(context.folder, part.patterns)
    return CheckoutResult(head.branch, head.commit, done.written, done.removed, done.skipped)


def _adopt_branch(context: Context, name: str) -> None:
    """Make a local branch of one that a single remote has, if the name means nothing else here."""
    root = context.store.root()
    tips = [commit for ref, commit in root.tracking.items() if ref.partition("/")[2] == name]
    if is_of_remote(name, root, context.workspace.remotes):
        return  # it means a branch of that remote, whatever another one calls its own
    if len(tips) == 1 and name not in root.branches and name not in root.tags:
        context.branches.move(name, None, tips[0])


def _was_recorded(context: Context, dataset: Digest) -> bool:
    """Whether the branch has moved on to this very dataset; the workspace then follows it.

    So it is after a commit that was cut short before the workspace could note it. If the branch
    went elsewhere, another workspace on this store was first.
    """
    head, tip = context.head, context.tip
    if tip == head.commit:
        return False
    if tip is not None and head.commit is None and context.dataset_of(tip) != dataset:
        raise ConflictError(
            f"The branch '{head.branch}' has versions in the store, and none of them is in this "
            "workspace yet.",
            f"Bring the newest: dsvc checkout {head.branch}; or commit to a branch of its own: "
            "dsvc checkout -b NAME",
        )
    if tip is None or context.dataset_of(tip) != dataset:
        raise ConflictError(
            f"Branch '{head.branch}' has moved on in the store since this workspace's files were "
            "written.",
            f"Go to a branch of your own, then commit: dsvc checkout -b NAME; or bring what is "
            f"new: dsvc checkout {head.branch}",
        )
    context.workspace.set_head(Head(head.branch, tip))
    return True
