"""Checking signatures, as git does: gpg-interface.c, verify_ssh_signed_buffer."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from datasets_vc.errors import InvalidInputError
from datasets_vc.signing.keygen import NAMESPACE, Ran, private_folder, ssh_keygen, write_private

Status = Literal["good", "unsigned", "bad", "untrusted", "expired", "revoked", "unchecked"]

_KEY = re.compile(r"with (?P<type>\S+) key (?P<fingerprint>\S+)\s*$")
_OUT_OF_TIME = ("has expired", "not yet valid")
_NOTHING_SAID = ("No principal matched.", "Could not verify signature.")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of checking a signature.

    Attributes:
        status: `good`: by a key that is trusted; `unsigned`: there is none; `bad`: it does not fit
            what it stands in; `untrusted`: it fits, by a key that is not trusted; `expired`: by one
            that was not valid at the time; `revoked`: by one that was called back; `unchecked`:
            nobody could look.
        principal: whose key it is, in the words of the allowed signers file; for `good` and
            `revoked`.
        key: its fingerprint, `SHA256:…`; for all that fit.
        key_type: its algorithm, such as ED25519.
        reason: why it is not good.
    """

    status: Status
    principal: str | None = None
    key: str | None = None
    key_type: str | None = None
    reason: str = ""

    @property
    def good(self) -> bool:
        return self.status == "good"


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks signatures against who is trusted.

    Args:
        allowed_signers: which keys are whose (ssh-keygen(1), ALLOWED SIGNERS); None trusts nobody.
        revoked_keys: keys that count no more, one a line, or a key revocation list (KRL).
    """

    allowed_signers: Path | None = None
    revoked_keys: Path | None = None

    def check(self) -> None:
        """See whether the files that it goes by can be read: an absent list revokes nothing.

        Raises:
            InvalidInputError: one of them cannot.
        """
        for path, what in (
            (self.allowed_signers, "allowed signers"),
            (self.revoked_keys, "revoked keys"),
        ):
            if path is None:
                continue
            try:
                path.open("rb").close()
            except OSError as error:
                raise InvalidInputError(
                    f"The file of {what} '{path}' cannot be read: {error.strerror}.",
                    "Mend what [signing] says in .dsvc/config.toml.",
                ) from error

    def verify(self, payload: bytes, signature: str | None, time: datetime) -> Verdict:
        """Check the signature of some bytes.

        Args:
            time: when it is said to have been made; a key counts that was valid then.

        Raises:
            InvalidInputError: a file that says who is trusted cannot be read.
            CommandFailedError: there is no `ssh-keygen`, or it is too old.
        """
        if signature is None:
            return Verdict("unsigned", reason="it has no signature")
        self.check()
        with private_folder() as folder:
            file = write_private(folder / "signature", signature.encode())
            return self._judge(payload, file, time)

    def _judge(self, payload: bytes, file: Path, time: datetime) -> Verdict:
        common: tuple[str | Path, ...] = ("-n", NAMESPACE, "-s", file)
        ran = ssh_keygen("check-novalidate", *common, stdin=payload)
        if not ran.fine:
            return Verdict("bad", reason="the signature does not fit")
        match = _KEY.search(ran.out.strip())
        fits = Verdict("untrusted")
        if match:
            fits = replace(fits, key=match["fingerprint"], key_type=match["type"])
        if self.allowed_signers is None:
            return replace(fits, reason="no file of allowed signers is configured")
        moment = _as_local(time)
        if moment is None:
            return replace(fits, status="expired", reason="no key is valid at such a time")
        common = ("-f", self.allowed_signers, f"-Overify-time={moment}", *common)
        return self._identify(fits, common, payload)

    def _identify(self, fits: Verdict, common: tuple[str | Path, ...], payload: bytes) -> Verdict:
        """Whose key it is, if it is that of somebody who is trusted."""
        ran = ssh_keygen("find-principals", *common)
        for principal in ran.out.rstrip().split("\n") if ran.fine else ():
            whose = (*common, "-I", principal)
            ran = ssh_keygen("verify", *whose, stdin=payload)
            if ran.fine:
                known = replace(fits, status="good", principal=principal)
                return self._unless_revoked(known, whose, payload)
        return _refused(fits, ran)

    def _unless_revoked(
        self, known: Verdict, whose: tuple[str | Path, ...], payload: bytes
    ) -> Verdict:
        # A call of its own: why it refuses a key it does not say.
        if self.revoked_keys is None:
            return known
        if ssh_keygen("verify", *whose, "-r", self.revoked_keys, stdin=payload).fine:
            return known
        return replace(known, status="revoked", reason="the key was revoked")


def _refused(fits: Verdict, ran: Ran) -> Verdict:
    lines = [line.strip() for line in ran.said.splitlines() if line.strip()]
    said = [line for line in lines if line not in _NOTHING_SAID]
    for line in said:
        if any(words in line for words in _OUT_OF_TIME):
            return replace(fits, status="expired", reason=line)
    more = f" ({said[0]})" if said else ""
    return replace(fits, reason=f"no allowed signer has the key{more}")


def _as_local(time: datetime) -> str | None:
    """A time as `ssh-keygen` takes it; it knows UTC only since 9.1, the local time always."""
    # Far from all years that a key could be valid in, and near where clocks end.
    if not 1970 < time.year < 9999:
        return None
    return time.astimezone().strftime("%Y%m%d%H%M%S")
