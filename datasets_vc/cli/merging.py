"""Verbs that bring versions together: merge, revert, cherry-pick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.author import author_of
from datasets_vc.cli.conflicts import conflict_lines, conflicts_json, state_json, state_lines
from datasets_vc.cli.failure import CONFLICT
from datasets_vc.cli.render import short, shown
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.cli.signatures import Key, Sign, Verify, signer_of

if TYPE_CHECKING:
    from datasets_vc.repository import CheckoutResult, MergeResult
    from datasets_vc.signing import Signer
    from datasets_vc.workspace.mergestate import Side

app = new_app()

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="REV | PATH", help="What to bring; or which conflicts to settle."),
]
Message = Annotated[
    str | None, typer.Option("-m", "--message", help="What the new commit says about it.")
]
Ours = Annotated[bool, typer.Option("--ours", help="In conflicts our side is right.")]
Theirs = Annotated[bool, typer.Option("--theirs", help="In conflicts their side is right.")]
Resolved = Annotated[
    bool, typer.Option("--resolved", help="The files at PATH are right as they are now.")
]
Abort = Annotated[bool, typer.Option("--abort", help="Put everything back as it was.")]
Continue = Annotated[
    bool, typer.Option("--continue", help="Record it, now that the conflicts are resolved.")
]
Mainline = Annotated[
    int | None,
    typer.Option("--mainline", metavar="N", help="Of a merge: compare with its N-th parent."),
]
Start = Callable[[str, "Side | None", str, "Signer | None"], "MergeResult"]


@dataclass(frozen=True)
class _Flags:
    """Which of the ways to call these verbs was taken."""

    ours: bool
    theirs: bool
    resolved: bool
    finish: bool
    abort: bool
    sign: bool | None
    key: str | None

    @property
    def side(self) -> Side | None:
        return "ours" if self.ours else "theirs" if self.theirs else None


@verb(
    app,
    "merge",
    "dsvc merge relabel\ndsvc merge --theirs train/labels.csv\ndsvc merge --continue",
)
def merge(
    session: Session,
    words: Words = None,
    message: Message = None,
    no_ff: Annotated[
        bool, typer.Option("--no-ff", help="Make a commit even if the branch could go forward.")
    ] = False,
    ff_only: Annotated[
        bool, typer.Option("--ff-only", help="Only go forward; else change nothing.")
    ] = False,
    ours: Ours = False,
    theirs: Theirs = False,
    resolved: Resolved = False,
    finish: Continue = False,
    abort: Abort = False,
    unrelated: Annotated[
        bool,
        typer.Option(
            "--allow-unrelated-histories", help="Merge what has no version in common with this."
        ),
    ] = False,
    sign: Sign = None,
    key: Key = None,
    verify: Verify = None,
) -> int:
    """Bring another version's changes into this one.

    Files that one side changed are taken from it; tables with a key are merged by row and by field.
    Where both sides changed the same, ours stays for now and the exit code is 12. Then edit the
    file, or take a side with '--ours PATH' or '--theirs PATH', and '--continue'; or '--abort'.
    With REV, '--ours' and '--theirs' settle all conflicts beforehand.
    """

    def start(
        revision: str, prefer: Side | None, author: str, signer: Signer | None
    ) -> MergeResult:
        return session.repository.merging.merge(
            revision,
            author=author,
            message=message,
            no_ff=no_ff,
            ff_only=ff_only,
            prefer=prefer,
            unrelated=unrelated,
            verify=verify,
            signer=signer,
            progress=session.progress,
        )

    flags = _Flags(ours, theirs, resolved, finish, abort, sign, key)
    return _run(session, words or [], message, flags, start)


@verb(app, "revert", "dsvc revert HEAD\ndsvc revert main~3 --mainline 1\ndsvc revert --continue")
def revert(
    session: Session,
    words: Words = None,
    message: Message = None,
    mainline: Mainline = None,
    ours: Ours = False,
    theirs: Theirs = False,
    resolved: Resolved = False,
    finish: Continue = False,
    abort: Abort = False,
    sign: Sign = None,
    key: Key = None,
) -> int:
    """Take back what one commit changed, in a new commit.

    What was changed again since is a conflict; see 'dsvc merge --help'. Their side is the version
    before the commit.
    """

    def start(
        revision: str, prefer: Side | None, author: str, signer: Signer | None
    ) -> MergeResult:
        return session.repository.merging.revert(
            revision,
            author=author,
            message=message,
            mainline=mainline,
            prefer=prefer,
            signer=signer,
            progress=session.progress,
        )

    flags = _Flags(ours, theirs, resolved, finish, abort, sign, key)
    return _run(session, words or [], message, flags, start)


@verb(app, "cherry-pick", "dsvc cherry-pick relabel~2\ndsvc cherry-pick --continue")
def cherry_pick(
    session: Session,
    words: Words = None,
    message: Message = None,
    mainline: Mainline = None,
    ours: Ours = False,
    theirs: Theirs = False,
    resolved: Resolved = False,
    finish: Continue = False,
    abort: Abort = False,
    sign: Sign = None,
    key: Key = None,
) -> int:
    """Do what one commit changed here, too, in a new commit.

    It keeps the author and the message. For conflicts see 'dsvc merge --help'.
    """

    def start(
        revision: str, prefer: Side | None, author: str, signer: Signer | None
    ) -> MergeResult:
        return session.repository.merging.cherry_pick(
            revision,
            author=author,
            message=message,
            mainline=mainline,
            prefer=prefer,
            signer=signer,
            progress=session.progress,
        )

    flags = _Flags(ours, theirs, resolved, finish, abort, sign, key)
    return _run(session, words or [], message, flags, start)


def _run(
    session: Session, words: list[str], message: str | None, flags: _Flags, start: Start
) -> int:
    _check(words, flags)
    repository = session.repository
    merging = repository.merging
    if flags.abort:
        session.done(merging.abort(progress=session.progress), _abort_json, _abort_lines)
        return 0
    if flags.resolved or (flags.side and merging.state() is not None):
        state = merging.resolve(session.dataset_paths(words), flags.side)
        session.done(state, state_json, state_lines)
        return 0
    author = author_of(None, repository.folder)
    signer = signer_of(session, "commit", flags.sign, flags.key)
    if flags.finish:
        result = merging.resume(
            author=author, message=message, signer=signer, progress=session.progress
        )
        return _tell(session, result)
    if len(words) != 1:
        raise typer.BadParameter("name one version.", param_hint="REV")
    return _tell(session, start(words[0], flags.side, author, signer))


def _check(words: list[str], flags: _Flags) -> None:
    given = [flags.ours, flags.theirs, flags.resolved, flags.finish, flags.abort]
    if sum(given) > 1:
        raise typer.BadParameter(
            "only one of them at a time.",
            param_hint="--ours, --theirs, --resolved, --continue, --abort",
        )
    if (flags.finish or flags.abort) and words:
        raise typer.BadParameter(
            "it is about all that is unfinished; name nothing.", param_hint="--continue, --abort"
        )


def _tell(session: Session, result: MergeResult) -> int:
    if result.conflicts:
        session.answer(result, merge_json, _merge_lines)
        return CONFLICT
    session.done(result, merge_json, _merge_lines)
    return 0


def merge_json(result: MergeResult) -> dict[str, Any]:
    return {
        "kind": result.kind,
        "revision": result.revision,
        "branch": result.branch,
        "commit": result.commit.hex() if result.commit else None,
        "dataset": result.dataset.hex() if result.dataset else None,
        "fast_forward": result.fast_forward,
        "updated": result.updated,
        "written": result.written,
        "removed": result.removed,
        "conflicts": conflicts_json(result.conflicts),
    }


def _merge_lines(result: MergeResult) -> Iterator[str]:
    if result.conflicts:
        yield from conflict_lines(result.kind, result.revision, result.conflicts)
        return
    counts = f"{result.written:,} written, {result.removed:,} removed."
    if not result.updated:
        yield "Already up to date."
    elif result.fast_forward:
        yield f"Went forward to {short(result.commit or b'')}: {counts}"
    else:
        yield f"commit  {result.commit.hex() if result.commit else ''}"
        yield f"dataset {result.dataset.hex() if result.dataset else ''}"
        if result.written or result.removed:
            yield counts


def _abort_json(result: CheckoutResult) -> dict[str, Any]:
    return {
        "branch": result.branch,
        "commit": result.commit.hex() if result.commit else None,
        "written": result.written,
        "removed": result.removed,
    }


def _abort_lines(result: CheckoutResult) -> Iterator[str]:
    place = f"{shown(result.branch)}, at" if result.branch else "at"
    at = short(result.commit or b"")
    yield f"Back on {place} {at}: {result.written:,} written, {result.removed:,} removed."
