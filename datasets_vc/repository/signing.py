"""Signatures of versions: who makes them here, and whose count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datasets_vc.config import CONFIG_FILE, read_config
from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import DatasetError, IntegrityError, InvalidInputError, UntrustedError
from datasets_vc.format.commit import decode_commit
from datasets_vc.format.json import TAG, form_of
from datasets_vc.format.signed import take_apart
from datasets_vc.format.tag import decode_tag
from datasets_vc.paths import META_DIR
from datasets_vc.repository.context import Context
from datasets_vc.signing import Signer, SigningSettings, Verdict, Verifier, parse_settings
from datasets_vc.signing.signer import LITERAL

Kind = Literal["commit", "tag"]
Admit = Callable[[str], None]

_HOW = f"Set allowed_signers under [signing] in {META_DIR}/{CONFIG_FILE}."


@dataclass(frozen=True, slots=True)
class Verified:
    """What a revision is, and what came of checking its signature."""

    revision: str
    kind: Kind
    digest: Digest
    verdict: Verdict


class Signing:
    """Who signs here, and whose signatures count: `[signing]` in `.dsvc/config.toml`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def signer(
        self, kind: Kind, *, wanted: bool | None = None, key: str | None = None
    ) -> Signer | None:
        """What signs a new commit or tag object; None if it is not to be signed.

        Args:
            wanted: whether to sign; None: if a key is given, or the settings say so.
            key: which key, see `Signer`; by default the one of the settings.

        Raises:
            InvalidInputError: there is no key, or the settings say nonsense.
        """
        settings = _settings(self._context)
        always = settings.commits if kind == "commit" else settings.tags
        if wanted is False or not (wanted or key or always):
            return None
        key = key or settings.key
        if key is None:
            raise InvalidInputError(
                "There is no key to sign with.",
                f"Name one: --key FILE, or key under [signing] in {META_DIR}/{CONFIG_FILE}.",
            )
        return Signer(key if key.startswith(LITERAL) else str(_located(self._context, key)))

    def verifier(self, allowed_signers: Path | None = None) -> Verifier:
        """What checks signatures.

        Args:
            allowed_signers: instead of what the settings say.

        Raises:
            InvalidInputError: the settings say nonsense, or name a file of the dataset.
        """
        return _verifier(self._context, allowed_signers)

    def verify(self, revision: str = "HEAD", verifier: Verifier | None = None) -> Verified:
        """Check the signature of a commit; or of the tag object, where an annotated tag is named.

        Raises:
            NotFoundError: there is no such revision.
            InvalidInputError: it is a dataset only; or who is trusted cannot be read.
            CommandFailedError: there is no `ssh-keygen`, or it is too old.
        """
        return _verify(self._context, revision, verifier or self.verifier())

    def look(self, revision: str) -> Verdict:
        """As `verify`, for telling only: what cannot be checked is `unchecked` and says why."""
        try:
            return self.verify(revision).verdict
        except DatasetError as error:
            return Verdict("unchecked", reason=error.message)


def admission(context: Context, wanted: bool | None, verb: str) -> Admit:
    """What refuses revisions that nobody trusted has signed, if that is wanted or configured.

    Of an annotated tag its own signature is enough, or that of its commit.

    Args:
        verb: which has an option --no-verify; empty if there is none.

    Raises:
        InvalidInputError: it is wanted, and there is nothing to say who is trusted.
    """
    if not (_settings(context).verify if wanted is None else wanted):
        return lambda _: None
    verifier = _verifier(context)
    if verifier.allowed_signers is None:
        raise InvalidInputError("Nothing says whose signatures count.", _HOW)
    verifier.check()

    def admit(revision: str) -> None:
        found = _verify(context, revision, verifier)
        if found.kind == "tag" and not found.verdict.good:
            found = _verify(context, f"{revision}^0", verifier)
        if not found.verdict.good:
            raise _refusal(found, verb)

    return admit


def _refusal(found: Verified, verb: str) -> DatasetError:
    verdict, revision = found.verdict, found.revision
    what = f"'{revision}' ({found.digest.hex()[:12]})"
    hint = f"Look at it: dsvc log --show-signature {revision}"
    if verdict.status == "bad":
        return IntegrityError(
            f"The signature of {what} is bad: {verdict.reason}. Nothing was changed here.", hint
        )
    by = f", key {verdict.key}" if verdict.key else ""
    return UntrustedError(
        f"{what} is not signed by anybody who is trusted: {verdict.reason}{by}. Nothing was "
        "changed here.",
        f"{hint}; to take it all the same: dsvc {verb} --no-verify" if verb else hint,
    )


def _verify(context: Context, revision: str, verifier: Verifier) -> Verified:
    tag = context.resolve(revision).tag
    if tag is None:
        commit = context.commit_of(revision)
        return Verified(revision, "commit", commit, _check(context, commit, verifier))
    verdict = _check(context, tag, verifier)
    if revision in context.store.root().tags:
        verdict = _of_that_name(verdict, revision, context.store.read(tag))
    return Verified(revision, "tag", tag, verdict)


def _check(context: Context, digest: Digest, verifier: Verifier) -> Verdict:
    data = context.store.read(digest)
    what = f"The object {digest.hex()}"
    time = decode_tag(data, what).time if form_of(data) == TAG else decode_commit(data, what).time
    try:
        parts = take_apart(data, what)
    except IntegrityError:
        return Verdict("bad", reason="what is signed is not canonical")
    return verifier.verify(parts.payload, parts.signature, time)


def _of_that_name(verdict: Verdict, name: str, data: Buffer) -> Verdict:
    """The verdict on a tag object, which counts for the tag that it was made for alone."""
    said = decode_tag(data, f"The tag '{name}'").name
    if verdict.status == "unsigned" or said == name:
        return verdict
    reason = f"it is the tag '{said}' under another name"
    return Verdict("bad", None, verdict.key, verdict.key_type, reason)


def _settings(context: Context) -> SigningSettings:
    try:
        return parse_settings(read_config(context.folder).signing)
    except InvalidInputError as error:
        where = context.folder / META_DIR / CONFIG_FILE
        raise InvalidInputError(f"'{where}': {error.message}", error.hint) from error


def _verifier(context: Context, allowed_signers: Path | None = None) -> Verifier:
    settings = _settings(context)
    configured, revoked = (
        _of_the_user(context, _located(context, path)) if path else None
        for path in (settings.allowed_signers, settings.revoked_keys)
    )
    return Verifier(allowed_signers or configured, revoked)


def _located(context: Context, path: str) -> Path:
    """Where a path of the settings leads: from the workspace, or with `~/` from the home folder."""
    if not path.startswith("~/"):
        return context.folder / path
    if context.home is None:
        raise InvalidInputError(f"'{path}' needs a home folder.", "Write the whole path.")
    return context.home / path.removeprefix("~/")


def _of_the_user(context: Context, path: Path) -> Path:
    """The path, if whoever commits cannot write what lies there.

    Raises:
        InvalidInputError: it lies where the files of the dataset do.
    """
    place, root = path.resolve(), context.folder.resolve()
    if place.is_relative_to(root) and not place.is_relative_to(root / META_DIR):
        raise InvalidInputError(
            f"'{path}' lies among the files of the dataset: whoever can commit could say there "
            "whom to trust.",
            f"Keep it elsewhere, for example in {META_DIR}/.",
        )
    return path
