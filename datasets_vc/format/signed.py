"""What a signature of a commit or tag object covers, and where it stands (docs/format.md, 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from datasets_vc.digest import Buffer
from datasets_vc.errors import IntegrityError, InvalidInputError
from datasets_vc.format.json import canonical, optional_text, parse

SIGNATURE = "signature"

Sign = Callable[[bytes], str]
"""Makes an armoured signature of some bytes."""


@dataclass(frozen=True, slots=True)
class Signed:
    """An object taken apart: the bytes that are signed, and the signature if it has one."""

    payload: bytes
    signature: str | None


def signature_member(signature: str | None) -> dict[str, object]:
    """The member as it is added to the others; none for what is not signed."""
    return {} if signature is None else {SIGNATURE: signature}


def signed(data: bytes, sign: Sign | None) -> bytes:
    """An encoded object that has no signature yet, with one; as it is if nobody signs."""
    if sign is None:
        return data
    return canonical(parse(data, "The object to be signed") | signature_member(sign(data)))


def take_apart(data: Buffer, what: str) -> Signed:
    """What is signed of an encoded object, and by what.

    Raises:
        IntegrityError: it is no JSON object, its signature is no text, or it is signed and not
            canonical: then others could read it otherwise.
    """
    members = parse(data, what)
    if not isinstance(members, dict):
        raise IntegrityError(f"{what} is not a JSON object.")
    signature = optional_text(members, SIGNATURE, what)
    if signature is None:
        return Signed(bytes(data), None)
    if _canonical_or_nothing(members) != bytes(data):
        raise IntegrityError(f"{what} is signed and not canonical.")
    rest = {name: member for name, member in members.items() if name != SIGNATURE}
    return Signed(canonical(rest), signature)


def _canonical_or_nothing(value: object) -> bytes:
    try:
        return canonical(value)
    except InvalidInputError:  # an escaped half of a surrogate pair
        return b""
