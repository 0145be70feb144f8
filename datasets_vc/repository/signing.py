"""Signatures of versions: who makes them here, and whose count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from datasets_vc.config import CONFIG_FILE, read_config
from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import DatasetError, IntegrityError, InvalidInputError, UntrustedError
from datasets_vc.format.commit import decode_commit
from datasets_vc.format.signed import take_apart
from datasets_vc.format.tag import decode_tag
from datasets_vc.history.tagobjects import read_tag
from datasets_vc.paths import META_DIR
from datasets_vc.repository.context import Context
from datasets_vc.signing import Signer, SigningSettings, Verdict, Verifier, parse_settings
from datasets_vc.signing.signer import LITERAL

Kind = Literal["commit", "tag"]


class Admit(Protocol):
    """Raises unless a commit, or a tag object that names it, is signed by somebody trusted."""

    def __call__(self, name: str, commit: Digest, tag: Digest | None = None) -> None: ...


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
        context, verifier = self._context, verifier or self.verifier()
        found = context.resolve(revision)
        if found.tag:
            verdict = _check_tag(context, revision, found.tag, verifier)
            return Verified(revision, "tag", found.tag, verdict)
        if found.commit is None:
            raise InvalidInputError(f"'{revision}' is a dataset: only commits and tags are signed.")
        verdict = _check_commit(context, found.commit, verifier)
        return Verified(revision, "commit", found.commit, verdict)

    def look(self, revision: str) -> Verdict:
        """As `verify`, for telling only: what cannot be checked is `unchecked` and says why."""
        try:
            return self.verify(revision).verdict
        except DatasetError as error:
            return Verdict("unchecked", reason=error.message)


def admission(context: Context, wanted: bool | None, verb: str) -> Admit:
    """What refuses revisions that nobody trusted has signed, if that is wanted or configured.

    It takes what to call a commit, which one it is, and the tag object that names it, if one does:
    the signature of either is enough. Names alone will not do: a remote chooses the names of its
    tags, and one could be called like a branch.

    Args:
        verb: which has an option --no-verify; empty if there is none.

    Raises:
        InvalidInputError: it is wanted, and there is nothing to say who is trusted.
    """
    if not (_settings(context).verify if wanted is None else wanted):
        return lambda *_, **__: None
    verifier = _verifier(context)
    if verifier.allowed_signers is None:
        raise InvalidInputError("Nothing says whose signatures count.", _HOW)
    verifier.check()

    def admit(name: str, commit: Digest, tag: Digest | None = None) -> None:
        named = read_tag(context.store, tag).object if tag else None
        if tag and named == commit and _check_tag(context, name, tag, verifier).good:
            return
        verdict = _check_commit(context, commit, verifier)
        if not verdict.good:
            raise _refusal(Verified(name, "commit", commit, verdict), verb)

    return admit


def _refusal(found: Verified, verb: str) -> DatasetError:
    verdict, name = found.verdict, found.revision
    what = f"'{name}' ({found.digest.hex()[:12]})"
    hint = f"Look at it: dsvc log --show-signature {name}"
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


def _check_commit(context: Context, digest: Digest, verifier: Verifier) -> Verdict:
    data, what = context.store.read(digest), f"The commit {digest.hex()}"
    return _check(data, what, decode_commit(data, what).time, verifier)


def _check_tag(context: Context, name: str, digest: Digest, verifier: Verifier) -> Verdict:
    """The verdict on a tag object; under another tag's name its signature does not count."""
    data, what = context.store.read(digest), f"The tag object {digest.hex()}"
    tag = decode_tag(data, what)
    verdict = _check(data, what, tag.time, verifier)
    if verdict.status == "unsigned" or tag.name == name or name not in context.store.root().tags:
        return verdict
    reason = f"it is the tag '{tag.name}' under another name"
    return Verdict("bad", None, verdict.key, verdict.key_type, reason)


def _check(data: Buffer, what: str, time: datetime, verifier: Verifier) -> Verdict:
    try:
        parts = take_apart(data, what)
    except IntegrityError:
        return Verdict("bad", reason="what is signed is not canonical")
    return verifier.verify(parts.payload, parts.signature, time)


def _settings(context: Context) -> SigningSettings:
    if not context.is_safe:
        return SigningSettings()  # whom its owner trusts says nothing to us
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
