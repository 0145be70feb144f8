"""Golden files of format 1: every later version reads them, and writes the same bytes."""

from __future__ import annotations

import json
import shutil
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from datasets_vc.backends import LocalBackend
from datasets_vc.digest import digest_of
from datasets_vc.format.commit import Commit, decode_commit, encode_commit
from datasets_vc.format.entries import SYMLINK, Entry
from datasets_vc.format.index import decode_index, encode_index
from datasets_vc.format.json import canonical
from datasets_vc.format.location import RAW, RECIPE, ZSTD, digest_list
from datasets_vc.format.node import decode_node, encode_nodes
from datasets_vc.format.pack import DATA, METADATA, decode_pack, encode_footer
from datasets_vc.format.recipe import Recipe, decode_recipe, encode_recipe
from datasets_vc.format.root import decode_root, encode_root
from datasets_vc.format.run import (
    decode_run_head,
    decode_run_input,
    decode_run_log,
    encode_run_head,
    encode_run_input,
)
from datasets_vc.format.signed import take_apart
from datasets_vc.format.tag import Tag, decode_tag, encode_tag
from datasets_vc.history.commits import walk
from datasets_vc.history.diff import diff
from datasets_vc.history.manifest import Manifest, dataset_digest
from datasets_vc.history.revisions import resolve
from datasets_vc.history.snapshot import Snapshot
from datasets_vc.history.tags import Tags
from datasets_vc.runs.record import RunFiles
from datasets_vc.signing import Verifier
from datasets_vc.store import Store
from tests.golden.make import (
    SIGNER,
    first_version,
    root_with_id,
    second_version,
    signed_commit,
    tag_of,
)
from tests.golden.reader import Reader, pack_rows, signed_by
from tests.signing.keys import problem_with_ssh

V1 = Path(__file__).parent / "v1"

