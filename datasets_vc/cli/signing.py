"""The verb that checks signatures: verify."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.failure import CORRUPT, DONE, FAILED
from datasets_vc.cli.render import short, shown
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.cli.signatures import verdict_json, verdict_words

if TYPE_CHECKING:
    from datasets_vc.repository.signing import Verified

app = new_app()


@verb(
    app,
    "verify",
    "dsvc verify\ndsvc verify v1.0 main~2\ndsvc verify v1.0 --allowed-signers /etc/release-keys",
)
def verify(
    session: Session,
    revisions: Annotated[
        list[str] | None,
        typer.Argument(metavar="REV", help="Commits, and tags with a message; HEAD."),
    ] = None,
    allowed_signers: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Whose signatures count, not those of the config (ssh-keygen(1))."
        ),
    ] = None,
) -> int:
    """Check who signed versions.

    Of a tag with a message its own signature, of all else that of the commit ('v1.0^0' is the
    commit of a tag). A good one covers all files and all history of the version. The exit code is
    13 if a signature does not fit, 1 if one is missing or its key not trusted at the commit's time.
    """
    signing = session.repository.signing
    verifier = signing.verifier(session.located(allowed_signers) if allowed_signers else None)
    verifier.check()
    found = [signing.verify(revision, verifier) for revision in revisions or ["HEAD"]]
    session.answer(found, _json, lambda found: _lines(session, found))
    if any(each.verdict.status == "bad" for each in found):
        return CORRUPT
    return DONE if all(each.verdict.good for each in found) else FAILED


def _json(found: Sequence[Verified]) -> dict[str, Any]:
    return {
        "good": all(each.verdict.good for each in found),
        "signatures": [
            {
                "revision": each.revision,
                "kind": each.kind,
                "digest": each.digest.hex(),
                **verdict_json(each.verdict),
            }
            for each in found
        ],
    }


def _lines(session: Session, found: Sequence[Verified]) -> Iterator[str]:
    for each in found:
        what = f"{shown(each.revision)} ({each.kind} {short(each.digest)})"
        yield f"{what}: {verdict_words(session, each.verdict)}"
