"""What --plan prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.render import count, short, size
from datasets_vc.cli.session import Session
from datasets_vc.cli.synced import runs_json

if TYPE_CHECKING:
    from datasets_vc.repository import SyncPlan

Plan = Annotated[bool, typer.Option("--plan", help="Only say what would be moved; move nothing.")]


def answer_plan(
    session: Session,
    plan: SyncPlan,
    way: str,
    runs: Callable[[SyncPlan], Iterable[str]] = lambda _: (),
) -> None:
    """Print a plan.

    Args:
        way: "sent" or "received".
        runs: what there is to say of runs that go along.
    """
    session.answer(
        plan, lambda made: _json(made, way), lambda made: [*_lines(made, way), *runs(made)]
    )


def _json(plan: SyncPlan, way: str) -> dict[str, Any]:
    return {
        "plan": True,
        "branch": plan.branch,
        "commit": plan.commit.hex() if plan.commit else None,
        "dataset": plan.dataset.hex() if plan.dataset else None,
        f"bytes_{way}": plan.transfer.bytes,
        "requests": plan.transfer.requests,
        "packs": plan.transfer.packs,
        "chunks": plan.transfer.chunks,
        **(runs_json(plan) if way == "sent" else {}),
    }


def _lines(plan: SyncPlan, way: str) -> Iterator[str]:
    moved = plan.transfer
    if plan.commit:
        place = f"{plan.branch} would be at" if plan.branch else "It would be at"
        yield f"{place} {short(plan.commit)}, dataset {short(plan.dataset or b'')}."
    if not moved.chunks:
        yield "Nothing new."
        return
    yield (
        f"{size(moved.bytes)} would be {way}: {count(moved.chunks, 'chunk')}, "
        f"{count(moved.packs, 'pack')}, about {count(moved.requests, 'request')}."
    )
