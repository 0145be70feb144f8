"""Every format: what is written is read back; what is damaged is refused, cheaply and politely."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.digest import Digest
from datasets_vc.errors import FormatError, IntegrityError
from datasets_vc.format.commit import Commit, decode_commit, encode_commit
from datasets_vc.format.entries import Entry, entry_table, rows_of
from datasets_vc.format.index import IndexTable, PackInfo, decode_index, encode_index
from datasets_vc.format.json import canonical
from datasets_vc.format.location import LOCATION, digest_keys, digest_list
from datasets_vc.format.node import decode_node, encode_nodes
from datasets_vc.format.pack import decode_pack, encode_footer
from datasets_vc.format.recipe import Recipe, decode_recipe, encode_recipe
from datasets_vc.format.root import Root, check_writable, decode_root, encode_root
from datasets_vc.format.run import (
    RunHead,
    decode_run_head,
    decode_run_input,
    decode_run_log,
    encode_run_head,
    encode_run_input,
)
from datasets_vc.format.signed import Signed, take_apart
from datasets_vc.paths import problem_with

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
DECODERS: dict[str, Callable[[bytes, str], object]] = {
    "leaf.node": decode_node,
    "inner.node": decode_node,
    "file.recipe": decode_recipe,
    "data.pack": decode_pack,
    "metadata.pack": decode_pack,
    "chunk.index": decode_index,
    "commit.json": decode_commit,
    "root.json": decode_root,
    "run-head.json": decode_run_head,
    "run-input.json": decode_run_input,
    "run-log.jsonl": decode_run_log,
}
JSON_FILES = [name for name in DECODERS if name.endswith(".json")]
BINARY_FILES = [name for name in DECODERS if "json" not in name]

digests = st.binary(min_size=32, max_size=32).map(Digest)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
    lambda time: time.replace(tzinfo=UTC, microsecond=0)
)
paths = st.text("ab/.-0é\U0001f600", min_size=1, max_size=8).filter(
    lambda path: not problem_with(path)
)
entries = st.builds(Entry, paths, st.integers(0, 1), st.integers(0, 2**64 - 1), digests)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(entries, unique_by=lambda entry: entry.path, max_size=20))
def test_leaf_round_trip(rows: list[Entry]) -> None:
    table = entry_table(rows)
    batch = (table.combine_chunks().to_batches() or [None])[0]
    if batch is None:
        return
    (data,) = encode_nodes(batch, 0, [batch.num_rows])
    assert rows_of(decode_node(data, "node").rows) == sorted(
        rows, key=lambda row: row.path.encode()
    )


@given(st.lists(st.tuples(digests, st.integers(0, 2**32 - 1)), min_size=2, max_size=9))
def test_recipe_round_trip(rows: list[tuple[Digest, int]]) -> None:
    names, lengths = zip(*rows, strict=True)
    assert decode_recipe(encode_recipe(Recipe(names, lengths)), "recipe") == Recipe(names, lengths)


@given(st.sets(digests, max_size=30), st.lists(digests, min_size=1, max_size=3, unique=True))
def test_index_round_trip(names: set[Digest], packs: list[Digest]) -> None:
    infos = tuple(PackInfo(pack, 10_000, number % 2) for number, pack in enumerate(packs))
    rows = np.zeros(len(names), LOCATION)
    rows["offset"] = 16 + 10 * np.arange(len(names), dtype=np.uint64)
    rows["stored"] = rows["raw"] = 10
    rows["pack"] = np.arange(len(names)) % len(packs)
    table = decode_index(encode_index(IndexTable(infos, digest_keys(sorted(names)), rows)), "index")
    assert table.packs == infos
    assert digest_list(table.digests) == sorted(names)
    assert table.locations.tobytes() == rows.tobytes()


@given(st.lists(digests, max_size=20))
def test_pack_round_trip(names: list[Digest]) -> None:
    rows = np.zeros(len(names), LOCATION)
    rows["offset"] = 16 + 10 * np.arange(len(names), dtype=np.uint64)
    rows["stored"] = rows["raw"] = 10
    start = GOLDEN.joinpath("data.pack").read_bytes()[:16] + bytes(10 * len(names))
    contents = decode_pack(start + encode_footer(b"".join(names), rows, 1, len(start)), "pack")
    assert contents.category == 1
    assert digest_list(contents.digests) == names
    assert contents.locations.tobytes() == rows.tobytes()


commits = st.builds(
    Commit,
    digests,
    st.lists(digests, max_size=2).map(tuple),
    texts,
    times,
    texts,
    st.none() | texts,
)


@given(commits)
def test_commit_round_trip(commit: Commit) -> None:
    data = encode_commit(commit)
    plain = encode_commit(replace(commit, signature=None))

    assert decode_commit(data, "commit") == commit
    assert take_apart(data, "commit") == Signed(plain, commit.signature)


nonces = st.from_regex("[0-9a-f]{16}", fullmatch=True)


@given(st.builds(RunHead, digests, times, nonces, st.none() | digests))
def test_run_head_round_trip(head: RunHead) -> None:
    assert decode_run_head(encode_run_head(head), "head") == head


ref_names = st.from_regex(r"[A-Z_][a-z._-]{0,9}[0-9](/[A-Z_][a-z._-]{0,9}[0-9])?", fullmatch=True)
ref_maps = st.dictionaries(ref_names, digests, max_size=3)
extras = st.dictionaries(texts.map(lambda name: f"later {name}"), values, max_size=3)


@given(
    st.builds(
        Root,
        write_id=texts,
        gc_generation=st.integers(0, 2**60),
        default_branch=ref_names,
        branches=ref_maps,
        tags=ref_maps,
        tracking=ref_maps,
        indexes=st.lists(digests, max_size=3).map(tuple),
        id=st.just("") | st.from_regex("[0-9a-f]{32}", fullmatch=True),
        extra=extras,
    )
)
def test_root_round_trip_keeps_unknown_members(root: Root) -> None:
    assert decode_root(encode_root(root), "root") == root


@given(extras, digests)
def test_run_input_round_trip(members: dict[str, object], digest: Digest) -> None:
    members |= {"dataset": digest.hex(), "code": digest.hex(), "command": ["cnn"]}
    assert decode_run_input(encode_run_input(members), "input") == members


@given(values)
def test_canonical_json_is_one_form_of_one_value(value: object) -> None:
    data = canonical(value)
    assert json.loads(data) == value
    assert canonical(json.loads(data)) == data
    text = data.decode()
    assert text == json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@given(st.dictionaries(texts, st.none(), max_size=6))
def test_members_are_in_order_of_code_points(value: dict[str, None]) -> None:
    assert list(json.loads(canonical(value))) == sorted(value, key=str.encode)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(DECODERS)), st.data())
def test_damaged_bytes_are_read_or_refused_politely(name: str, data: st.DataObject) -> None:
    sound = GOLDEN.joinpath(name).read_bytes()
    at = data.draw(st.integers(0, len(sound) - 1) | st.integers(0, min(64, len(sound) - 1)))
    new = data.draw(st.binary(max_size=9))
    gone = data.draw(st.sampled_from([0, len(new), 1, 8, len(sound)]))
    _read_or_refuse(name, sound[:at] + new + sound[at + gone :])


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(BINARY_FILES), st.data())
def test_lying_counts_and_offsets(name: str, data: st.DataObject) -> None:
    sound = bytearray(GOLDEN.joinpath(name).read_bytes())
    places = [*range(16, 64, 4), *range(len(sound) - 128, len(sound) - 16, 4)]
    at = data.draw(st.sampled_from([at for at in places if 0 <= at <= len(sound) - 4]))
    lie = data.draw(
        st.sampled_from([0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
    )
    sound[at : at + 4] = lie.to_bytes(4, "little")
    _read_or_refuse(name, bytes(sound))


@pytest.mark.parametrize("name", BINARY_FILES)
def test_refusing_costs_no_memory(name: str) -> None:
    sound = bytearray(GOLDEN.joinpath(name).read_bytes())
    places = [*range(16, 32, 4), *range(len(sound) - 64, len(sound) - 16, 4)]
    tracemalloc.start()
    try:
        for at in places:
            _read_or_refuse(name, bytes(sound[:at] + b"\xff\xff\xff\x7f" + sound[at + 4 :]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(sound) + (1 << 20)


@given(st.sampled_from(JSON_FILES), st.data())
def test_members_of_another_type(name: str, data: st.DataObject) -> None:
    members = json.loads(GOLDEN.joinpath(name).read_bytes())
    members[data.draw(st.sampled_from(sorted(members)))] = data.draw(values | st.floats())
    _read_or_refuse(name, json.dumps(members).encode())


@pytest.mark.parametrize("name", BINARY_FILES)
@pytest.mark.parametrize(("at", "value"), [(4, 2), (5, 2), (8, 1), (11, 0x80)])
def test_binary_formats_of_later_versions(name: str, at: int, value: int) -> None:
    data = bytearray(GOLDEN.joinpath(name).read_bytes())
    data[at] = value
    with pytest.raises(FormatError, match="newer version") as caught:
        DECODERS[name](bytes(data), "it")
    assert caught.value.hint


@pytest.mark.parametrize("name", BINARY_FILES)
def test_write_flags_do_not_keep_from_reading(name: str) -> None:
    data = bytearray(GOLDEN.joinpath(name).read_bytes())
    data[12] = 1
    DECODERS[name](bytes(data), "it")


@pytest.mark.parametrize("name", BINARY_FILES)
@pytest.mark.parametrize("at", [0, 3, 6, 7])
def test_damaged_headers(name: str, at: int) -> None:
    data = bytearray(GOLDEN.joinpath(name).read_bytes())
    data[at] ^= 1
    with pytest.raises(IntegrityError):
        DECODERS[name](bytes(data), "it")


@pytest.mark.parametrize("name", JSON_FILES)
@pytest.mark.parametrize(
    ("member", "value"),
    [("version", 2), ("algorithm", "sha256"), ("read_flags", ["packed"]), ("read_flags", None)],
)
def test_json_formats_of_later_versions(name: str, member: str, value: object) -> None:
    members = json.loads(GOLDEN.joinpath(name).read_bytes()) | {member: value}
    with pytest.raises(FormatError, match="newer version"):
        DECODERS[name](canonical(members), "it")


@pytest.mark.parametrize("name", JSON_FILES)
def test_unknown_members_do_not_keep_from_reading(name: str) -> None:
    members = json.loads(GOLDEN.joinpath(name).read_bytes()) | {"later": {"x": 1}}
    DECODERS[name](canonical(members), "it")


def _read_or_refuse(name: str, data: bytes) -> None:
    try:
        DECODERS[name](data, "it")
        if name == "root.json":
            check_writable(data, "it")
    except (IntegrityError, FormatError) as error:
        message = str(error)
    else:
        return
    assert message.startswith("it ")
