"""Collecting a remote reads its metadata from here as far as it is here, the rest in one go."""

from __future__ import annotations

import itertools

from datasets_vc.digest import Digest, digest_of
from datasets_vc.repository.collecting import Nearby
from datasets_vc.store import Store
from tests.property.trees import new_store


def ending_in_zeros() -> bytes:
    """A short chunk with a digest that columns of digests cut short where an item is taken out."""
    return next(data for data in map(b"%d".__mod__, itertools.count()) if not digest_of(data)[-1])


def put(store: Store, data: bytes) -> Digest:
    with store.writer() as writer:
        digest = writer.add_meta(data)
        store.publish(writer.finish())
    return digest


def test_what_is_short_is_read_ahead_whatever_its_digest() -> None:
    remote, local = new_store(), new_store()
    here, there = b"here and there", ending_in_zeros()
    digests = [put(remote, here), put(remote, there)]
    put(local, here)
    source = Nearby(remote, local)

    source.read_ahead()

    assert [bytes(data) for data in source.read_many(digests)] == [here, there]
