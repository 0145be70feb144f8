"""Moving versions between stores: what arrives, what it costs, what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datasets_vc.backends import Backend, FsspecBackend, LocalBackend, open_backend
from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import ConflictError, IntegrityError, MissingDataError
from datasets_vc.format.location import RECIPE
from datasets_vc.format.pack import DATA
from datasets_vc.format.recipe import Recipe, encode_recipe
from datasets_vc.format.run import RunHead, encode_run_input
from datasets_vc.history.commits import read_commit, walk
from datasets_vc.history.holders import read_run_head, run_ids
from datasets_vc.runs.record import RunFiles
from datasets_vc.store import Store
from datasets_vc.store.compact import compact
from datasets_vc.store.names import pack_name
from datasets_vc.sync.closure import lacking
from datasets_vc.sync.fetch import fetch_dataset, fetch_files, fetch_history, update_tracking
from datasets_vc.sync.push import Extra, push_branch, push_refs
from datasets_vc.sync.runs import Received, finished_runs, outgoing, receive_runs, send_runs
from datasets_vc.sync.transfer import Moved, receive
from datasets_vc.sync.updates import PushedRefs
from tests.fault.faults import FailingBackend, FlippingBackend
from tests.store.memory import MemoryBackend
from tests.sync.stores import commit, contents, link, new_store, noise, pull, tag

MIB = 1 << 20
FIRST = {f"{n % 7}/{n:03d}.bin": noise(500 + n, n) for n in range(400)} | {
    "big.bin": noise(5 * MIB),
    "empty": b"",
}
SECOND = {**FIRST, "big.bin": FIRST["big.bin"] + b"more", "new": b"new"}
del SECOND["3/003.bin"]


@pytest.fixture(scope="module")
def pushed() -> MemoryBackend:
    """A remote with two commits and a tag."""
    local, remote = new_store(), new_store()
    first = commit(local, FIRST)
    second = commit(local, SECOND, [first], step=1)
    tag(local, "v1", first)
    push_branch(local, link(remote.backend, local).store, "main", second)
    assert isinstance(remote.backend, MemoryBackend)
    return remote.backend


@pytest.fixture
def remote(pushed: MemoryBackend) -> MemoryBackend:
    """Such a remote, for one test to change."""
    copy = MemoryBackend()
    copy.objects = dict(pushed.objects)
    return copy


@pytest.mark.parametrize("place", ["memory", "folder", "s3"])
def test_what_is_pushed_is_fetched(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if place == "memory":
        backend: Backend = FsspecBackend(f"memory://{tmp_path.name}")
    else:
        folder = str(tmp_path / "remote")
        url = folder if place == "folder" else request.getfixturevalue("s3_url")
        backend = open_backend(url, create=True)
    Store.create(backend)
    local = new_store()
    first = commit(local, FIRST)
    tag(local, "v1", first)
    moved, root = push_branch(local, link(backend, local).store, "main", first)
    assert (moved.chunks, root.branches, root.tags) == (
        len(local.index),
        {"main": first},
        {"v1": first},
    )
    other = Store.create(LocalBackend(tmp_path / "other", create=True, durable=False))
    pull(other, link(backend, other).store)
    assert contents(other, first) == FIRST
    second = commit(other, SECOND, [first], step=1)
    push_branch(other, link(backend, other).store, "main", second)
    pull(local, link(backend, local).store)
    assert contents(local, second) == SECOND
    assert [digest for digest, _ in walk(local, [second])] == [second, first]
    assert local.root().tracking == {"origin/main": second}
    assert other.root().tags == {"v1": first}
    backend.close()


def test_first_push_names_the_default_branch() -> None:
    local, remote = new_store(), new_store()
    first = commit(local, {"a": b"a"}, branch="trunk")
    push_branch(local, remote, "trunk", first)
    second = commit(local, {"a": b"b"}, [first], branch="other")
    push_branch(local, remote, "other", second)
    assert remote.root().default_branch == "trunk"
    assert remote.root().branches == {"trunk": first, "other": second}


def test_pushing_again_moves_nothing(remote: MemoryBackend) -> None:
    local = new_store()
    pull(local, link(remote, local).store)
    before = dict(remote.objects)
    other = link(remote, local)
    tip = local.root().branches["main"]
    moved, root = push_branch(local, other.store, "main", tip)
    assert (moved, root.branches["main"]) == (Moved(), tip)
    assert remote.objects == before
    assert other.backend.requests <= 3


def test_fetching_what_is_here_moves_nothing(remote: MemoryBackend) -> None:
    local = new_store()
    pull(local, link(remote, local).store)
    other = link(remote, local)
    assert pull(local, other.store) == Moved()
    assert receive_runs(local, other.store) == Received(Moved(), [], {})
    assert other.backend.requests <= 3
    assert other.backend.bytes_received < 2000


def test_fetch_brings_one_dataset_and_the_whole_history(remote: MemoryBackend) -> None:
    local, source = new_store(), link(remote, new_store()).store
    tip = source.refresh().branches["main"]
    fetch_history(local, source, [tip])
    newest, oldest = (found.dataset for _, found in walk(local, [tip]))
    assert lacking(local, newest)
    assert lacking(local, oldest)
    fetch_dataset(local, source, oldest)
    assert not lacking(local, oldest)
    fetch_dataset(local, source, newest)
    assert not lacking(local, newest)


def test_tags_that_differ_are_refused_and_older_ones_kept(remote: MemoryBackend) -> None:
    local = new_store()
    pull(local, link(remote, local).store)
    tip = local.root().branches["main"]
    (first,) = read_commit(local, tip).parents
    local.swap_root(lambda root: replace(root, tags={"v1": tip, "mine": first}))
    before = dict(remote.objects)
    with pytest.raises(ConflictError, match="Tag 'v1' is another one"):
        push_branch(local, link(remote, local).store, "main", tip)
    assert remote.objects == before
    update_tracking(local, "origin", Store(remote).root())
    assert local.root().tags == {"v1": tip, "mine": first}


def test_a_branch_that_diverged_is_refused_and_nothing_changes(remote: MemoryBackend) -> None:
    local = new_store()
    pull(local, link(remote, local).store)
    (first,) = read_commit(local, local.root().branches["main"]).parents
    ours = commit(local, {"ours": b"ours"}, [first], step=2)
    unrelated = commit(new := new_store(), {"x": b"x"})
    before = dict(remote.objects)
    for store, tip in ((local, ours), (local, first), (new, unrelated)):
        with pytest.raises(ConflictError, match=r"'main' .* does not build on"):
            push_branch(store, link(remote, store).store, "main", tip)
    assert remote.objects == before


def test_a_branch_that_moves_during_a_push_is_not_overwritten(remote: MemoryBackend) -> None:
    local, other = new_store(), new_store()
    for store in (local, other):
        pull(store, link(remote, store).store)
    tip = local.root().branches["main"]
    ours = commit(local, {"ours": b"ours"}, [tip], step=2)
    theirs = commit(other, {"theirs": b"theirs"}, [tip], step=3)

    class Late(MemoryBackend):
        def put(self, name: str, *parts: bytes) -> None:  # type: ignore[override]
            remote.put(name, *parts)
            if remote.objects["root.json"] == before:
                push_branch(other, link(remote, other).store, "main", theirs)

    late = Late()
    late.objects = remote.objects
    before = remote.objects["root.json"]
    with pytest.raises(ConflictError):
        push_branch(local, Store(late, local.backend), "main", ours)
    assert Store(remote).root().branches == {"main": theirs}
    assert contents(Store(remote), theirs) == {"theirs": b"theirs"}


@pytest.mark.parametrize("gets", range(1, 8))
def test_interrupted_fetch_goes_on_where_it_stopped(remote: MemoryBackend, gets: int) -> None:
    local = new_store()
    fetched: list[str] = []

    class Stumbling(MemoryBackend):
        left = gets

        def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            fetched.append(f"{name}[{start}:{end}]")
            return super().get(name, start, end)

    stumbling = Stumbling(mappable=False)
    stumbling.objects = remote.objects
    try:
        pull(local, Store(stumbling, local.backend))
    except KeyboardInterrupt:
        assert "main" not in local.root().branches
        stumbling.left = -1
        pull(local, Store(stumbling, local.backend))
    tip = Store(remote).root().branches["main"]
    assert contents(local, tip) == SECOND
    # Recipes are read again: they are listed once they are proved.
    whole = [name for name in fetched if name.startswith("packs/") and name.endswith(":None]")]
    assert len(set(whole)) == len(whole)


def test_a_damaged_pack_at_the_remote_is_named_and_nothing_of_it_kept(
    remote: MemoryBackend,
) -> None:
    packs = [name for name in remote.objects if name.startswith("packs/")]
    assert len(packs) >= 2
    for name in packs:
        for byte in (3, 20, len(remote.objects[name]) - 10):
            local = new_store()
            flipping = FlippingBackend(link(remote, local).backend, name, 8 * byte)
            with pytest.raises(IntegrityError, match=name.removeprefix("packs/")):
                pull(local, Store(flipping, local.backend))
            assert isinstance(local.backend, MemoryBackend)
            assert name not in local.backend.objects
            assert "main" not in local.root().branches
            pull(local, link(remote, local).store)
            assert contents(local, local.root().branches["main"]) == SECOND
            if byte == 3:
                with pytest.raises(IntegrityError):
                    pull(new_store(), Store(FlippingBackend(remote, name, 8 * byte)))


def test_a_pack_that_the_remote_lost_is_named(remote: MemoryBackend) -> None:
    for name in [name for name in remote.objects if name.startswith("packs/")]:
        data = remote.objects.pop(name)
        local = new_store()
        with pytest.raises(IntegrityError, match=f"{name.removeprefix('packs/')}.* missing"):
            pull(local, link(remote, local).store)
        remote.objects[name] = data


def test_a_remote_that_lacks_a_chunk_is_told(remote: MemoryBackend) -> None:
    source = link(remote, new_store()).store
    source.refresh()
    with pytest.raises(MissingDataError, match=digest_of(b"absent").hex()):
        fetch_history(new_store(), source, [digest_of(b"absent")])
    local = new_store()
    with pytest.raises(MissingDataError):
        push_branch(local, new_store(), "main", digest_of(b"absent"))


class _MergedWhileRead(MemoryBackend):
    """Somebody merges its small packs when the first one is about to be read."""

    def __init__(self, other: MemoryBackend, mappable: bool) -> None:
        super().__init__(mappable)
        self.objects, self.url = other.objects, other.url
        self.merged = 0

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        self._meddle(name)
        return super().get(name, start, end)

    def map(self, name: str) -> memoryview | None:
        self._meddle(name)
        return super().map(name)

    def _meddle(self, name: str) -> None:
        if name.startswith("packs/") and not self.merged:
            self.merged = 1
            other = MemoryBackend()
            other.objects = self.objects
            self.merged = len(compact(Store.open(other), delete=True).packs)


def many_commits(store: Store, first: int, count: int, tips: list[Digest]) -> dict[str, bytes]:
    """Commits of one file more each, numbered from `first`; `tips` gets them."""
    files = {f"{step:02d}.bin": noise(3000, step) for step in range(first + count)}
    for step in range(first, first + count):
        some = dict(list(files.items())[: step + 1])
        tips.append(commit(store, some, tips[-1:], step=step))
    return files


@pytest.mark.parametrize("whole_from", [0, 1 << 30])
def test_packs_that_are_merged_during_a_push_are_sent_from_where_they_are(
    whole_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets_vc.sync.plan.SEND_WHOLE_FROM", whole_from)
    local, remote = new_store(), new_store()
    tips: list[Digest] = []
    files = many_commits(local, 0, 20, tips)
    assert isinstance(local.backend, MemoryBackend)
    meddled = _MergedWhileRead(local.backend, mappable=True)
    pushing = Store.open(meddled)
    assert pushing.index.packs
    push_branch(pushing, remote, "main", tips[-1])
    assert meddled.merged == 2
    assert contents(remote, tips[-1]) == files


def test_packs_that_are_merged_during_a_fetch_are_found_again() -> None:
    source, local = new_store(), new_store()
    tips: list[Digest] = []
    files = many_commits(source, 0, 20, tips)
    assert isinstance(source.backend, MemoryBackend)
    meddled = _MergedWhileRead(source.backend, mappable=False)
    pull(local, Store.open(meddled))
    assert meddled.merged == 2
    assert contents(local, tips[-1]) == files


def test_of_a_merged_pack_only_what_is_not_here_is_kept() -> None:
    source, local = new_store(), new_store()
    tips: list[Digest] = []
    many_commits(source, 0, 7, tips)
    pull(local, link(source.backend, local).store)
    files = many_commits(source, 7, 2, tips)
    assert {pack.category for pack in compact(source).packs} == {DATA}
    pull(local, link(source.backend, local).store)
    assert contents(local, tips[-1]) == files
    kept, there = (
        sum(pack.size for pack in store.index.packs if pack.category == DATA)
        for store in (local, source)
    )
    assert there < kept < 1.1 * there


def test_a_damaged_pack_here_is_not_pushed() -> None:
    local, remote = new_store(), new_store()
    tip = commit(local, FIRST)
    place = local.find(digest_of(FIRST["0/000.bin"]))
    assert place
    name = pack_name(place.pack.digest)
    flipping = FlippingBackend(local.backend, name, 8 * place.offset)
    with pytest.raises(IntegrityError, match=place.pack.digest.hex()):
        push_branch(Store(flipping), remote, "main", tip)
    assert remote.root().branches == {}


def test_a_remote_that_stumbles_on_the_swap_is_not_pushed_to_twice(remote: MemoryBackend) -> None:
    local = new_store()
    pull(local, link(remote, local).store)
    tip = local.root().branches["main"]
    ours = commit(local, {"ours": b"ours"}, [tip], step=2)
    failing = FailingBackend(remote, "swap", 2)
    push_branch(local, Store(failing, local.backend), "main", ours)
    assert failing.calls == 3
    assert Store(remote).root().branches == {"main": ours}


def test_metadata_is_pushed_without_what_else_its_pack_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a remote would seem to have a version of which it has but the nodes."""
    monkeypatch.setattr("datasets_vc.sync.plan.SEND_WHOLE_FROM", 0)
    local, remote = new_store(), new_store()
    writer = local.writer()
    stray = writer.add_meta(b"a commit of another branch")
    wanted = [writer.add_meta(noise(300, number)) for number in range(20)]
    local.publish(writer.finish())
    tip = commit(local, {"a": b"a"})
    push_branch(local, remote, "main", tip, extra=Extra(chunks=wanted))
    assert remote.index.contains(wanted).all()
    assert remote.find(stray) is None


