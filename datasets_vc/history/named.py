"""What runs name as dataset and code, held against what it is said to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import DatasetError, IntegrityError
from datasets_vc.format.location import RECIPE
from datasets_vc.format.node import decode_node
from datasets_vc.history.claims import problem_with
from datasets_vc.store import Store

_BYTES_AT_ONCE = 64 << 20
NAMED = ("dataset", "code")


class NamedDatasets:
    """Whether digests that runs name are those of datasets, as far as stores have them.

    Each is looked at once. What no store has, or has damaged, is not judged.

    Args:
        stores: asked in this order.
    """

    def __init__(self, *stores: Store) -> None:
        self._stores = stores
        self._problems: dict[Digest, str] = {}

    def look_at(self, digests: Iterable[Digest]) -> None:
        """Look at many in few requests."""
        rest = [each for each in dict.fromkeys(digests) if each not in self._problems]
        for store in self._stores:
            here = store.index.contains(rest).tolist() if rest else []
            some = [each for each, there in zip(rest, here, strict=True) if there]
            self._judge(store, some)
            rest = [each for each, there in zip(rest, here, strict=True) if not there]

    def check(self, members: Mapping[str, Any], what: str) -> None:
        """Check what the input of a run names.

        Raises:
            IntegrityError: it names something as dataset or code that is none.
        """
        named = {name: Digest(bytes.fromhex(members[name])) for name in NAMED}
        self.look_at(named.values())
        for name, digest in named.items():
            if self._problems.get(digest):
                raise IntegrityError(
                    f"{what} is malformed: its {name} {digest.hex()} is no dataset. "
                    f"{self._problems[digest]}"
                )

    def _judge(self, store: Store, digests: Sequence[Digest]) -> None:
        places = store.index.locate(digests)
        files = (places.rows["codec"] == RECIPE).tolist() if digests else []
        sizes = places.rows["raw"].tolist() if digests else []
        nodes = []
        for digest, size, is_file in zip(digests, sizes, files, strict=True):
            self._problems[digest] = "It is a file in several pieces." if is_file else ""
            if not is_file:
                nodes.append((digest, size))
        group: list[Digest] = []
        total = 0
        for digest, size in nodes:
            if group and total + size > _BYTES_AT_ONCE:
                self._judge_nodes(store, group)
                group, total = [], 0
            group.append(digest)
            total += size
        self._judge_nodes(store, group)

    def _judge_nodes(self, store: Store, digests: Sequence[Digest]) -> None:
        for digest, data in zip(digests, _read(store, digests), strict=True):
            if data is not None:
                self._problems[digest] = _problem_with_root(data)


def _problem_with_root(data: Buffer) -> str:
    try:
        node = decode_node(data, "It")
    except DatasetError as error:
        return error.message
    return problem_with(node, node.level, {None})


def _read(store: Store, digests: Sequence[Digest]) -> list[Buffer | None]:
    try:
        return list(store.read_many(digests)) if digests else []
    except DatasetError:
        if len(digests) == 1:
            return [None]
        return [data for digest in digests for data in _read(store, [digest])]
