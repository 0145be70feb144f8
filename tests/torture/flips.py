"""One bit flips in any object of a store or workspace: every reader finds it, or needs it not.

What a reader makes of the damaged object is compared with what it makes of the sound one. It may
say that something is damaged, or give the same if it does not look at that byte; nothing else.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from datasets_vc import Snapshot
from datasets_vc.backends import LocalBackend
from datasets_vc.digest import digest_of
from datasets_vc.errors import DatasetError, IntegrityError
from datasets_vc.format.entries import FILE, Entry
from datasets_vc.format.header import HEADER_SIZE, NODE
from datasets_vc.format.json import form_of
from datasets_vc.format.location import RAW, RECIPE
from datasets_vc.format.pack import DATA, decode_pack
from datasets_vc.format.run import RunHead, encode_run_input
from datasets_vc.repository import Repository
from datasets_vc.runs.record import RunFiles
from datasets_vc.store import Store
from datasets_vc.store.chunking import decode
from datasets_vc.store.names import index_name, pack_name
from datasets_vc.workspace.mergestate import MergeState, OpenConflict, write_state
from tests.integration.trees import AUTHOR, Tree, make_tree, tree_of
from tests.torture.campaign import Setting, Tally, Trial, campaign

_TAIL = 64
_RARE = 0.1
"""How often the readers are asked that write files."""

_WORDS = b"".join(b"line %d of a text that compresses\n" % number for number in range(400))
FIRST: Tree = {f"train/{label}/{n}.txt": (FILE, b"%d" % n * 90) for label in "ab" for n in range(4)}
SECOND = FIRST | {
    "train/a/words.txt": (FILE, _WORDS),
    "train/b/noise.txt": (FILE, random.Random(5).randbytes(5_000)),
    "large.bin": (FILE, random.Random(6).randbytes(1_100_000)),
}
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes [start, end) of a file, and what they are."""

    kind: str
    path: Path
    start: int
    end: int


Reader = Callable[[], object]


