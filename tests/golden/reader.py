"""Read a store as docs/format.md says, without a line of datasets_vc: it proves the document."""

from __future__ import annotations

import hashlib
import json
import struct
from base64 import b64decode
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from blake3 import blake3
from xxhash import xxh3_64_intdigest


class Row(NamedTuple):
    """A location (section 6)."""

    checksum: int
    offset: int
    stored: int
    raw: int
    pack: int
    codec: int


def check(condition: object, what: str) -> None:
    if not condition:
        raise ValueError(what)


def header(data: bytes, magic: bytes) -> None:
    """Section 3."""
    found, version, algorithm, zero, read_flags, _ = struct.unpack_from("<4sBBHII", data)
    check((found, version, algorithm, zero, read_flags) == (magic, 1, 1, 0, 0), "header")


def json_object(data: bytes, form: str) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(data)
    check(members["format"] == form and members["version"] == 1, form)
    check(members["algorithm"] == "blake3" and members["read_flags"] == [], form)
    return members


def signed_by(data: bytes) -> tuple[str, bytes, bytes, bytes]:
    """Namespace, public Ed25519 key, what that signed, and the signature, of a commit (section 8).

    The two layers inside the armour are those of OpenSSH's PROTOCOL.sshsig.
    """
    members = json.loads(data)
    first, *middle, last = members.pop("signature").removesuffix("\n").split("\n")
    check((first[5:14], last[5:12]) == ("BEGIN SSH", "END SSH"), "armour")
    payload = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    blob = b64decode("".join(middle))
    check(struct.unpack_from(">6sI", blob) == (b"SSHSIG", 1), "magic")
    key, namespace, reserved, algorithm, signature = strings(blob[10:])
    hashed = hashlib.new(algorithm.decode(), payload.encode()).digest()
    message = b"SSHSIG" + b"".join(map(string, (namespace, reserved, algorithm, hashed)))
    kinds = [strings(key)[0], strings(signature)[0]]
    check(kinds == [b"ssh-ed25519"] * 2, "kind of key")
    return namespace.decode(), strings(key)[1], message, strings(signature)[1]


def strings(data: bytes) -> list[bytes]:
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        found.append(data[4:end])
        data = data[end:]
    return found


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def locations(data: bytes, count: int) -> list[Row]:
    rows = list(struct.iter_unpack("<QQIIIBBH", data[: 32 * count]))
    check(all(row[6:] == (0, 0) for row in rows), "zero fields of a location")
    return [Row(*row[:6]) for row in rows]


def pack_rows(data: bytes) -> tuple[int, dict[bytes, Row]]:
    """The class of a pack and what it holds (section 6)."""
    header(data, b"DSVP")
    footer, count, category, *zero, digest, again = struct.unpack("<QIB3B32s16s", data[-64:])
    header(again, b"DSVP")
    check(zero == [0, 0, 0] and footer + 64 * count + 64 == len(data), "tail")
    rows = data[footer:-64]
    check(blake3(rows).digest() == digest, "footer digest")
    digests = [rows[at : at + 32] for at in range(0, 32 * count, 32)]
    return category, dict(zip(digests, locations(rows[32 * count :], count), strict=True))


def index_rows(data: bytes) -> dict[bytes, tuple[bytes, Row]]:
    """Digest -> digest of the pack, location (section 7)."""
    header(data, b"DSVI")
    packs, count, zero = struct.unpack_from("<IIQ", data, 16)
    check(zero == 0 and len(data) == 32 + 48 * packs + 64 * count, "length of an index")
    table = [struct.unpack_from("<32sQB7x", data, 32 + 48 * n)[0] for n in range(packs)]
    start = 32 + 48 * packs
    digests = [data[start + 32 * n : start + 32 * (n + 1)] for n in range(count)]
    check(digests == sorted(set(digests)), "order of an index")
    rows = locations(data[start + 32 * count :], count)
    return {name: (table[row.pack], row) for name, row in zip(digests, rows, strict=True)}


class Reader:
    """A store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = json_object((folder / "root.json").read_bytes(), "dsvc-root")
        self.rows: dict[bytes, tuple[bytes, Row]] = {}
        for name in self.root["indexes"]:
            self.rows |= index_rows(self.object(f"index/{name}"))

    def object(self, name: str) -> bytes:
        data = (self.folder / name).read_bytes()
        check(blake3(data).hexdigest() == name.split("/")[1], name)
        return data

    def stored(self, digest: bytes) -> tuple[int, bytes]:
        """Codec and decoded payload."""
        pack, row = self.rows[digest]
        payload = self.object(f"packs/{pack.hex()}")[row.offset : row.offset + row.stored]
        check(xxh3_64_intdigest(payload) == row.checksum, "checksum")
        if row.codec == 1:
            payload = pa.Codec("zstd").decompress(payload, row.raw, asbytes=True)
        check(len(payload) == row.raw, "raw length")
        return row.codec, payload

    def read(self, digest: bytes) -> bytes:
        """The bytes whose digest this is (section 5)."""
        codec, data = self.stored(digest)
        if codec == 2:
            header(data, b"DSVR")
            count, zero, size = struct.unpack_from("<IIQ", data, 16)
            lengths = struct.unpack_from(f"<{count}I", data, 32)
            start = 32 + -(-4 * count // 8) * 8
            check(zero == 0 and count >= 2 and len(data) == start + 32 * count, "recipe")
            pieces = [self.read(data[start + 32 * n : start + 32 * (n + 1)]) for n in range(count)]
            check(tuple(map(len, pieces)) == lengths, "lengths of a recipe")
            data = b"".join(pieces)
            check(len(data) == size, "size of a recipe")
        check(blake3(data).digest() == digest, "digest")
        return data

    def tag(self, name: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The commit that a tag names, and its tag object if it has one (sections 8, 9)."""
        data = self.read(bytes.fromhex(self.root["tags"][name]))
        if json.loads(data)["format"] == "dsvc-commit":
            return json_object(data, "dsvc-commit"), None
        tag = json_object(data, "dsvc-tag")
        commit = json_object(self.read(bytes.fromhex(tag["object"])), "dsvc-commit")
        return commit, tag

    def entries(self, node: bytes) -> Iterator[tuple[str, int, int, bytes]]:
        """Path, kind, size, digest of all that lies below a node (section 4)."""
        data = self.read(node)
        header(data, b"DSVN")
        level, count, path_size = struct.unpack_from("<IIQ", data, 16)
        types = ["32s", "Q", "Q"] if level else ["32s", "Q", "B"]
        sizes = [4 * (count + 1), path_size] + [count * struct.calcsize(t) for t in types[::-1]]
        columns, at = [], 32
        for size in sizes:
            columns.append(data[at : at + size])
            at += -(-size // 8) * 8
        check(at == len(data), "length of a node")
        ends = struct.unpack(f"<{count + 1}i", columns[0])
        paths = [columns[1][a:b].decode() for a, b in pairwise(ends)]
        first, second, third = (
            [value for (value,) in struct.iter_unpack(f"<{kind}", column)]
            for kind, column in zip(types[::-1], columns[2:], strict=True)
        )
        for row, path in zip(zip(paths, first, second, third, strict=True), paths, strict=True):
            hashed = xxh3_64_intdigest(path.encode(), seed=level) % 256
            check(hashed or path == paths[-1], "boundary inside a node")
            if not level:
                yield row
                continue
            below = list(self.entries(row[3]))
            check((path, len(below)) == (below[0][0], row[1]), "entries of an inner node")
            check(sum(size for _, _, size, _ in below) == row[2], "bytes of an inner node")
            yield from below
