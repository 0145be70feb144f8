"""A merge, revert or cherry-pick that is not recorded yet: `.dsvc/merge.json`.

The file is canonical JSON with a checksum (docs/format.md, section 3), `format` "dsvc-merge", with
the members of `MergeState`: digests in hex, entries as objects of `kind`, `size` and `digest`, null
for None. It is replaced as a whole, written before the first file of the workspace is touched, and
removed last, so that after a crash at any write it says what was being done:

1. `written` false: files are being changed from those of `ours` to those of `dataset`.
2. `written` true, `commit` null: they are; conflicts are being resolved.
3. `commit` set: that commit is being recorded, and it is as soon as the branch names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from datasets_vc.digest import Digest
from datasets_vc.durable import read_plain, replace_file
from datasets_vc.errors import IntegrityError
from datasets_vc.format.entries import Entry
from datasets_vc.format.json import decode_object, encode_checked, hex_digest, text
from datasets_vc.paths import META_DIR

if TYPE_CHECKING:
    from datasets_vc.tables.merge import FieldConflict

STATE_FILE = "merge.json"
FORM = "dsvc-merge"

Kind = Literal["merge", "revert", "cherry-pick"]
Side = Literal["ours", "theirs"]

_KINDS: Mapping[str, Kind] = {"merge": "merge", "revert": "revert", "cherry-pick": "cherry-pick"}


@dataclass(frozen=True, slots=True)
class OpenConflict:
    """One path that both sides changed differently; None where there is no file.

    Attributes:
        reason: see `history.merge.Conflict`; "same fields" for a table of which all else is merged.
        base, ours, theirs: what either side has.
        here: what it is to be until somebody says otherwise: that of ours, the merged table, or of
            the side that was picked. The workspace has it, if it has files, unless it was edited.
        fields: the fields of a table that both sides changed differently.
        resolved: whether somebody said that what is here is right.
    """

    path: str
    reason: str
    base: Entry | None
    ours: Entry | None
    theirs: Entry | None
    here: Entry | None
    fields: tuple[FieldConflict, ...] = ()
    resolved: bool = False

    def side(self, side: Side) -> Entry | None:
        return self.ours if side == "ours" else self.theirs


@dataclass(frozen=True, slots=True)
class MergeState:
    """What is being merged, and how far it is.

    Attributes:
        kind: what is being done.
        revision: what was asked for, in the words that were used.
        other: the commit that is merged, reverted or picked.
        ours: the commit that the workspace stood at.
        dataset: the merged one; where there are conflicts it has what is `here`, as at first.
        message: what the new commit says.
        author: whom it names, if not whoever records it.
        conflicts: in order of path.
        written: whether the workspace has the files of `dataset`.
        commit: the new commit, about to be recorded.
    """

    kind: Kind
    revision: str
    other: Digest
    ours: Digest
    dataset: Digest
    message: str
    author: str | None = None
    conflicts: tuple[OpenConflict, ...] = ()
    written: bool = False
    commit: Digest | None = None

    @property
    def parents(self) -> tuple[Digest, ...]:
        """Those of the new commit."""
        return (self.ours, self.other) if self.kind == "merge" else (self.ours,)

    @property
    def open(self) -> tuple[OpenConflict, ...]:
        """The conflicts that are not resolved."""
        return tuple(conflict for conflict in self.conflicts if not conflict.resolved)

    @property
    def waits(self) -> bool:
        """Whether somebody has to resolve conflicts; else it was cut short, and can go on."""
        return self.written and bool(self.conflicts) and self.commit is None

    def with_conflicts(self, changed: Sequence[OpenConflict]) -> MergeState:
        """The same with some of the conflicts replaced."""
        by_path = {conflict.path: conflict for conflict in changed}
        conflicts = tuple(by_path.get(each.path, each) for each in self.conflicts)
        return replace(self, conflicts=conflicts)


def read_state(folder: Path) -> MergeState | None:
    """What is unfinished in the workspace `folder`.

    Raises:
        IntegrityError: the file was changed by somebody else.
        FormatError: it was written by a newer version.
    """
    path = folder / META_DIR / STATE_FILE
    try:
        data = read_plain(path)
    except FileNotFoundError:
        return None
    what = f"'{path}'"
    try:
        return _decode(decode_object(data, FORM, what), what)
    except (KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{what} is malformed: {error!r}.", "Move it away.") from error


def write_state(folder: Path, state: MergeState) -> None:
    """Put down what is unfinished in the workspace `folder`, durably."""
    members = {
        "kind": state.kind,
        "revision": state.revision,
        "other": state.other.hex(),
        "ours": state.ours.hex(),
        "dataset": state.dataset.hex(),
        "message": state.message,
        "author": state.author,
        "conflicts": [_conflict_json(conflict) for conflict in state.conflicts],
        "written": state.written,
        "commit": state.commit.hex() if state.commit else None,
    }
    replace_file(folder / META_DIR / STATE_FILE, encode_checked(FORM, members))


def remove_state(folder: Path) -> None:
    """Nothing is unfinished any more."""
    with suppress(FileNotFoundError):
        (folder / META_DIR / STATE_FILE).unlink()


def _conflict_json(conflict: OpenConflict) -> dict[str, object]:
    sides = ("base", "ours", "theirs", "here")
    return {
        "path": conflict.path,
        "reason": conflict.reason,
        **{side: _entry_json(getattr(conflict, side)) for side in sides},
        "fields": [
            [field.key, field.column, field.base, field.ours, field.theirs]
            for field in conflict.fields
        ],
        "resolved": conflict.resolved,
    }


def _entry_json(entry: Entry | None) -> dict[str, object] | None:
    if entry is None:
        return None
    return {"kind": entry.kind, "size": entry.size, "digest": entry.digest.hex()}


def _decode(members: Mapping[str, Any], what: str) -> MergeState:
    commit, author = members["commit"], members["author"]
    return MergeState(
        kind=_KINDS[members["kind"]],
        revision=text(members["revision"], what),
        other=hex_digest(members["other"], what),
        ours=hex_digest(members["ours"], what),
        dataset=hex_digest(members["dataset"], what),
        message=text(members["message"], what),
        author=None if author is None else text(author, what),
        conflicts=tuple(_decode_conflict(each, what) for each in members["conflicts"]),
        written=members["written"] is True,
        commit=None if commit is None else hex_digest(commit, what),
    )


def _decode_conflict(members: Mapping[str, Any], what: str) -> OpenConflict:
    path = text(members["path"], what)
    sides = ("base", "ours", "theirs", "here")
    return OpenConflict(
        path=path,
        reason=text(members["reason"], what),
        **{side: _decode_entry(path, members[side], what) for side in sides},
        fields=_decode_fields(members["fields"]),
        resolved=members["resolved"] is True,
    )


def _decode_fields(rows: Sequence[Sequence[Any]]) -> tuple[FieldConflict, ...]:
    if not rows:
        return ()
    # A status, which looks here, has no other need of the tables' room.
    from datasets_vc.tables.merge import FieldConflict

    return tuple(FieldConflict(*row) for row in rows)


def _decode_entry(path: str, members: Mapping[str, Any] | None, what: str) -> Entry | None:
    if members is None:
        return None
    return Entry(path, members["kind"], members["size"], hex_digest(members["digest"], what))
