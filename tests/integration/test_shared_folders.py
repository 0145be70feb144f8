"""Two users of one group who keep their versions in one folder, and those who may only read it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.torture.forking import Ended, Forking, Order

GROUP = 61_000
ADA, BEN, EVE = 61_001, 61_002, 61_003
"""Ada and Ben are in the group, Eve is not. No system has to know their names."""

pytestmark = pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="only root can act as several users"
)


@dataclass(frozen=True)
class Users:
    """Everybody has a folder of their own, and all see `team`, which is the group's."""

    folder: Path
    server: Forking

    @property
    def team(self) -> Path:
        return self.folder / "team"

    def home(self, user: int) -> Path:
        return self.folder / str(user)

    def run(self, user: int, *argv: str, code: int = 0) -> Ended:
        groups = [] if user == EVE else [GROUP]
        home = self.home(user)
        environment = {"HOME": str(home), "DSVC_AUTHOR": f"user {user}"}
        order = Order(list(argv), str(home), environment=environment, user=user, groups=groups)
        ended = self.server.run(order)
        assert ended.code == code, (argv, ended.output)
        return ended

    def commits(self, user: int, name: str) -> None:
        """A new file in the workspace `work` of a user, recorded."""
        file = self.home(user) / "work" / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_bytes(os.urandom(2000))
        self.run(user, "-C", "work", "commit", "-m", name)


@pytest.fixture(scope="module")
def server() -> Iterator[Forking]:
    with Forking() as forking:
        yield forking


@pytest.fixture
def users(server: Forking) -> Iterator[Users]:
    # Folders of pytest let nobody else in.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    users = Users(folder, server)
    for user in (ADA, BEN, EVE):
        users.home(user).mkdir()
        os.chown(users.home(user), user, user)
    users.team.mkdir()
    os.chown(users.team, 0, GROUP)
    users.team.chmod(0o2775)
    try:
        yield users
    finally:
        shutil.rmtree(folder)


