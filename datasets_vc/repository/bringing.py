"""Bring what a verb needs and the local store lacks: nodes of versions, single files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError, MissingDataError
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
        raise MissingDataError(
            f"The list of files of dataset {rest[0].hex()} is not here, and no remote has "
            f"it.{trouble}",
            _HINT,
        )


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
        raise MissingDataError(
            f"The list of files of an earlier version is not here, and no remote has it, such as "
            f"node {rest[0].hex()}.{trouble}",
            _HINT,
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
        raise MissingDataError(
            f"The bytes of {what} are needed and not here, and no remote has them, such as "
            f"{rest[0].hex()}.{trouble}",
            _HINT,
        )


def _from_remotes(
    context: Context, wanted: list[Digest], lacking: Lacking, bring: Bring
) -> tuple[list[Digest], str]:
    """Ask one remote after the other; returns what none had, and what went wrong on the way."""
    rest = lacking(wanted)
    if rest:
        # Another process may have brought it since the index was read.
        context.store.refresh()
        rest = lacking(rest)
    trouble = []
    for config in context.remotes.list().values() if rest else ():
        try:
            bring(connect(config, context.store).store, rest)
        except DatasetError as error:
            if type(error) is DatasetError:
                raise  # no other remote gives us room
            trouble.append(f" {error.message}")
        rest = lacking(rest)
        if not rest:
            break
    return rest, "".join(trouble)