FIRST_COMMIT = "6fee468fc208d83dbcf158513b7ba3bf3a46de823d8e993f678a88f5e938f0d3"
SECOND_COMMIT = "603cf3f4936aaa9e32f65198dd23eb7329d7ba70b9c912e72ede042ea88608d0"
FIRST_DATASET = "e0c423bccc61c0667897c00f427a724030694223c7289b6088e64693c8097f88"
SECOND_DATASET = "9dab8633a015763bcf1a2631bcd91d84838ba1db702678860e6f3ba5a4b4bb20"
RUN = "688a51832c14faed551d45490faf1bb2b539863facae241541ddb9eaae945610"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The golden store, copied so that nothing can change it."""
    return Store.open(LocalBackend(shutil.copytree(V1 / "store", tmp_path / "store")))


def golden(name: str) -> bytes:
    return (V1 / name).read_bytes()


def test_leaf_node() -> None:
    data = golden("leaf.node")
    node = decode_node(data, "leaf")
    assert (node.level, node.rows.num_rows) == (0, 199)
    assert node.rows.to_pylist()[0] == {
        "path": "img/0000.png",
        "kind": 0,
        "size": 1000,
        "digest": digest_of(b"0"),
    }
    assert list(encode_nodes(node.rows, 0, [node.rows.num_rows])) == [data]


def test_inner_node() -> None:
    data = golden("inner.node")
    node = decode_node(data, "inner")
    rows = node.rows.to_pylist()
    assert node.level == 1
    assert [(row["path"], row["entries"], row["bytes"]) for row in rows] == [
        ("img/0000.png", 199, 218701),
        ("img/0199.png", 8, 9620),
        ("img/0207.png", 355, 491320),
        ("img/0562.png", 139, 225021),
    ]
    assert rows[0]["digest"] == digest_of(golden("leaf.node"))
    assert list(encode_nodes(node.rows, 1, [len(rows)])) == [data]


def test_recipe() -> None:
    data = golden("file.recipe")
    recipe = decode_recipe(data, "recipe")
    digests = (digest_of(b"a"), digest_of(b"b"), digest_of(b"a"))
    assert recipe == Recipe(digests, (300_000, 1 << 22, 7))
    assert encode_recipe(recipe) == data


def test_commit() -> None:
    data = golden("commit.json")
    commit = decode_commit(data, "commit")
    assert commit == Commit(
        dataset=digest_of(b"dataset"),
        parents=(digest_of(b"one"), digest_of(b"two")),
        author="Zoë <zoe@example.org>",
        time=datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC),
        message='Merge "labels"\n\nwith a tab\tand a bell\x07',
    )
    assert encode_commit(commit) == data


def test_signed_commit(tmp_path: Path) -> None:
    data = golden("signed-commit.json")
    commit = decode_commit(data, "commit")
    assert commit == signed_commit()
    assert encode_commit(commit) == data
    parts = take_apart(data, "commit")
    assert parts.payload == encode_commit(replace(commit, signature=None))
    namespace, key, message, signature = signed_by(data)
    assert namespace == "dsvc"
    assert b64decode(SIGNER.split()[1])[-32:] == key
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    if problem := problem_with_ssh():
        pytest.skip(problem)
    allowed = tmp_path / "allowed"
    allowed.write_text(f"zoe@example.org {SIGNER}\n")
    assert Verifier(allowed).verify(parts.payload, parts.signature, commit.time).good


def test_tag() -> None:
    data = golden("tag.json")
    tag = decode_tag(data, "tag")
    assert tag == Tag(
        object=digest_of(b"one"),
        name="v1.0",
        tagger="Zoë <zoe@example.org>",
        time=datetime(2026, 11, 2, 8, 30, 59, tzinfo=UTC),
        message="Checked\n\nby two.",
    )
    assert encode_tag(tag) == data


def test_root() -> None:
    data = golden("root.json")
    root = decode_root(data, "root")
    assert root.write_id == "00112233445566778899aabbccddeeff"
    assert root.gc_generation == 3
    assert root.branches == {"main": digest_of(b"one"), "team/labels": digest_of(b"two")}
    assert root.tags == {"v1.0": digest_of(b"one")}
    assert root.tracking == {"origin/main": digest_of(b"two")}
    assert root.indexes == (digest_of(b"index"),)
    assert root.extra == {"note_of_later": {"kept": [1, "two", None]}}
    # What is written now has a check, too.
    assert decode_root(encode_root(root), "root") == root


def test_root_with_an_id() -> None:
    data = golden("root-with-id.json")
    assert decode_root(data, "root") == root_with_id()
    assert encode_root(root_with_id()) == data


def test_a_store_of_before_gets_an_id_with_its_next_write_and_keeps_it(store: Store) -> None:
    assert store.root().id == ""
    first = store.swap_root(lambda root: replace(root, gc_generation=1))
    assert len(first.id) == 32
    assert store.swap_root(lambda root: replace(root, gc_generation=2)).id == first.id


def test_run() -> None:
    data = golden("run-head.json")
    head = decode_run_head(data, "head")
    assert head.input == digest_of(golden("run-input.json"))
    assert head.started == datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)
    assert head.nonce == "0123456789abcdef"
    assert head.reproduces == digest_of(b"other run")
    assert encode_run_head(head) == data
    members = decode_run_input(golden("run-input.json"), "input")
    assert members["config"] == {"learning_rate": "0.001", "seed": 7}
    assert encode_run_input(members) == golden("run-input.json")
    events = decode_run_log(golden("run-log.jsonl"), "log")
    assert [event["event"] for event in events] == [
        *("inputs", "init", "step", "step", "epoch", "skipped", "checkpoint", "end")
    ]
    assert b"".join(canonical(event) + b"\n" for event in events) == golden("run-log.jsonl")


@pytest.mark.parametrize(("name", "category"), [("data.pack", DATA), ("metadata.pack", METADATA)])
def test_pack(name: str, category: int) -> None:
    data = golden(name)
    contents = decode_pack(data, name)
    assert contents.category == category
    names = digest_list(contents.digests)
    offset = int.from_bytes(data[-64:-56], "little")
    footer = encode_footer(b"".join(names), contents.locations, category, offset)
    assert data[:offset] + footer == data
    known, rows = pack_rows(data)
    assert (known, list(rows)) == (category, names)
    columns = ("checksum", "offset", "stored", "raw", "pack", "codec")
    assert [tuple(contents.locations[column].tolist()) for column in columns] == [
        tuple(column) for column in zip(*rows.values(), strict=True)
    ]


def test_chunk_index() -> None:
    data = golden("chunk.index")
    table = decode_index(data, "index")
    packs = {digest_of(golden("data.pack")): DATA, digest_of(golden("metadata.pack")): METADATA}
    assert {pack.digest: pack.category for pack in table.packs} == packs
    names = digest_list(table.digests)
    assert digest_of(b"hello\n") in names
    assert names == sorted(names)
    assert {RAW, ZSTD, RECIPE} == set(np.unique(table.locations["codec"]).tolist())
    assert encode_index(table) == data


def test_store_reads(store: Store) -> None:
    root = store.root()
    assert {name: commit.hex() for name, commit in root.branches.items()} == {"main": SECOND_COMMIT}
    assert {name: commit.hex() for name, commit in root.tags.items()} == {"v1": FIRST_COMMIT}
    history = list(walk(store, root.branches.values()))
    assert [digest.hex() for digest, _ in history] == [SECOND_COMMIT, FIRST_COMMIT]
    assert [commit.dataset.hex() for _, commit in history] == [SECOND_DATASET, FIRST_DATASET]
    for revision, files in (("v1", first_version()), ("main", second_version())):
        snapshot = Snapshot.open(store.url, revision)
        assert {path: bytes(snapshot.read(path)) for path in files} == files
        assert len(snapshot) == len(files) + 1
        assert bytes(snapshot.read("link.txt")) == b"many/000.txt"
        assert dataset_digest(snapshot.entries()).hex() == snapshot.digest


def test_store_differs_as_its_commits_say(store: Store) -> None:
    found = diff(store, bytes.fromhex(FIRST_DATASET), bytes.fromhex(SECOND_DATASET))
    assert [entry.path for entry in found.deleted] == ["many/599.txt"]
    assert [new.path for _, new in found.modified] == ["many/003.txt"]
    assert [(old.path, new.path) for old, new in found.renamed] == [
        ("old name.txt", "new/name.txt")
    ]
    assert not found.added


def test_store_takes_the_next_commit(store: Store) -> None:
    manifest = Manifest(store, bytes.fromhex(SECOND_DATASET))
    link = manifest.get("link.txt")
    assert link == Entry("link.txt", SYMLINK, 12, digest_of(b"many/000.txt"))
    before = store.root()
    writer = store.writer()
    digest = writer.add_file(b"one more")
    store.publish(writer.finish(), lambda root: replace(root, gc_generation=1))
    assert bytes(Store.open(store.backend).read(digest)) == b"one more"
    assert store.root().branches == before.branches


def test_run_of_the_store(store: Store) -> None:
    assert RunFiles(store).ids() == [RUN]
    record = RunFiles(store).read(RUN)
    assert (record.model, record.status, record.metrics) == ("cnn", "done", {"accuracy": "0.5"})
    assert record.input["commit"] == FIRST_COMMIT


@pytest.mark.parametrize(
    ("commit", "files"),
    [(FIRST_COMMIT, first_version()), (SECOND_COMMIT, second_version())],
    ids=["first", "second"],
)
def test_reader_made_from_the_document_alone(commit: str, files: dict[str, bytes]) -> None:
    reader = Reader(V1 / "store")
    members = json.loads(reader.read(bytes.fromhex(commit)))
    found = {
        path: reader.read(digest)
        for path, _, _, digest in reader.entries(bytes.fromhex(members["dataset"]))
    }
    assert found == files | {"link.txt": b"many/000.txt"}
    assert list(found) == sorted(found, key=str.encode)
    codecs = {reader.stored(digest)[0] for digest in reader.rows}
    assert codecs == {0, 1, 2}


def test_tags_with_and_without_a_message(store: Store, tmp_path: Path) -> None:
    assert Tags(store).list() == {"v1": bytes.fromhex(FIRST_COMMIT)}
    assert Tags(store).annotations() == {}
    tagged = Store.open(LocalBackend(shutil.copytree(V1 / "tagged", tmp_path / "tagged")))
    found = resolve(tagged, "v1.0")
    assert found.tag == tagged.root().tags["v1.0"]
    assert Tags(tagged).list() == {"v1.0": tagged.root().branches["main"]}
    assert Tags(tagged).annotations() == {"v1.0": tag_of(found.commit)}


def test_reader_made_from_the_document_looks_through_tags() -> None:
    commit, tag = Reader(V1 / "store").tag("v1")
    assert (commit["message"], tag) == ("First version", None)
    commit, tag = Reader(V1 / "tagged").tag("v1.0")
    assert commit["message"] == "First version"
    assert tag
    assert (tag["name"], tag["message"]) == ("v1.0", "Checked\n\nby two.")