class Damage:
    """A store, a workspace, and one bit of them after the other."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.merging = folder / "merging"
        self.store = self.work / ".dsvc" / "store"
        _build(self.work, self.merging)
        self.regions = _regions(self.store, self.work, self.merging)
        self.truth = {name: reader() for name, reader in self._readers(folder / "truth").items()}

    def __call__(self, trial: Trial, tally: Tally) -> None:
        chance = trial.chance
        kind = chance.choice(sorted(self.regions))
        region = chance.choice(self.regions[kind])
        bit = chance.randrange(8 * region.start, 8 * region.end)
        sound = region.path.read_bytes()
        region.path.write_bytes(_flipped(sound, bit))
        try:
            self._read(trial, tally, region)
        finally:
            region.path.write_bytes(sound)
            for mark in self.store.glob("packs/*.damaged"):
                mark.unlink()
        tally.counts[f"flips: {kind}"] += 1

    def _read(self, trial: Trial, tally: Tally, region: Region) -> None:
        kind = region.kind
        found = False
        for name, reader in self._readers(trial.folder).items():
            if name in _WRITERS and trial.chance.random() > _RARE:
                continue
            try:
                result = reader()
            except DatasetError as error:
                _check_named(error, region)
                tally.counts[f"found by {name}"] += 1
                found = True
                continue
            assert result == self.truth[name], f"{name} used a damaged {kind}"
        if kind == "stat cache":
            found = True  # it is as if there was none: `status` has read the files
        assert found, f"nobody found a damaged {kind}"

    def _readers(self, scratch: Path) -> Mapping[str, Reader]:
        return {
            "snapshot": self._snapshot,
            "loader": self._loader,
            "log and diff": self._history,
            "status": lambda: _status(self.work),
            "merge": lambda: _status(self.merging),
            "runs": self._runs,
            "checkout": lambda: self._checkout(scratch / "checkout"),
            "clone": lambda: self._clone(scratch / "clone"),
            "fsck": self._fsck,
        }

    def _snapshot(self) -> object:
        found = {}
        for revision in ("one", "two"):
            snapshot = Snapshot.open(str(self.store), revision)
            for path in snapshot.entries().column("path").to_pylist():
                found[revision, path] = digest_of(snapshot.read(path))
        return found

    def _loader(self) -> object:
        from loaders import SampleDataset

        samples = SampleDataset(Snapshot.open(str(self.store), "one"), media="text")
        return [(sample["path"], digest_of(sample["data"])) for sample in samples]

    def _history(self) -> object:
        repository = Repository.open(self.work)
        tags = repository.tags
        return (
            list(repository.log()),
            repository.diff("one", "two").files,
            repository.branches.list(),
            tags.list(),
            tags.annotations(),
            repository.ls("two").to_pylist(),
        )

    def _runs(self) -> object:
        files = RunFiles(Store.open(LocalBackend(self.store)))
        return [files.read(run) for run in files.ids()]

    def _checkout(self, folder: Path) -> object:
        shutil.copytree(self.work, folder, symlinks=True)
        shutil.rmtree(folder / "train")
        try:
            Repository.open(folder).checkout("one", force=True)
            return tree_of(folder)
        finally:
            shutil.rmtree(folder)

    def _clone(self, folder: Path) -> object:
        try:
            result = Repository.clone(str(self.store), folder)
            for problem in result.damaged.values():
                raise IntegrityError(problem)
            files = RunFiles(Repository.open(folder).store)
            runs = [files.read(run) for run in files.ids()]
            return result.commit, result.dataset, tree_of(folder), runs
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _fsck(self) -> object:
        checked = Repository.open(self.work).maintenance.fsck()
        if checked.errors:
            raise IntegrityError(f"{checked.errors[0]}.")
        return None


_WRITERS = {"checkout", "clone", "loader"}


def _check_named(error: DatasetError, region: Region) -> None:
    """What is damaged has to be said: a digest, an id, or where it lies."""
    name = region.path.name
    named = name if len(name) == 64 else region.path.parent.name
    if not any(each in error.message for each in (named, name, "root", "Run", "run")):
        raise AssertionError(f"not named in: {error.message}")


def _status(folder: Path) -> object:
    cache = folder / ".dsvc" / "stat-cache"
    before = cache.read_bytes()
    try:
        return Repository.open(folder).status()
    finally:
        cache.write_bytes(before)


def _build(work: Path, merging: Path) -> None:
    repository = Repository.init(work)
    commits = []
    for name, tree in (("one", FIRST), ("two", SECOND)):
        make_tree(work, tree)
        commits.append(repository.commit(name, author=AUTHOR, time=NOW).commit)
        repository.tags.create(name)
    repository.tags.annotate("release", message="The first one.", tagger=AUTHOR, time=NOW)
    repository.branches.create("side/labels", "one")
    _record_run(repository)
    repository.status()
    shutil.copytree(work, merging, symlinks=True)
    conflict = OpenConflict("train/a/0.txt", "both modified", *[_entry(n) for n in b"abcd"])
    state = MergeState(
        "merge",
        "side",
        commits[0],
        commits[1],
        digest_of(b"merged"),
        "Merge side",
        AUTHOR,
        (conflict,),
        written=True,
    )
    write_state(merging, state)
    Repository.open(merging).status()


def _entry(number: int) -> Entry:
    return Entry("train/a/0.txt", FILE, number, digest_of(bytes([number])))


def _record_run(repository: Repository) -> None:
    store = repository.store
    dataset = repository.resolve("one").dataset
    members = {"dataset": dataset.hex(), "code": dataset.hex(), "command": ["cnn"]}
    with store.writer() as writer:
        digest = writer.add_meta(encode_run_input(members))
        store.publish(writer.finish())
    files = RunFiles(store)
    run = files.begin(RunHead(digest, NOW, "0123456789abcdef"))
    files.pin(run, [pack.digest for pack in store.index.packs if pack.category == DATA])
    steps = [{"event": "step", "step": step, "loss": f"{step:08x}"} for step in range(20)]
    files.finish(
        run, [{"event": "init", "params": "00"}, *steps, {"event": "end", "status": "done"}]
    )


def _regions(store: Path, *workspaces: Path) -> Mapping[str, list[Region]]:
    found: list[Region] = [_whole("root.json", store / "root.json")]
    opened = Store.open(LocalBackend(store))
    found += [_whole("chunk index", store / index_name(each)) for each in opened.root().indexes]
    for pack in {pack.digest for pack in opened.index.packs}:
        found += _pack_regions(store / pack_name(pack))
    for name in ("head.json", "log.jsonl", "packs.json"):
        found += [_whole(f"run's {name}", path) for path in store.glob(f"runs/*/{name}")]
    work, merging = workspaces
    found.append(_whole("HEAD", work / ".dsvc" / "HEAD"))
    found.append(_whole("stat cache", work / ".dsvc" / "stat-cache"))
    found.append(_whole("merge.json", merging / ".dsvc" / "merge.json"))
    return {kind: [each for each in found if each.kind == kind] for kind in {r.kind for r in found}}


def _whole(kind: str, path: Path) -> Region:
    return Region(kind, path, 0, path.stat().st_size)


def _pack_regions(path: Path) -> list[Region]:
    data = path.read_bytes()
    contents = decode_pack(data, "it")
    size, rows = len(data), len(contents.digests)
    footer = size - _TAIL - 64 * rows
    what = "data pack" if contents.category == DATA else "metadata pack"
    found = [
        Region(f"{what}: header", path, 0, HEADER_SIZE),
        Region(f"{what}: digests and locations", path, footer, size - _TAIL),
        Region(f"{what}: tail", path, size - _TAIL, size),
    ]
    end = HEADER_SIZE
    places = sorted(contents.locations.tolist(), key=lambda row: row[1])
    for _, offset, stored, raw, _, codec, _ in places:
        if offset > end:
            found.append(Region(f"{what}: gap", path, end, offset))
        end = offset + stored
        kind = _payload_kind(contents.category, codec, data[offset:end], raw)
        found += [Region(f"{what}: {kind}", path, offset, end)] if stored else []
    if footer > end:
        found.append(Region(f"{what}: gap", path, end, footer))
    return found


def _payload_kind(category: int, codec: int, payload: bytes, raw: int) -> str:
    if category == DATA:
        return "raw chunk" if codec == RAW else "zstd chunk"
    if codec == RECIPE:
        return "recipe"
    chunk = decode(payload, codec, raw, "it")
    return form_of(chunk) or ("node" if bytes(chunk[:4]) == NODE else "link")


def _flipped(data: bytes, bit: int) -> bytes:
    byte, place = divmod(bit, 8)
    return data[:byte] + bytes([data[byte] ^ (1 << place)]) + data[byte + 1 :]


def run(setting: Setting) -> Tally:
    """The campaign."""
    return campaign("flips", Damage(setting.folder / "damage"), setting)
