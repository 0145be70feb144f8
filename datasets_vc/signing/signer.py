"""Making signatures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from datasets_vc.errors import CommandFailedError, InvalidInputError
from datasets_vc.signing.keygen import (
    NAMESPACE,
    Ran,
    find_program,
    private_folder,
    ssh_keygen,
    write_private,
)

LITERAL = "key::"
"""Comes before a public key that is given as text."""

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----\n"
_PUBLIC_KEY = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\n]*)?")
_PROMPT = re.compile(r"^Enter passphrase[^:]*: ")


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs bytes with one key: `signer(data)` is an armoured signature.

    Args:
        key: the path of a private key; or of a public one whose private half lies beside it or is
            in the SSH agent; or `key::ssh-ed25519 AAAA…`, whose private half is in the agent.
    """

    key: str

    def check(self) -> None:
        """See whether signing can be tried at all, before there is something to lose.

        Raises:
            InvalidInputError: there is no such key.
            CommandFailedError: there is no `ssh-keygen`.
        """
        find_program()
        if self.key.startswith(LITERAL):
            if not _PUBLIC_KEY.fullmatch(self._literal):
                raise InvalidInputError(
                    f"{self._literal!a} is not a public SSH key.",
                    "Give all of it, as in a file *.pub: key::ssh-ed25519 AAAA…",
                )
        elif not Path(self.key).is_file():
            raise InvalidInputError(
                f"There is no key '{self.key}' to sign with.",
                "Give the path of an SSH key; 'ssh-keygen -t ed25519' makes one.",
            )

    def __call__(self, payload: bytes) -> str:
        """Sign; this may ask somebody for a passphrase, or to touch a security key.

        Raises:
            InvalidInputError: there is no such key.
            CommandFailedError: `ssh-keygen` is not there, too old, or could not sign.
        """
        self.check()
        with private_folder() as folder:
            file = write_private(folder / "payload", payload)
            ran = ssh_keygen("sign", "-n", NAMESPACE, "-f", self._in_file(folder), file)
            made = folder / "payload.sig"
            if not ran.fine or not made.exists():
                raise self._failure(ran)
            signature = made.read_bytes().decode(errors="replace").replace("\r\n", "\n")
        if not (signature.startswith(_BEGIN) and signature.endswith(_END)):
            raise CommandFailedError(f"ssh-keygen made no signature with '{self.key}'.")
        return signature

    @property
    def _literal(self) -> str:
        return self.key.removeprefix(LITERAL).strip()

    def _in_file(self, folder: Path) -> str | Path:
        if not self.key.startswith(LITERAL):
            return self.key
        return write_private(folder / "key.pub", f"{self._literal}\n".encode())

    def _failure(self, ran: Ran) -> CommandFailedError:
        lines = [_PROMPT.sub("", line).strip() for line in ran.said.splitlines()]
        said = [line for line in lines if line and not line.startswith("Signing file")]
        why = f": {said[-1].rstrip('.')}" if said else ""
        return CommandFailedError(
            f"ssh-keygen could not sign with '{self.key}'{why}.",
            "A key with a passphrase needs a terminal to ask for it, or the SSH agent: ssh-add KEY",
        )
