"""Conflicts and unfinished merges, as data and as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from datasets_vc.cli.render import count, shown, size

if TYPE_CHECKING:
    from datasets_vc.format.entries import Entry
    from datasets_vc.tables.merge import FieldConflict
    from datasets_vc.workspace.mergestate import MergeState, OpenConflict

# Of conflicts, and of fields of one table; more would hide what is to be done.
_LISTED = 20
_WIDEST = 60


def conflicts_json(conflicts: Sequence[OpenConflict]) -> list[dict[str, Any]]:
    return [
        {
            "path": conflict.path,
            "reason": conflict.reason,
            "base": _entry_json(conflict.base),
            "ours": _entry_json(conflict.ours),
            "theirs": _entry_json(conflict.theirs),
            "fields": [
                {
                    "key": field.key,
                    "column": field.column,
                    "base": field.base,
                    "ours": field.ours,
                    "theirs": field.theirs,
                }
                for field in conflict.fields
            ],
        }
        for conflict in conflicts
    ]


def state_json(state: MergeState) -> dict[str, Any]:
    return {
        "kind": state.kind,
        "revision": state.revision,
        "commit": state.other.hex(),
        "conflicts": conflicts_json(state.open),
        "resolved": [conflict.path for conflict in state.conflicts if conflict.resolved],
    }


def conflict_lines(verb: str, revision: str, conflicts: Sequence[OpenConflict]) -> Iterator[str]:
    """The conflicts, each with what both sides have, and what to do about them.

    Args:
        verb: what is unfinished: merge, revert or cherry-pick.
        revision: what of.
    """
    yield f"{count(len(conflicts), 'conflict')}; all else is merged."
    for conflict in conflicts[:_LISTED]:
        yield from _one(conflict)
    if conflicts[_LISTED:]:
        yield f"  … and {len(conflicts) - _LISTED:,} more (--json lists them)"
    yield (
        f"Settle each: edit the file, or take a side with 'dsvc {verb} --ours PATH' or "
        f"'dsvc {verb} --theirs PATH'."
    )
    if verb != "revert":
        yield f"Theirs is to be seen with 'dsvc cat {shown(revision)}:PATH'."
    yield f"Then 'dsvc {verb} --continue' records it; 'dsvc {verb} --abort' puts everything back."


def state_lines(state: MergeState) -> Iterator[str]:
    """What is unfinished, and what is left to do."""
    yield f"A {state.kind} of {shown(state.revision)} is not finished."
    if state.open:
        yield from conflict_lines(state.kind, state.revision, state.open)
        return
    settled = "All conflicts are resolved; " if state.conflicts else ""
    yield (
        f"{settled}'dsvc {state.kind} --continue' records it, "
        f"'dsvc {state.kind} --abort' puts everything back."
    )


def _one(conflict: OpenConflict) -> Iterator[str]:
    if not conflict.fields:
        sides = ", ".join(
            f"{name} {_described(entry)}"
            for name, entry in (
                ("ours", conflict.ours),
                ("theirs", conflict.theirs),
                ("before", conflict.base),
            )
            if entry or name != "before"
        )
        yield f"  {shown(conflict.path)}  {conflict.reason}: {sides}"
        return
    fields = count(len(conflict.fields), "field")
    yield f"  {shown(conflict.path)}  both changed {fields}; all other rows are merged:"
    for field in conflict.fields[:_LISTED]:
        yield f"    {_field(field)}"
    if conflict.fields[_LISTED:]:
        yield f"    … and {len(conflict.fields) - _LISTED:,} more (--json lists them)"


def _field(field: FieldConflict) -> str:
    none = "nothing" if field.column else "deleted"
    where = f"{shown(field.key)}, {shown(field.column) or 'whole row'}"
    ours, theirs, base = (_value(v, none) for v in (field.ours, field.theirs, field.base))
    return f"{where}: ours {ours}, theirs {theirs}, before {base}"


def _value(value: str | None, none: str) -> str:
    if value is None:
        return none
    text = shown(value)
    return f'"{text}"' if len(text) <= _WIDEST else f'"{text[:_WIDEST]}…"'


def _described(entry: Entry | None) -> str:
    return f"{size(entry.size)} {entry.digest.hex()[:8]}" if entry else "deleted"


def _entry_json(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"kind": entry.kind, "size": entry.size, "digest": entry.digest.hex()}
