"""Who asks for a run: the variables around, and what is asked back."""

from __future__ import annotations

import os
import re
import shlex
import site
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from datasets_vc import repository as facade
from datasets_vc.cli.render import guarded, moment, shown
from datasets_vc.cli.secret import own_secret
from datasets_vc.cli.session import Session
from datasets_vc.errors import DatasetError
from datasets_vc.runs.origin import refuse

if TYPE_CHECKING:
    from datasets_vc.repository import Caller, ForeignRun

_LONGEST = 80
"""Letters of one argument or value that the question shows."""

_MOST = 24
"""Arguments, and variables, that the question shows."""

_BLANKS = re.compile(r"\s{2,}")


def caller(session: Session, *, yes: bool = False, passed: Sequence[str] = ()) -> Caller:
    """Whoever called this command.

    Args:
        yes: runs that were not recorded here may be reproduced without asking.
        passed: names of variables that a reproduced run gets besides.
    """

    def allow(run: ForeignRun) -> None:
        if not yes:
            _ask(session, run)

    return facade.Caller(
        secret=own_secret(),
        environment=os.environ,
        passed=tuple(passed),
        user_packages=site.getuserbase() if site.ENABLE_USER_SITE else None,
        allow=allow,
    )


def _ask(session: Session, run: ForeignRun) -> None:
    """Ask whether a run that was not recorded here may be executed.

    Raises:
        InvalidInputError: there is no terminal to ask at.
        DatasetError: the answer was no.
    """
    if session.options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        refuse(run)
    session.close_progress()
    for line in _question(run):
        sys.stderr.write(guarded(line) + "\n")
    sys.stderr.write("Execute it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise DatasetError("Nothing was executed.")


def _question(run: ForeignRun) -> Iterator[str]:
    """What is asked: of bounded length, and what decides last, where nothing pushes it away."""
    yield f"Run {run.id}"
    yield f"  recorded {moment(run.started)}"
    yield f"  code     {run.code}"
    yield f"  dataset  {run.dataset}"
    yield f"  command  {' '.join(_few([shlex.quote(_brief(each)) for each in run.command]))}"
    sets = [f"{_brief(name)}={_brief(value)}" for name, value in sorted(run.variables.items())]
    yield from (f"  sets     {each}" for each in _few(sets))
    if run.left_out:
        yield f"  not set  {', '.join(_few([_brief(name) for name in run.left_out]))}"
    yield f"All that it says of itself, and more: dsvc runs show {run.id}"
    yield "The lines above are its own words. These are dsvc's: it was not recorded here."
    if run.remote is None:
        yield "Nobody noted from where it came: from a remote, from another user of this store, or"
        yield "from whoever gave you this folder; or you recorded it before that was noted."
    else:
        yield f"It came from the remote '{_brief(run.remote[0])}', {_brief(run.remote[1])}."
    yield "To reproduce it is to execute its code on this machine, with all that you may do here."


def _few(texts: Sequence[str]) -> list[str]:
    more = len(texts) - _MOST
    return [*texts[:_MOST], *([f"... and {more:,} more"] if more > 0 else [])]


def _brief(text: str) -> str:
    """A text of others, cut, with its blanks and line ends made visible."""
    more = len(text) - _LONGEST
    told = _BLANKS.sub(_told_blanks, text[:_LONGEST])
    return shown(told) + (f"[... {more:,} more letters]" if more > 0 else "")


def _told_blanks(found: re.Match[str]) -> str:
    ends = sum(each in "\n\r\v\f\x85\u2028\u2029" for each in found[0])
    what = f"{len(found[0])} blanks" + (f", {ends} of them line ends" if ends else "")
    return f"[{what}]"
