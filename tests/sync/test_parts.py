"""The lists of files of many versions, as far as some paths go, in a few requests."""

from __future__ import annotations

import pytest

from datasets_vc.digest import Digest
from datasets_vc.errors import MissingDataError
from datasets_vc.format import node
from datasets_vc.history.below import Below
from datasets_vc.history.commits import walk
from datasets_vc.history.log import log
from datasets_vc.sync.fetch import fetch_history, fetch_parts
from datasets_vc.sync.push import push_branch
from tests.sync.stores import commit, link, new_store


def test_what_a_log_of_a_path_needs_comes_in_a_request_or_so_a_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node, "BOUNDARY_MODULUS", 8)
    monkeypatch.setattr("datasets_vc.sync.fetch.HISTORY_BELOW", 0, raising=False)
    monkeypatch.setattr("datasets_vc.sync.plan.WHOLE_PACK_BELOW", 0)
    monkeypatch.setattr("datasets_vc.sync.fetch.HISTORY_BELOW", 0)
    monkeypatch.setattr("datasets_vc.sync.plan._mostly", lambda asked, _: asked < 0)
    local, machine, server = new_store(), new_store(), new_store()
    files = {f"{folder}/{n:03d}": b"x" for folder in ("a", "b") for n in range(100)}
    commits: list[Digest] = []
    for step in range(30):
        files[f"b/{3 * step:03d}"] = b"%d" % step
        commits.append(commit(local, files, commits[-1:], step=step))
    push_branch(local, link(server.backend, local).store, "main", commits[-1])
    source = link(server.backend, machine)
    fetch_history(machine, source.store, commits[-1:])
    versions = [found.dataset for _, found in walk(machine, commits[-1:])]
    with pytest.raises(MissingDataError):
        list(log(machine, commits[-1:], ["b/042"]))

    before = source.backend.requests
    below = Below(machine, ["b/042"])
    moved = fetch_parts(machine, source.store, versions, below.children)
    assert source.backend.requests - before <= 12
    told = [logged.digest for logged in log(machine, commits[-1:], ["b/042"])]
    assert told == [commits[14], commits[0]]
    # A way down for each version, and neither the rest of the lists nor a file.
    assert moved.chunks < 30 * 4
    with pytest.raises(MissingDataError):
        list(log(machine, commits[-1:], ["a/001"]))
