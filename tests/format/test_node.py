"""Nodes: their bytes, their boundaries, and what a reader must refuse."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from xxhash import xxh3_64_intdigest

from datasets_vc.digest import digest_of
from datasets_vc.errors import IntegrityError
from datasets_vc.format.entries import ENTRY_SCHEMA
from datasets_vc.format.node import INNER_SCHEMA, decode_node, encode_nodes, node_ends

DIGESTS = [digest_of(b"%d" % number) for number in range(9)]


def leaf(paths: list[str], kinds: list[int] | None = None) -> bytes:
    columns = [paths, kinds or [0] * len(paths), [7] * len(paths), DIGESTS[: len(paths)]]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, ENTRY_SCHEMA, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=ENTRY_SCHEMA)
    return next(encode_nodes(batch, 0, [len(paths)]))


def test_bytes_of_a_leaf() -> None:
    expected = b"".join(
        (
            b"DSVN\x01\x01" + bytes(10),
            (0).to_bytes(4, "little") + (2).to_bytes(4, "little") + (3).to_bytes(8, "little"),
            np.array([0, 1, 3], "<i4").tobytes() + bytes(4),
            b"abc" + bytes(5),
            b"\x00\x01" + bytes(6),
            np.array([7, 7], "<u8").tobytes(),
            DIGESTS[0] + DIGESTS[1],
        )
    )
    assert leaf(["a", "bc"], [0, 1]) == expected


def test_empty_leaf() -> None:
    data = leaf([])
    assert data == b"DSVN\x01\x01" + bytes(10 + 16 + 8)
    assert decode_node(data, "it").rows.num_rows == 0


def test_slices_of_columns_are_encoded_as_their_rows_alone() -> None:
    whole = decode_node(leaf(["a", "b", "cc", "d"]), "it").rows
    (data,) = encode_nodes(whole.slice(1, 2), 0, [2])
    assert decode_node(data, "it").rows.to_pylist() == whole.to_pylist()[1:3]


def test_ends_follow_the_rule_of_the_document() -> None:
    paths = [b"dir/%05d" % number for number in range(5000)]
    for level in (0, 1, 15):
        marked = [
            row for row, path in enumerate(paths, 1) if xxh3_64_intdigest(path, level) % 256 == 0
        ]
        assert 5 < len(marked) < 60
        assert node_ends(paths, level) == marked
    assert node_ends([], 0) == []


@pytest.mark.parametrize(
    "paths",
    [
        ["b", "a"],
        ["a", "a"],
        ["é", "z"],
        [""],
        ["/a"],
        ["a/"],
        ["a//b"],
        ["."],
        ["..", "a"],
        ["a/../b"],
        ["a/.."],
        ["a\x00b"],
        [".dsvc"],
        [".DSVC/x"],
        ["a", "b/./c"],
        ["x", "../y"],
    ],
)
def test_paths_that_no_dataset_has(paths: list[str]) -> None:
    with pytest.raises(IntegrityError, match="it is malformed"):
        decode_node(leaf(paths), "it")


@pytest.mark.parametrize(
    "paths",
    [["a", "b"], ["a-b", "a/b", "a0"], [".a", ".dsvcignore", "..a", "a/.dsvc", "a/...", "é"]],
)
def test_paths_that_datasets_have(paths: list[str]) -> None:
    rows = sorted(paths)
    assert decode_node(leaf(rows), "it").rows.column("path").to_pylist() == rows


def test_unknown_kind() -> None:
    with pytest.raises(IntegrityError, match="kind"):
        decode_node(leaf(["a"], [2]), "it")


@pytest.mark.parametrize("at", [44, 51, 61, 63])
def test_gaps_are_zero(at: int) -> None:
    data = bytearray(leaf(["a", "bc"]))
    assert data[at] == 0
    data[at] = 1
    with pytest.raises(IntegrityError, match="malformed"):
        decode_node(bytes(data), "it")


@pytest.mark.parametrize("ends", [[1, 1, 3], [0, 1, 2], [0, 2, 1], [0, 1, 4], [0, -1, 3]])
def test_path_ends_that_do_not_fit(ends: list[int]) -> None:
    data = bytearray(leaf(["a", "bc"]))
    data[32:44] = np.array(ends, "<i4").tobytes()
    with pytest.raises(IntegrityError, match="malformed"):
        decode_node(bytes(data), "it")


def test_paths_that_are_not_utf8() -> None:
    data = leaf(["a", "bc"]).replace(b"abc", b"a\xff\xfe")
    with pytest.raises(IntegrityError, match="malformed"):
        decode_node(data, "it")


def test_inner_node_without_children() -> None:
    batch = pa.RecordBatch.from_arrays(
        [pa.array([], field.type) for field in INNER_SCHEMA], schema=INNER_SCHEMA
    )
    (data,) = encode_nodes(batch, 1, [0])
    with pytest.raises(IntegrityError, match="malformed"):
        decode_node(data, "it")


@pytest.mark.parametrize("level", [16, 2**32 - 1])
def test_trees_that_are_too_high(level: int) -> None:
    data = bytearray(leaf(["a"]))
    data[16:20] = level.to_bytes(4, "little")
    with pytest.raises(IntegrityError, match="malformed"):
        decode_node(bytes(data), "it")
