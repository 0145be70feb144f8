"""A remote is not trusted: whatever it serves is refused, and nothing is written outside."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

from datasets_vc import Snapshot
from datasets_vc.backends import LocalBackend
from datasets_vc.cli.failure import EXIT_CODE_WORDS
from datasets_vc.cli.main import main
from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import DatasetError, IntegrityError, InvalidInputError
from datasets_vc.format.entries import FILE, SYMLINK, Entry
from datasets_vc.format.json import encode_object
from datasets_vc.format.location import MAX_CHUNK_SIZE, RECIPE, ZSTD
from datasets_vc.history import bases
from datasets_vc.store import Store
from loaders import SampleDataset
from tests.fault.hostile import HostileStore, Row, add_run, lying, root_with
from tests.store.memory import MemoryBackend
from tests.sync.stores import commit

MIB = 1 << 20
LIMIT = 3 << 30
"""Bytes of address space: Python, numpy and Arrow take half a gigabyte of it."""

Make = Callable[[HostileStore], str]
NOTHING = digest_of(b"")
HELLO = {"a.txt": b"hello\n"}


def some(values: Sequence[Any], count: int) -> list[Any]:
    """The first of some cases at every change; all of them in the slow tests."""
    return [
        *values[:count],
        *(pytest.param(each, marks=pytest.mark.slow) for each in values[count:]),
    ]


def dataset(files: dict[str, bytes], links: dict[str, str] | None = None) -> Make:
    """A store of one leaf whose paths are as they are given."""

    def make(store: HostileStore) -> str:
        return store.publish(store.commit(store.leaf(store.entries(files, links or {}))))

    return make


PATHS = [
    "a/../../out.txt",
    ".DSVC/config.toml",
    "../out.txt",
    "/tmp/out.txt",
    "a//b",
    "./a",
    "a/.",
    "a\0b",
    ".dsvc/config.toml",
    ".dSvC",
]
UNSAFE = [
    "sub/.GIT/config",
    ".dsv\ufeffc/config.toml",
    "sub/.dsvc/config.toml",
    "sub/.DSVC/HEAD",
    ".git/hooks/post-checkout",
    ".g\u200cit/config",
    "\u200e.dsvc/config.toml",
    "GIT~1/config",
    "dsvc~1/config.toml",
    ".git./config",
    ".git /config",
    ".dsvc::$INDEX_ALLOCATION/config.toml",
    "a\\.git\\config",
]
LINKS = [
    {"l": "/etc"},
    {"l": ".."},
    {"d/l": "../../x"},
    {"l": ".dsvc/store"},
    {"l": "x/../.git"},
    {"l": "a\0b"},
    {"l": ""},
    {"d/d/up": "../..", "d/d/l": "up/.."},
    {"d/a": "b", "d/b": "../c", "c": "d/..", "e": "d/a/.."},
    {"l": "x/" * 3000 + "x"},
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSVC_AUTHOR", "Ada <ada@example.org>")
    home = tmp_path / "home"
    home.mkdir()
    (home / "precious").write_text("mine")
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Make], str]:
    return lambda make: make(HostileStore(tmp_path / "remote"))


def everything_but(top: Path, target: Path) -> Iterator[tuple[str, bytes | str]]:
    """All files and links, but for what lies in the target folder."""
    for folder, folders, files in os.walk(top):
        if Path(folder) == target.parent:
            folders[:] = [name for name in folders if name != target.name]
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                yield str(path), str(path.readlink())
            elif path.is_file():
                yield str(path), path.read_bytes()
            else:
                yield str(path), "folder"


class Victim:
    """Runs verbs in this process and looks at what they leave."""

    def __init__(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.target = home / "clone"
        self._top = home.parent
        self._capfd = capfd
        self._before: dict[str, bytes | str] = {}

    def run(self, *arguments: str) -> tuple[int, str]:
        before = dict(everything_but(self._top, self.target))
        self._capfd.readouterr()
        code = main(list(arguments))
        out, err = self._capfd.readouterr()
        assert code in EXIT_CODE_WORDS, err
        assert "internal error" not in err
        assert "Traceback" not in err
        assert not any(letter < " " and letter not in "\n\t" for letter in out + err)
        assert dict(everything_but(self._top, self.target)) == before
        return code, out + err

    def clone(self, url: str) -> tuple[int, str]:
        return self.run("clone", url, str(self.target))

    def run_all(self) -> None:
        """Whatever else one might try with such a clone; the invariants are those of `run`."""
        if not (self.target / ".dsvc").exists():
            return
        here = ("-C", str(self.target))
        for words in (
            ("pull",),
            ("fetch",),
            ("status",),
            ("log", "--graph", "--all"),
            ("log", "origin/main", "--", "a.txt"),
            ("show", "origin/main"),
            ("ls", "origin/main"),
            ("cat", "origin/main:a.txt"),
            ("diff", "origin/main"),
            ("diff", "origin/main", "origin/main~1"),
            ("branch",),
            ("tag",),
            ("merge", "origin/main"),
            ("checkout", "origin/main"),
            ("checkout", "--force", "origin/main"),
            ("runs", "list"),
        ):
            self.run(*here, *words)


@pytest.fixture
def victim(home: Path, capfd: pytest.CaptureFixture[str]) -> Victim:
    return Victim(home, capfd)


def read_as_training_does(url: str) -> None:
    """A training reads straight from a store, without a workspace; only our own errors come."""
    try:
        snapshot = Snapshot.open(url, "main")
        snapshot.entries()
        samples = SampleDataset(snapshot)
        for row in range(min(3, len(samples))):
            samples[row]
    except DatasetError:
        pass


def files_of(target: Path) -> set[str]:
    return {
        path.relative_to(target).as_posix()
        for path in target.rglob("*")
        if ".dsvc" not in path.relative_to(target).parts[:1]
    }


@pytest.mark.parametrize("path", some(PATHS, 2))
def test_paths_that_no_dataset_has(made, victim: Victim, path: str) -> None:
    url = made(dataset({path: b"out"}))
    code, told = victim.clone(url)
    assert code == 13
    assert "The node " in told
    assert "cannot be a path" in told
    assert files_of(victim.target) == set()
    victim.run_all()
    read_as_training_does(url)


@pytest.mark.parametrize("path", some(UNSAFE, 2))
def test_paths_that_some_file_system_takes_for_folders_of_ours_or_of_git(
    made, victim: Victim, path: str
) -> None:
    code, told = victim.clone(made(dataset({"a.txt": b"hello\n", path: b"[remote]"})))
    assert code == 2
    assert "no data" in told
    assert ascii(path)[1:-1] in told
    assert files_of(victim.target) == set()
    victim.run_all()
    assert not list(victim.target.glob("sub*"))


@pytest.mark.parametrize("links", some(LINKS[::-1], 3), ids=lambda links: str(links)[:40])
def test_links_that_lead_out(made, victim: Victim, links: dict[str, str]) -> None:
    files = {} if any(path.startswith("x") for path in links) else {"d/d/f": b"f"}
    code, told = victim.clone(made(dataset(files, links)))
    assert code == 2
    assert "symbolic link" in told
    assert not any(
        os.path.realpath(path) != str(path) and path.is_symlink() and not _inside(path, victim)
        for path in victim.target.rglob("*")
    )


def _inside(path: Path, victim: Victim) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(victim.target.resolve())


def test_links_that_stay_inside_through_others(made, victim: Victim) -> None:
    links = {"d/e/up": "../..", "l": "d/e/up/d/../a.txt", "round": "about", "about": "round"}
    code, told = victim.clone(made(dataset(HELLO, links)))
    assert code == 0, told
    assert (victim.target / "l").read_bytes() == b"hello\n"


FILES_AND_FOLDERS = [
    dataset({"d/x": b"through the link", "d!": b"between"}, {"d": "other"}),
    dataset({"d": b"file", "d.txt": b"", "d/x/y": b"below it"}),
    dataset({"d/x": b"through the link"}, {"d": ".."}),
]


@pytest.mark.parametrize("make", some(FILES_AND_FOLDERS, 2))
def test_a_file_that_is_a_folder_too(made, victim: Victim, make: Make) -> None:
    code, told = victim.clone(made(make))
    assert code == 2
    assert "'d' is a file of this version and a folder of it" in told
    assert files_of(victim.target) == set()
    victim.run_all()


def test_a_link_that_comes_later_is_no_way_for_files_below_it(
    made, victim: Victim, tmp_path: Path
) -> None:
    """The folder becomes a link, and in the next version a folder again."""
    store = HostileStore(tmp_path / "remote")
    first = store.commit(store.leaf(store.entries({}, {"d": "e", "e/f": "g"})))
    url = store.publish(first)
    assert victim.clone(url)[0] == 0
    second = store.commit(store.leaf(store.entries({"d/x": b"x"})), [first])
    store.publish(second)
    assert victim.run("-C", str(victim.target), "pull")[0] == 0
    assert not (victim.target / "d").is_symlink()
    assert files_of(victim.target) == {"d", "d/x"}


# --- trees


def wrong_tree(kind: str) -> Make:
    def make(store: HostileStore) -> str:
        ab = store.leaf(store.entries({"a": b"1", "b": b"2"}))
        cd = store.leaf(store.entries({"c": b"3", "d": b"4"}))
        rows = {
            "repeated": [Row("a", ab, 2, 2), Row("c", ab, 2, 2)],
            "order": [Row("a", cd, 2, 2), Row("c", ab, 2, 2)],
            "reaches": [Row("a", ab, 2, 2), Row("aa", cd, 2, 2)],
            "entries": [Row("a", ab, 10**9, 2), Row("c", cd, 2, 2)],
            "bytes": [Row("a", ab, 2, 1 << 60), Row("c", cd, 2, 2)],
            "too many": [Row("a", ab, 1 << 63, 2), Row("c", cd, 1 << 63, 2)],
        }
        level = 1
        tree = store.inner(level, rows[kind]) if kind in rows else ab
        if kind == "level":
            tree = store.inner(3, [Row("a", ab, 2, 2)])
        if kind == "no commit":
            return store.publish(ab)
        return store.publish(store.commit(tree))

    return make


TREES = [
    ("repeated", "in two places"),
    ("order", "does not begin with 'a'"),
    ("entries", "has not the 1000000000 entries"),
    ("reaches", "reaches beyond 'aa'"),
    ("bytes", "has not the 1152921504606846976 bytes"),
    ("too many", "no dataset has as many entries"),
    ("level", "wrong level"),
    ("no commit", "is not"),
]


@pytest.mark.parametrize(("kind", "words"), TREES)
def test_trees_that_are_none(made, victim: Victim, kind: str, words: str) -> None:
    url = made(wrong_tree(kind))
    code, told = victim.clone(url)
    assert code == 13, told
    assert words in told
    assert files_of(victim.target) == set()
    if kind == "order":
        victim.run_all()
    read_as_training_does(url)


def exploding(store: HostileStore) -> str:
    """16 levels of 64 rows that all name one node: 2^90 entries in a few kilobytes."""
    tree = store.leaf(store.entries({"a": b"1"}))
    for level in range(1, 16):
        count = min(64**level, 1 << 56)
        tree = store.inner(
            level, [Row(f"a{row:02d}"[: 1 + 2 * bool(row)], tree, count) for row in range(64)]
        )
    return store.publish(store.commit(tree))


def bomb(store: HostileStore) -> str:
    """Hundreds of files of 'a byte', each of which unpacks to 256 MiB."""
    small = zstandard.ZstdCompressor().compress(bytes(MAX_CHUNK_SIZE))
    entries = []
    for number in range(300):
        name = digest_of(b"%d" % number)
        store.chunk(b"", digest=name, payload=small, codec=ZSTD, raw=MAX_CHUNK_SIZE)
        entries.append(Entry(f"{number:05d}", FILE, 1, name))
    return store.publish(store.commit(store.leaf(entries)))


def huge_sizes(store: HostileStore) -> str:
    """Files that say to be 2^62 bytes long."""
    entries = [
        Entry(entry.path, FILE, 1 << 62, entry.digest)
        for entry in store.entries({"a": b"1", "b": b"2"})
    ]
    return store.publish(store.commit(store.leaf(entries)))


def huge_recipe(store: HostileStore) -> str:
    """A file of 10^12 bytes, made of the same zeros again and again."""
    zeros = store.file(bytes(4 * MIB))
    name = digest_of(b"a file of a terabyte")
    store.recipe(name, [(zeros, 4 * MIB)] * 250_000)
    return store.publish(store.commit(store.leaf([Entry("a.txt", FILE, 5, name)])))


def unknown_sizes(store: HostileStore) -> str:
    """zstd frames that do not say how long they become, with the largest windows there are."""
    parameters = zstandard.ZstdCompressionParameters(
        compression_level=1, window_log=27, write_content_size=False
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    payload = compressor.compressobj().compress(b"") + compressor.compress(bytes(64 * MIB))
    entries = []
    for number in range(50):
        name = digest_of(b"%d" % number)
        store.chunk(b"", digest=name, payload=payload, codec=ZSTD, raw=MAX_CHUNK_SIZE)
        entries.append(Entry(f"{number:05d}.txt", FILE, MAX_CHUNK_SIZE, name))
    return store.publish(store.commit(store.leaf(entries)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS is Linux's")
def test_a_few_kilobytes_do_not_take_the_machine(home: Path, tmp_path: Path) -> None:
    makes = (exploding, bomb, huge_sizes, huge_recipe, unknown_sizes)
    urls = [make(HostileStore(tmp_path / make.__name__)) for make in makes]
    code = f"""
