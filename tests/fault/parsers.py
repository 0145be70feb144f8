"""Everything that reads bytes which travel, and sound bytes of each kind to begin from."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from datasets_vc.digest import Digest, digest_of
from datasets_vc.format.commit import decode_commit
from datasets_vc.format.index import decode_index
from datasets_vc.format.lock import Lock, decode_lock, encode_lock
from datasets_vc.format.node import decode_node
from datasets_vc.format.pack import ROW_SIZE, TAIL_SIZE, decode_pack
from datasets_vc.format.recipe import decode_recipe
from datasets_vc.format.root import check_writable, decode_root
from datasets_vc.format.run import (
    decode_run_head,
    decode_run_input,
    decode_run_log,
    decode_run_packs,
    encode_run_packs,
)
from datasets_vc.format.tag import decode_tag
from datasets_vc.samples.metadata import MetadataFile, read_metadata
from datasets_vc.samples.rows import read_rows
from datasets_vc.store.chunking import decode, encode
from datasets_vc.store.verify import verify_pack
from datasets_vc.tables.keyed import declared_keys, key_of
from datasets_vc.tables.reading import read_table
from datasets_vc.workspace.ignore import IgnoreRules
from datasets_vc.workspace.links import check_link

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"


@dataclass(frozen=True)
class Parser:
    """A reader of bytes; `sound` is what it takes, `names` whether its errors name "it"."""

    sound: bytes
    read: Callable[[bytes], object]
    names: bool = True


def parsers() -> dict[str, Parser]:
    """All of them, by what they read."""
    return {**_formats(), **_texts()}


def parquet() -> Parser:
    """Not among the others: Arrow's reader is C++, and may take the process with it."""
    sink = io.BytesIO()
    table = pa.table({"file_name": ["a.png", "b.png"], "label": ["x", "y"], "score": [1.5, None]})
    pyarrow.parquet.write_table(table, sink)

    def read(data: bytes) -> None:
        read_metadata(MetadataFile("metadata.parquet", data))
        read_table("metadata.parquet", "file_name", data)

    return Parser(sink.getvalue(), read, names=False)


def _formats() -> Mapping[str, Parser]:
    readers: dict[str, Callable[[bytes, str], object]] = {
        "leaf.node": decode_node,
        "inner.node": decode_node,
        "file.recipe": decode_recipe,
        "data.pack": decode_pack,
        "metadata.pack": decode_pack,
        "chunk.index": decode_index,
        "commit.json": decode_commit,
        "tag.json": decode_tag,
        "root.json": _root,
        "run-head.json": decode_run_head,
        "run-input.json": decode_run_input,
        "run-log.jsonl": decode_run_log,
    }

    def golden(name: str) -> Parser:
        reader = readers[name]
        return Parser((GOLDEN / name).read_bytes(), lambda data: reader(data, "it"))

    lock = Lock("s3://bucket/signs", digest_of(b"commit"), digest_of(b"dataset"), "main", "data")
    words = b"again and again " * 100
    payload = bytes(encode(words, compress=True)[1])
    return {
        **{name: golden(name) for name in readers},
        "pack with a footer that fits": Parser(
            (GOLDEN / "data.pack").read_bytes(),
            lambda data: verify_pack(fitted := _refitted(data), digest_of(fitted), "it"),
            names=False,
        ),
        "packs of a run": Parser(
            encode_run_packs([Digest(bytes(32))]), lambda data: decode_run_packs(data, "it")
        ),
        "zstd": Parser(payload, lambda data: decode(data, 1, len(words), "it")),
        "lock": Parser(encode_lock(lock), lambda data: decode_lock(data, "it")),
    }


def _root(data: bytes, what: str) -> None:
    decode_root(data, what)
    check_writable(data, what)


def _refitted(data: bytes) -> bytes:
    """A pack whose tail was made to say the right digest of its footer, whatever that says."""
    if len(data) < TAIL_SIZE:
        return data
    tail = data[-TAIL_SIZE:]
    start = len(data) - TAIL_SIZE - int.from_bytes(tail[8:12], "little") * ROW_SIZE
    if start < 0:
        return data
    footer = data[start:-TAIL_SIZE]
    return data[:-TAIL_SIZE] + tail[:16] + digest_of(footer) + tail[48:]


def _texts() -> Mapping[str, Parser]:
    csv = b'file_name,label,text\na.png,x,"one ""two"""\nb.png,y,three\n'
    lines = (
        b'{"file_name": "a.png", "label": "x", "text": "\\u00e9", "box": [1, 2.5, null]}\n'
        b'{"file_name": "b.png", "label": 1, "text": "b"}\n'
    )
    ignored = b"# rules\n*.tmp\n!keep.tmp\n/build/\n**/cache/**\n[a-c]?x\\ \n"
    keys = b'[tables]\n"labels/*.csv" = "image_id"\n"**/x[0-9].jsonl" = "id"\n'
    return {
        "metadata.csv": Parser(csv, lambda data: _metadata("metadata.csv", data), names=False),
        "metadata.jsonl": Parser(
            lines, lambda data: _metadata("metadata.jsonl", data), names=False
        ),
        ".dsvcignore": Parser(
            ignored,
            lambda data: IgnoreRules("", data, Path(".dsvcignore")).ignores(
                "a" * 60 + "/b.tmp", folder=False
            ),
            names=False,
        ),
        "dsvc.toml": Parser(
            keys, lambda data: key_of("labels/one.csv", declared_keys(data)), names=False
        ),
        "link": Parser(b"../a/b", lambda data: check_link("x/y/l", data), names=False),
    }


def _metadata(path: str, data: bytes) -> None:
    for read in (
        lambda: read_metadata(MetadataFile(path, data)),
        lambda: read_rows(data, path),
        lambda: read_table(path, "file_name", data),
    ):
        read()
