"""The verb that pins a version for code: pin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.locks import lock_json, named
from datasets_vc.cli.render import shown
from datasets_vc.cli.session import Session, new_app, verb

if TYPE_CHECKING:
    from datasets_vc.repository import PinResult

app = new_app()


@verb(
    app,
    "pin",
    "dsvc pin\ndsvc pin v1.1\ndsvc pin v1.1 -o ../configs/signs.lock",
)
def pin(
    session: Session,
    revision: Annotated[
        str, typer.Argument(metavar="REV", help="A branch, tag, HEAD, main~2, or digits.")
    ] = "HEAD",
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The lock file; the nearest dataset.lock, or a new one beside the workspace.",
        ),
    ] = None,
    remote: Annotated[
        str, typer.Option("--remote", metavar="NAME", help="Where others get it from.")
    ] = "origin",
    force: Annotated[
        bool,
        typer.Option("--force", help="Even if the remote lacks it, or the file is another's."),
    ] = False,
) -> None:
    """Write a small file that says which version some code uses.

    Commit that file, dataset.lock, to git beside the code. 'dsvc clone --from dataset.lock' gets
    the version, 'dsvc pull --lock' follows a new one, 'dsvc status --lock' compares, and 'dsvc
    train --data dataset.lock' and Snapshot.open("dataset.lock") read it.
    """
    result = session.pin(output).write(revision, remote, force=force)
    session.done(result, _pin_json, lambda made: _pin_lines(session, made))


def _pin_json(result: PinResult) -> dict[str, Any]:
    return {
        **lock_json(result.file, result.new),
        "changed": result.new != result.old,
        "previous": lock_json(result.file, result.old) if result.old else None,
    }


def _pin_lines(session: Session, result: PinResult) -> Iterator[str]:
    file = shown(os.path.relpath(result.file, session.folder))
    old, new = result.old, result.new
    if old is None:
        yield f"Pinned {named(new)} in {file}; commit it to git, beside the code."
    elif old == new:
        yield f"{file} pins {named(new)} already."
    elif named(old) == named(new):
        yield f"{file} pins {named(new)} as before; where it is found has changed."
    else:
        yield f"{file}: {named(old)} -> {named(new)}"
    yield f"commit  {new.commit.hex()}"
    yield f"dataset {new.dataset.hex()}"