from datasets_vc import Snapshot
from datasets_vc.cli.main import main
from datasets_vc.backends import LocalBackend
from datasets_vc.errors import DatasetError, IntegrityError, InvalidInputError
for name, url in enumerate({urls!r}):
    name = str(name)
    print(main(["clone", url, name]), main(["clone", url, name]))
    try:
        Snapshot.open(url, "main").entries()
    except DatasetError:
        pass
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    codes = [line.split() for line in done.stdout.splitlines()]
    assert codes == [["13", "13"]] * len(urls), done.stderr
    assert "internal error" not in done.stderr
    assert "MemoryError" not in done.stderr
    for name in range(len(urls)):
        assert files_of(home / str(name)) == set()


# --- chunks, recipes, packs and indexes


def lying_recipe(kind: str) -> Make:
    def make(store: HostileStore) -> str:
        one, two = store.file(b"1" * 1000), store.file(b"2" * 1000)
        name = digest_of(b"the file")
        pieces = {
            "other file": [(one, 1000), (two, 1000)],
            "lengths": [(one, 999), (two, 1001)],
            "itself": [(name, 1000), (two, 1000)],
            "nested": [(store.recipe(digest_of(b"n"), [(one, 1000), (two, 1000)]), 2000), (one, 0)],
        }
        store.recipe(name, pieces[kind])
        size = sum(length for _, length in pieces[kind])
        return store.publish(store.commit(store.leaf([Entry("a.txt", FILE, size, name)])))

    return make


