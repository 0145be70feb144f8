"""Make the golden files of format 1. They were made once and are not made again:

    PYTHONPATH=. python tests/golden/make.py FOLDER

Everything in them is fixed: times, write ids, nonces. Only zstd may compress otherwise one day, so
compare a new folder with the old one by eye, and never replace the old one. What a later version
adds to the format comes as new files (`tag.json`, `tagged`).
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np

from datasets_vc.backends import LocalBackend
from datasets_vc.digest import Digest, digest_of
from datasets_vc.format.commit import Commit, encode_commit
from datasets_vc.format.entries import FILE, SYMLINK, Entry, entry_table
from datasets_vc.format.json import canonical
from datasets_vc.format.recipe import Recipe, encode_recipe
from datasets_vc.format.root import Root, encode_root
from datasets_vc.format.run import RunHead, encode_run_head, encode_run_input
from datasets_vc.format.tag import Tag, encode_tag
from datasets_vc.history.manifest import write_manifest
from datasets_vc.runs.record import RunFiles, without_floats
from datasets_vc.store import ChunkWriter, Store

FIRST_TIME = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)
SECOND_TIME = datetime(2026, 11, 2, 8, 30, 59, tzinfo=UTC)
NONCE = "0123456789abcdef"
EMPTY = digest_of(b"")
SIGNER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINBPtcSHrQiXr4mA0oATQBm1rb9RgTysRCSJN6bez824"
SIGNATURE = """\
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg0E+1xIetCJeviYDSgBNAGbWtv1
GBPKxEJIk3pt7PzbgAAAAEZHN2YwAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx
OQAAAEAGWaySBdLND0RaFgwxMT5+xsty1LEJPB2Yu+Lz6j7v5zwqXRGRaZ00MjjoFHXk86
EhTxQK01+k3BIlf1TEVYoK
-----END SSH SIGNATURE-----
"""


def big_text() -> bytes:
    """About 5 MiB that compress well: two chunks, the first as long as a chunk can be."""
    blocks = (b"block %08d " % number + b"0123456789 " * 300 + b"\n" for number in range(1600))
    return b"".join(blocks)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that do not compress."""
    return np.random.Generator(np.random.PCG64(seed)).bytes(size)


def first_version() -> dict[str, bytes]:
    files = {f"many/{number:03d}.txt": b"%d\n" % (number % 5) for number in range(600)}
    files |= {"big.txt": big_text(), "empty": b"", "noise.bin": noise(3000)}
    return files | {"old name.txt": b"The same words at another place.\n", "café.txt": b"accent\n"}


def second_version() -> dict[str, bytes]:
    files = first_version()
    files["new/name.txt"] = files.pop("old name.txt")
    files["many/003.txt"] = b"changed\n"
    del files["many/599.txt"]
    return files


def commit(
    store: Store, files: dict[str, bytes], parents: tuple[Digest, ...], time: datetime, message: str
) -> Digest:
    """Record files, and a link to one of them, as the next commit of `main`."""
    writer = store.writer()
    entries = [Entry(path, FILE, len(data), writer.add_file(data)) for path, data in files.items()]
    target = b"many/000.txt"
    entries.append(Entry("link.txt", SYMLINK, len(target), writer.add_meta(target)))
    dataset = write_manifest(writer, entry_table(entries))
    new = Commit(dataset, parents, "Ada <ada@example.org>", time, message)
    digest = writer.add_meta(encode_commit(new))
    store.publish(writer.finish(), lambda root: replace(root, branches={"main": digest}))
    return digest


def make_store(folder: Path) -> None:
    ids = (f"{number:032x}" for number in itertools.count(1))
    with patch("datasets_vc.store.store._new_write_id", lambda: next(ids)):
        store = Store.create(LocalBackend(folder, create=True))
        first = commit(store, first_version(), (), FIRST_TIME, "First version")
        store.swap_root(lambda root: replace(root, tags={"v1": first}))
        commit(store, second_version(), (first,), SECOND_TIME, "Rename, change, delete")
        writer = store.writer()
        checkpoint = writer.add_file(noise(100, seed=2))
        dataset = write_manifest(writer, entry_table([]))
        members = run_input() | {"commit": first.hex(), "dataset": dataset.hex()}
        head = RunHead(writer.add_meta(encode_run_input(members)), SECOND_TIME, NONCE)
        store.publish(writer.finish())
        files = RunFiles(store)
        files.finish(files.begin(head), run_events(checkpoint))


def make_tagged_store(folder: Path) -> None:
    """One commit, under a tag that says why."""
    ids = (f"{number:032x}" for number in itertools.count(1))
    with patch("datasets_vc.store.store._new_write_id", lambda: next(ids)):
        store = Store.create(LocalBackend(folder, create=True))
        first = commit(store, {"many/000.txt": b"0\n"}, (), FIRST_TIME, "First version")
        writer = store.writer()
        tag = writer.add_meta(encode_tag(tag_of(first)))
        store.publish(writer.finish(), lambda root: replace(root, tags={"v1.0": tag}))


def tag_of(commit: Digest) -> Tag:
    return Tag(commit, "v1.0", "Zoë <zoe@example.org>", SECOND_TIME, "Checked\n\nby two.")