def run_in(store: Store, members: dict[str, object], checkpoint: bytes | None = None) -> str:
    writer = store.writer()
    name = writer.add_file(checkpoint) if checkpoint else Digest(b"")
    head = RunHead(
        writer.add_meta(encode_run_input(members)), datetime(2026, 1, 1, tzinfo=UTC), "0" * 16
    )
    store.publish(writer.finish())
    files = RunFiles(store)
    run = files.begin(head)
    size = len(checkpoint or b"")
    kept = {"event": "checkpoint", "digest": name.hex(), "size": size}
    files.finish(run, [kept] if checkpoint else [])
    return run


def with_run(checkpoint: bytes) -> tuple[Store, Digest, str]:
    local = new_store()
    tip = commit(local, {"a": b"a"})
    dataset = read_commit(local, tip).dataset
    code = read_commit(local, commit(local, {"code.py": b"pass"}, branch="code")).dataset
    members: dict[str, object] = {"command": ["cnn"], "dataset": dataset.hex(), "code": code.hex()}
    return local, tip, run_in(local, members, checkpoint)


def test_runs_travel_with_what_they_need() -> None:
    checkpoint = noise(3 * MIB)
    local, tip, run = with_run(checkpoint)
    remote = new_store()
    going = outgoing(local, remote, PushedRefs({"main": tip}), run_ids(local))
    push_branch(local, remote, "main", tip, extra=going.extra)
    send_runs(local, remote, going.ids)
    assert finished_runs(remote) == {run}
    assert outgoing(local, remote, PushedRefs({"main": tip}), run_ids(local)).ids == []
    third = new_store()
    received = receive_runs(third, link(remote.backend, third).store)
    assert received.runs == [run]
    assert received.moved.chunks == 1
    record = RunFiles(third).read(run)
    assert record.input == RunFiles(local).read(run).input
    fetch_dataset(third, remote, Digest(bytes.fromhex(str(record.input["code"]))))
    assert bytes(third.read(digest_of(b"pass"))) == b"pass"
    assert bytes(remote.read_file(digest_of(checkpoint))) == checkpoint
    with pytest.raises(MissingDataError):
        third.read_file(digest_of(checkpoint))