@pytest.mark.parametrize("kind", ["other file", "lengths", "itself", "nested"])
def test_recipes_that_lie_are_found_where_they_arrive(made, victim: Victim, kind: str) -> None:
    url = made(lying_recipe(kind))
    code, told = victim.run("clone", "--no-checkout", url, str(victim.target))
    assert code == 13, told
    assert f"The recipe of file {digest_of(b'the file').hex()}" in told
    assert url in told
    store = Snapshot.open(victim.target / ".dsvc" / "store", "origin/main")._store
    assert store.find(digest_of(b"the file")) is None
    # Again, now that the pieces are here.
    assert victim.run("clone", "--no-checkout", url, str(victim.target))[0] == 13
    store.refresh()
    assert store.find(digest_of(b"the file")) is None
    if kind == "itself":
        victim.run_all()
    assert files_of(victim.target) == set()
    read_as_training_does(url)


def test_a_recipe_that_came_unasked_does_not_hide_a_file_of_ours(made, victim: Victim) -> None:
    """Who believes to have a file does not store it again."""
    ours = b"what we are about to record\n"

    def make(store: HostileStore) -> str:
        one, two = store.file(b"1" * 1000), store.file(b"2" * 1000)
        store.recipe(digest_of(ours), [(one, 1000), (two, 1000)])
        return store.publish(store.commit(store.leaf(store.entries(HELLO))))

    assert victim.clone(made(make))[0] == 0
    (victim.target / "ours.txt").write_bytes(ours)
    here = ("-C", str(victim.target))
    assert victim.run(*here, "commit", "-m", "ours")[0] == 0
    assert victim.run(*here, "cat", "HEAD:ours.txt") == (0, ours.decode())


