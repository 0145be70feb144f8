"""Stores that lie where they must not, as status and fsck tell of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from datasets_vc.cli.render import shown


def misplaced_json(misplaced: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"message": message, "hint": hint} for message, hint in misplaced]


def misplaced_lines(misplaced: Sequence[tuple[str, str]]) -> Iterator[str]:
    for message, hint in misplaced:
        yield f"warning: {shown(message)}"
        yield f"hint: {shown(hint)}"
