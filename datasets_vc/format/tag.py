"""Tag objects (docs/format.md, section 8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from datasets_vc.digest import Buffer, Digest
from datasets_vc.format.commit import decode_time, encode_time
from datasets_vc.format.json import TAG, decode_object, encode_object, hex_digest, text


@dataclass(frozen=True, slots=True)
class Tag:
    """What an annotated tag says: which commit is called what, by whom, when (UTC), and why."""

    object: Digest
    name: str
    tagger: str
    time: datetime
    message: str


def encode_tag(tag: Tag) -> bytes:
    return encode_object(
        TAG,
        {
            "object": tag.object.hex(),
            "name": tag.name,
            "tagger": tag.tagger,
            "time": encode_time(tag.time),
            "message": tag.message,
        },
    )


def decode_tag(data: Buffer, what: str) -> Tag:
    """The tag object that `data` encodes.

    Raises:
        IntegrityError: the bytes are not a well-formed tag object.
        FormatError: they need a newer version.
    """
    members = decode_object(data, TAG, what)
    return Tag(
        object=hex_digest(members.get("object"), what),
        name=text(members.get("name"), what),
        tagger=text(members.get("tagger"), what),
        time=decode_time(members.get("time"), what),
        message=text(members.get("message"), what),
    )
