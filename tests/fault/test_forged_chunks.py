"""Other bytes under an honest digest: every kind of object, every codec, however it is read.

What comes is honest, or an error that names the object; and of what was refused nothing stays, to
be believed by a later commit, to stand in the way of an honest store, or to be pushed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from datasets_vc import Snapshot
from datasets_vc.backends import LocalBackend, open_backend
from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import DatasetError, IntegrityError
from datasets_vc.format.entries import FILE, Entry
from datasets_vc.format.json import encode_object
from datasets_vc.format.location import RECIPE
from datasets_vc.format.lock import Lock, encode_lock
from datasets_vc.format.pack import METADATA
from datasets_vc.format.recipe import Recipe, encode_recipe
from datasets_vc.history.commits import read_commit
from datasets_vc.history.manifest import Manifest
from datasets_vc.history.tagobjects import read_tag
from datasets_vc.repository import Repository
from datasets_vc.store import Store
from datasets_vc.store.reader import WrongRecipeError
from datasets_vc.store.repair import forget
from datasets_vc.sync.fetch import fetch_dataset, fetch_files
from datasets_vc.sync.push import push_branch
from datasets_vc.sync.runs import receive_runs
from tests.fault.faults import Crash, LimitedBackend
from tests.fault.hostile import LIES, HostileStore, Row, add_run
from tests.integration.trees import AUTHOR
from tests.servers.web import web
from tests.sync.stores import commit, contents, new_store, noise, pull

WEIGHTS = b"weights " * 40
LARGE = [b"first half of a video\n" * 50, b"second half of a video\n" * 50]
FILES = {"a.txt": b"a small file\n", "link.txt": b"another\n"}
LOG = (
    b'{"event":"inputs"}\n'
    b'{"event":"checkpoint","name":"last","digest":"%s","size":%d}\n'
    b'{"event":"end","status":"done","metrics":{}}\n'
) % (digest_of(WEIGHTS).hex().encode(), len(WEIGHTS))

KINDS = (
    "commit",
    "parent",
    "tag",
    "root node",
    "leaf",
    "small file",
    "large file",
    "piece",
    "link",
    "run input",
    "checkpoint",
    "code node",
    "code file",
)
AS_CHUNKS = frozenset({"commit", "parent", "tag", "root node", "leaf", "run input", "code node"})
AT_REMOTE_ONLY = frozenset({"checkpoint", "code node", "code file"})
"""What a fetch of runs leaves there until it is needed."""


@dataclass
class Made:
    """A store by hand, and what its chunks are called."""

    store: HostileStore
    names: dict[str, Digest] = field(default_factory=dict)
    bytes: dict[Digest, bytes] = field(default_factory=dict)
    run: str = ""

    def publish(self, tag: Digest) -> Path:
        self.store.publish(self.names["commit"], tags={"v1": tag})
        self.run = add_run(str(self.store.folder), self.names["run input"], LOG)
        return self.store.folder


def make(folder: Path, suffix: str = "") -> Made:
    """A store with everything that there is; with a suffix, the same things with other bytes."""
    made, end = Made(HostileStore(folder)), suffix.encode()
    store, names = made.store, made.names
    files = {path: data + end for path, data in FILES.items()}
    halves = [half + end for half in LARGE]
    whole = b"".join(halves)
    names["large file"], names["piece"] = digest_of(whole), digest_of(halves[0])
    store.recipe(names["large file"], [(store.file(half), len(half)) for half in halves])
    entries = store.entries(files, {"z": f"a.txt{suffix}"})
    entries.append(Entry("clip.mp4", FILE, len(whole), names["large file"]))
    entries.sort(key=lambda entry: entry.path)
    names["small file"] = next(entry.digest for entry in entries if entry.path == "a.txt")
    names["link"] = entries[-1].digest
    names["leaf"] = store.leaf(entries[:2])
    right = store.leaf(entries[2:])
    sizes = [sum(entry.size for entry in some) for some in (entries[:2], entries[2:])]
    names["root node"] = store.inner(
        1,
        [
            Row(entries[0].path, names["leaf"], 2, sizes[0]),
            Row(entries[2].path, right, len(entries) - 2, sizes[1]),
        ],
    )
    names["parent"] = store.commit(names["leaf"], message=f"first{suffix}")
    names["commit"] = store.commit(names["root node"], [names["parent"]])
    tag = {"object": names["commit"].hex(), "name": "v1", "tagger": "Eve", "message": f"m{suffix}"}
    names["tag"] = store.chunk(encode_object("dsvc-tag", tag | {"time": "2026-11-01T00:00:00Z"}))
    code = store.entries({"train.py": b"print('train')\n" + end})
    names["code file"], names["code node"] = code[0].digest, store.leaf(code)
    names["checkpoint"] = store.file(WEIGHTS + end)
    said = {"dataset": names["root node"].hex(), "code": names["code node"].hex()}
    names["run input"] = store.chunk(
        encode_object("dsvc-run-input", said | {"command": ["train"], "commit": None})
    )
    made.bytes = {name: chunk.payload for name, chunk in store._chunks.items()}
    made.bytes[names["large file"]] = whole
    return made


@dataclass(frozen=True)
class Case:
    """One object forged in one way, beside the honest store."""

    kind: str
    lie: str
    forged: Digest
    names: Mapping[str, Digest]
    honest: Mapping[Digest, bytes]
    evil: Path
    good: Path


@pytest.fixture
def forge(tmp_path: Path) -> Callable[[str, str], Case]:
    def forged(kind: str, lie: str) -> Case:
        good, evil = make(tmp_path / "good"), make(tmp_path / "evil")
        others = make(tmp_path / "others", " forged")
        name = good.names[kind]
        evil.store.forge(name, others.bytes[others.names[kind]], lie)
        folders = [made.publish(made.names["tag"]) for made in (evil, good)]
        return Case(kind, lie, name, good.names, good.bytes, *folders)

    return forged


class Elsewhere(LocalBackend):
    """As reached by requests: nothing is mapped."""

    def map(self, name: str) -> memoryview | None:
        return None


def looks(store: Store, case: Case) -> Iterator[Callable[[], object]]:
    """Every way to look at each object of a store; each gives what has to be honest bytes."""
    names, honest = case.names, case.honest
    for kind in AS_CHUNKS:
        yield lambda kind=kind: _same(store.read(names[kind]), honest[names[kind]])
    for kind in sorted(names.keys() - AS_CHUNKS):
        yield lambda kind=kind: _read_whole(store, names[kind], honest[names[kind]])
        yield lambda kind=kind: _read_parts(store, names[kind], honest[names[kind]])
    yield lambda: read_commit(store, names["commit"])
    yield lambda: read_tag(store, names["tag"])
    yield lambda: Manifest(store, names["root node"]).entries()
    yield lambda: Manifest(store, names["code node"]).entries()


def _read_whole(store: Store, digest: Digest, expected: bytes) -> None:
    # A file that was committed here is cut in another way: it may have come without its pieces.
    if store.find(digest) is not None or expected not in LARGE:
        _same(store.read_file(digest), expected)


def _read_parts(store: Store, digest: Digest, expected: bytes) -> None:
    if store.find(digest) is not None or expected not in LARGE:
        _same(b"".join(map(bytes, store.iter_file(digest))), expected)


def _same(found: object, expected: bytes) -> None:
    assert bytes(memoryview(found)) == expected  # type: ignore[arg-type]


def look_at_all(store: Store, case: Case) -> int:
    """Look in every way; returns how many were refused, each with an error that names a digest."""
    refused = 0
    for look in looks(store, case):
        try:
            look()
        except DatasetError as error:
            told = error.message
            assert case.forged.hex() in told or "chunk index" in told.lower(), told
            refused += 1
    return refused


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_in_place_is_honest_or_refused(forge, kind: str, lie: str) -> None:
    case = forge(kind, lie)
    for backend in (LocalBackend(case.evil, durable=False), Elsewhere(case.evil, durable=False)):
        assert look_at_all(Store(backend), case)
    assert not look_at_all(Store(Elsewhere(case.good, durable=False)), case)


@pytest.mark.parametrize(
    ("kind", "lie"),
    [
        ("commit", "pieces"),
        ("root node", "recipe"),
        ("small file", "raw"),
        ("large file", "pieces"),
    ],
)
def test_snapshots_of_forged_stores(forge, tmp_path: Path, kind: str, lie: str) -> None:
    case = forge(kind, lie)
    lock = tmp_path / "dataset.lock"
    tip, dataset = case.names["commit"], case.names["root node"]
    with web(tmp_path) as url:
        for address in (f"{url}/evil", str(case.evil)):
            lock.write_bytes(encode_lock(Lock(address, tip, dataset)))
            for location, revision in (
                (address, tip.hex()),
                (address, dataset.hex()[:12]),
                (lock, "HEAD"),
            ):
                _read_all(case, location, revision)


def _read_all(case: Case, location: str | Path, revision: str) -> None:
    try:
        snapshot = Snapshot.open(location, revision)
        paths = snapshot.entries().column("path").to_pylist()
    except DatasetError:
        assert case.kind not in ("small file", "large file")
        return
    # By the dataset's digest, a forged commit is not looked at.
    assert case.kind in ("commit", "small file", "large file")
    assert snapshot.digest == case.names["root node"].hex()
    for path in paths:
        entry = snapshot._manifest.get(path)
        assert entry
        try:
            _same(snapshot.read(path), case.honest[entry.digest])
        except IntegrityError as error:
            assert (entry.digest, case.forged.hex() in error.message) == (case.forged, True)  # noqa: PT017


@pytest.mark.parametrize(
    ("kind", "lie"), [("commit", "recipe"), ("leaf", "raw"), ("large file", "pieces")]
)
def test_what_is_read_in_place_from_a_bucket(
    forge, s3_url: str, s3_environment: object, kind: str, lie: str
) -> None:
    case = forge(kind, lie)
    bucket = open_backend(s3_url)
    for file in case.evil.rglob("*"):
        if file.is_file():
            bucket.put(file.relative_to(case.evil).as_posix(), file.read_bytes())
    assert look_at_all(Store(bucket), case)


# --- fetched


def fetch_all(local: Store, remote: Store, case: Case) -> list[str]:
    """Fetch everything there is, one thing after the other; returns what was told."""
    told = []
    for act in (
        lambda: pull(local, remote),
        lambda: receive_runs(local, remote),
        lambda: fetch_files(local, remote, [case.names["checkpoint"]]),
        lambda: fetch_dataset(local, remote, case.names["code node"]),
    ):
        try:
            done = act()
        except DatasetError as error:
            told.append(error.message)
        else:
            told += getattr(done, "damaged", {}).values()
    return told


def check_nothing_kept(local: Store, case: Case) -> None:
    """What the store believes to have is what its digest says."""
    local.refresh()
    for kind, digest in case.names.items():
        place = local.find(digest)
        if place is None:
            continue
        assert place.codec != RECIPE or kind not in AS_CHUNKS, kind
        if kind == "large file" and not local.index.contains([case.names["piece"]]).all():
            continue
        _same(local.read_file(digest), case.honest[digest])
    assert case.forged not in _recipes_of(local) or case.kind == "large file"


def _recipes_of(store: Store) -> set[Digest]:
    return {
        place.digest for place in store.index.places_in(*store.index.packs) if place.codec == RECIPE
    }


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_fetched_is_honest_or_refused_and_nothing_of_it_kept(
    forge, kind: str, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Packs of metadata come whole, or in parts.
    monkeypatch.setattr("datasets_vc.sync.plan.WHOLE_PACK_BELOW", len(lie) % 2 << 20)
    case = forge(kind, lie)
    evil = Store(Elsewhere(case.evil, durable=False))
    good = Store(Elsewhere(case.good, durable=False))
    local = new_store()
    base = commit(local, {"base.txt": b"base"})
    told = fetch_all(local, evil, case)
    assert any(case.forged.hex() in each or "chunk index" in each for each in told), told
    check_nothing_kept(local, case)
    _commit_and_share(local, case, base)
    assert fetch_all(local, good, case) == []
    check_nothing_kept(local, case)
    assert not look_at_all(local, case)


def _commit_and_share(local: Store, case: Case, base: Digest) -> None:
    """A commit of what was forged has it, and so does whoever it is pushed to."""
    ours = case.honest[case.forged]
    tip = commit(local, {"ours.bin": ours}, [base], step=1)
    assert contents(local, tip) == {"ours.bin": ours}
    server, other = new_store(), new_store()
    push_branch(local, server, "main", tip)
    pull(other, server)
    assert contents(other, tip) == {"ours.bin": ours}


@pytest.mark.parametrize("first", [0, 1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("lie", ["pieces", "recipe"])
def test_a_fetch_from_a_hostile_store_that_is_killed_leaves_nothing_to_believe(
    forge, lie: str, first: int
) -> None:
    case = forge("large file", lie)
    local = new_store()
    base = commit(local, {"base.txt": b"base"})
    dying = Store(LimitedBackend(local.backend, first, Crash()))
    evil = Store(Elsewhere(case.evil, durable=False))
    with suppress(Crash):
        fetch_all(dying, evil, case)
    local = Store.open(local.backend)
    check_nothing_kept(local, case)
    # What was left in packs is found again, and proved again.
    assert any(case.forged.hex() in told for told in fetch_all(local, evil, case))
    check_nothing_kept(local, case)
    _commit_and_share(local, case, base)
    good = Store(Elsewhere(case.good, durable=False))
    assert fetch_all(local, good, case) == []
    assert not look_at_all(local, case)


# --- recipes


def _recipe_of(store: Store, file: Digest, halves: list[bytes]) -> None:
    """List a recipe as stores of old versions may have one: not proved by anybody."""
    with store.writer() as writer:
        pieces = tuple(map(writer.add_file, halves))
        payload = encode_recipe(Recipe(pieces, tuple(map(len, halves))))
        writer.add_encoded(file, RECIPE, payload, len(payload), METADATA)
        store.publish(writer.finish())


def test_another_recipe_under_a_digest_that_was_proved_is_proved_again(tmp_path: Path) -> None:
    """The store changes while it is read; what was proved is these very bytes."""
    halves = [b"good " * 300, b"part " * 300]
    whole = b"".join(halves)
    name = digest_of(whole)

    def made(folder: str, parts: list[bytes]) -> Path:
        store = HostileStore(tmp_path / folder)
        store.recipe(name, [(store.file(part), len(part)) for part in parts])
        store.publish(store.commit(store.leaf([Entry("clip", FILE, len(whole), name)])))
        return store.folder

    good, evil = made("good", halves), made("evil", [b"EVIL " * 300, b"evil " * 300])
    backend = Elsewhere(good, durable=False)
    store = Store(backend)
    assert bytes(store.read_file(name)) == whole
    backend.folder = evil
    store.refresh()
    with pytest.raises(IntegrityError, match=name.hex()):
        store.read_file(name)
    with pytest.raises(IntegrityError, match=name.hex()):
        b"".join(map(bytes, store.iter_file(name)))


@pytest.mark.parametrize("size", [1000, 3 << 20])
def test_a_commit_believes_no_recipe_that_it_would_not_write(size: int) -> None:
    """An old version may have listed it: then it is replaced."""
    ours = noise(size)
    local = new_store()
    _recipe_of(local, digest_of(ours), [bytes(size // 2), bytes(size - size // 2)])
    with pytest.raises(WrongRecipeError):
        local.read_file(digest_of(ours))
    tip = commit(local, {"ours": ours})
    assert contents(local, tip) == {"ours": ours}
    assert contents(Store.open(local.backend), tip) == {"ours": ours}


def test_a_large_file_that_is_here_already_is_not_written_again() -> None:
    ours = noise(3 << 20)
    local = new_store()
    first = commit(local, {"ours": ours})
    before = local.find(digest_of(ours))
    second = commit(local, {"ours": ours, "other": b"x"}, [first], step=1)
    assert local.find(digest_of(ours)) == before
    assert contents(local, second)["ours"] == ours


def test_a_recipe_in_the_place_of_history_does_not_stand_in_its_way(forge) -> None:
    """As an old version has kept it: neither a fetch nor a look takes it for a commit."""
    case = forge("commit", "raw")
    local = new_store()
    for kind in ("commit", "leaf", "small file"):
        _recipe_of(local, case.names[kind], [b"1" * 50, b"2" * 50])
    with pytest.raises(IntegrityError, match=case.names["commit"].hex()):
        read_commit(local, case.names["commit"])
    good = Store(Elsewhere(case.good, durable=False))
    pull(local, good)
    assert read_commit(local, case.names["commit"]).dataset == case.names["root node"]
    assert Manifest(local, case.names["root node"]).count == 4


def test_push_does_not_spread_a_recipe_that_lies() -> None:
    local, server = new_store(), new_store()
    ours = b"what we have recorded\n" * 4
    tip = commit(local, {"ours": ours})
    # As in a store of an old version, which took the lie for the file.
    _forget_chunk(local, digest_of(ours))
    _recipe_of(local, digest_of(ours), [b"1" * 44, b"2" * 44])
    with pytest.raises(IntegrityError, match=digest_of(ours).hex()) as caught:
        push_branch(local, server, "main", tip)
    assert "fsck --repair" in caught.value.hint
    assert not server.root().branches


def _forget_chunk(store: Store, digest: Digest) -> None:
    forget(store, [digest])


def forge_old(folder: Path) -> tuple[Repository, Digest, bytes]:
    """A workspace whose store an old version has left a lie in, beside a version of its own."""
    repository = Repository.init(folder)
    (folder / "base.txt").write_text("base")
    repository.commit("base", author=AUTHOR)
    ours = b"what we are about to record\n"
    store = Store.open(LocalBackend(folder / ".dsvc" / "store", durable=False))
    _recipe_of(store, digest_of(ours), [b"1" * 14, b"2" * 14])
    return repository, digest_of(ours), ours


def test_fsck_names_what_no_file_accounts_for_and_repair_drops_it(tmp_path: Path) -> None:
    repository, name, _ = forge_old(tmp_path)
    found = repository.maintenance.fsck()
    assert [(each.kind, each.name) for each in found.errors] == [("recipe", name.hex())]
    mended = Repository.open(tmp_path).maintenance.fsck(repair=True)
    assert mended.sound
    store = Store.open(LocalBackend(tmp_path / ".dsvc" / "store", durable=False))
    assert store.find(name) is None
    assert not Repository.open(tmp_path).maintenance.fsck().errors


def test_a_repair_lists_no_recipe_of_a_pack_that_nobody_has_proved(tmp_path: Path) -> None:
    """What a fetch has left in packs is not believed because the index was lost."""
    repository, name, ours = forge_old(tmp_path)
    folder = tmp_path / ".dsvc" / "store"
    (tmp_path / "base.txt").write_text("base, longer")
    repository.commit("more", author=AUTHOR)
    for index in (folder / "index").iterdir():
        index.unlink()
    assert Repository.open(tmp_path).maintenance.fsck(repair=True).sound
    assert Store.open(LocalBackend(folder, durable=False)).find(name) is None
    (tmp_path / "ours.txt").write_bytes(ours)
    repository = Repository.open(tmp_path)
    repository.commit("ours", author=AUTHOR)
    assert bytes(Snapshot.open(tmp_path).read("ours.txt")) == ours
    assert repository.maintenance.fsck().sound