@pytest.mark.parametrize(
    "lie",
    some(
        [
            lying(offset=2**64 - 8, stored=16),
            lying(offset=0),
            lying(stored=2**31, raw=2**31),
            lying(raw=2**32 - 1),
            lying(codec=3),
            lying(pack=7),
            lying(zero=1),
            lying(offset=16),
            lying(stored=1),
            lying(raw=MAX_CHUNK_SIZE),
            lying(codec=ZSTD),
            lying(codec=RECIPE),
            lying(checksum=0),
        ],
        20,
    ),
)
def test_indexes_that_lie(made, victim: Victim, lie) -> None:
    def make(store: HostileStore) -> str:
        store.file(os.urandom(2 * MIB))  # so that packs do not come whole
        return store.publish(store.commit(store.leaf(store.entries(HELLO))), lie=lie)

    url = made(make)
    code, told = victim.clone(url)
    assert code in (0, 13), told
    assert code == 13 or (victim.target / "a.txt").read_bytes() == b"hello\n"
    read_as_training_does(url)


# --- history, names and words


def test_names_that_no_ref_has(made, victim: Victim) -> None:
    for name in ("../../x", "a\nb", "\x1b]0;owned\x07", "a" * 5000, "HEAD", "x.lock", "-rf", ""):
        refs = {"main": "0" * 64, name: "0" * 64}

        def make(store: HostileStore, refs: dict[str, str] = refs) -> str:
            tip = store.commit(store.leaf(store.entries(HELLO)))
            return store.publish(tip, root=root_with(branches=refs))

        code, told = victim.clone(made(make))
        assert code == 13, (name, told)
        assert "The root of " in told
        assert not victim.target.exists()


