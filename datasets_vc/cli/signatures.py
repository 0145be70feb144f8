"""What verbs that sign or check signatures share: options, and how a verdict is told."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.render import shown

if TYPE_CHECKING:
    from datasets_vc.cli.session import Session
    from datasets_vc.repository.signing import Kind
    from datasets_vc.signing import Signer, Verdict

Sign = Annotated[
    bool | None,
    typer.Option("--sign/--no-sign", help="Sign it or not, whatever [signing] in the config says."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="Sign with this SSH key: a file, or key::TEXT of one that is in the agent.",
    ),
]
Verify = Annotated[
    bool | None,
    typer.Option(
        "--verify/--no-verify",
        help="Take only what an allowed signer has signed, or anything; else as configured.",
    ),
]


# Of these nothing is known, and so nothing bad.
_UNKNOWN = ("unsigned", "unchecked")


def signer_of(session: Session, kind: Kind, sign: bool | None, key: str | None) -> Signer | None:
    """Who signs what a verb is about to make, as asked for or configured."""
    if sign is False and key:
        raise typer.BadParameter("not with --no-sign.", param_hint="--key")
    if key and not key.startswith("key::"):
        key = str(session.located(key))
    signer = session.repository.signing.signer(kind, wanted=sign, key=key)
    if signer:
        _ask_at_a_terminal_only()
    return signer


def _ask_at_a_terminal_only() -> None:
    """Keep ssh-keygen from opening a window where nobody may be, unless somebody set one up."""
    if "SSH_ASKPASS" not in os.environ and not (sys.stdin.isatty() or sys.stderr.isatty()):
        os.environ.setdefault("SSH_ASKPASS_REQUIRE", "never")


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "status": verdict.status,
        "principal": verdict.principal,
        "key": verdict.key,
        "key_type": verdict.key_type,
        "reason": verdict.reason or None,
    }


def verdict_word(session: Session, verdict: Verdict) -> str:
    """A verdict where there is little room."""
    if verdict.good:
        return session.paint(f"signed by {shown(verdict.principal or '')}", "green")
    words = "not signed" if verdict.status == "unsigned" else f"{verdict.status} signature"
    return session.paint(words, "yellow" if verdict.status in _UNKNOWN else "red")


def verdict_words(session: Session, verdict: Verdict) -> str:
    """A verdict as a part of a line."""
    by = f" by {shown(verdict.principal)}" if verdict.principal else ""
    key = f" ({verdict.key_type} key {verdict.key})" if verdict.key else ""
    if verdict.good:
        return session.paint(f"good signature{by}{key}", "green")
    if verdict.status == "unsigned":
        return verdict_word(session, verdict)
    words = f"{verdict.status} signature{by}{key}: {shown(verdict.reason)}"
    return session.paint(words, "yellow" if verdict.status in _UNKNOWN else "red")