def test_a_run_that_only_its_record_is_here_of_does_not_stop_a_push() -> None:
    local, tip, run = with_run(b"checkpoint")
    remote, another, third = new_store(), new_store(), new_store()
    going = outgoing(local, remote, PushedRefs({"main": tip}), run_ids(local))
    push_branch(local, remote, "main", tip, extra=going.extra)
    send_runs(local, remote, going.ids)
    receive_runs(third, remote)
    mine = commit(third, {"b": b"b"})
    going = outgoing(third, another, PushedRefs({"main": mine}), [run])
    assert going.ids == []
    names = RunFiles(local).read(run).input
    dataset, code = str(names["dataset"])[:12], str(names["code"])[:12]
    assert going.damaged == {}
    assert going.incomplete == {
        run: f"Run {run} is not sent: its dataset ({dataset}), its code ({code}) and a "
        "checkpoint are not whole here."
    }
    push_branch(third, another, "main", mine, extra=going.extra)
    assert receive_runs(new_store(), remote).incomplete == {}
    assert outgoing(local, another, PushedRefs({"main": tip}), [run]).ids == [run]


def test_a_run_that_comes_from_where_its_data_are_not_is_told() -> None:
    local, tip, run = with_run(b"checkpoint")
    named = RunFiles(local).read(run).input
    dataset, code = str(named["dataset"]), str(named["code"])
    bare = new_store()
    there = run_in(bare, {"command": ["cnn"], "dataset": dataset, "code": code})
    received = receive_runs(new_store(), bare)
    assert received.runs == [there]
    assert received.incomplete == {
        there: f"Run {there} has come, but its dataset ({dataset[:12]}) and its code "
        f"({code[:12]}) are not at the remote, nor here."
    }
    half = new_store()
    push_branch(local, half, "main", tip)
    receive_runs(half, bare)
    assert "but its code" in receive_runs(new_store(), half).incomplete[there]
    assert receive_runs(local, bare).incomplete == {}


