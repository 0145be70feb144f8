"""A change of few files is on the disk before anything says that it was made.

So a power loss after a merge or a pull does not leave old files under a new HEAD, where the next
commit would take the changes back, nor half of a file in the place of a whole one. Waiting for many
files would take as long again as writing them: they are left to the system, as `git` and `cp` do.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from datasets_vc.durable import sync_folder
from datasets_vc.paths import parents_of
from datasets_vc.workspace.columns import paths_at
from datasets_vc.workspace.plan import Plan
from datasets_vc.workspace.removing import cannot

FEW = 256
"""Files that are waited for, at most."""

LITTLE = 64 << 20
"""Bytes that are waited for, at most."""


def can_wait(plan: Plan) -> bool:
    """Whether what a plan changes is little enough to wait for the disk."""
    files = len(plan.write) + len(plan.remove) + len(plan.clear)
    return files <= FEW and int(plan.target.size[plan.write].sum()) <= LITTLE


def make_names_last(folder: Path, plan: Plan) -> None:
    """Wait until the names that a plan has changed are on the disk."""
    written = paths_at(plan.target.path, plan.write)
    paths = [*written, *paths_at(plan.listing.path, plan.remove), *plan.clear]
    for name in sorted(_folders(paths, set(written))):
        try:
            sync_folder(folder / name)
        except (FileNotFoundError, NotADirectoryError):
            continue  # it was emptied and is gone, which the folder above it says
        except OSError as error:
            raise cannot(str(folder / name), "made to last", error) from error


def _folders(paths: Iterable[str], written: set[str]) -> set[str]:
    """The folders that paths lie in, but those whose place a file or a link has taken."""
    found = {""}
    for path in paths:
        for above in parents_of(path):
            if above in written:
                break
            found.add(above)
    return found
