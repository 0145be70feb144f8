"""What the repository's methods return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from datasets_vc.digest import Digest
from datasets_vc.workspace.consume import Consumed

if TYPE_CHECKING:
    from datasets_vc.format.tag import Tag
    from datasets_vc.history.names import CommitName
    from datasets_vc.samples import SampleSummary
    from datasets_vc.signing import Verdict
    from datasets_vc.sync.updates import RefUpdate
    from datasets_vc.workspace.mergestate import Kind, MergeState, OpenConflict
    from datasets_vc.workspace.switching import Switching


class Misplaced(NamedTuple):
    """A store that lies where it must not: what is wrong, and the way out."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Status:
    """Where the workspace stands, and what changed since; lists of paths.

    `files` is false in a workspace that was made without files and so has nothing to compare;
    `moved_on` is true if another workspace on the same store has moved the branch on. `skipped` are
    (path, reason) of what cannot be part of a dataset, such as pipes. `merging` is what is not
    finished, if anything is, and `cut_short` a move to another version that stopped in the middle
    of its files. `only` are the patterns of a partial workspace, and `left_out` is how
    many files of the version are therefore not here. `bad_links` are (path, reason) of links that
    a commit would refuse. `misplaced` are stores among the files, and remotes that are the store
    itself. `unread_rules` are places of ignore rules that hold none, being links.
    """

    branch: str | None
    commit: Digest | None
    added: Sequence[str] = ()
    modified: Sequence[str] = ()
    deleted: Sequence[str] = ()
    files: bool = True
    moved_on: bool = False
    skipped: Sequence[tuple[str, str]] = ()
    merging: MergeState | None = None
    cut_short: Switching | None = None
    only: Sequence[str] | None = None
    left_out: int = 0
    bad_links: Sequence[tuple[str, str]] = ()
    misplaced: Sequence[Misplaced] = ()
    unread_rules: Sequence[str] = ()

    @property
    def clean(self) -> bool:
        return not (self.added or self.modified or self.deleted)


@dataclass(frozen=True, slots=True)
class CommitResult:
    """A new commit: its whole size, and how many files differ from the one before.

    `bytes_written` counts what the store grew by; `skipped` is as in `Status`. `consumed` are the
    files that were removed from the workspace afterwards. `warnings` say, once in a workspace, what
    no dataset records.
    """

    commit: Digest
    dataset: Digest
    files: int
    bytes: int
    added: int
    modified: int
    deleted: int
    bytes_written: int
    skipped: Sequence[tuple[str, str]] = ()
    consumed: Consumed = field(default_factory=Consumed)
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """A commit, its digest and its size, which is unknown if the store lacks that dataset.

    `names` are the refs that name it, HEAD and its branch first. `before` are the commits that come
    before it in the log that it is part of: its parents, but in a log drawn as a graph of some
    paths the nearest commits that are in it, too. `signed` says that there is a signature, and
    nothing about its worth; see `Signing`. `cut`: not all its parents are here.
    """

    digest: Digest
    dataset: Digest
    parents: Sequence[Digest]
    author: str
    time: datetime
    message: str
    files: int | None
    bytes: int | None
    names: Sequence[CommitName] = ()
    before: Sequence[Digest] = ()
    signed: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One version: its commit, if it was named by one, its size and its samples.

    `tag` is what an annotated tag says that it was named by. `signature` and `tag_signature` are
    what came of checking those of the commit and of the tag, of what is signed.
    """

    info: CommitInfo | None
    dataset: Digest
    files: int
    bytes: int
    samples: SampleSummary
    tag: Tag | None = None
    signature: Verdict | None = None
    tag_signature: Verdict | None = None


@dataclass(frozen=True, slots=True)
class CheckoutResult:
    """Where the workspace stands now, and how many files were written and removed.

    `skipped` are (path, reason) of what was left as it is, though the version has files there.
    """

    branch: str | None
    commit: Digest | None
    written: int
    removed: int
    skipped: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge, revert or cherry-pick came to.

    Attributes:
        kind: which of them it was.
        revision: what was asked for.
        branch: the one that the workspace is on, if it is on one.
        commit: where it stands now; None while conflicts are open, and nothing is recorded.
        dataset: that of the commit.
        fast_forward: no new commit was needed.
        updated: whether anything was done.
        conflicts: the open ones.
        written: how many files of the workspace were written.
        removed: how many were removed.
    """

    kind: Kind
    revision: str
    branch: str | None
    commit: Digest | None
    dataset: Digest | None
    fast_forward: bool = False
    updated: bool = False
    conflicts: tuple[OpenConflict, ...] = ()
    written: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Transfer:
    """What went through the connection to a remote."""

    bytes: int = 0
    requests: int = 0
    packs: int = 0
    chunks: int = 0

    def __add__(self, other: Transfer) -> Transfer:
        return Transfer(
            self.bytes + other.bytes,
            self.requests + other.requests,
            self.packs + other.packs,
            self.chunks + other.chunks,
        )


@dataclass(frozen=True, slots=True)
class SyncResult:
    """A branch after it was synchronised; `updated` says if anything about it changed.

    `merge` says what came of merging, if both sides had commits: with open conflicts the branch is
    where it was. `runs` is how many came or went; `refs` are those that a push was about, and what
    came of each at the remote; of a fetch, the branches there that are not where they were,
    and tags that were left out, as they would be taken for the branch of a remote.
    `damaged` says of runs what is wrong with them; they were left where they are. Of the runs that
    a push sent, `foreign_runs` were not recorded here by who asks; `kept_runs` are others of these,
    which stay here since they name what the remote does not have. `incomplete` says of runs which
    of what they name is missing: those stay here, and of a fetch, those came all the same.
    """

    branch: str | None
    commit: Digest | None
    dataset: Digest | None
    transfer: Transfer
    updated: bool
    runs: int = 0
    merge: MergeResult | None = None
    refs: Sequence[RefUpdate] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)
    foreign_runs: int = 0
    kept_runs: Sequence[str] = ()
    incomplete: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a command would move, and where the branch would be then.

    The runs are as in `SyncResult`; of what would be received they are not told.
    """

    branch: str | None
    commit: Digest | None
    dataset: Digest | None
    transfer: Transfer
    runs: int = 0
    foreign_runs: int = 0
    kept_runs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CloneResult:
    """A new workspace; see `SyncResult`. `refs` are tags that were left out."""

    branch: str | None
    commit: Digest | None
    dataset: Digest | None
    transfer: Transfer
    runs: int = 0
    damaged: Mapping[str, str] = field(default_factory=dict)
    refs: Sequence[RefUpdate] = ()
    incomplete: Mapping[str, str] = field(default_factory=dict)
