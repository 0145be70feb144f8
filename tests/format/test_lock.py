"""`dataset.lock`: what is written is read, and nothing else is."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc.addresses import check_url
from datasets_vc.digest import digest_of
from datasets_vc.errors import FormatError, InvalidInputError
from datasets_vc.format.lock import Lock, decode_lock, encode_lock

LOCK = Lock(
    "s3://bucket/signs", digest_of(b"commit"), digest_of(b"dataset"), revision="v1.1", path="data"
)
TEXT = encode_lock(LOCK).decode()


def _acceptable(url: str) -> bool:
    try:
        check_url(url)
    except InvalidInputError:
        return False
    return True


_TEXTS = st.text(st.characters(codec="utf-8"))
_LOCKS = st.builds(
    Lock,
    url=_TEXTS.filter(_acceptable),
    commit=st.binary().map(digest_of),
    dataset=st.binary().map(digest_of),
    revision=st.none() | _TEXTS,
    path=st.none() | _TEXTS.filter(lambda path: path[:1] not in ("", "/") and "\x00" not in path),
)


@given(_LOCKS)
def test_what_is_written_is_read(lock: Lock) -> None:
    assert decode_lock(encode_lock(lock), "it") == lock


def test_a_lock_is_a_key_a_line_in_a_fixed_order() -> None:
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    assert [line.split(" = ")[0] for line in lines] == [
        "format", "algorithm", "url", "commit", "dataset", "revision", "path",
    ]  # fmt: skip
    assert tomllib.loads(TEXT)["url"] == LOCK.url
    assert "revision" not in encode_lock(Lock(LOCK.url, LOCK.commit, LOCK.dataset)).decode()


def _without(key: str) -> str:
    return "".join(line for line in TEXT.splitlines(True) if not line.startswith(f"{key} ="))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "lacks 'format'"),
        ("[remote.origin]\nurl = 'x'\n", "lacks 'format'"),
        (_without("format"), "lacks 'format'"),
        (TEXT.replace("format = 1", "format = true"), "lacks 'format'"),
        (_without("algorithm"), "'algorithm'"),
        (_without("url"), "'url' is missing"),
        (_without("commit"), "'commit' is missing"),
        (_without("dataset"), "'dataset' is missing"),
        (TEXT + "comit = 'x'\n", "no key 'comit'"),
        (TEXT + "[more]\n", "no key 'more'"),
        (TEXT.replace(LOCK.commit.hex(), LOCK.commit.hex()[:12]), "'commit' is wrong"),
        (TEXT.replace(LOCK.dataset.hex(), LOCK.dataset.hex().upper()), "'dataset' is wrong"),
        (TEXT.replace('"v1.1"', "1.1"), "'revision' must be text"),
        (TEXT.replace('"s3://bucket/signs"', '""'), "not a URL"),
        (TEXT.replace('"data"', '"/data"'), "'path' must be"),
        (TEXT.replace('"data"', '""'), "'path' must be"),
        (TEXT + TEXT, "not valid TOML"),
        ("commit: 12\n", "not valid TOML"),
    ],
)
def test_anything_else_is_refused_and_the_file_and_the_key_are_named(text: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^'some/dataset\.lock'") as caught:
        decode_lock(text.encode(), "'some/dataset.lock'")
    assert told in caught.value.message


def test_a_mark_that_an_editor_put_before_the_text_is_no_fault() -> None:
    assert decode_lock(f"\ufeff{TEXT}".encode(), "it") == LOCK


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="not valid TOML"):
        decode_lock(b"\xff\xfe", "it")


def test_a_password_is_never_written_nor_taken_nor_told() -> None:
    url = "https://ada:secret@example.org/signs"
    with pytest.raises(InvalidInputError, match="password") as caught:
        encode_lock(Lock(url, LOCK.commit, LOCK.dataset))
    assert "secret" not in caught.value.message
    with pytest.raises(InvalidInputError, match=r"it: .*password") as caught:
        decode_lock(TEXT.replace(LOCK.url, url).encode(), "it")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("change", [("format = 1", "format = 2"), ('"blake3"', '"blake4"')])
def test_a_newer_format_is_told_apart_whatever_else_it_has(change: tuple[str, str]) -> None:
    with pytest.raises(FormatError, match=r"'some/dataset\.lock' needs a newer version"):
        decode_lock(TEXT.replace(*change).encode() + b"more = 1\n", "'some/dataset.lock'")


def test_what_git_could_not_merge_gets_a_hint() -> None:
    line = f'commit = "{LOCK.commit.hex()}"\n'
    conflict = f"<<<<<<< HEAD\n{line}=======\n{line}>>>>>>> theirs\n"
    with pytest.raises(InvalidInputError) as caught:
        decode_lock(TEXT.replace(line, conflict).encode(), "it")
    assert "keep one" in caught.value.hint


def test_a_folder_that_utf8_cannot_say_is_no_path_for_a_lock() -> None:
    with pytest.raises(InvalidInputError, match="UTF-8"):
        encode_lock(Lock(LOCK.url, LOCK.commit, LOCK.dataset, path="da\udcffta"))