def everything(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in (folder, *folder.rglob("*")):
        yield path, path.lstat()


def check_usable(folder: Path, *, by_others: bool) -> None:
    """Each object, lock and folder is for the group to use, and for others at most to read."""
    for path, found in everything(folder):
        mode = stat.S_IMODE(found.st_mode)
        wanted = 0o2770 if path.is_dir() else 0o660
        assert found.st_gid == GROUP, path
        assert mode & wanted == wanted, (path, oct(mode))
        assert not mode & stat.S_IWOTH, (path, oct(mode))
        readable = by_others and not path.name.endswith(".lock")
        assert bool(mode & stat.S_IROTH) == readable, (path, oct(mode))


@pytest.mark.parametrize("sharing", ["group", "all"])
def test_two_users_push_to_a_shared_folder_in_turn(users: Users, sharing: str) -> None:
    remote = users.team / "signs"
    if sharing == "group":
        users.team.chmod(0o2770)  # what the umask takes from others, `group` does not give
    for user in (ADA, BEN):
        users.run(user, "init", "work")
        argv = ["remote", "add", "origin", str(remote)]
        users.run(user, "-C", "work", *argv, "--shared", sharing)
    users.commits(ADA, "first")
    users.run(ADA, "-C", "work", "push")
    users.run(BEN, "-C", "work", "pull")
    for turn in range(1 if sharing == "all" else 2):
        for user in (BEN, ADA):
            users.run(user, "-C", "work", "pull")
            users.commits(user, f"{user}-{turn}")
            users.run(user, "-C", "work", "push")
            check_usable(remote, by_others=True)
    for user in (BEN, ADA):
        users.run(user, "-C", "work", "gc", "--remote", "origin", "--grace", "0s")
        users.run(user, "-C", "work", "fsck", "--remote", "origin", "--repair")
        check_usable(remote, by_others=True)
    if sharing == "all":
        users.run(EVE, "clone", str(remote), "work")
        users.run(EVE, "-C", "work", "ls", "HEAD")


def test_two_workspaces_keep_their_versions_in_a_shared_store(users: Users) -> None:
    store = users.team / "store"
    for user in (ADA, BEN):
        users.run(user, "init", "work", "--store", str(store), "--shared", "group")
    users.commits(ADA, "first")
    for turn in range(3):
        for user in (BEN, ADA):
            users.run(user, "-C", "work", "checkout", "main")
            users.commits(user, f"{user}-{turn}")
            check_usable(store, by_others=True)
    for user in (BEN, ADA):
        users.run(user, "-C", "work", "branch", f"of-{user}")
        users.run(user, "-C", "work", "gc", "--grace", "0s")
        users.run(user, "-C", "work", "fsck", "--repair")
        check_usable(store, by_others=True)


def test_what_one_user_damaged_or_lost_the_other_mends(users: Users) -> None:
    store = users.team / "store"
    for user in (ADA, BEN):
        users.run(user, "init", "work", "--store", str(store), "--shared", "all")
    users.commits(ADA, "first")
    pack = max((store / "packs").iterdir(), key=lambda path: path.stat().st_size)
    damaged = bytearray(pack.read_bytes())
    damaged[100] ^= 1
    pack.write_bytes(damaged)
    users.run(BEN, "-C", "work", "fsck", "--repair", code=13)
    check_usable(store, by_others=True)
    users.run(ADA, "-C", "work", "fsck", "--repair")
    check_usable(store, by_others=True)


def test_a_store_that_exists_becomes_shared(users: Users) -> None:
    users.run(ADA, "init", "old", "--store", str(users.team / "store"))
    users.run(ADA, "-C", "old", "branch", code=0)
    said = users.run(BEN, "init", "work", "--store", str(users.team / "store"))
    (users.home(BEN) / "work" / "x").write_bytes(b"x")
    said = users.run(BEN, "-C", "work", "commit", "-m", "x", code=1).output
    assert "permission denied" in said
    assert "--shared group" in said
    assert f"user {ADA}" in said
    said = users.run(
        BEN, "init", "other", "--store", str(users.team / "store"), "--shared", "group", code=1
    ).output
    assert f"it belongs to user {ADA}" in said

    store = ["--store", str(users.team / "store"), "--shared", "group"]
    users.run(ADA, "init", "again", *store)
    check_usable(users.team / "store", by_others=True)
    users.run(BEN, "-C", "work", "commit", "-m", "x")
    users.run(BEN, "init", "again", *store)


def test_who_is_not_in_the_group_cannot_share_with_it(users: Users) -> None:
    place = users.team / "eve"
    place.mkdir()
    os.chown(place, EVE, GROUP)
    said = users.run(EVE, "init", "work", "--store", str(place), "--shared", "group", code=1).output
    assert "you are not in its group" in said
    assert not (users.home(EVE) / "work").exists()


@pytest.mark.parametrize("sharing", [(), ("--shared", "all")], ids=["own", "shared"])
def test_a_reader_cannot_stop_writers(users: Users, sharing: tuple[str, ...]) -> None:
    remote = users.team / "signs"
    users.run(ADA, "init", "work")
    users.run(ADA, "-C", "work", "remote", "add", "origin", str(remote), *sharing)
    users.commits(ADA, "first")
    # As versions of before made them: with these anybody could keep others waiting.
    for lock in (remote / "root.json.lock", users.home(ADA) / "work" / ".dsvc" / "lock"):
        lock.touch()
        os.chown(lock, ADA, ADA)
        lock.chmod(0o644)
    for name in ("second", "third"):
        users.commits(ADA, name)
        users.run(ADA, "-C", "work", "push")

    locks = list(users.folder.rglob("*lock"))
    assert {path.name for path in locks} >= {"root.json.lock", "lock"}
    assert can_hold(EVE, locks) == []

    users.run(EVE, "clone", str(remote), "copy")
    users.run(EVE, "-C", str(users.home(ADA) / "work"), "log")
    users.run(EVE, "-C", str(users.home(ADA) / "work"), "ls", "HEAD")


def can_hold(user: int, locks: list[Path]) -> list[Path]:
    """The lock files on which a user without groups gets a lock."""
    import fcntl

    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        for number, lock in enumerate(locks):
            for mode in (os.O_RDWR, os.O_RDONLY):
                try:
                    fcntl.flock(os.open(lock, mode), fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
                os.write(writing, bytes([number]))
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        return [locks[number] for number in pipe.read()]