def test_a_run_of_others_names_nothing_that_is_sent() -> None:
    """Who writes to a remote must not get what is here by naming its digest in a record."""
    local, tip, run = with_run(b"checkpoint")
    private = read_commit(local, commit(local, {"s": b"secret"}, branch="private")).dataset
    code = read_commit(local, local.root().branches["code"]).dataset
    public = read_commit(local, tip).dataset
    named: dict[str, dict[str, object]] = {
        "dataset": {"command": ["cnn"], "dataset": private.hex(), "code": code.hex()},
        "code": {"command": ["cnn"], "dataset": public.hex(), "code": private.hex()},
        "part": {"command": ["rnn"], "dataset": code.hex(), "code": code.hex()},
    }
    foreign = {name: run_in(local, members) for name, members in named.items()}
    checkpoints = [run_in(local, named["part"] | {"seed": "1"}, b"private, too")]
    refs = PushedRefs({"main": tip, "code": local.root().branches["code"]})
    remote = new_store()
    going = outgoing(local, remote, refs)
    assert going.ids == going.foreign == [foreign["part"]]
    assert sorted(going.kept) == sorted([run, *checkpoints, foreign["dataset"], foreign["code"]])
    pushed = push_refs(local, remote, refs, extra=going.extra)
    send_runs(local, remote, going.ids)
    assert pushed.moved.chunks
    for digest in (private, digest_of(b"secret"), digest_of(b"private, too")):
        assert remote.find(digest) is None
    # What lies there by now hides nothing any more.
    assert outgoing(local, remote, refs).kept == going.kept
    everything = outgoing(local, remote, refs, [run], every=True)
    assert sorted(everything.ids) == sorted(going.kept)
    assert run not in everything.foreign


