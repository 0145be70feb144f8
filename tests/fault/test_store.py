"""A store when things go wrong: crashes, full disks, flipped bits, lost answers, lost packs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from datasets_vc.backends import Backend
from datasets_vc.digest import Buffer, Digest, digest_of
from datasets_vc.errors import (
    AlreadyExistsError,
    DatasetError,
    FormatError,
    IntegrityError,
    NotFoundError,
    RemoteError,
)
from datasets_vc.format.location import RECIPE
from datasets_vc.format.recipe import Recipe, encode_recipe
from datasets_vc.store import Store
from datasets_vc.store.heal import heal
from datasets_vc.store.names import pack_name
from tests.fault.faults import (
    Crash,
    FailingBackend,
    FlippingBackend,
    LimitedBackend,
    LosingAnswersBackend,
    TruncatingBackend,
)
from tests.store.memory import MemoryBackend

MIB = 1 << 20
OLD = [b"old", b"again and again " * 1000, b"\x00\xff" * 7]


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.Generator(np.random.PCG64(seed)).bytes(size)


def add(store: Store, *files: Buffer, branch: str = "main") -> list[Digest]:
    """Publish files and let a branch name the last of them."""
    writer = store.writer()
    digests = [writer.add_file(data) for data in files]
    writer.add_meta(b"meta of " + digests[-1])
    store.publish(
        writer.finish(),
        lambda root: replace(root, branches={**root.branches, branch: digests[-1]}),
    )
    return digests


@pytest.fixture
def backend() -> MemoryBackend:
    """A store that holds OLD, and one more index object and packs."""
    backend = MemoryBackend()
    add(Store.create(backend), *OLD, noise(2000))
    add(Store.open(backend), b"one more")
    return backend


def copy_of(backend: MemoryBackend) -> MemoryBackend:
    copy = MemoryBackend()
    copy.objects = dict(backend.objects)
    return copy


def check_old(backend: Backend) -> Store:
    store = Store.open(backend)
    assert [bytes(data) for data in store.read_files([digest_of(data) for data in OLD])] == OLD
    return store


def refused_or_right(backend: Backend, files: list[bytes]) -> Iterator[str]:
    """Read files one by one; yields what the errors say. Wrong bytes are what must never come."""
    for data in files:
        try:
            found = Store.open(backend).read_file(digest_of(data))
        except (IntegrityError, FormatError) as error:
            yield error.message
        else:
            assert bytes(found) == data


ERRORS: list[Callable[[], BaseException]] = [
    Crash,
    lambda: DatasetError("no space left on device."),
    lambda: RemoteError("gone", transient=True),
]


@pytest.mark.parametrize("error", ERRORS, ids=["crash", "full disk", "remote"])
def test_stopping_at_any_write_of_a_publish(
    backend: MemoryBackend, error: Callable[[], BaseException]
) -> None:
    new = [b"new", noise(3 * MIB, seed=5)]
    for writes in range(10):
        copy = copy_of(backend)
        limited = LimitedBackend(copy, writes, error())
        try:
            add(Store.open(limited), *new, branch="new")
        except (Crash, DatasetError):
            assert writes < 4
            store = check_old(copy)
            assert sorted(store.root().branches) == ["main"]
            assert store.find(digest_of(new[0])) is None
            # And the next one succeeds, over whatever garbage is left.
            add(store, *new, branch="new")
        else:
            assert writes == 4  # two packs, an index, the root
            break
    store = check_old(copy)
    assert [bytes(store.read_file(digest_of(data))) for data in new] == new
    assert sorted(store.root().branches) == ["main", "new"]


def test_a_full_disk_is_told_as_such(backend: MemoryBackend) -> None:
    with pytest.raises(DatasetError, match="no space left"):
        add(Store.open(LimitedBackend(backend, 1)), b"new")


@pytest.mark.parametrize("losses", [1, 2])
def test_own_write_is_recognised_after_its_answer_was_lost(
    backend: MemoryBackend, losses: int
) -> None:
    losing = LosingAnswersBackend(backend, losses)
    store = Store.open(losing)
    calls = 0
    for number in range(losses):
        before = Store.open(backend).root()

        def change(root: object, before: object = before) -> object:
            nonlocal calls
            calls += 1
            assert root == before
            return replace(root, gc_generation=root.gc_generation + 1)  # type: ignore

        new = store.swap_root(change)  # type: ignore[arg-type]
        assert new.gc_generation == number + 1
        assert Store.open(backend).root() == new
    assert calls == losses
    assert losing.losses_left == 0


def test_own_new_store_is_recognised_after_its_answer_was_lost() -> None:
    backend = MemoryBackend()
    store = Store.create(LosingAnswersBackend(backend))
    assert store.root().write_id == Store.open(backend).root().write_id
    with pytest.raises(AlreadyExistsError):
        Store.create(LosingAnswersBackend(backend))


def test_a_swap_that_fails_for_good_is_not_tried_again(backend: MemoryBackend) -> None:
    failing = FailingBackend(backend, "swap", 99, RemoteError("forbidden"))
    with pytest.raises(RemoteError, match="forbidden"):
        add(Store.open(failing), b"new")
    assert failing.calls == 1


def test_a_swap_that_fails_for_a_while_is_tried_again(backend: MemoryBackend) -> None:
    failing = FailingBackend(backend, "swap", 3)
    add(Store.open(failing), b"new", branch="new")
    assert failing.calls == 4
    assert "new" in check_old(backend).root().branches


def test_a_flipped_bit_anywhere_is_found(backend: MemoryBackend) -> None:
    """In each kind of object, a bit every few bytes: the error names it, or nothing is wrong."""
    files = [*OLD, noise(2000), b"one more"]
    found: dict[str, int] = {"packs": 0, "index": 0, "root.json": 0}
    for name in list(backend.objects):
        size = len(backend.objects[name])
        for bit in range(0, 8 * size, max(8 * size // 40, 1) | 1):
            copy = copy_of(backend)
            for message in refused_or_right(FlippingBackend(copy, name, bit), files):
                named = name.split("/")[-1] if "/" in name else "root"
                assert named in message or "lacks an index object" in message
                found[name.split("/")[0]] += 1
    assert all(count > 20 for count in found.values())


def test_truncated_objects_are_found(backend: MemoryBackend) -> None:
    files = [*OLD, noise(2000), b"one more"]
    for name in list(backend.objects):
        size = len(backend.objects[name])
        for cut in {0, 1, 15, 31, size // 2, size - 65, size - 1}:
            short = TruncatingBackend(copy_of(backend), name, max(0, cut))
            if name == "root.json":
                short.inner.objects[name] = backend.objects[name][: max(0, cut)]  # type: ignore
            messages = list(refused_or_right(short, files))
            assert messages or (name.startswith("packs/") and cut >= size - 65 - 64 * len(files))


def test_flipped_bits_without_a_map_are_found_too(backend: MemoryBackend) -> None:
    unmapped = MemoryBackend(mappable=False)
    unmapped.objects = dict(backend.objects)
    place = check_old(unmapped).find(digest_of(OLD[0]))
    assert place
    name = pack_name(place.pack.digest)
    flipping = FlippingBackend(unmapped, name, 8 * place.offset)
    with pytest.raises(IntegrityError, match=place.pack.digest.hex()):
        Store.open(flipping).read(digest_of(OLD[0]))
    assert f"{name}.damaged" not in unmapped.objects


@pytest.mark.parametrize("mappable", [True, False])
def test_a_missing_pack_is_named(backend: MemoryBackend, mappable: bool) -> None:
    place = Store.open(backend).find(digest_of(OLD[0]))
    assert place
    bare = MemoryBackend(mappable)
    bare.objects = dict(backend.objects)
    del bare.objects[pack_name(place.pack.digest)]
    with pytest.raises(IntegrityError, match=f"{place.pack.digest.hex()} is missing") as caught:
        Store.open(bare).read_file(digest_of(OLD[0]))
    assert caught.value.hint


def test_a_missing_index_object_is_named(backend: MemoryBackend) -> None:
    index = Store.open(backend).root().indexes[0].hex()
    del backend.objects[f"index/{index}"]
    with pytest.raises(IntegrityError, match=index):
        Store.open(backend).read(digest_of(OLD[0]))


@pytest.mark.parametrize("mappable", [True, False])
def test_a_pack_that_was_replaced_meanwhile_is_found_again(mappable: bool) -> None:
    backend = MemoryBackend(mappable)
    digests = add(Store.create(backend), *OLD)
    reader = Store.open(backend)
    assert reader.find(digests[0])
    repacked = MemoryBackend(mappable=True)
    repacked.objects = backend.objects
    repacked.url = backend.url
    (pack,) = {place.pack for d in digests if (place := reader.find(d))}
    backend.objects[pack_name(pack.digest) + ".damaged"] = b""
    assert heal(Store.open(repacked)) == []
    assert pack_name(pack.digest) not in backend.objects
    assert [bytes(data) for data in reader.read_files(digests)] == OLD
    assert [bytes(reader.read(digest)) for digest in digests] == OLD


def test_damage_is_healed_and_what_is_lost_is_told(backend: MemoryBackend) -> None:
    store = Store.open(backend)
    place = store.find(digest_of(OLD[1]))
    assert place
    name = pack_name(place.pack.digest)
    damaged = bytearray(backend.objects[name])
    damaged[place.offset] ^= 4
    backend.objects[name] = bytes(damaged)
    assert heal(store) == []  # nobody has noticed yet, and healing does not read every pack
    with pytest.raises(IntegrityError, match=place.pack.digest.hex()):
        store.read(place.digest)
    assert backend.objects[f"{name}.damaged"] == b""
    assert heal(store) == [place.digest]
    assert name not in backend.objects
    assert f"{name}.damaged" not in backend.objects
    assert store.find(place.digest) is None
    for data in (OLD[0], OLD[2], noise(2000), b"one more"):
        assert bytes(Store.open(backend).read_file(digest_of(data))) == data
    assert heal(store) == []
    add(store, OLD[1])
    check_old(backend)


def test_a_lost_pack_is_forgotten_and_can_be_written_again(backend: MemoryBackend) -> None:
    store = Store.open(backend)
    place = store.find(digest_of(OLD[1]))
    assert place
    held = {found.digest for found in store.index.places_in(place.pack)}
    del backend.objects[pack_name(place.pack.digest)]
    assert set(heal(store)) == held
    assert bytes(store.read_file(digest_of(b"one more"))) == b"one more"
    assert not store.index.contains(sorted(held)).any()
    add(store, *OLD)
    check_old(backend)


def test_a_pack_that_is_cut_short_keeps_what_is_whole(backend: MemoryBackend) -> None:
    store = Store.open(backend)
    first, last = store.find(digest_of(OLD[0])), store.find(digest_of(noise(2000)))
    assert first
    assert last
    assert first.pack == last.pack
    name = pack_name(first.pack.digest)
    backend.objects[name] = backend.objects[name][: last.offset + 5]
    assert heal(store) == [last.digest]
    check_old(backend)


def test_healing_that_stops_at_any_write_leaves_a_store(backend: MemoryBackend) -> None:
    place = Store.open(backend).find(digest_of(OLD[1]))
    assert place
    name = pack_name(place.pack.digest)
    damaged = bytearray(backend.objects[name])
    damaged[place.offset] ^= 4
    backend.objects |= {name: bytes(damaged), f"{name}.damaged": b""}
    for writes in range(4):
        copy = copy_of(backend)
        try:
            lost = heal(Store.open(LimitedBackend(copy, writes, Crash())))
        except Crash:
            assert bytes(Store.open(copy).read(digest_of(OLD[0]))) == OLD[0]
            lost = heal(Store.open(copy))
        assert lost == [place.digest]
        assert bytes(Store.open(copy).read(digest_of(OLD[0]))) == OLD[0]


def test_a_recipe_that_lies_about_its_file_is_found(backend: MemoryBackend) -> None:
    """A recipe is stored under a digest that only the whole file can confirm."""
    store = Store.open(backend)
    writer = store.writer()
    pieces = [writer.add_file(noise(1000, seed)) for seed in (1, 2)]
    payload = encode_recipe(Recipe((pieces[1], pieces[0]), (1000, 1000)))
    name = digest_of(noise(1000, 1) + noise(1000, 2))
    writer.add_encoded(name, RECIPE, payload, len(payload), 1)
    wrong_length = digest_of(b"another file")
    payload = encode_recipe(Recipe((pieces[0], pieces[1]), (999, 1001)))
    writer.add_encoded(wrong_length, RECIPE, payload, len(payload), 1)
    store.publish(writer.finish())
    for digest in (name, wrong_length):
        for _ in range(2):
            with pytest.raises(IntegrityError, match=f"{digest.hex()}.* does not match"):
                store.read_file(digest)
            with pytest.raises(IntegrityError, match=f"{digest.hex()}.* does not match"):
                list(store.iter_file(digest))


def test_a_file_whose_recipe_alone_is_here_is_stored_whole(backend: MemoryBackend) -> None:
    """As after a fetch of a pack of metadata for the sake of something else in it."""
    data = noise(5 * MIB, seed=9)
    other = Store.create(MemoryBackend())
    add(other, data)
    place = other.find(digest_of(data))
    assert place
    store = Store.open(backend)
    writer = store.writer()
    (payload,) = other.read_stored([place])
    writer.add_encoded(place.digest, place.codec, payload, place.raw, place.pack.category)
    store.publish(writer.finish())
    add(store, data)
    assert bytes(Store.open(backend).read_file(digest_of(data))) == data


def test_a_damaged_copy_of_an_index_object_is_fetched_anew(backend: MemoryBackend) -> None:
    cache = MemoryBackend()
    index = Store.open(backend).root().indexes[0].hex()
    name = f"index/{index}"
    cache.objects[name] = backend.objects[name][:-1] + b"?"
    store = Store.open(backend, cache)
    assert bytes(store.read(digest_of(OLD[0]))) == OLD[0]
    assert cache.objects[name] == backend.objects[name]
    with pytest.raises((IntegrityError, NotFoundError)):
        Store.open(FlippingBackend(backend, name, 300), MemoryBackend()).read(digest_of(OLD[0]))
