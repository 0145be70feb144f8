"""Small datasets for hypothesis, one large one, and stores that count what is read of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cache

from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from datasets_vc.backends import Backend
from datasets_vc.digest import Buffer, Digest, digest_of
from datasets_vc.format.entries import FILE, SYMLINK, Entry, entry_table
from datasets_vc.history.manifest import dataset_digest, read_nodes, write_manifest
from datasets_vc.paths import problem_with
from datasets_vc.store import Store
from tests.store.memory import MemoryBackend

Tree = dict[str, Entry]

NEIGHBOURS = ["a", "a-b", "a.b", "a/b", "a/b/c", "a0", "a!", "a/b-c", "b", "A", "é/a", "a/é", "aa"]
paths = st.sampled_from(NEIGHBOURS) | st.text("ab/.-0é", min_size=1, max_size=7).filter(
    lambda path: not problem_with(path)
)
contents = st.tuples(st.sampled_from([FILE, SYMLINK]), st.integers(0, 3))


def entry(path: str, kind: int, content: int) -> Entry:
    return Entry(path, kind, content, digest_of(b"%d" % content))


trees = st.dictionaries(paths, contents, max_size=25).map(
    lambda found: {path: entry(path, *content) for path, content in found.items()}
)


@cache
def large() -> Mapping[str, Entry]:
    """Enough entries for a tree of three levels."""
    names = [f"{group}/{number:06d}.png" for number in range(3000) for group in ("x", "y-z", "y")]
    for group in range(3):
        # A path that ends a leaf, and one after it that begins a node of level 1.
        names.append(_marked(f"y/marked {group}/a", level=0))
        names.append(_marked(f"y/marked {group}/b", level=1))
    return {name: entry(name, FILE, number) for number, name in enumerate(names)}


def _marked(start: str, level: int) -> str:
    names = (f"{start}{number}" for number in itertools.count())
    return next(name for name in names if not xxh3_64_intdigest(name.encode(), level) % 256)


def new_store() -> Store:
    return Store.create(MemoryBackend())


def stored(store: Store, *trees: Mapping[str, Entry]) -> list[Digest]:
    writer = store.writer()
    digests = [write_manifest(writer, entry_table(tree.values())) for tree in trees]
    store.publish(writer.finish())
    return digests


def digest_of_tree(tree: Mapping[str, Entry]) -> Digest:
    return dataset_digest(entry_table(tree.values()))


def nodes_of(store: Store, dataset: Digest) -> set[Digest]:
    found, level = set(), [dataset]
    while level:
        found.update(level)
        nodes = read_nodes(store, level)
        level = [child for n in nodes if n.level for child in n.rows.column("digest").to_pylist()]
    return found


class Nodes(dict[Digest, bytes]):
    """Nodes in a dictionary, written and read without a store."""

    def add_node(self, data: Buffer, below: Buffer) -> Digest:
        digest = digest_of(data)
        self[digest] = bytes(data)
        return digest

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        return [self[digest] for digest in digests]


class CountingStore(Store):
    """Remembers which chunks were read."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.read_digests: list[Digest] = []

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        self.read_digests += digests
        return super().read_many(digests)