def test_the_record_of_a_run_of_our_own_goes_with_none_of_others() -> None:
    local, tip, run = with_run(b"checkpoint")
    head = read_run_head(local, run)
    other = RunFiles(local).begin(replace(head, nonce="1" * 16))
    RunFiles(local).finish(other, [])
    code = local.root().branches["code"]
    refs = PushedRefs({"main": tip, "code": code})
    going = outgoing(local, new_store(), refs, [run])
    assert (going.ids, going.kept) == ([run], [other])


def send_all(local: Store, remote: Store, tip: Digest) -> None:
    going = outgoing(local, remote, PushedRefs({"main": tip}), run_ids(local))
    push_branch(local, remote, "main", tip, extra=going.extra)
    send_runs(local, remote, going.ids)


@pytest.mark.parametrize("what", ["head", "no head", "log", "input"])
def test_a_damaged_run_is_left_out_and_told(what: str) -> None:
    local, tip, run = with_run(b"checkpoint")
    remote, third = new_store(), new_store()
    send_all(local, remote, tip)
    other = run_in(local, dict(RunFiles(local).read(run).input, seed=1), b"checkpoint")
    send_all(local, remote, tip)
    backend, named = remote.backend, run
    assert isinstance(backend, MemoryBackend)
    if what == "log":
        name = f"runs/{run}/log.jsonl"
        assert b'"size":10' in backend.objects[name]
        backend.objects[name] = backend.objects[name].replace(b'"size":10', b'"size":11')
    elif what == "head":
        name = f"runs/{run}/head.json"
        backend.objects[name] = backend.objects[name].replace(b'"nonce":"0', b'"nonce":"1')
    elif what == "no head":
        backend.delete(f"runs/{run}/head.json")
    else:
        place = remote.find(read_run_head(local, run).input)
        assert place
        named = place.pack.digest.hex()
        backend.delete(pack_name(place.pack.digest))

    received = receive_runs(third, link(backend, third).store)

    assert received.runs == [other]
    assert received.damaged.keys() == {run}
    assert named in received.damaged[run]
    assert RunFiles(third).ids() == [other]
    assert RunFiles(third).read(other).input["seed"] == 1


