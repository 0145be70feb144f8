"""A store: root, index, packs, over any backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from datasets_vc.backends.base import Backend
from datasets_vc.digest import Buffer, Digest, Hasher
from datasets_vc.errors import (
    DatasetError,
    IntegrityError,
    MissingDataError,
)
from datasets_vc.format.recipe import Recipe
from datasets_vc.format.root import Root
from datasets_vc.store.counted import check_not_collected
from datasets_vc.store.index import ChunkIndex, Place
from datasets_vc.store.indexes import IndexObjects, MissingIndexError
from datasets_vc.store.names import index_name, pack_name
from datasets_vc.store.reader import MissingPackError, Reader, check_size
from datasets_vc.store.rootobject import RootObject
from datasets_vc.store.spans import Extent
from datasets_vc.store.writer import ChunkWriter, Written

_NOTHING = Written()

_LET_GO_BYTES = 64 << 20
"""How much of a file is read from mapped packs before their memory is given back."""

Result = TypeVar("Result")


class Store:
    """Chunks under their digests, and one root that says what is live.

    Reads see the index as it was when it was first needed, or at the last `refresh`.

    Args:
        backend: where the objects lie.
        index_cache: a local backend that keeps copies of index objects of a remote store.
    """

    def __init__(self, backend: Backend, index_cache: Backend | None = None) -> None:
        self.backend = backend
        self.indexes = IndexObjects(backend, index_cache)
        self._root = RootObject(backend)
        self._index: ChunkIndex | None = None
        self._seen = Root()
        self._replaced: set[Digest] = set()
        self._reader = Reader(backend)

    @classmethod
    def create(cls, backend: Backend) -> Store:
        """Make an empty store.

        Raises:
            AlreadyExistsError: there is one already.
        """
        RootObject(backend).create()
        return cls(backend)

    @classmethod
    def open(cls, backend: Backend, index_cache: Backend | None = None) -> Store:
        """Use an existing store.

        Raises:
            NotFoundError: there is none.
        """
        store = cls(backend, index_cache)
        store.root()
        return store

    @property
    def url(self) -> str:
        return self.backend.url

    @property
    def index(self) -> ChunkIndex:
        if self._index is None:
            self.refresh()
        assert self._index is not None
        return self._index

    @property
    def seen(self) -> Root:
        """The root to which the index belongs."""
        if self._index is None:
            self.refresh()
        return self._seen

    @property
    def shallow(self) -> frozenset[Digest]:
        """The commits that history was cut at: they count as absent. As of the index."""
        return self.seen.shallow

    def look_by(self, index: ChunkIndex, root: Root) -> None:
        """Read by an index that is not what a root lists, until the next refresh."""
        self._index, self._seen = index, root

    def root(self) -> Root:
        """The root as it is now.

        Raises:
            NotFoundError: there is no store here.
        """
        return self._root.read()

    def refresh(self, root: Root | None = None) -> Root:
        """Read the index objects that the root lists now; returns that root."""
        for _ in range(3):
            root = root or self.root()
            try:
                self._index = self._index_of(root)
                self._seen = root
                self.indexes.keep(root.indexes)
                return root
            except MissingIndexError as error:
                # Another writer may have folded it into a larger one since.
                missing, root = error, None
        raise IntegrityError(missing.message)

    def find(self, digest: Digest) -> Place | None:
        """Where a chunk lies; None if the store does not have it."""
        return self.index.find(digest)

    def read(self, digest: Digest) -> Buffer:
        """One chunk, verified: a node, a commit, a tag object, the input of a run, a link's target.

        Raises:
            MissingDataError: the store does not have it.
            IntegrityError: it is damaged, or a recipe; the error names chunk or pack.
        """
        return self.read_many([digest])[0]

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        """Chunks in the order asked for, verified; see `read`."""
        return self._read(lambda index: self._reader.chunks(index, digests))

    def read_recipes(self, files: Sequence[Digest]) -> list[Recipe]:
        """What files are made of, which nobody has proved; see `read`.

        A file that is a single chunk is made of itself.
        """
        return self._read(lambda index: self._reader.recipes(index, files))

    def read_file(self, digest: Digest) -> Buffer:
        """A file's bytes, verified; a slice of a memory map where the file lies so. See `read`."""
        return self.read_files([digest])[0]

    def read_files(
        self, digests: Sequence[Digest], sizes: Sequence[int] | None = None
    ) -> list[Buffer]:
        """Files in the order asked for; see `read_file`.

        Args:
            sizes: how many bytes each has to have; another number is an IntegrityError, raised
                before any memory is taken for them.
        """
        return self._read(lambda index: self._reader.files(index, digests, sizes))

    def iter_file(self, digest: Digest) -> Iterator[Buffer]:
        """A file's bytes, piece by piece; see `read`."""
        return (extent.data for extent in self.iter_extents(digest))

    def iter_extents(self, digest: Digest, size: int | None = None) -> Iterator[Extent]:
        """A file's bytes, piece by piece, and where they lie; see `read`.

        Args:
            size: how many bytes it has to have; see `read_files`.
        """
        pieces, recipe = self._read(lambda index: self._reader.pieces(index, digest))
        if size is not None:
            check_size(digest, sum(piece.size for piece in pieces), size)
        whole = Hasher()
        confirmed = recipe is None or self._reader.is_confirmed(recipe)
        mapped = 0
        for piece in pieces:
            extent = self._read(partial(self._reader.extent, piece=piece))
            if not confirmed:
                whole.update(extent.data)
            yield extent
            mapped += piece.size
            if mapped >= _LET_GO_BYTES:
                self._reader.let_go()
                mapped = 0
        if recipe is not None and not confirmed:
            self._reader.confirm(self.index, recipe, Digest(whole.digest()))

    def open_pack(self, pack: Digest) -> int | None:
        """A descriptor of a pack that is a local file, for reading; the caller closes it."""
        return self.backend.open_local(pack_name(pack))

    def reading_order(self, digests: NDArray[np.uint8]) -> NDArray[np.int64]:
        """In which order chunks are read from packs front to back; see `ChunkIndex`."""
        return self.index.reading_order(digests)

    def let_go(self) -> None:
        """Give back the memory that looking at mapped packs and indexes has taken.

        It counts as this process's, although the system could have it at any time. What is read
        afterwards takes it again, from the page cache.
        """
        self._reader.let_go()
        if self._index is not None:
            self._index.let_go()

    def read_encoded(self, digests: Sequence[Digest]) -> list[tuple[Place, Buffer]]:
        """Chunks encoded as they are stored, and where; checksums verified. See `read`."""

        def act(index: ChunkIndex) -> list[tuple[Place, Buffer]]:
            places = self._reader.locate(index, digests)
            return list(zip(places, self._reader.stored(places), strict=True))

        return self._read(act)

    def read_stored(self, places: Sequence[Place]) -> list[Buffer]:
        """What is stored at places of this store, encoded as it is, checksums verified.

        Raises:
            IntegrityError: something is damaged, or in a pack that was replaced meanwhile.
        """
        return self._reader.stored(places)

    def forget_packs(self, packs: Iterable[Digest]) -> None:
        """Let go of packs that were removed or replaced: another may come under the same name."""
        self._reader.forget(packs)

    def _read(self, act: Callable[[ChunkIndex], Result]) -> Result:
        """Read by the index; if something is missing, once more by the index as it is now."""
        try:
            return act(self.index)
        except (MissingPackError, MissingDataError):
            self.refresh()
            return act(self.index)

    def writer(self, on: ChunkIndex | None = None, *, needed: Buffer = b"") -> ChunkWriter:
        """Start writing chunks on top of what the index has now.

        Args:
            on: a part of the index, which says what the store has.
            needed: digests, end to end, that have to be in the store when this is published.
        """
        index, seen = self.index, self._seen
        return ChunkWriter(
            self.backend,
            index if on is None else on,
            seen.gc_generation,
            doomed=seen.doomed,
            needed=needed,
        )

    def counting_on(self, digests: Iterable[Digest]) -> Written:
        """Nothing written, for a change of the root that counts on these chunks being here."""
        return Written(counted=b"".join(digests), generation=self.seen.gc_generation)

    def swap_root(self, change: Callable[[Root], Root], counting: Written = _NOTHING) -> Root:
        """Replace the root by `change(root)`, trying again when another writer was first.

        `change` is called once a try, with the current root; what it raises is passed on.

        Args:
            counting: what has to be in the store then, see `counting_on`.

        Raises:
            ConflictError: others were first too many times.
            CollectedError: a collection has removed what is counted on.
        """

        def checked(root: Root) -> Root:
            self._check(root, counting)
            return change(root)

        return self._root.swap(checked)

    def publish(
        self,
        written: Written,
        change: Callable[[Root], Root] = lambda root: root,
        *,
        retire: frozenset[Digest] = frozenset(),
    ) -> Root:
        """Make written packs part of the store and change its refs, in one swap of the root.

        Args:
            written: what `ChunkWriter.finish` returned.
            change: applied to the root, once a try.
            retire: packs to drop from the index.

        Raises:
            CollectedError: a collection has removed what was written or counted on meanwhile.
        """

        before: Sequence[Digest] = ()

        def apply(root: Root) -> Root:
            nonlocal before
            before = root.indexes
            changed = change(root)
            if not written.tables and not retire:
                return changed
            indexes = self.indexes.add(
                root.indexes, written.tables, retire, root.doomed, written.superseded
            )
            return replace(changed, indexes=indexes)

        root = self.swap_root(apply, written)
        self._replaced.update(before)
        self._replaced.difference_update(root.indexes)
        self.refresh(root)
        return root

    def delete_replaced(self) -> None:
        """Delete the index objects that `publish` has replaced by others.

        Whoever was about to read one reads the root again.
        """
        for digest in self._replaced.difference(self.root().indexes):
            with suppress(DatasetError):  # Windows keeps what somebody has mapped.
                self.backend.delete(index_name(digest))
        self._replaced.clear()

    def _check(self, root: Root, written: Written) -> None:
        """Make sure that what was written, and what it counts on, is there for a root."""
        check_not_collected(self.backend, root, lambda: self._index_of(root), written)

    def _index_of(self, root: Root) -> ChunkIndex:
        return ChunkIndex([self.indexes.read(name) for name in root.indexes])
