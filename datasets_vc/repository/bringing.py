"""Bring what a verb needs and the local store lacks: nodes of versions, single files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from datasets_vc.digest import Digest
from datasets_vc.errors import (
    DatasetError,
    FormatError,
    IntegrityError,
    InvalidInputError,
    MissingDataError,
    NotFoundError,
    RemoteError,
)
from datasets_vc.format.node import Node
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.context import Context
from datasets_vc.store import Store
from datasets_vc.sync.closure import lacking_files, lacks_nodes
from datasets_vc.sync.fetch import fetch_files, fetch_nodes, fetch_parts
from datasets_vc.sync.remotes import connect

Bring = Callable[[Store, Sequence[Digest]], None]
Lacking = Callable[[Sequence[Digest]], list[Digest]]

_HINT = "Add the remote that has it: dsvc remote add NAME URL"

_LACKING = (MissingDataError, NotFoundError, RemoteError)

OF_A_REMOTE = (*_LACKING, FormatError, IntegrityError, InvalidInputError)
"""What a remote can be to blame for. All other errors have a cause on this side."""


class Trouble:
    """What went wrong with remotes that were asked one after the other.

    That a remote has nothing, or cannot be asked, is no news if another one has what is wanted. All
    else has another cause, which must not be taken for the lack of a remote.
    """

    def __init__(self) -> None:
        self._errors: list[DatasetError] = []

    def note(self, error: DatasetError) -> None:
        """Note why a remote gave nothing; raises what no other remote can help against."""
        if type(error) is DatasetError:
            raise error  # no other remote gives us room
        self._errors.append(error)

    def nobody_has(self, lack: str, has: str = "has it") -> DatasetError:
        """The error that says that no remote has something, or that it failed for another cause.

        Args:
            lack: the sentence up to "and no remote": "Dataset 12ab is not here".
            has: how it goes on.
        """
        for error in self._errors:
            if not isinstance(error, _LACKING):
                return error
        asked = " that could be asked" if self._unasked else ""
        more = "".join(f" {error.message}" for error in self._errors)
        return MissingDataError(f"{lack}, and no remote{asked} {has}.{more}", _HINT)

    @property
    def _unasked(self) -> bool:
        return any(isinstance(error, RemoteError) for error in self._errors)


def ensure_nodes(context: Context, datasets: Iterable[Digest]) -> None:
    """Make it known which entries some datasets have; their files may stay away.

    Raises:
        MissingDataError: no remote has one of them; says which could not be asked.
    """
    local = context.store

    def lacking(datasets: Sequence[Digest]) -> list[Digest]:
        return [dataset for dataset in datasets if lacks_nodes(local, dataset)]

    def bring(remote: Store, datasets: Sequence[Digest]) -> None:
        for dataset in datasets:
            if remote.find(dataset) is not None:
                fetch_nodes(local, remote, dataset)

    rest, trouble = _from_remotes(context, list(dict.fromkeys(datasets)), lacking, bring)
    if rest:
        raise trouble.nobody_has(f"The list of files of dataset {rest[0].hex()} is not here")


def ensure_parts(
    context: Context,
    nodes: Sequence[Digest],
    datasets: Sequence[Digest],
    children: Callable[[Node], Iterable[Digest]],
) -> None:
    """Make some nodes known; and along with them those of `datasets` that `children` picks.

    Raises:
        MissingDataError: no remote has one of the nodes; says which could not be asked.
    """
    local = context.store

    def lacking(nodes: Sequence[Digest]) -> list[Digest]:
        return local.index.locate(nodes).missing()

    def bring(remote: Store, nodes: Sequence[Digest]) -> None:
        for wanted, pick in ((datasets, children), (nodes, lambda _: ())):
            there = remote.index.contains(wanted).tolist()
            known = [digest for digest, found in zip(wanted, there, strict=True) if found]
            fetch_parts(local, remote, known, pick)

    rest, trouble = _from_remotes(context, list(dict.fromkeys(nodes)), lacking, bring)
    if rest:
        raise trouble.nobody_has(
            "The list of files of an earlier version is not here",
            f"has it, such as node {rest[0].hex()}",
        )


def ensure_files(
    context: Context,
    files: Iterable[Digest],
    what: str,
    progress: Progress = SILENT,
    *,
    dataset: Digest | None = None,
) -> None:
    """Make files complete in the local store.

    Args:
        what: names them in a message: "2 tables".
        dataset: which they belong to, if that is one.

    Raises:
        MissingDataError: no remote has one of them; says which could not be asked.
    """
    local = context.store

    def lacking(files: Sequence[Digest]) -> list[Digest]:
        return lacking_files(local, files)

    def bring(remote: Store, files: Sequence[Digest]) -> None:
        there = remote.index.contains(files).tolist()
        known = [file for file, found in zip(files, there, strict=True) if found]
        fetch_files(local, remote, known, progress, dataset=dataset)

    rest, trouble = _from_remotes(context, list(dict.fromkeys(files)), lacking, bring)
    if rest:
        raise trouble.nobody_has(
            f"The bytes of {what} are needed and not here", f"has them, such as {rest[0].hex()}"
        )


def _from_remotes(
    context: Context, wanted: list[Digest], lacking: Lacking, bring: Bring
) -> tuple[list[Digest], Trouble]:
    """Ask one remote after the other; returns what none had, and what went wrong on the way."""
    rest = lacking(wanted)
    if rest:
        # Another process may have brought it since the index was read.
        context.store.refresh()
        rest = lacking(rest)
    trouble = Trouble()
    for config in context.remotes.list().values() if rest else ():
        try:
            bring(connect(config, context.store).store, rest)
        except DatasetError as error:
            trouble.note(error)
        rest = lacking(rest)
        if not rest:
            break
    return rest, trouble
