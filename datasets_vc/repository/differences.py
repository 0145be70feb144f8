"""How two versions differ: their files and, on demand, what differs inside of these."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from datasets_vc.deferred import Deferred
from datasets_vc.digest import Buffer, Digest, digest_of
from datasets_vc.errors import InvalidInputError, MissingDataError, UnreadableFileError
from datasets_vc.format.entries import FILE, SYMLINK, Entry, rows_of
from datasets_vc.history.diff import Diff, compare, diff
from datasets_vc.history.manifest import Manifest
from datasets_vc.history.moves import files_below
from datasets_vc.repository.context import Context
from datasets_vc.repository.patches import NOT_HERE, Patch, patch_of
from datasets_vc.store import Store
from datasets_vc.tables import KEYS_FILE, RowDiff, compare_tables, is_table, key_of
from datasets_vc.tables.keyed import MAX_KEYS, check_keys_size

if TYPE_CHECKING:
    from datasets_vc.repository import bringing
    from datasets_vc.samples import changes
    from datasets_vc.samples.changes import Tally
else:
    bringing = Deferred("datasets_vc.repository.bringing")
    changes = Deferred("datasets_vc.samples.changes")

Read = Callable[[Entry], Buffer]
Result = TypeVar("Result")

LARGEST_TABLE = 512 << 20
"""Bytes of a table above which its rows are not compared for being looked at."""


@dataclass(frozen=True, slots=True)
class TableDiff:
    """What differs in a table with a key; without `rows`, `problem` says why they are not known."""

    path: str
    key: str
    rows: RowDiff | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Sides:
    """Where the bytes of the two versions are, and what is known of them as a whole."""

    read_old: Read
    read_new: Read
    entries: Callable[[], pa.Table]
    """The entries of the old version."""
    keys_file: Callable[[], Buffer | None]
    """The new version's `dsvc.toml`."""


class Difference:
    """How a new version differs from an old one.

    Attributes:
        files: added, deleted, modified and renamed ones.
    """

    def __init__(self, context: Context, files: Diff, sides: Sides) -> None:
        self.files = files
        self._context = context
        self._sides = sides

    @cached_property
    def tables(self) -> Sequence[TableDiff]:
        """What differs in those tables with a key that are added, modified or deleted, by path."""
        found = [
            (_path(*pair), pair)
            for pair in self._pairs()
            if is_table(_path(*pair)) and all(entry is None or _is_file(entry) for entry in pair)
        ]
        keyed = [(path, key_of(path, self._declared[0]), pair) for path, pair in found]
        tables = [self._table(path, key, *pair) for path, key, pair in keyed if key is not None]
        return sorted(tables, key=lambda table: table.path)

    @property
    def problem(self) -> str:
        """Why it is not known which tables have a key, if that is so and it matters."""
        return self._declared[1] if any(is_table(_path(*pair)) for pair in self._pairs()) else ""

    @cached_property
    def tally(self) -> Tally:
        """The samples that came, went and changed: by tables with a key, and by folders."""
        tally = changes.Tally()
        for table in self.tables:
            if table.rows:
                _count_rows(table.rows, tally)
        self._count_files(tally)
        return tally

    def patches(self) -> Iterator[Patch]:
        """Every file that is added, modified or deleted, as a change of lines, by path."""
        for old, new in sorted(self._pairs(), key=lambda pair: _path(*pair)):
            yield patch_of(old, new, self._sides.read_old, self._sides.read_new)

    def _pairs(self) -> Iterator[tuple[Entry | None, Entry | None]]:
        yield from self.files.modified
        yield from ((None, entry) for entry in self.files.added)
        yield from ((entry, None) for entry in self.files.deleted)

    @cached_property
    def _declared(self) -> tuple[dict[str, str], str]:
        try:
            return dict(self._context.table_keys(self._sides.keys_file())), ""
        except (InvalidInputError, MissingDataError) as error:
            # A version cannot be mended: that must not keep anybody from looking at it.
            return {}, error.message

    def _table(self, path: str, key: str, old: Entry | None, new: Entry | None) -> TableDiff:
        largest = max(entry.size for entry in (old, new) if entry is not None)
        if largest > LARGEST_TABLE:
            return TableDiff(path, key, None, f"it is larger than {LARGEST_TABLE >> 20} MiB")
        try:
            before = None if old is None else bytes(self._sides.read_old(old))
            after = None if new is None else bytes(self._sides.read_new(new))
            return TableDiff(path, key, compare_tables(path, key, before, after))
        except MissingDataError:
            return TableDiff(path, key, None, NOT_HERE)
        except InvalidInputError as error:
            return TableDiff(path, key, None, error.message.rstrip("."))

    def _count_files(self, tally: Tally) -> None:
        files = self.files
        changed = [*files.modified, *files.renamed]
        paths = [entry.path for entry in (*files.added, *files.deleted)]
        paths += [entry.path for pair in changed for entry in pair]
        if not paths:
            return
        come = [*files.added, *(new for _, new in files.renamed)]
        places = changes.places_by_folder(lambda: _with(self._sides.entries(), come), set(paths))
        for entry in files.added:
            if entry.path in places:
                tally.add(places[entry.path])
        for entry in files.deleted:
            if entry.path in places:
                tally.remove(places[entry.path])
        for old, new in changed:
            before, after = places.get(old.path), places.get(new.path)
            if before and after and (before != after or old.digest != new.digest):
                tally.change(before, after)
            elif after and not before:
                tally.add(after)
            elif before and not after:
                tally.remove(before)


