"""Bytes that a store has lost and a workspace still has."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from datasets_vc.digest import Digest, Hasher, digest_of
from datasets_vc.history.affected import Affected
from datasets_vc.store import ChunkWriter, Store

_READ_SIZE = 1 << 20


def from_workspace(folder: Path, store: Store, affected: Iterable[Affected]) -> int:
    """Store files of a workspace again whose bytes are lost; returns how many.

    A file counts if it has the digest of the version that lost it, whatever it is in the
    workspace's own version.
    """
    stored: set[Digest] = set()
    with store.writer() as writer:
        for each in affected:
            if each.is_list or each.digest in stored:
                continue
            if _store(folder / each.path, each.digest, writer):
                stored.add(each.digest)
        store.publish(writer.finish())
    return len(stored)


def _store(path: Path, digest: Digest, writer: ChunkWriter) -> bool:
    try:
        if path.is_symlink():
            target = path.readlink().as_posix().encode()
            return digest_of(target) == digest and writer.add_meta(target) == digest
        with path.open("rb") as file:
            hasher = Hasher()
            while data := file.read(_READ_SIZE):
                hasher.update(data)
            if hasher.digest() != digest:
                return False
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            return writer.add_stream(file.read, size) == digest
    except OSError:
        return False
