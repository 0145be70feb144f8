"""What syncing costs, counted at the backend: bytes and requests."""

from __future__ import annotations

import numpy as np
import pytest

from datasets_vc.digest import Digest
from datasets_vc.history.commits import walk
from datasets_vc.sync.fetch import fetch_history
from datasets_vc.sync.push import push_branch
from datasets_vc.sync.runs import receive_runs
from tests.property.trees import CountingStore
from tests.sync.stores import commit, contents, link, new_store, noise, pull

MIB = 1 << 20


def text_of(size: int) -> bytes:
    """Lines of digits: zstd more than halves them, and no two are alike."""
    lines = np.random.Generator(np.random.PCG64(7)).integers(48, 58, (size // 64, 64), np.uint8)
    lines[:, -1] = ord("\n")
    return lines.tobytes()


def test_one_percent_of_ten_thousand_files() -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    files = {f"train/{n % 10}/{n:05d}.png": noise(1000 + n % 4000, n) for n in range(10_000)}
    local, machine, server = new_store(), new_store(), new_store()
    first = commit(local, files)
    push_branch(local, link(server.backend, local).store, "main", first)
    pull(machine, link(server.backend, machine).store)

    changed = [sorted(files)[n] for n in rng.choice(10_000, 100, replace=False)]
    second_files = files | {
        path: noise(len(files[path]), 10_000 + i) for i, path in enumerate(changed)
    }
    size = sum(len(files[path]) for path in changed)
    second = commit(local, second_files, [first], step=1)
    sending = link(server.backend, local)
    push_branch(local, sending.store, "main", second)
    assert sending.backend.bytes_sent <= 1.1 * size + 2 * MIB
    assert sending.backend.requests <= 40

    receiving = link(server.backend, machine)
    moved = pull(machine, receiving.store)
    receive_runs(machine, receiving.store)
    assert contents(machine, second) == second_files
    assert moved.chunks >= 100
    assert receiving.backend.bytes_received <= 1.1 * size + 2 * MIB
    assert receiving.backend.requests <= 40

    nothing = link(server.backend, machine)
    pull(machine, nothing.store)
    receive_runs(machine, nothing.store)
    assert nothing.backend.requests <= 3


def test_many_small_pushes_are_merged_at_the_remote() -> None:
    """Whoever clones, or pulls now and then, pays for what there is, not for how it came."""
    local, machine, server = new_store(), new_store(), new_store()
    files: dict[str, bytes] = {}
    tip, pushing = None, []
    now_and_then = []
    for step in range(200):
        files |= {f"{step % 7}/{step:03d}.bin": noise(900, step)}
        tip = commit(local, files, [tip] if tip else [], step=step)
        going = link(server.backend, local)
        push_branch(local, going.store, "main", tip)
        pushing.append(going.backend.requests)
        if step % 20 == 19:
            coming = link(server.backend, machine)
            pull(machine, coming.store)
            now_and_then.append(coming.backend.requests)
    assert tip
    assert max(pushing) <= 40
    assert sum(pushing) <= 200 * 8
    assert max(now_and_then) <= 30
    new = new_store()
    cloning = link(server.backend, new)
    pull(new, cloning.store)
    assert cloning.backend.requests <= 2 * 7 * np.log(200) / np.log(8) + 10
    for store in (machine, new):
        assert contents(store, tip) == files
    # What was merged there is garbage until it is collected: a few times what is left at most.
    server.refresh()
    kept = sum(info.size for info in server.backend.list("packs/"))
    assert kept <= 4 * sum(pack.size for pack in server.index.packs)


def test_many_commits_pushed_at_once_are_cloned_in_few_requests() -> None:
    local, machine, server = new_store(), new_store(), new_store()
    tip = None
    for step in range(200):
        tip = commit(local, {"a.txt": b"%d" % step}, [tip] if tip else [], step=step)
    assert tip
    push_branch(local, link(server.backend, local).store, "main", tip)
    cloning = link(server.backend, machine)
    pull(machine, cloning.store)
    assert cloning.backend.requests <= 6
    assert contents(machine, tip) == {"a.txt": b"199"}


def test_history_comes_without_the_lists_of_files_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Large packs of metadata are not brought whole for the sake of the commits in them."""
    monkeypatch.setattr("datasets_vc.sync.plan.WHOLE_PACK_BELOW", 0)
    local, machine, server = new_store(), new_store(), new_store()
    files = {f"{n:03d}": b"x" for n in range(100)}
    tips: list[Digest] = []
    for step in range(100):
        tips.append(commit(local, files | {"a": b"%d" % step}, tips[-1:], step=step))
    push_branch(local, link(server.backend, local).store, "main", tips[-1])
    fetching = link(server.backend, machine)
    fetch_history(machine, fetching.store, tips[-1:])
    assert [digest for digest, _ in walk(machine, tips[-1:])] == tips[::-1]
    assert fetching.backend.requests <= 4
    index = sum(info.size for info in server.backend.list("index/"))
    assert fetching.backend.bytes_received < index + 100 * 500


def test_of_a_long_history_only_what_is_new_is_looked_at() -> None:
    local, machine, server = new_store(), new_store(), new_store()
    tips: list[Digest] = []
    for step in range(50):
        tips.append(commit(local, {"a": b"%d" % step}, tips[-1:], step=step))
    push_branch(local, link(server.backend, local).store, "main", tips[-1])
    pull(machine, link(server.backend, machine).store)
    new = commit(local, {"a": b"new"}, tips[-1:], step=50)
    push_branch(local, link(server.backend, local).store, "main", new)

    for wanted in ([new], [new, tips[-1]], [tips[-1]]):
        counting = CountingStore(machine.backend)
        fetch_history(counting, link(server.backend, counting).store, wanted)
        assert not set(tips[:-1]) & set(counting.read_digests)
    assert [digest for digest, _ in walk(counting, [new])] == [new, *tips[::-1]]


def test_appending_to_a_large_text() -> None:
    text = text_of(200 * MIB)
    local, machine, server = new_store(), new_store(), new_store()
    first = commit(local, {"corpus.txt": text})
    push_branch(local, link(server.backend, local).store, "main", first)
    pull(machine, link(server.backend, machine).store)
    longer = text + text_of(MIB)[::-1]
    del text
    second = commit(local, {"corpus.txt": longer}, [first], step=1)
    sending, receiving = link(server.backend, local), link(server.backend, machine)
    push_branch(local, sending.store, "main", second)
    pull(machine, receiving.store)
    assert contents(machine, second) == {"corpus.txt": longer}
    assert sending.backend.bytes_sent <= 8 * MIB
    assert receiving.backend.bytes_received <= 8 * MIB
    assert receiving.backend.requests <= 40
