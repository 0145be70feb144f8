"""One workspace with its store and its remotes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from datasets_vc.addresses import PLAIN, Access
from datasets_vc.ownership import OURS, Trusted
from datasets_vc.permissions import Sharing
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository import families
from datasets_vc.repository.choice import CURRENT, RefChoice
from datasets_vc.repository.context import Context, Secret, nobodys, workspace_at
from datasets_vc.repository.results import (
    CheckoutResult,
    CloneResult,
    CommitResult,
    SyncResult,
)
from datasets_vc.repository.viewing import Viewing
from datasets_vc.sync.remotes import DEFAULT_REMOTE
from datasets_vc.workspace.part import Part

if TYPE_CHECKING:
    from datasets_vc.repository.maintenance import Maintenance
    from datasets_vc.repository.merging import Merging
    from datasets_vc.repository.signing import Signing
    from datasets_vc.runs.runs import Runs
    from datasets_vc.signing import Signer


class Repository(Viewing):
    """A workspace, its store, and what can be done with them."""

    @classmethod
    def init(
        cls, folder: Path, store_url: str | None = None, *, shared: Sharing | None = None
    ) -> Repository:
        """Make a workspace of a folder, whose files stay as they are.

        Args:
            store_url: a store to keep versions in; one that exists is shared. By default the
                workspace has its own.
            shared: let the group of the store's folder write to it, "all": and others read it.

        Raises:
            AlreadyExistsError: it is a workspace already.
            InvalidInputError, DatasetError: the store cannot be shared; see `open_backend`.
        """
        return cls(families.making.init(folder, store_url, shared))

    @classmethod
    def open(
        cls,
        folder: Path,
        home: Path | None = None,
        *,
        trusted: Trusted = OURS,
        secret: Secret = nobodys,
    ) -> Repository:
        """The repository that a folder lies in.

        One of somebody else can be looked at: what would write, fetch or send by its settings
        raises UnsafeFolderError.

        Args:
            home: what `~/` means in its settings; without it they must not say that.
            trusted: whose settings are followed; see `ownership`.
            secret: gives what this user alone knows. By it runs that were recorded here are told
                from those of others, which `push` takes along only where nothing comes with them.

        Raises:
            UnsafeFolderError: something in its `.dsvc` is a link, a pipe or a device.
            NotARepositoryError: neither it nor a folder above it is a workspace, or making that was
                cut short; says how to go on.
        """
        return cls(Context(workspace_at(folder), home, trusted, secret))

    @classmethod
    def clone(
        cls,
        url: str,
        folder: Path,
        *,
        revision: str | None = None,
        checkout: bool = True,
        only: Sequence[str] | None = None,
        allowed_signers: Path | None = None,
        depth: int | None = None,
        access: Access = PLAIN,
        secret: bytes | None = None,
        progress: Progress = SILENT,
    ) -> CloneResult:
        """Make a workspace of a version in a remote store, or in that of another workspace.

        If it is cut short, calling it again with the same secret goes on where it stopped:
        `.dsvc/cloning.json` says what was asked for, and proves who asked.

        Args:
            revision: if not given the default branch, or the one that the other workspace is on; on
                anything but a branch the workspace stands on no branch.
            checkout: write the files; training does not need them.
            only: get and write only the files that these patterns name; see `checkout`.
            allowed_signers: refuse a version, now and in each pull, that none of these signed.
            depth: cut history after so many commits from each branch and tag.
            access: how to get to the remote, where the URL does not say it; remembered.
            secret: what nobody but this user knows. Without one a clone that is cut short is not
                gone on with, as anybody could have put it there.

        Raises:
            AlreadyExistsError: the folder has something else in it.
            LockedError: another process is cloning into it.
            UntrustedError, IntegrityError: it is not signed so; nothing is left of the workspace.
        """
        return families.making.clone(
            url,
            folder,
            revision=revision,
            checkout=checkout,
            only=only,
            allowed_signers=allowed_signers,
            depth=depth,
            access=access,
            secret=secret,
            progress=progress,
        )

    @cached_property
    def runs(self) -> Runs:
        return families.runs.Runs(
            self.folder,
            self.store,
            resolve=self.resolve,
            ensure=partial(families.exchange.ensure, self._context),
            fetch_runs=partial(families.exchange.fetch_runs, self._context),
            check_safe=self._context.check_safe,
        )

    @cached_property
    def merging(self) -> Merging:
        """Merge, revert, cherry-pick."""
        return families.merging.Merging(self._context)

    @cached_property
    def signing(self) -> Signing:
        """Who signs here, and whose signatures count."""
        return families.signing.Signing(self._context)

    @cached_property
    def maintenance(self) -> Maintenance:
        """Collect, check, repair, free space."""
        return families.maintenance.Maintenance(self._context)

    def commit(
        self,
        message: str,
        paths: Sequence[str] = (),
        *,
        author: str,
        time: datetime | None = None,
        consume: bool = False,
        signer: Signer | None = None,
        progress: Progress = SILENT,
    ) -> CommitResult:
        """Record all changes of the workspace, or those under some paths.

        Args:
            consume: remove the files that are as committed from the workspace afterwards, each
                once its bytes have been read back from the store; they are no part of it then.
            signer: who signs the commit; see `signing.signer`.

        Raises:
            InvalidInputError: nothing changed (and nothing was consumed), or there is no message.
            UnreadableFileError: a file changed, vanished or could not be read meanwhile; nothing
                is recorded.
            ConflictError: another workspace on this store moved the branch meanwhile.
        """
        given = (self._context, message, paths, author, time, progress)
        return families.working.commit(*given, consume=consume, signer=signer)

    def checkout(
        self,
        revision: str | None,
        paths: Sequence[str] = (),
        *,
        force: bool = False,
        create: str | None = None,
        part: Part | None = None,
        progress: Progress = SILENT,
    ) -> CheckoutResult:
        """Go to a version and write its files; with `paths`, write only these and stay.

        Args:
            revision: None stays where the workspace is.
            force: overwrite changes that are not committed.
            create: make a branch of this name there first, and go to it.
            part: what of this version, and those that come after it, the workspace is to have. By
                default what it has had of the one before.

        Raises:
            UnsavedChangesError: it would overwrite changes; nothing was written.
        """
        if paths:
            source = revision or "HEAD"
            return families.working.restore(
                self._context, paths, source, force=force, progress=progress
            )
        return families.working.checkout(
            self._context, revision, force=force, create=create, part=part, progress=progress
        )

    def abort_checkout(self, *, progress: Progress = SILENT) -> CheckoutResult:
        """Put the files that a checkout, or a pull, changed before it was cut short back.

        They are as HEAD has them then. Files that were changed since stay as they are.

        Raises:
            InvalidInputError: nothing was cut short.
            UnsavedChangesError: untracked files are where files have to come back; nothing is done.
        """
        return families.working.abort_checkout(self._context, progress)

    def restore(
        self, paths: Sequence[str], *, source: str = "HEAD", progress: Progress = SILENT
    ) -> CheckoutResult:
        """Put files back as a version has them; changes under `paths` are overwritten."""
        return families.working.restore(self._context, paths, source, force=True, progress=progress)

    def fetch(
        self,
        remote: str = DEFAULT_REMOTE,
        revisions: Sequence[str] = (),
        *,
        depth: int | None = None,
        part: Part | None = None,
        progress: Progress = SILENT,
    ) -> SyncResult:
        """Bring the history of a remote, and the files of what its branch of our name holds.

        Args:
            revisions: bring the files of these versions too.
            depth: at least so many commits from each branch and tag, cutting history there if it
                is not here; `ENDLESS`: all there are. None: all but what was cut off.
            part: bring only these files, of the versions named if there are any; else of the
                branch's. What the workspace has stays.
        """
        return families.exchange.fetch(
            self._context, remote, revisions, progress, depth=depth, part=part
        )

    def pull(
        self,
        remote: str = DEFAULT_REMOTE,
        *,
        author: str | None = None,
        time: datetime | None = None,
        signer: Signer | None = None,
        verify: bool | None = None,
        part: Part | None = None,
        progress: Progress = SILENT,
    ) -> SyncResult:
        """Bring what a remote's branch has new, go there, and write the files if there are any.

        If both sides have commits that the other one lacks, they are merged; with open conflicts
        the result says which, and `merging` settles them.

        Args:
            author: who merges. Without one the branch only goes forward.
            time: of the merge; now if not given.
            signer: who signs the merge; see `signing.signer`.
            verify: refuse a branch whose tip nobody who is trusted signed; None: as configured.
            part: what the workspace is to have from now on; one without files gets only that.

        Raises:
            ConflictError: it cannot go forward, and nobody is named who merges; new commits were
                fetched, and nothing else was changed. Or another merge is unfinished.
            UntrustedError, IntegrityError: its tip is not signed so; history was fetched, no more.
            UnsavedChangesError: it would overwrite changes; they were fetched, nothing written.
            InvalidInputError: on no branch, or the histories have nothing in common.
        """
        recorder = families.unfinished.Recorder(author, time, signer) if author else None
        return families.pulling.pull(
            self._context, remote, recorder, progress, verify=verify, part=part
        )

    def push(
        self,
        remote: str = DEFAULT_REMOTE,
        branch: str | None = None,
        *,
        choice: RefChoice = CURRENT,
        new: bool = False,
        every_run: bool = False,
        progress: Progress = SILENT,
    ) -> SyncResult:
        """Bring branches, the tags on them, and finished runs to a remote.

        Args:
            branch: a single one.
            choice: or any of them; all move at once, or none.
            new: make a store there even though the remote was one before and is not there now, and
                push to another one than was there before.
            every_run: treat the runs of others as those that were recorded here.

        A run that was not recorded here by who asks goes along only if the remote has, or gets with
        these refs, all that it names: foreign records must not choose what is sent.

        Raises:
            ConflictError: a branch has commits there that ours does not build on.
            RemoteError: it cannot be reached; or it was a store before, and is none now.
            InvalidInputError: it is the store here.
        """
        choice = RefChoice([branch]) if branch else choice
        return families.exchange.push(
            self._context, remote, choice, progress, new=new, every_run=every_run
        )

    def push_until_done(
        self,
        remote: str = DEFAULT_REMOTE,
        *,
        author: str,
        choice: RefChoice = CURRENT,
        signer: Signer | None = None,
        progress: Progress = SILENT,
    ) -> SyncResult:
        """Push; as often as somebody else was first, pull, merge and push again.

        Args:
            author: who merges.
            signer: who signs the merges.

        Returns:
            What the push did; or what a pull did that met conflicts: nothing was pushed then, and
            `merging` settles them.

        Raises:
            ConflictError: others were first too many times, or pulling does not help.
            UnsavedChangesError, UntrustedError, InvalidInputError: see `pull`.
        """
        recorder = families.unfinished.Recorder(author, None, signer)
        return families.retrying.push_until_done(self._context, remote, choice, recorder, progress)
