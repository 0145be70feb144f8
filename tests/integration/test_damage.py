"""Damaged and missing packs: named when met, mended from a remote, sound chunks never lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from datasets_vc.backends import open_backend
from datasets_vc.errors import IntegrityError, MissingDataError
from datasets_vc.format.pack import DATA, METADATA
from datasets_vc.repository import Repository
from datasets_vc.store import Store
from datasets_vc.store.names import pack_name
from tests.integration.conftest import Dsvc, Refused
from tests.integration.trees import AUTHOR, committed_tree, tree_of

OLD = {f"old/{number}": bytes([number]) * 500 for number in range(5)}
NEW = {f"new/{number}": bytes([100 + number]) * 500 for number in range(5)}


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def _packs(folder: Path, category: int, holding: str, repository: Repository) -> list[Path]:
    """The packs of a store that hold files, or metadata, of a version."""
    index = repository.store.index
    entries = repository.ls(holding).to_pylist()
    dataset = repository.resolve(holding).dataset
    digests = [dataset] if category == METADATA else [row["digest"] for row in entries]
    found = {place.pack.digest for place in map(index.find, digests) if place}
    return [folder / pack_name(digest) for digest in sorted(found)]


@pytest.fixture
def work(home: Path) -> Repository:
    """A workspace with one version that was pushed; each version has packs of its own."""
    folder = home / "work"
    repository = Repository.init(folder)
    _write(folder, OLD)
    repository.commit("old", author=AUTHOR)
    repository.remotes.add("origin", str(home / "remote"))
    repository.push()
    return repository


@pytest.fixture
def pushed(work: Repository) -> Repository:
    """And with a second version without the files of the first one, pushed, too."""
    for path in OLD:
        (work.folder / path).unlink()
    _write(work.folder, NEW)
    work.commit("new", author=AUTHOR)
    work.push()
    return work


def _flip(pack: Path) -> None:
    data = bytearray(pack.read_bytes())
    data[20] ^= 1
    pack.write_bytes(data)


def _truncate(pack: Path) -> None:
    pack.write_bytes(pack.read_bytes()[:30])


def _lose_footer(pack: Path) -> None:
    pack.write_bytes(pack.read_bytes()[:-1])


HARM = pytest.mark.parametrize("harm", [_flip, _truncate, Path.unlink, _lose_footer])


@HARM
@pytest.mark.parametrize("category", [DATA, METADATA], ids=["data", "metadata"])
@pytest.mark.parametrize("revision", ["HEAD", "HEAD~1"])
def test_pull_mends_what_the_remote_has(
    dsvc: Dsvc, pushed: Repository, harm: Callable[[Path], None], category: int, revision: str
) -> None:
    store = pushed.folder / ".dsvc" / "store"
    revision = pushed.resolve(revision).commit.hex()
    tree = committed_tree(pushed, revision)
    (pack,) = _packs(store, category, revision, pushed)
    harm(pack)

    outcomes = [dsvc("-C", pushed.folder, "cat", f"{revision}:{path}") for path in tree]
    if harm is not _lose_footer:
        outcome = max(outcomes, key=lambda each: each.code)
        assert outcome.code == 13
        assert pack.name in outcome.err
        assert "dsvc pull" in outcome.err
        assert "Traceback" not in outcome.err

    assert dsvc("-C", pushed.folder, "pull").code == 0
    again = Repository.open(pushed.folder)
    assert committed_tree(again, revision) == tree
    assert committed_tree(again) == tree_of(pushed.folder)
    assert again.status().clean


@HARM
def test_a_repository_that_stays_open_reads_what_was_mended(pushed, harm) -> None:
    tree = committed_tree(pushed)
    for pack in _packs(pushed.folder / ".dsvc" / "store", DATA, "HEAD", pushed):
        harm(pack)
    again = Repository.open(pushed.folder)
    if harm is not _lose_footer:
        with pytest.raises(IntegrityError):
            committed_tree(again)

    again.pull()

    assert committed_tree(again) == tree


def test_a_pack_that_comes_back_under_its_name_is_read_anew(home: Path, incompressible) -> None:
    """Large packs keep their digest when they move, so that the mended one has the old name."""
    first = Repository.init(home / "one")
    (first.folder / "large.bin").write_bytes(incompressible(20 << 20))
    first.commit("large", author=AUTHOR)
    first.remotes.add("origin", str(home / "remote"))
    first.push()
    Repository.clone(str(home / "remote"), home / "two", checkout=False)
    second = Repository.open(home / "two")
    (pack,) = [
        pack
        for pack in (home / "two" / ".dsvc" / "store" / "packs").iterdir()
        if pack.stat().st_size > 1 << 20
    ]
    _truncate(pack)
    with pytest.raises(IntegrityError, match=pack.name):
        b"".join(map(bytes, second.cat("HEAD", "large.bin")))

    second.pull()

    assert pack.exists()
    assert committed_tree(second) == tree_of(first.folder)


@HARM
def test_what_is_sound_and_was_never_pushed_survives(dsvc: Dsvc, work, harm) -> None:
    _write(work.folder, NEW)
    work.commit("not pushed", author=AUTHOR)
    tree = committed_tree(work)
    new = {work.ls("HEAD", path).column("digest")[0].as_py() for path in NEW}
    places = [place for place in map(work.store.index.find, new) if place]
    (pack,) = {work.folder / ".dsvc" / "store" / pack_name(p.pack.digest) for p in places}
    harm(pack)
    for path in NEW:
        dsvc("-C", work.folder, "cat", f"HEAD:{path}")
        (work.folder / path).unlink()

    assert dsvc("-C", work.folder, "pull").code == 0

    again = Repository.open(work.folder)
    lost = {path for path in tree if isinstance(_read(again, path), MissingDataError)}
    if harm is _flip:
        assert len(lost) == 1
    elif harm is _lose_footer:
        assert not lost
    else:
        assert lost == set(NEW)
    for path in tree.keys() - lost:
        assert _read(again, path) == tree[path][1]
    # The loss is told as one: nobody has those bytes.
    for path in sorted(lost)[:1]:
        assert dsvc("-C", work.folder, "cat", f"HEAD:{path}").code == 16


def _read(repository: Repository, path: str) -> bytes | MissingDataError:
    try:
        return b"".join(map(bytes, repository.cat("HEAD", path)))
    except MissingDataError as error:
        return error


@pytest.mark.parametrize("files", [{"one": b"1" * 900}, OLD], ids=["one chunk", "several"])
def test_a_sound_pack_that_was_called_damaged_survives(home: Path, files) -> None:
    """A passing error of the disk marks it; what it holds is nowhere else."""
    repository = Repository.init(home / "work")
    _write(repository.folder, files)
    repository.commit("only here", author=AUTHOR)
    tree = committed_tree(repository)
    repository.remotes.add("origin", str(home / "remote"))
    Store.create(open_backend(str(home / "remote"), create=True))
    store = repository.folder / ".dsvc" / "store"
    for _ in range(3):
        for pack in store.glob("packs/*"):
            pack.with_name(pack.name + ".damaged").touch()
        again = Repository.open(repository.folder)
        again.fetch()

        assert not list(store.glob("packs/*.damaged"))
        assert committed_tree(again) == tree
        assert committed_tree(Repository.open(repository.folder)) == tree


@pytest.mark.parametrize("harm", [_flip, _truncate, Path.unlink])
def test_damage_at_the_remote_is_named_and_nothing_of_it_kept(
    dsvc: Dsvc, refused: Refused, home: Path, work: Repository, harm
) -> None:
    remote = Store.open(open_backend(str(home / "remote")))
    (pack,) = [info for info in remote.index.packs if info.category == DATA]
    harm(home / "remote" / pack_name(pack.digest))

    outcome = dsvc("clone", home / "remote", home / "other")

    assert outcome.code == 13
    assert pack.digest.hex() in outcome.err
    assert str(home / "remote") in outcome.err
    assert len(outcome.err.splitlines()) == 2
    again = refused(13, "clone", home / "remote", home / "other")
    assert pack.digest.hex() in again
    assert "dsvc clone" in refused(10, "-C", home / "other", "pull")
    assert tree_of(home / "other") == {}
