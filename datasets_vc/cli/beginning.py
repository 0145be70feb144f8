"""What is said of a new workspace whose store has versions already."""

from __future__ import annotations

from collections.abc import Iterator

from datasets_vc import repository as facade
from datasets_vc.cli.render import count, shown


def version_lines(made: facade.Repository) -> Iterator[str]:
    """How to come to one of them."""
    branches = sorted(made.branches.list())
    if not branches:
        return
    default = made.store.root().default_branch
    first = shown(default if default in branches else branches[0])
    yield (
        f"Its store has versions: {count(len(branches), 'branch', 'branches')}; "
        f"'dsvc checkout {first}' brings the newest of '{first}' here."
    )