@pytest.mark.parametrize(
    "members",
    [
        {"default_branch": "main\n0123"},
        {"gc_generation": True},
        {"gc_generation": -1},
        {"indexes": ["../../etc/passwd"]},
        {"branches": []},
        {"write_id": None},
    ],
    ids=str,
)
def test_roots_that_are_none(made, victim: Victim, members: dict[str, object]) -> None:
    def make(store: HostileStore) -> str:
        tip = store.commit(store.leaf(store.entries(HELLO)))
        return store.publish(tip, root=root_with(**members))

    code, told = victim.clone(made(make))
    assert code == 13
    assert "The root of " in told


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"format":"dsvc-root","format":"dsvc-root"}',
        b'{"gc_generation":' + b"9" * 10_000 + b"}",
        b"[]",
        b"\xff\xfe",
        b"",
    ],
    ids=["deep", "twice", "digits", "list", "utf", "empty"],
)
def test_json_that_breaks_parsers(made, victim: Victim, data: bytes) -> None:
    def make(store: HostileStore) -> str:
        return store.publish(store.commit(store.leaf([])), root=lambda _: data)

    code, told = victim.clone(made(make))
    assert code == 13
    assert "The root of " in told


def test_words_are_no_orders_to_the_terminal(made, victim: Victim) -> None:
    orders = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m\r"

    def make(store: HostileStore) -> str:
        files = {f"a{orders}.txt": b"text", f"metadata{orders}.csv": b"x", "b.txt": b"1"}
        first = store.commit(store.leaf(store.entries(files)), message=orders, author=orders)
        changed = store.entries({f"c{orders}.txt": b"text", "b.txt": orders.encode()})
        second = store.commit(store.leaf(changed), [first], f"{orders}\n\n{orders}")
        tag = store.chunk(
            encode_object(
                "dsvc-tag",
                {
                    "object": second.hex(),
                    "name": orders,
                    "tagger": orders,
                    "time": "2026-11-01T00:00:00Z",
                    "message": orders,
                },
            )
        )
        return store.publish(second, tags={"v1": tag})

    assert victim.clone(made(make))[0] == 0
    victim.run_all()
    assert victim.run("-C", str(victim.target), "diff", "HEAD~1", "HEAD")[0] == 0
    assert victim.run("-C", str(victim.target), "show", "v1")[0] == 0