def test_strange_names_among_the_runs_are_ignored(remote: MemoryBackend) -> None:
    for name in ("runs/readme/log.jsonl", "runs/log.jsonl", f"runs/{'ab' * 32}/x/log.jsonl"):
        remote.objects[name] = b"?"
    local = new_store()
    assert receive_runs(local, link(remote, local).store) == Received(Moved(), [], {})
    assert RunFiles(Store(remote)).ids() == []


def test_a_run_whose_head_is_not_what_its_name_says_is_refused() -> None:
    local, _, run = with_run(b"checkpoint")
    backend = local.backend
    assert isinstance(backend, MemoryBackend)
    name = f"runs/{run}/head.json"
    backend.objects[name] = backend.objects[name].replace(b'"nonce":"0', b'"nonce":"1')
    with pytest.raises(IntegrityError, match=run):
        RunFiles(local).read(run)
    third = new_store()
    assert receive_runs(third, local).damaged.keys() == {run}
    assert RunFiles(third).ids() == []


def test_a_recipe_that_lies_is_found_when_the_file_is_read() -> None:
    remote = new_store()
    writer = remote.writer()
    pieces = (writer.add_file(b"good"), writer.add_file(b"evil"))
    payload = encode_recipe(Recipe(pieces, (4, 4)))
    name = digest_of(b"goodgood")
    writer.add_encoded(name, RECIPE, payload, len(payload), 1)
    remote.publish(writer.finish())
    with pytest.raises(IntegrityError, match=name.hex()):
        remote.read_file(name)
    local = new_store()
    with pytest.raises(IntegrityError, match=name.hex()):
        receive(local, remote, [name, *pieces])
    with pytest.raises(IntegrityError, match=name.hex()):
        fetch_files(local, remote, [name])
    assert local.find(name) is None
