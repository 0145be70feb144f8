"""JSON objects: canonical, and refused when they are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.errors import FormatError, IntegrityError, InvalidInputError
from datasets_vc.format.commit import decode_time, encode_time
from datasets_vc.format.json import (
    ROOT,
    RUN_INPUT,
    canonical,
    decode_object,
    encode_object,
)
from datasets_vc.format.root import (
    Root,
    check_ref_name,
    check_writable,
    decode_root,
    encode_root,
)
from datasets_vc.format.run import (
    decode_run_log,
    decode_run_packs,
    encode_run_log,
    encode_run_packs,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"


def test_canonical_bytes() -> None:
    value = {"b": [1, True, None, "é\u2028\x7f"], "a": {"\U0001f600": -5, "\uffff": 'q"\\/\x01\n'}}
    assert canonical(value) == (
        '{"a":{"\uffff":"q\\"\\\\/\\u0001\\n","\U0001f600":-5},"b":[1,true,null,"é\u2028\x7f"]}'.encode()
    )


@pytest.mark.parametrize("value", [0.5, {"a": [float("nan")]}, {"a": (1.0,)}])
def test_floats_have_no_canonical_form(value: object) -> None:
    with pytest.raises(TypeError, match="canonical"):
        canonical(value)


def test_text_that_is_not_unicode_has_no_canonical_form() -> None:
    with pytest.raises(InvalidInputError, match="UTF-8"):
        canonical({"message": "caf\udce9"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"dsvc-run-input"',
        b'{"format":"dsvc-commit"}',
        b"\xff",
        b"[" * 100_000,
        '{"format":"dsvc-run-input"}'.encode("utf-16"),
    ],
)
def test_not_an_object(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_object(data, RUN_INPUT, "it")


@pytest.mark.parametrize("number", ["1.5", "1e3", "NaN", "Infinity", "-Infinity"])
def test_numbers_that_no_object_has(number: str) -> None:
    sound = (GOLDEN / "root.json").read_bytes()
    data = sound.replace(b'{"kept"', b'{"x":%s,"kept"' % number.encode())
    assert data != sound
    with pytest.raises(IntegrityError):
        decode_root(data, "it")


def test_times() -> None:
    for text in ("0001-01-01T00:00:00Z", "2026-11-01T23:59:59Z", "9999-12-31T23:59:59Z"):
        assert encode_time(decode_time(text, "it")) == text
    for text in ("2026-11-01", "2026-11-01T23:59:59+01:00", "2026-13-01T00:00:00Z", 5, None):
        with pytest.raises(IntegrityError):
            decode_time(text, "it")


@pytest.mark.parametrize("flags", [["later"], ["a", "b"]])
def test_root_with_unknown_write_flags_is_read_but_not_written(flags: list[str]) -> None:
    data = encode_object(ROOT, _members(Root()) | {"write_flags": flags})
    assert decode_root(data, "it") == Root()
    with pytest.raises(FormatError, match="changed by this version: it uses " + flags[0]):
        check_writable(data, "it")


def test_root_of_a_history_that_is_cut() -> None:
    cut = Root(shallow=frozenset({digest_of(b"a"), digest_of(b"b")}))
    members = json.loads(encode_root(cut))
    assert members["shallow"] == sorted(digest.hex() for digest in cut.shallow)
    assert decode_root(encode_root(cut), "it") == cut
    assert "shallow" not in json.loads(encode_root(Root()))
    for wrong in (None, {}, "00", [5], ["00"]):
        with pytest.raises(IntegrityError):
            decode_root(canonical(members | {"shallow": wrong}), "it")


@pytest.mark.parametrize("flags", [None, 5, "later", {}])
def test_root_with_malformed_write_flags_is_not_written(flags: object) -> None:
    data = encode_object(ROOT, _members(Root()) | {"write_flags": flags})
    with pytest.raises((IntegrityError, FormatError)):
        check_writable(data, "it")


@pytest.mark.parametrize(
    "name", ["main", "v1.2", "team/labels", "_x", "a-b", "1234567", "abcdefg0"]
)
def test_names_of_refs(name: str) -> None:
    assert check_ref_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "HEAD",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "-a",
        "a b",
        "é",
        "a.lock",
        "01234567",
        "a\n",
        "a~1",
        "a^",
        "a:b",
        "x/../y",
        "ab" * 32,
    ],
)
def test_names_that_refs_cannot_have(name: str) -> None:
    with pytest.raises(InvalidInputError):
        check_ref_name(name)


def test_log_that_was_cut_short_loses_its_last_line_only() -> None:
    data = (GOLDEN / "run-log.jsonl").read_bytes()
    assert len(decode_run_log(data, "it")) == 8
    assert len(decode_run_log(data[:-1], "it")) == 7
    assert decode_run_log(b"", "it") == []


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"5", b"{}", b'{"event":5}', b"\xff", b"[" * 100_000, b'{"event":NaN}']
)
def test_log_with_a_line_that_is_no_event(line: bytes) -> None:
    with pytest.raises(IntegrityError, match="it is damaged"):
        decode_run_log(b'{"event":"init"}\n' + line + b"\n", "it")


ONE = digest_of(b"one")
ROOT_WITH_REFS = Root(
    write_id="00112233445566778899aabbccddeeff",
    branches={"main": ONE, "team/labels": ONE},
    tags={"v1": ONE},
    indexes=(ONE,),
    extra={"later": "\u00e9"},
)


def test_a_flipped_bit_in_a_root_is_found() -> None:
    sound = encode_root(ROOT_WITH_REFS)
    assert decode_root(sound, "it") == ROOT_WITH_REFS
    for damaged in _flips(sound):
        with pytest.raises((IntegrityError, FormatError)):
            decode_root(damaged, "it")


def test_a_root_from_before_there_were_checks_is_read_and_written() -> None:
    data = encode_object(ROOT, _members(ROOT_WITH_REFS))
    assert decode_root(data, "it") == ROOT_WITH_REFS
    check_writable(data, "it")
    check_writable(encode_root(ROOT_WITH_REFS), "it")


@pytest.mark.parametrize("store_id", [7, None, "f" * 31, "F" * 32, "g" * 32, "f" * 33, ["f" * 32]])
def test_an_id_that_no_store_can_have(store_id: object) -> None:
    data = encode_object(ROOT, _members(ROOT_WITH_REFS) | {"id": store_id})
    with pytest.raises(IntegrityError, match="not the id of a store"):
        decode_root(data, "it")


def test_a_flipped_bit_in_what_a_run_pins_is_found() -> None:
    for damaged in _flips(encode_run_packs([ONE])):
        with pytest.raises((IntegrityError, FormatError)):
            decode_run_packs(damaged, "it")


def test_a_flipped_bit_in_a_log_is_found() -> None:
    events = [{"event": "init"}, {"event": "step", "loss": "3f000000"}, {"event": "end"}]
    sound = encode_run_log(events)
    assert decode_run_log(sound, "it") == events
    for damaged in _flips(sound):
        with pytest.raises(IntegrityError, match="it is damaged"):
            decode_run_log(damaged, "it")


def test_a_log_without_events_has_a_check_too() -> None:
    assert decode_run_log(encode_run_log([]), "it") == []


def _members(root: Root) -> dict[str, object]:
    members = json.loads(encode_root(root))
    return {name: each for name, each in members.items() if name not in ("check", "write_flags")}


def _flips(data: bytes) -> Iterator[bytes]:
    for byte in range(len(data)):
        for bit in range(8):
            yield data[:byte] + bytes([data[byte] ^ (1 << bit)]) + data[byte + 1 :]


def test_half_of_a_character_does_not_match_the_checksum() -> None:
    data = encode_root(Root(write_id="00", default_branch="main")).replace(b'"00"', b'"\\ud83d"')
    with pytest.raises(IntegrityError, match="It is damaged"):
        decode_root(data, "It")
