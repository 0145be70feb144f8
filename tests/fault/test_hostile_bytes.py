"""Every reader of what travels, fed with changed bytes: only our own errors, little memory."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.errors import FormatError, IntegrityError, InvalidInputError
from datasets_vc.format.location import MAX_CHUNK_SIZE, ZSTD
from datasets_vc.paths import reserved_in
from datasets_vc.samples.metadata import MetadataFile, read_metadata
from datasets_vc.store.chunking import decode
from datasets_vc.tables.keyed import declared_keys
from datasets_vc.tables.reading import read_table
from datasets_vc.workspace.ignore import IgnoreRules
from datasets_vc.workspace.safety import check_recordable, check_safe
from tests.fault.mutations import Mutation, any_mutations, mutated
from tests.fault.parsers import Parser, parquet, parsers

PARSERS = parsers()
ELSEWHERE = b"".join(parser.sound[:4096] for parser in PARSERS.values())
REFUSALS = (IntegrityError, FormatError, InvalidInputError)


def read_or_refuse(parser: Parser, data: bytes) -> None:
    try:
        parser.read(data)
    except REFUSALS as error:
        message = error.message
    else:
        return
    assert not parser.names or message.split(" ")[0].rstrip(":").endswith("it")


@pytest.mark.parametrize("name", PARSERS)
def test_sound_bytes_are_taken(name: str) -> None:
    PARSERS[name].read(PARSERS[name].sound)


@settings(max_examples=600)
@given(st.sampled_from(sorted(PARSERS)), any_mutations())
def test_changed_bytes_are_taken_or_refused_politely(name: str, changes: list[Mutation]) -> None:
    parser = PARSERS[name]
    read_or_refuse(parser, mutated(parser.sound, changes, ELSEWHERE))


@pytest.mark.parametrize("name", [name for name in PARSERS if PARSERS[name].names])
def test_numbers_that_lie_cost_no_memory(name: str) -> None:
    """Wherever a number may stand, one that is far too large, before anything else is checked."""
    parser = PARSERS[name]
    # What is imported and compiled at the first time does not count.
    parser.read(parser.sound)
    places = [*range(0, min(96, len(parser.sound)), 8), *range(-128, 0, 8)]
    tracemalloc.start()
    try:
        for at in places:
            for other in range(8, 24):
                changes = [Mutation("number", at, other)]
                read_or_refuse(parser, mutated(parser.sound, changes, b""))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * len(parser.sound) + (8 << 20)


FOUND = [
    ("lock", b"0x" + b"f" * 5000),
    ("lock", b"9" * 5000),
    ("dsvc.toml", b"[" * 5000),
    ("dsvc.toml", b"9" * 5000),
    ("dsvc.toml", b"0x" + b"f" * 5000),
]


@pytest.mark.parametrize(("name", "value"), FOUND, ids=range(len(FOUND)))
def test_what_long_campaigns_have_found(name: str, value: bytes) -> None:
    toml = b"tables = " + value
    if name == "lock":
        toml = PARSERS[name].sound.replace(b'"s3://bucket/signs"', value)
        assert value in toml
    with pytest.raises(InvalidInputError):
        PARSERS[name].read(toml)


@pytest.mark.parametrize("line", [b"[[a]", b"[a&&b||c]", b"[a~~b]"])
def test_odd_sets_of_letters_warn_nobody(line: bytes) -> None:
    IgnoreRules("", line, Path(".dsvcignore")).ignores("a", folder=False)
    declared_keys(b"[tables]\n'" + line + b"' = 'id'")


@pytest.mark.parametrize("known", [True, False])
def test_zstd_that_unpacks_to_more_than_it_says(known: bool) -> None:
    compressor = zstandard.ZstdCompressor(write_content_size=known)
    stream = compressor.compressobj(size=1 << 20 if known else -1)
    payload = stream.compress(bytes(1 << 20)) + stream.flush()
    with pytest.raises(IntegrityError, match="it "):
        decode(payload, ZSTD, 100, "it")
    with pytest.raises(IntegrityError, match="it "):
        decode(payload, ZSTD, MAX_CHUNK_SIZE, "it")
    with pytest.raises(IntegrityError, match="it cannot be decompressed"):
        decode(payload + payload, ZSTD, 1 << 20, "it")
    assert bytes(decode(payload, ZSTD, 1 << 20, "it")) == bytes(1 << 20)


def test_a_parquet_file_that_says_one_thing_a_million_times() -> None:
    sink = io.BytesIO()
    rows = pa.array(np.zeros(1 << 22, np.int8))
    table = pa.table({"file_name": rows, **{f"c{number}": rows for number in range(9)}})
    pyarrow.parquet.write_table(table, sink)
    assert len(sink.getvalue()) < 1 << 19
    with pytest.raises(InvalidInputError, match="says to hold 41,943,040 values"):
        parquet().read(sink.getvalue())
    with pytest.raises(InvalidInputError, match="says to hold 41,943,040 values"):
        read_table("metadata.parquet", "file_name", sink.getvalue())


RESERVED = [
    *(".dsvc", ".DSVC/x", "a/.dsvc", "a/.Git/config", ".git ", "x/.git. ./y", "dsvc~1", "GIT~12/x"),
    *(
        ".git::$INDEX_ALLOCATION/x",
        ".git:x",
        "\u200c.g\u200dit",
        "a\\.git\\x",
        ".g\ufeffit",
        ".g\u0131t",
    ),
]
FINE = [
    *(".gitignore", ".dsvcignore", "git", "a.git", "git~", "dsvc~x", ".git-x", ".dsvc.toml", "..."),
    *("no\\x", "a~1", "\u00fc/.github/x", "aux.txt", "con", "a:b", "x ", "\u200c"),
]


@pytest.mark.parametrize("path", RESERVED)
def test_names_that_some_file_system_takes_for_ours(path: str) -> None:
    assert reserved_in(path)
    for check in (check_safe, check_recordable):
        with pytest.raises(
            InvalidInputError, match=r"some file systems take it for|reserved folder"
        ):
            check(["a/b", path, "c"])


@pytest.mark.parametrize("path", FINE)
def test_names_that_only_look_like_it(path: str) -> None:
    check_safe(["a/b", path, "c"], windows=False)
    check_recordable(["a/b", path, "c"])


@pytest.mark.parametrize(
    "path",
    [
        "aux",
        "x/NUL.txt",
        "com1",
        "a/LPT9 .x/b",
        "con:x",
        "a:b",
        "x\\y",
        "a.",
        "a /b",
        "a\x01",
        "a?",
    ],
)
def test_names_that_windows_takes_for_something_else(path: str) -> None:
    check_safe([path], windows=False)
    with pytest.raises(InvalidInputError, match="Windows"):
        check_safe([path], windows=True)


@pytest.mark.parametrize("path", ["auxiliary", "console.txt", "com10", "x/null", "a.b/c d", "lpt"])
def test_names_that_windows_takes(path: str) -> None:
    check_safe([path], windows=True)


def test_a_parquet_column_with_a_name_that_is_no_text_is_refused() -> None:
    sound = parquet().sound
    name = b"file_name"
    assert name in sound
    with pytest.raises(InvalidInputError, match=r"metadata\.parquet"):
        read_metadata(MetadataFile("metadata.parquet", sound.replace(name, b"\x88ile_name")))
    with pytest.raises(InvalidInputError, match=r"metadata\.parquet"):
        read_table("metadata.parquet", "file_name", sound.replace(name, b"\x88ile_name"))
