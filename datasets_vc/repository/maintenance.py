"""Keeping stores in order: collect what nobody needs, find and mend damage, free space."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.checking import Checked, check
from datasets_vc.repository.collecting import Collected, collect_garbage
from datasets_vc.repository.context import Context
from datasets_vc.repository.dropping import Dropped, drop


class Maintenance:
    """What can be done with the store of a workspace, and with its remotes, as a whole."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def gc(
        self,
        *,
        remote: str | None = None,
        grace: timedelta | None = None,
        dry_run: bool = False,
        explain: bool = False,
    ) -> Collected:
        """Delete what no ref, no run and no unfinished merge needs.

        Args:
            remote: collect that remote rather than the workspace's store.
            grace: keep what has been garbage for less; by default 14 days where others may read,
                and one day in a store that this workspace has for itself.
            dry_run: only say what would go.
            explain: say what each ref keeps, which takes as many bits a chunk as there are refs.

        Raises:
            MissingDataError: a commit is missing, so that it is not known what is needed.
            IntegrityError: damage is in the way; `fsck` mends it.
            ConflictError: other writers keep changing the store; nothing was deleted.
        """
        return collect_garbage(self._context, remote, grace, dry_run=dry_run, explain=explain)

    def fsck(
        self,
        *,
        remote: str | None = None,
        sample: float | None = None,
        repair: bool = False,
        progress: Progress = SILENT,
    ) -> Checked:
        """Look at every object and every reference of a store.

        Args:
            remote: look at that remote rather than at the workspace's store.
            sample: read this fraction of the bytes only; all references are looked at anyway.
            repair: mend what can be mended: the index from the packs, chunks from remotes (those of
                a remote from the store here) or from files of the workspace.

        Raises:
            IntegrityError: the root is damaged.
            ConflictError: somebody changed the store during a repair.
        """
        return check(self._context, remote, sample, repair=repair, progress=progress)

    def drop(
        self,
        revisions: Sequence[str] = (),
        *,
        everything: bool = False,
        keep_pinned: bool = False,
        dry_run: bool = False,
    ) -> Dropped:
        """Free local space: bytes of files that a remote has; all else stays, and they come back.

        A remote has a chunk if its index, read anew, lists it in a pack that it has in full length
        and that nobody has marked as damaged. What the workspace's own version needs stays, unless
        this version is named.

        Args:
            revisions: whose files to drop.
            everything: drop all files, of the workspace's version too.
            keep_pinned: leave packs that a run pinned.
            dry_run: only say what would go.

        Raises:
            RemoteError: no remote can be asked.
        """
        return drop(
            self._context,
            revisions,
            everything=everything,
            keep_pinned=keep_pinned,
            dry_run=dry_run,
        )
