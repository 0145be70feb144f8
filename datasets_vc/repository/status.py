"""Where the workspace stands. Apart from the other verbs, as this one is to be there at once."""

from __future__ import annotations

from collections.abc import Sequence

from datasets_vc.repository.context import Context
from datasets_vc.repository.misplaced import misplaced_places, recorded_in, stores_among
from datasets_vc.repository.results import Status


def status(context: Context, paths: Sequence[str]) -> Status:
    head = context.head
    unfinished = context.unfinished
    merging = context.looked_at(unfinished) if unfinished else None
    cut_short = context.cut_short
    if not context.has_files:
        misplaced = tuple(misplaced_places(context))
        return Status(head.branch, head.commit, files=False, merging=merging, misplaced=misplaced)
    changes = context.workspace.status(context.entries_of(head.commit), paths)
    return Status(
        branch=head.branch,
        commit=head.commit,
        added=changes.added,
        modified=changes.modified,
        deleted=changes.deleted,
        moved_on=context.tip != head.commit,
        skipped=changes.skipped,
        merging=merging,
        cut_short=cut_short,
        only=context.workspace.part.patterns,
        left_out=changes.left_out,
        bad_links=changes.bad_links,
        unread_rules=changes.unread_rules,
        misplaced=(
            *misplaced_places(context),
            *stores_among(context, changes.skipped),
            *recorded_in(changes.skipped, changes.deleted),
        ),
    )