def diff_versions(context: Context, old: Digest, new: Digest) -> Difference:
    """From one dataset to another."""
    store = context.store

    def read(entry: Entry) -> Buffer:
        return store.read_file(entry.digest)

    files = _with_nodes(context, (old, new), lambda: diff(store, old, new))
    sides = Sides(
        read, read, lambda: Manifest(store, old).entries(), lambda: _keys_file(store, new)
    )
    return Difference(context, files, sides)


def diff_workspace(context: Context, revision: str | None) -> Difference:
    """From a version, or from HEAD, to the files of the workspace."""
    context.need_files()
    old = head = context.entries_of(context.head.commit)
    if revision is not None:
        dataset = context.resolve(revision).dataset
        old = _with_nodes(context, [dataset], lambda: Manifest(context.store, dataset).entries())
    before, after = map(rows_of, context.workspace.differing(old, head))
    files = compare(before, after, below=files_below(old))
    sides = Sides(
        read_old=lambda entry: context.store.read_file(entry.digest),
        read_new=lambda entry: _read_here(context, entry),
        entries=lambda: old,
        keys_file=lambda: _keys_file_here(context),
    )
    return Difference(context, files, sides)


def _with_nodes(context: Context, datasets: Sequence[Digest], read: Callable[[], Result]) -> Result:
    """Read lists of files; those of versions that nobody asked for yet are brought from remotes."""
    try:
        return read()
    except MissingDataError:
        bringing.ensure_nodes(context, datasets)
        return read()


def _read_here(context: Context, entry: Entry) -> Buffer:
    """A file of the workspace as it was listed, or where a link leads."""
    if context.workspace.left_out([entry.path]):
        return context.store.read_file(entry.digest)
    path = context.folder / entry.path
    try:
        data = os.fsencode(path.readlink()) if entry.kind == SYMLINK else path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(f"'{entry.path}' cannot be read: {error.strerror}.") from error
    if digest_of(data) != entry.digest:
        raise UnreadableFileError(
            f"'{entry.path}' was changed while dsvc was at work on it.",
            "Wait until nothing writes to it, then try again.",
        )
    return data


def _keys_file_here(context: Context) -> Buffer | None:
    dataset = context.dataset_of(context.head.commit)
    if dataset is not None and context.workspace.left_out([KEYS_FILE]):
        return _keys_file(context.store, dataset)
    try:
        with (context.folder / KEYS_FILE).open("rb") as file:
            return file.read(MAX_KEYS + 1)
    except OSError:
        return None


def _keys_file(store: Store, dataset: Digest) -> Buffer | None:
    entry = Manifest(store, dataset).get(KEYS_FILE)
    if entry is None or not _is_file(entry):
        return None
    check_keys_size(entry.size)
    return store.read_files([entry.digest], [entry.size])[0]


def _count_rows(rows: RowDiff, tally: Tally) -> None:
    for row in rows.added:
        tally.add(changes.place_of(row.fields.get("split"), row.fields.get("label")))
    for row in rows.removed:
        tally.remove(changes.place_of(row.fields.get("split"), row.fields.get("label")))
    for change in rows.changed:
        was = {"split": change.split, "label": change.label}
        was |= {field.column: field.old for field in change.fields if field.column in was}
        tally.change(changes.place_of(**was), changes.place_of(change.split, change.label))


def _with(entries: pa.Table, come: Sequence[Entry]) -> pa.Table:
    """Paths and kinds of entries and of some more, in order."""
    table = entries.select(["path", "kind"])
    if not come:
        return table
    more = [[entry.path for entry in come], [entry.kind for entry in come]]
    table = pa.concat_tables([table, pa.table(more, schema=table.schema)])
    return table.sort_by("path")


def _is_file(entry: Entry) -> bool:
    return entry.kind == FILE


def _path(old: Entry | None, new: Entry | None) -> str:
    entry = new or old
    assert entry is not None
    return entry.path
