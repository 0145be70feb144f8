"""Collections: what goes, when it goes, and what never does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import ConflictError, MissingDataError
from datasets_vc.format.entries import FILE, Entry, entry_table
from datasets_vc.format.index import PackInfo
from datasets_vc.format.pack import DATA
from datasets_vc.format.run import encode_run_packs
from datasets_vc.history.commits import read_commit
from datasets_vc.history.manifest import write_manifest
from datasets_vc.history.reachable import Holder, mark_held
from datasets_vc.store import Store
from datasets_vc.store.collect import Age, plan, sparse_packs
from datasets_vc.store.compact import pinned_packs, rewrite
from datasets_vc.store.counted import CollectedError
from datasets_vc.store.leftovers import delete_leftovers
from datasets_vc.store.names import damaged_name, index_name, pack_name
from tests.fault.faults import Crash, FailingBackend
from tests.history.collecting import GRACE, collect_at, errors_of, has, marking_of
from tests.property.trees import CountingStore
from tests.store.memory import MemoryBackend
from tests.sync.stores import commit, contents, new_store, noise, tag

RUN = "ab" * 32
SMALL = {"a": b"one", "b": b"two"}
LARGE = {"video": noise(3 << 20, 1), "z": noise(2000, 2)}


def forget(store: Store, branch: str) -> None:
    store.swap_root(
        lambda root: replace(
            root, branches={n: tip for n, tip in root.branches.items() if n != branch}
        )
    )


def packs_of(store: Store) -> set[str]:
    return {info.name for info in store.backend.list("packs/")}


@pytest.fixture
def store() -> Store:
    """A branch `main`, and a commit with large files that no ref names any more."""
    store = new_store()
    first = commit(store, SMALL)
    commit(store, SMALL | LARGE, [first], "side", step=1)
    forget(store, "side")
    return store


def test_garbage_goes_once_it_has_waited(store: Store) -> None:
    before, files = packs_of(store), [digest_of(data) for data in LARGE.values()]
    root = store.root()
    assert not collect_at(store, 5000).picked.any()
    noted = store.root()
    assert (noted.indexes, noted.gc_generation) == (root.indexes, 0)
    assert noted.garbage
    assert collect_at(store, 5000 + GRACE - 1).objects == ()
    assert store.root().garbage == noted.garbage
    assert has(store, *files) == [True, True]
    made = collect_at(store, 5000 + GRACE)
    assert has(store, *files) == [False, False]
    after = store.root()
    assert (after.gc_generation, after.doomed) == (1, ())
    assert {gone.name for gone in made.objects} == before - packs_of(store)
    assert len(packs_of(store)) == 2
    assert contents(store, after.branches["main"]) == SMALL
    assert errors_of(store) == []
    # The index object that was replaced is garbage now, and nothing else.
    collect_at(store, 9000)
    collect_at(store, 9000 + GRACE)
    assert {info.name for info in store.backend.list("index/")} == {index_name(after.indexes[0])}
    assert store.root().garbage is None
    assert not list(store.backend.list("garbage/"))


def test_without_grace_it_goes_at_once_and_nothing_is_left(store: Store) -> None:
    collect_at(store, 0, grace=0)
    root = store.root()
    assert sorted(store.backend.objects) == sorted(  # type: ignore[attr-defined]
        ["root.json", *packs_of(store), *(index_name(name) for name in root.indexes)]
    )
    assert errors_of(store) == []
    assert collect_at(store, 0, grace=0).objects == ()
    assert store.root() == root


def test_what_is_needed_again_meanwhile_waits_anew(store: Store) -> None:
    collect_at(store, 5000)
    again = commit(store, SMALL | LARGE, [store.root().branches["main"]], "again", step=2)
    collect_at(store, 5500)
    forget(store, "again")
    collect_at(store, 5000 + GRACE)
    assert has(store, again, *map(digest_of, LARGE.values())) == [True] * 3
    collect_at(store, 5001 + 2 * GRACE)
    assert has(store, again, *map(digest_of, LARGE.values())) == [False] * 3


def test_young_garbage_keeps_what_lies_below_it_whoever_needed_that_before(store: Store) -> None:
    """A commit, made of old garbage and garbage itself since yesterday, stays whole."""
    collect_at(store, 5000)
    young = commit(store, SMALL | LARGE, [], "young", step=3)
    forget(store, "young")
    made = collect_at(store, 5000 + GRACE)
    assert made.picked.any()  # the old commit
    assert contents(store, young) == SMALL | LARGE
    collect_at(store, 5000 + 2 * GRACE)
    assert has(store, young) == [False]
    assert errors_of(store) == []


def test_everything_that_holds_holds(store: Store) -> None:
    main = store.root().branches["main"]
    tagged = commit(store, {"t": b"tagged"}, [], "x", step=4)
    tag(store, "v1", tagged)
    seen = commit(store, {"s": b"seen"}, [], "x", step=5)
    store.swap_root(lambda root: replace(root, tracking={"origin/main": seen}))
    detached = commit(store, {"d": b"detached"}, [main], "x", step=6)
    merging = commit(store, {"m": b"merging"}, [], "x", step=7)
    conflict = commit(store, {"c": b"conflict"}, [], "x", step=8)
    forget(store, "x")
    more = [
        Holder("head", "HEAD", commits=(detached,)),
        Holder("merge", "x", datasets=(read_commit(store, merging).dataset,)),
        Holder("merge", "x", chunks=(digest_of(b"conflict"), digest_of(b"not there"))),
    ]
    collect_at(store, 0, grace=0, more=more)
    for kept, files in ((tagged, {"t": b"tagged"}), (seen, {"s": b"seen"})):
        assert contents(store, kept) == files
    assert contents(store, detached) == {"d": b"detached"}
    assert has(store, digest_of(b"merging"), merging) == [True, False]
    assert has(store, digest_of(b"conflict"), conflict) == [True, False]


def test_a_collection_that_was_cut_short_is_finished_by_the_next(store: Store) -> None:
    backend = store.backend
    cut = Store(FailingBackend(backend, "delete", times=1, error=Crash()))
    with pytest.raises(Crash):
        collect_at(cut, 0, grace=0)
    root = store.refresh()
    assert root.doomed
    assert has(store, *map(digest_of, LARGE.values())) == [False, False]
    # Whoever writes the same again gives it another name: what is doomed may go at any moment.
    again = commit(store, SMALL | LARGE, [root.branches["main"]], "side", step=1)
    listed = {pack.digest for pack in store.index.packs}
    assert not listed & {*root.doomed}
    assert not {*store.root().indexes} & {*root.doomed}
    assert errors_of(store) == []
    collect_at(store, 10, grace=0)
    assert store.root().doomed == ()
    assert contents(store, again) == SMALL | LARGE
    assert errors_of(store) == []


def test_a_pack_that_became_doomed_while_it_was_written_is_not_listed(store: Store) -> None:
    writer = store.writer()
    file = writer.add_file(b"something new")
    written = writer.finish()
    cut = Store(FailingBackend(store.backend, "delete", times=1, error=Crash()))
    with pytest.raises(Crash):
        collect_at(cut, 0, grace=0)
    with pytest.raises(CollectedError):
        store.publish(written)
    assert has(store, file) == [False]
    with store.writer() as writer:
        writer.add_file(b"something new")
        store.publish(writer.finish())
    collect_at(store, 0, grace=GRACE)
    assert bytes(store.read(file)) == b"something new"


def test_an_index_object_gets_another_name_than_a_doomed_one(store: Store) -> None:
    name = store.root().indexes[0]
    table = store.indexes.read(name)
    other = store.indexes.write(table, avoid={name})
    third = store.indexes.write(table, avoid={name, other})
    assert len({name, other, third}) == 3
    for digest in (other, third):
        found = store.indexes.read(digest)
        assert (found.digests == table.digests).all()
        assert (found.locations == table.locations).all()


def test_a_new_node_counts_on_the_files_that_are_not_read_again(store: Store) -> None:
    stale = Store(store.backend)
    writer = stale.writer()
    entries = [Entry(path, FILE, len(data), digest_of(data)) for path, data in LARGE.items()]
    write_manifest(writer, entry_table(entries))
    written = writer.finish()
    collect_at(store, 0, grace=0)
    with pytest.raises(CollectedError) as caught:
        stale.publish(written)
    assert digest_of(LARGE["video"]) in caught.value.lost
    assert isinstance(caught.value, ConflictError)


def test_refs_are_not_made_of_what_was_collected(store: Store) -> None:
    gone = commit(store, {"x": b"x"}, [], "x")
    forget(store, "x")
    stale = Store(store.backend)
    counting = stale.counting_on([gone])
    collect_at(store, 0, grace=0)
    with pytest.raises(CollectedError):
        stale.swap_root(lambda root: replace(root, branches={"new": gone}), counting)


def test_mostly_dead_packs_are_written_again_unless_they_are_pinned() -> None:
    store = new_store()
    first = commit(store, {"keep": noise(1000, 1), **{f"{n}": noise(5000, n) for n in range(9)}})
    main = commit(store, {"keep": noise(1000, 1)}, [], step=1)
    made = collect_at(store, 0, grace=0)
    sparse = sparse_packs(made.marks, made.picked, ())
    assert [pack.category for pack in sparse] == [DATA]
    (pack,) = sparse
    assert sparse_packs(made.marks, made.picked, {pack.digest}) == {}
    store.backend.put(f"runs/{RUN}/packs.json", encode_run_packs([pack.digest]))
    assert pinned_packs(store) == {pack.digest}
    assert rewrite(store, list(sparse)) == [pack]
    assert pack_name(pack.digest) in packs_of(store)
    new = [each for each in store.index.packs if each.category == DATA]
    assert sum(each.size for each in new) < pack.size / 2
    assert contents(store, main) == {"keep": noise(1000, 1)}
    assert has(store, first) == [False]
    assert errors_of(store) == []


def test_packs_of_tiny_chunks_are_not_sparse_because_of_their_footers() -> None:
    store = new_store()
    commit(store, {f"{n}": b"%d" % n for n in range(300)})
    made = collect_at(store, 0, grace=0)
    assert sparse_packs(made.marks, made.picked, ()) == {}


def test_a_pinned_pack_stays_whole() -> None:
    store = new_store()
    commit(store, LARGE)
    pack = next(pack for pack in store.index.packs if pack.category == DATA)
    holder = Holder("run", RUN, packs=(pack.digest,))
    forget(store, "main")
    collect_at(store, 0, grace=0, more=[holder])
    assert [each.digest for each in store.index.packs] == [pack.digest]
    assert bytes(store.read(digest_of(LARGE["z"]))) == LARGE["z"]


def test_what_crashed_writers_left_goes(store: Store) -> None:
    backend = store.backend
    collect_at(store, 0, grace=0)
    known = packs_of(store)
    with store.writer() as writer:
        writer.add_file(noise(1000, 50))
        (lost,) = (pack.digest for pack in writer.finish().packs)
    backend.put(damaged_name(lost))
    backend.put(damaged_name(digest_of(b"long gone")))
    backend.put(index_name(digest_of(b"no index")), b"no index")
    collect_at(store, 100)
    assert pack_name(lost) in packs_of(store)
    collect_at(store, 100 + GRACE)
    assert delete_leftovers(store, Age(GRACE, 0)) != []
    assert packs_of(store) == known
    assert len(list(backend.list("index/"))) == 1


def test_a_missing_commit_stops_a_collection_and_nothing_is_deleted(store: Store) -> None:
    lost = digest_of(b"never here")
    store.swap_root(lambda root: replace(root, branches={**root.branches, "broken": lost}))
    before = dict(store.backend.objects)  # type: ignore[attr-defined]
    with pytest.raises(MissingDataError, match=lost.hex()):
        collect_at(store, 0, grace=0)
    assert store.backend.objects == before  # type: ignore[attr-defined]


def test_a_lost_note_only_makes_garbage_younger(store: Store) -> None:
    collect_at(store, 5000)
    (note,) = store.backend.list("garbage/")
    store.backend.put(note.name, b"rubbish")
    assert not collect_at(store, 5000 + GRACE).picked.any()
    assert collect_at(store, 5000 + 2 * GRACE).picked.any()


def test_each_node_is_read_once_whoever_has_it() -> None:
    store = CountingStore.create(MemoryBackend())
    assert isinstance(store, CountingStore)
    files = {f"{n:04d}": b"%d" % n for n in range(2000)}
    tips = [commit(store, files, [], f"b{n}", step=n) for n in range(3)]
    tips.append(commit(store, files | {"0500": b"changed"}, tips[:1], "changed", step=9))
    store.read_digests.clear()
    holders = [Holder("branch", f"{n}", commits=(tip,)) for n, tip in enumerate(tips)]
    marks = mark_held(store.index, store, holders)
    assert marks.held.all()
    roots = {read_commit(store, tip).dataset for tip in tips}
    twice = [each for each in set(store.read_digests) if store.read_digests.count(each) > 1]
    assert set(twice) <= roots | set(tips)


def test_bits_say_who_holds_what() -> None:
    store = new_store()
    one = commit(store, {"a": b"a", "both": b"both"}, [], "one")
    two = commit(store, {"b": b"b", "both": b"both"}, [], "two", step=1)
    holders = [Holder("branch", "none")] * 70 + [
        Holder("branch", "one", commits=(one,)),
        Holder("branch", "two", commits=(two,)),
    ]
    marks = mark_held(store.index, store, holders)
    rows = marks.rows([digest_of(b"a"), digest_of(b"b"), digest_of(b"both"), one])
    bits = [int.from_bytes(marks.bits[row].tobytes(), "little") for row in rows.tolist()]
    assert bits == [1 << 70, 1 << 71, 3 << 70, 1 << 70]


NAMES = st.sampled_from(["main", "b", "c"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["commit", "commit", "delete", "tag", "collect", "collect", "move"]),
        NAMES,
        st.sets(st.integers(0, 6), max_size=4),
        st.integers(1, GRACE),
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_refs_reach_is_there_and_no_garbage_goes_too_early(
    steps: Sequence[tuple[str, str, set[int], int]],
) -> None:
    store, now = new_store(), 10_000
    files: dict[Digest, dict[str, bytes]] = {}
    parents: dict[Digest, Digest | None] = {}
    last_held: dict[Digest, int] = {}
    for number, (verb, name, some, seconds) in enumerate(steps):
        refs = dict(store.root().branches)
        if verb == "commit":
            tree = {f"f{n}": noise(300, n) for n in some}
            before = refs.get(name)
            made = commit(store, tree, [before] if before else [], name, step=number)
            files[made], parents[made] = tree, before
        elif verb == "delete" and name in refs:
            forget(store, name)
        elif verb == "tag" and name in refs:
            tag(store, f"t{number}", refs[name])
        elif verb == "move" and name in refs:
            refs["main"] = refs[name]
            store.swap_root(lambda root, refs=refs: replace(root, branches=refs))
        elif verb == "collect":
            now += seconds
            collect_at(store, now)
        root = store.root()
        todo = [*root.branches.values(), *root.tags.values()]
        while todo:
            tip = todo.pop()
            last_held[tip] = now
            todo += [before for before in (parents[tip],) if before]
    assert errors_of(store) == []
    for tip, tree in files.items():
        held = last_held.get(tip, 0)
        if held == now or now - held < GRACE:
            assert contents(store, tip) == tree
    collect_at(store, now, grace=0)
    assert errors_of(store) == []
    assert {tip for tip in files if has(store, tip) == [True]} == {
        tip for tip in files if _reached(store, parents, tip)
    }


def _reached(store: Store, parents: dict[Digest, Digest | None], tip: Digest) -> bool:
    root = store.root()
    for start in (*root.branches.values(), *root.tags.values()):
        at: Digest | None = start
        while at:
            if at == tip:
                return True
            at = parents[at]
    return False


def test_a_plan_changes_nothing(store: Store) -> None:
    before = dict(store.backend.objects)  # type: ignore[attr-defined]
    made = plan(store, store.root(), marking_of(store), Age(0, 0))
    assert sum(gone.bytes for gone in made.objects) > 3 << 20
    assert isinstance(made.marks.sizes(), np.ndarray)
    assert store.backend.objects == before  # type: ignore[attr-defined]
    assert all(isinstance(pack, PackInfo) for pack in store.index.packs)
