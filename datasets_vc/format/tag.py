"""Tag objects (docs/format.md, section 8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from datasets_vc.digest import Buffer, Digest
from datasets_vc.format.commit import (
    MAX_MESSAGE,
    MAX_NAME,
    beginning,
    check_size,
    decode_time,
    encode_time,
)
from datasets_vc.format.json import (
    TAG,
    decode_object,
    encode_object,
    hex_digest,
    optional_text,
    text,
)
from datasets_vc.format.signed import SIGNATURE, signature_member


@dataclass(frozen=True, slots=True)
class Tag:
    """What an annotated tag says: which commit is called what, by whom, when (UTC), and why.

    `signature` is that of the tag object without it, if it is signed; see `format.signed`.
    """

    object: Digest
    name: str
    tagger: str
    time: datetime
    message: str
    signature: str | None = None


def encode_tag(tag: Tag) -> bytes:
    members: dict[str, object] = {
        "object": tag.object.hex(),
        "name": tag.name,
        "tagger": tag.tagger,
        "time": encode_time(tag.time),
        "message": tag.message,
    }
    return encode_object(TAG, members | signature_member(tag.signature))


def decode_tag(data: Buffer, what: str) -> Tag:
    """The tag object that `data` encodes.

    Raises:
        IntegrityError: the bytes are not a well-formed tag object.
        FormatError: they need a newer version.
    """
    check_size(data, what)
    members = decode_object(data, TAG, what)
    return Tag(
        object=hex_digest(members.get("object"), what),
        name=text(members.get("name"), what),
        tagger=beginning(text(members.get("tagger"), what), MAX_NAME),
        time=decode_time(members.get("time"), what),
        message=beginning(text(members.get("message"), what), MAX_MESSAGE),
        signature=optional_text(members, SIGNATURE, what),
    )