@pytest.mark.parametrize("kind", ["many parents", "tag of a tag", "not canonical", "twice", "loop"])
def test_histories_that_are_none(made, victim: Victim, kind: str) -> None:
    def make(store: HostileStore) -> str:
        leaf = store.leaf(store.entries(HELLO))
        tip = store.commit(leaf)
        members = {
            "author": "Eve",
            "dataset": leaf.hex(),
            "message": "m",
            "parents": [],
            "time": "2026-11-01T00:00:00Z",
        }
        tag = {"object": tip.hex(), "name": "t", "tagger": "Eve", "message": "m"}
        tag["time"] = members["time"]
        if kind == "many parents":
            tip = store.chunk(
                encode_object("dsvc-commit", members | {"parents": [tip.hex()] * 100_000})
            )
        elif kind == "tag of a tag":
            first = store.chunk(encode_object("dsvc-tag", tag))
            second = store.chunk(encode_object("dsvc-tag", tag | {"object": first.hex()}))
            return store.publish(tip, tags={"v1": second})
        elif kind == "not canonical":
            tip = store.chunk(encode_object("dsvc-commit", members) + b"\n")
        elif kind == "twice":
            sound = encode_object("dsvc-commit", members)
            tip = store.chunk(sound.replace(b'"message":"m"', b'"message":"m","message":"other"'))
        else:
            # No commit can name itself by its digest; under another digest it is not stored.
            name = digest_of(b"loop")
            data = encode_object("dsvc-commit", members | {"parents": [name.hex()]})
            tip = store.chunk(data, digest=name)
        return store.publish(tip)

    code, told = victim.clone(made(make))
    assert code == 13, told
    assert any(word in told for word in ("commit ", "Chunk "))
    assert files_of(victim.target) == set()


def test_symlinks_of_another_kind_are_refused(made, victim: Victim) -> None:
    """A link whose target is said to be short and is not."""

    def make(store: HostileStore) -> str:
        name = store.chunk(b"x" * (2 * MIB))
        return store.publish(store.commit(store.leaf([Entry("l", SYMLINK, 1, name)])))

    code, told = victim.clone(made(make))
    assert code == 13
    assert "where its entry says 1" in told


def test_a_wrong_level_in_the_middle_of_a_deep_tree(made, victim: Victim) -> None:
    def make(store: HostileStore) -> str:
        tree: Digest = store.leaf(store.entries({"a": b"1"}))
        for _ in range(200):
            tree = store.inner(15, [Row("a", tree, 1, 1)])
        return store.publish(store.commit(tree))

    code, told = victim.clone(made(make))
    assert code == 13
    assert "wrong level" in told


# --- runs

ORDERS = "\\u001b]0;owned\\u0007"
LOGS = [
    b"",
    b'{"event":"step"}\n{"event":"end"}\n',
    b'{"event":"inputs"}\n{"event":"epoch"}\n{"event":"checkpoint"}\n{"event":"end"}\n',
    b'{"event":"inputs","config":3,"seeds":[],"plan":7}\n{"event":"end","status":5,"metrics":[1]}\n',
    b'{"event":"end","status":"done","metrics":{"accuracy":"high","x":[1]},"seconds":"long"}\n',
    f'{{"event":"{ORDERS}"}}\n{{"event":"end","status":"{ORDERS}","metrics":{{"{ORDERS}":1}}}}\n'.encode(),
    b'{"event":"step","epoch":1e999,"step":NaN,"batch":[],"loss":{}}\n{"event":"end","status":"done"}\n',
    b"[" * 100_000 + b"\n",
    b'{"event":"verdict","verdict":1,"first_difference":2}\n{"event":"end","status":"done"}\n',
    b'{"event":"end","seconds":' + b"9" * 6000 + b"}\n",
]


