"""Paths that are too long: what one of n components costs is told by n, and not by n times n."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from datasets_vc.cli.main import main
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.entries import FILE, Entry, entry_table
from datasets_vc.format.limits import check_paths
from datasets_vc.history.manifest import HashOnly, write_manifest
from datasets_vc.history.moves import folder_moves
from datasets_vc.paths import MAX_PATH, folders_of, inherited
from datasets_vc.workspace.selection import Selection
from tests.fault.hostile import HostileStore

COMPONENTS = 20_000
DEEP = "d/" * COMPONENTS + "f"
MIB = 1 << 20


def peak_of(act: Callable[[], object]) -> int:
    """How many bytes Python had at most while something was done."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSVC_AUTHOR", "Ada <ada@example.org>")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store of two versions, of which the newer one has such a path."""
    store = HostileStore(tmp_path / "remote")
    first = store.commit(store.leaf(store.entries({"a.txt": b"hello\n"})))
    entries = store.entries({"a.txt": b"hello\n", DEEP: b"deep\n", "d/x.png": b""})
    return store.publish(store.commit(store.leaf(entries), [first]), tags={"first": first})


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*words: str) -> tuple[int, str]:
        capfd.readouterr()
        codes: list[int] = []
        peak = peak_of(lambda: codes.append(main(words)))
        out, err = capfd.readouterr()
        # n * n / 2 letters would be 400 MB.
        assert peak < 64 * MIB, f"{words} took {peak:,} bytes"
        assert "internal error" not in err
        return codes[0], out + err

    return run


def test_a_clone_refuses_it_before_any_file_is_written(told, url: str, home: Path) -> None:
    code, words = told("clone", url, str(home / "clone"))
    assert code == 2
    assert "40,001 bytes and 20,001 components" in words
    assert len(words) < 1000
    assert [path.name for path in home.rglob("*.txt")] == []


VERBS = [
    ("fetch", "origin", "main", "--only", "*.txt"),
    ("checkout", "--only", "*.txt", "origin/main"),
    ("checkout", "origin/main"),
    ("checkout", "origin/main", "--", "a.txt"),
    ("restore", "--source", "origin/main", "."),
    ("merge", "origin/main"),
    ("cherry-pick", "origin/main"),
    ("diff", "first", "origin/main"),
    ("diff", "origin/main"),
    ("pull",),
    ("log", "origin/main", "--", DEEP),
    ("status", DEEP),
    ("commit", "-m", "x", DEEP),
]


@pytest.mark.parametrize("words", VERBS, ids=lambda words: " ".join(words)[:40])
def test_what_would_compare_or_write_it_refuses_it(
    told, url: str, home: Path, words: Sequence[str]
) -> None:
    here = str(home / "clone")
    assert told("clone", "--no-checkout", url, here)[0] == 0
    assert told("-C", here, "checkout", "first")[0] == 0
    assert told("-C", here, "checkout", "-b", "work")[0] in (0, 2)
    code, said = told("-C", here, *words)
    assert code in (1, 2), said
    assert len(said) < 1000
    assert told("-C", here, "status")[0] == 0
    assert (home / "clone/a.txt").read_bytes() == b"hello\n"
    assert not (home / "clone/d").exists()


def test_it_can_be_looked_at(told, url: str, home: Path) -> None:
    here = str(home / "clone")
    assert told("clone", "--no-checkout", url, here)[0] == 0
    for revision in ("main", "origin/main"):
        code, said = told("-C", here, "ls", revision)
        assert code == 0
        assert DEEP in said
        assert told("-C", here, "cat", f"{revision}:{DEEP}") == (0, "deep\n")
        assert DEEP in told("-C", here, "ls", revision, DEEP)[1]
        assert DEEP in told("-C", here, "ls", revision, "d/" * 5000 + "d")[1]
        assert told("-C", here, "show", revision)[0] == 0
    for words in (("log", "--all"), ("fsck",), ("gc", "--dry-run"), ("branch",)):
        assert told("-C", here, *words)[0] == 0


def test_a_version_with_it_cannot_be_recorded() -> None:
    longest = "a/" * (MAX_PATH // 2 - 1) + "bc"
    assert len(longest) == MAX_PATH
    write_manifest(HashOnly(), entry_table([entry(longest)]))
    for path in (longest + "d", "ä/" * 1400, "x" * (MAX_PATH + 1)):
        with pytest.raises(InvalidInputError, match="is too long"):
            write_manifest(HashOnly(), entry_table([entry("a"), entry(path + "z")]))


def entry(path: str) -> Entry:
    return Entry(path, FILE, 0, bytes(32))  # type: ignore[arg-type]


def chain(length: int) -> list[str]:
    """A file in each folder of a path of so many components."""
    return sorted("d/" * depth + "f" for depth in range(length))


def many(count: int) -> pa.StringArray:
    """Paths that have no folder in common, each as deep as can be."""
    return pa.array([f"{number:04d}/" + "d/" * 2000 + "f" for number in range(count)], pa.string())


def test_many_deep_paths_are_refused_for_their_folders_too() -> None:
    check_paths(pa.array(chain(2000), pa.string()))
    check_paths(many(8))
    with pytest.raises(InvalidInputError, match="nested so deeply"):
        check_paths(many(200))
    # What is common to many is counted once.
    check_paths(pa.array([f"{'d/' * 2000}{number:06d}" for number in range(5000)], pa.string()))
    wide = [f"train/{number // 10:06d}/images/{number:07d}.jpg" for number in range(200_000)]
    check_paths(pa.array(wide, pa.string()))
    check_paths(many(200).slice(190, 5))
    check_paths(pa.array([], pa.string()))


def test_each_folder_is_looked_at_once() -> None:
    paths = chain(2000)
    asked: list[str] = []

    def ask(path: str, above: int) -> int:
        asked.append(path)
        return above + 1

    known = {"": 0}
    assert [inherited(path, known, ask) for path in paths[:3]] == [
        path.count("/") + 1 for path in paths[:3]
    ]
    for path in paths:
        inherited(path, known, ask)
    assert len(asked) == len(set(asked)) == len(paths) + 1999
    assert len(folders_of(paths)) == 1999
    assert peak_of(lambda: folders_of(paths)) < 8 * MIB


def test_a_chain_of_folders_that_moves_costs_a_pair_a_folder() -> None:
    pairs = [(entry(f"a/{path}"), entry(f"b/{path}")) for path in chain(2000)]
    counted: list[str] = []

    def below(folder: str) -> int:
        counted.append(folder)
        return len(pairs) - folder.count("/")

    (move,) = folder_moves(pairs, below)
    assert (move.old, move.new, move.files) == ("a", "b", 2000)
    assert counted == ["a"]


def test_a_selection_of_a_path_that_is_too_long() -> None:
    with pytest.raises(InvalidInputError, match="is too long"):
        Selection([DEEP])
