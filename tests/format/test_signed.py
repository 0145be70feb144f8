"""What is signed of an object, and where its signature stands."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.errors import IntegrityError
from datasets_vc.format.commit import Commit, decode_commit, encode_commit
from datasets_vc.format.json import canonical
from datasets_vc.format.signed import Signed, signed, take_apart
from datasets_vc.format.tag import Tag, decode_tag, encode_tag

TIME = datetime(2026, 11, 1, tzinfo=UTC)
COMMIT = Commit(digest_of(b"d"), (digest_of(b"p"),), "Zoë", TIME, "One\n\ttwo")
TAG = Tag(digest_of(b"c"), "v1", "Zoë", TIME, "Three")


@pytest.mark.parametrize(
    ("value", "encode", "decode"),
    [(COMMIT, encode_commit, decode_commit), (TAG, encode_tag, decode_tag)],
    ids=["commit", "tag"],
)
def test_a_signature_is_one_more_member(value, encode, decode) -> None:
    plain = encode(value)
    asked: list[bytes] = []

    def sign(payload: bytes) -> str:
        asked.append(payload)
        return "-----\nwörds\n"

    data = signed(plain, sign)

    assert asked == [plain]
    assert b"signature" not in plain
    assert json.loads(data) == json.loads(plain) | {"signature": "-----\nwörds\n"}
    assert decode(data, "it") == replace(value, signature="-----\nwörds\n")
    assert encode(decode(data, "it")) == data
    assert take_apart(data, "it") == Signed(plain, "-----\nwörds\n")
    assert take_apart(plain, "it") == Signed(plain, None)
    assert signed(plain, None) == plain


def test_members_of_later_versions_are_signed_too() -> None:
    members = json.loads(encode_commit(COMMIT)) | {"later": {"b": [1], "a": "ä"}}
    data = canonical(members | {"signature": "s"})

    assert take_apart(data, "it") == Signed(canonical(members), "s")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:1] + b'"message":"other",' + data[1:],  # Python reads the last of two
        lambda data: data.replace(b'"author":', b'"author": '),
        lambda data: data.replace(b"Zo\xc3\xab", b"Zo\\u00eb"),
        lambda data: data.replace(b"Zo\xc3\xab", b"Zo\\ud800"),
        lambda data: data[:-1] + b',"z":' + b"[" * 600 + b"]" * 600 + b" }",
        lambda data: data + b"\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(change) -> None:
    data = signed(encode_commit(COMMIT), lambda _: "s")
    assert change(data) != data
    with pytest.raises(IntegrityError, match=r"not canonical|not valid JSON"):
        take_apart(change(data), "it")


@pytest.mark.parametrize("signature", [b"null", b"1", b'["s"]', b'"\\udc80"'])
def test_a_signature_is_text(signature: bytes) -> None:
    data = signed(encode_commit(COMMIT), lambda _: "s").replace(b'"s"', signature)
    for read in (take_apart, decode_commit):
        with pytest.raises(IntegrityError, match=r"not text|not written canonically"):
            read(data, "it")


@pytest.mark.parametrize("data", [b"[]", b'"signature"', b"{", b"\xff", b"1.5"])
def test_what_is_no_object_has_no_signature(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        take_apart(data, "it")