deep: dict[str, object] = {}
for _ in range(300):
    deep = {"deeper": deep}
MEMBERS: list[dict[str, object]] = [
    {"topology": "x", "config": [], "seeds": {ORDERS: [ORDERS]}, "packages": 3},
    {"command": 3},
    {"commit": 5},
    {"config": deep},
]


@pytest.mark.parametrize("log", LOGS, ids=range(len(LOGS)))
@pytest.mark.parametrize(
    "members", [{}, {"command": 3, "topology": "x", "commit": 5, "config": []}]
)
def test_runs_of_strangers(
    made, victim: Victim, log: bytes, members: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are looked at, and nothing that they say is run."""
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **_: started.append(a))
    monkeypatch.setattr(os, "system", started.append)
    runs: list[str] = []

    def make(store: HostileStore) -> str:
        leaf = store.leaf(store.entries(HELLO))
        said = {"dataset": leaf.hex(), "code": leaf.hex(), "command": [ORDERS]} | members
        one = store.chunk(encode_object("dsvc-run-input", said))
        other = store.chunk(encode_object("dsvc-run-input", said | {"other": 1}))
        url = store.publish(store.commit(leaf))
        runs.extend(add_run(url, each, log) for each in (one, other))
        return url

    # Logs that are none are refused as any damaged object is; the others come along.
    assert victim.clone(made(make))[0] in (0, 13)
    here = ("-C", str(victim.target))
    for words in (("list",), ("show", runs[0]), ("diff", *runs)):
        victim.run(*here, "runs", *words)
        victim.run(*here, "--json", "runs", *words)
    assert started == []


# --- read without a fetch


class _Elsewhere(LocalBackend):
    """As reached by requests: nothing is mapped."""

    def map(self, name: str) -> memoryview | None:
        return None


@pytest.mark.parametrize("what", ["file", "commit", "node"])
def test_what_is_read_from_a_remote_is_held_against_its_digest(made, what: str) -> None:
    """Checksums are right: who makes the store makes them."""
    names: dict[str, Digest] = {}

    def make(store: HostileStore) -> str:
        entries = store.entries({"a.txt": b"hello\n"})
        leaf = store.leaf(entries)
        other = store.leaf(store.entries({"a.txt": b"wrong\n"}))
        tip = store.commit(leaf)
        names.update(file=entries[0].digest, node=leaf, commit=tip)
        lies = {
            "file": b"wrong\n",
            "node": store._chunks[other].payload,
            "commit": store._chunks[store.commit(other)].payload,
        }
        category = store._chunks[names[what]].category
        store.chunk(lies[what], digest=names[what], category=category)
        return store.publish(tip)

    store = Store.open(_Elsewhere(Path(made(make))))
    for read in (store.read, store.read_file, lambda digest: b"".join(store.iter_file(digest))):
        with pytest.raises(IntegrityError, match=names[what].hex()):
            read(names[what])


def test_labels_of_thousands_of_digits_are_words(made) -> None:
    url = made(dataset({f"{'9' * 5000}/a.txt": b"x", "1/b.txt": b"y"}))
    assert len(SampleDataset(Snapshot.open(url, "main"))) == 2


def test_histories_that_cross_more_often_than_anybody_merges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bases, "_MOST_CROSSINGS", 10)
    store = Store.create(MemoryBackend())
    left, right = commit(store, {"a": b"1"}), commit(store, {"a": b"2"}, step=1)
    for step in range(2, 40, 2):
        files = {"a": b"%d" % step}
        left, right = (
            commit(store, files, [left, right], step=step),
            commit(store, files, [right, left], step=step + 1),
        )
    for act in (bases.merge_commits, bases.commits_merged):
        with pytest.raises(InvalidInputError, match="crosswise"):
            act(store, left, right)