def root_with_id() -> Root:
    return Root(
        write_id="00112233445566778899aabbccddeeff",
        branches={"main": digest_of(b"one")},
        indexes=(digest_of(b"index"),),
        id="ffeeddccbbaa99887766554433221100",
    )


def signed_commit() -> Commit:
    """Signed with SIGNER, whose private half was thrown away: the signature is of these values."""
    plain = Commit(
        digest_of(b"dataset"), (digest_of(b"one"),), "Zoë <zoe@example.org>", FIRST_TIME, "Signed"
    )
    return replace(plain, signature=SIGNATURE)


def run_input() -> dict[str, object]:
    empty = write_manifest(_Nowhere(), entry_table([])).hex()
    return {
        "code": empty,
        "command": ["cnn", "--data", "{data}", "--out", "{out}", "--config", "{config}"],
        "commit": None,
        "config": {"learning_rate": "0.001", "seed": 7},
        "dataset": empty,
        "topology": {"ranks": 1, "workers": 0},
    }


def run_events(checkpoint: Digest) -> list[dict[str, object]]:
    params = [digest_of(b"%d" % step).hex() for step in range(3)]
    return [
        {"event": "inputs", "config": {"seed": 7}},
        {"event": "init", "params": params[0]},
        {"event": "step", "epoch": 0, "step": 0, "batch": "ab" * 32, "loss": "3f800000"},
        {
            "event": "step",
            "epoch": 0,
            "step": 1,
            "batch": "cd" * 32,
            "loss": "3f000000",
            "params": params[1],
        },
        {"event": "epoch", "epoch": 0, "metrics": {"accuracy": 0.5}},
        {"event": "skipped", "path": "bad.png", "reason": "truncated"},
        {"event": "checkpoint", "name": "last", "digest": checkpoint.hex(), "size": 100},
        {
            "event": "end",
            "status": "done",
            "metrics": {"accuracy": 0.5},
            "params": params[2],
            "seconds": 1.25,
        },
    ]


class _Nowhere:
    """Takes nodes and remembers them."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []

    def add_node(self, data: bytes | bytearray | memoryview, below: object) -> Digest:
        self.nodes.append(bytes(data))
        return digest_of(data)


def single_objects() -> Iterator[tuple[str, bytes]]:
    """One object of each format, by file name."""
    tree = _Nowhere()
    entries = [Entry(f"img/{n:04d}.png", FILE, 1000 + n, digest_of(b"%d" % n)) for n in range(700)]
    entries.append(Entry("img/latest", SYMLINK, 12, digest_of(b"img/0699.png")))
    write_manifest(tree, entry_table(entries))
    yield "leaf.node", tree.nodes[0]
    yield "inner.node", tree.nodes[-1]
    pieces = Recipe((digest_of(b"a"), digest_of(b"b"), digest_of(b"a")), (300_000, 1 << 22, 7))
    yield "file.recipe", encode_recipe(pieces)
    yield (
        "commit.json",
        encode_commit(
            Commit(
                digest_of(b"dataset"),
                (digest_of(b"one"), digest_of(b"two")),
                "Zoë <zoe@example.org>",
                FIRST_TIME,
                'Merge "labels"\n\nwith a tab\tand a bell\x07',
            )
        ),
    )
    yield "signed-commit.json", encode_commit(signed_commit())
    yield "tag.json", encode_tag(tag_of(digest_of(b"one")))
    yield (
        "root.json",
        encode_root(
            Root(
                write_id="00112233445566778899aabbccddeeff",
                gc_generation=3,
                branches={"main": digest_of(b"one"), "team/labels": digest_of(b"two")},
                tags={"v1.0": digest_of(b"one")},
                tracking={"origin/main": digest_of(b"two")},
                indexes=(digest_of(b"index"),),
                extra={"note_of_later": {"kept": [1, "two", None]}},
            )
        ),
    )
    yield "root-with-id.json", encode_root(root_with_id())
    members = encode_run_input(run_input())
    yield "run-input.json", members
    yield (
        "run-head.json",
        encode_run_head(RunHead(digest_of(members), FIRST_TIME, NONCE, digest_of(b"other run"))),
    )


def make_packs(folder: Path, scratch: Path) -> None:
    """A data pack, a metadata pack and the index of both."""
    with patch("datasets_vc.store.store._new_write_id", lambda: "0" * 32):
        store = Store.create(LocalBackend(scratch, create=True))
        writer = ChunkWriter(store.backend, store.index)
        for data in (b"", b"hello\n", noise(1000), b"again and again " * 100, big_text()):
            writer.add_file(data)
        writer.add_meta(b"a link target")
        root = store.publish(writer.finish())
    packs = {
        pack.category: store.backend.get(f"packs/{pack.digest.hex()}") for pack in store.index.packs
    }
    (folder / "data.pack").write_bytes(packs[0])
    (folder / "metadata.pack").write_bytes(packs[1])
    (folder / "chunk.index").write_bytes(store.backend.get(f"index/{root.indexes[0].hex()}"))


def main(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, data in single_objects():
        (folder / name).write_bytes(data)
    log = b"".join(canonical(without_floats(event)) + b"\n" for event in run_events(EMPTY))
    (folder / "run-log.jsonl").write_bytes(log)
    with TemporaryDirectory() as scratch:
        make_packs(folder, Path(scratch))
    make_store(folder / "store")
    make_tagged_store(folder / "tagged")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
