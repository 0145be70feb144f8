"""OpenSSH's server: who may in, who is told so, and a swap that the server itself makes."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from datasets_vc.backends import FsspecBackend, LocalBackend, probe
from datasets_vc.backends import sftp as sftp_module
from datasets_vc.errors import ConflictError, LockedError, RemoteError
from tests.backends.test_remote import closed_port
from tests.servers.openssh import SshServer, make_key

ROOT = "root.json"


@pytest.fixture
def backend(ssh_home: SshServer, tmp_path: Path) -> Iterator[FsspecBackend]:
    made = FsspecBackend(ssh_home.url(tmp_path / "store"))
    yield made
    made.close()


@pytest.fixture
def new_home(ssh_home: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that knows the server, and has no key for it."""
    keys = tmp_path / "home" / ".ssh"
    keys.mkdir(parents=True, mode=0o700)
    known = (ssh_home.home / ".ssh" / "known_hosts").read_text()
    (keys / "known_hosts").write_text(known)
    monkeypatch.setenv("HOME", str(keys.parent))
    return keys.parent


def test_a_swap_and_a_folder_on_the_server_exclude_each_other(
    backend: FsspecBackend, tmp_path: Path
) -> None:
    folder = LocalBackend(tmp_path / "store", create=True)
    folder.swap(ROOT, b"1", None)
    first = folder.read_root(ROOT)
    assert first
    backend.swap(ROOT, b"2", first.token)
    with pytest.raises(ConflictError):
        folder.swap(ROOT, b"3", first.token)
    with pytest.raises(ConflictError):
        backend.swap(ROOT, b"3", first.token)
    assert folder.get(ROOT) == b"2"


def test_a_lock_that_somebody_keeps(
    backend: FsspecBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp_module, "_SWAP", sftp_module._SWAP.replace("-w 30", "-n"))
    backend.swap(ROOT, b"1", None)
    with (
        FileLock(tmp_path / "store" / f"{ROOT}.lock"),
        pytest.raises(LockedError, match="locked by another process"),
    ):
        backend.swap(ROOT, b"2", b"1")
    backend.swap(ROOT, b"2", b"1")


@pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock")
@pytest.mark.parametrize(
    ("folder", "lock"), [(0o755, 0o600), (0o2775, 0o660), (0o777, 0o666), (0o757, 0o666)]
)
def test_only_who_may_write_on_the_server_may_open_the_lock(
    tmp_path: Path, folder: int, lock: int
) -> None:
    store = tmp_path / "a store"
    store.mkdir()
    store.chmod(folder)

    def swap(data: bytes, expected: bytes | None) -> bytes:
        new, root = store / "new", store / ROOT
        new.write_bytes(data)
        command = sftp_module.swap_command(str(root), str(new), first=expected is None)
        done = subprocess.run(
            command, shell=True, input=expected or b"", capture_output=True, check=True
        )
        return done.stdout.strip()

    assert swap(b"1", None) == b"swapped"
    file = store / f"{ROOT}.lock"
    assert stat.S_IMODE(file.stat().st_mode) == lock
    file.chmod(0o644)  # as versions of before made it
    assert swap(b"2", b"1") == b"swapped"
    assert stat.S_IMODE(file.stat().st_mode) == lock
    assert swap(b"3", b"1") == b"changed"
    assert (store / ROOT).read_bytes() == b"2"


# Stops where a swap has the lock and waits for the state that it is to compare with.
_STOP_IN_A_SWAP = """
import asyncio, sys, time
from datasets_vc.backends import FsspecBackend
from datasets_vc.backends.sftp import swap_command

backend = FsspecBackend(sys.argv[1])
backend.put("new", b"2")
root, new = f"{backend._root}/root.json", f"{backend._root}/new"
filesystem = backend._files()._filesystem

async def begin():
    return await filesystem.client.create_process(swap_command(root, new, first=False))

process = asyncio.run_coroutine_threadsafe(begin(), filesystem.loop).result()
time.sleep(600)
"""


def test_a_client_that_dies_leaves_no_lock(backend: FsspecBackend, tmp_path: Path) -> None:
    backend.swap(ROOT, b"1", None)
    lock = FileLock(tmp_path / "store" / f"{ROOT}.lock")
    client = subprocess.Popen([sys.executable, "-c", _STOP_IN_A_SWAP, backend.url])
    try:
        while _is_free(lock):
            with pytest.raises(subprocess.TimeoutExpired):
                client.wait(0.05)
    finally:
        client.kill()
        client.wait()
    backend.swap(ROOT, b"2", b"1")
    assert backend.get(ROOT) == b"2"


def _is_free(lock: FileLock) -> bool:
    try:
        with lock.acquire(timeout=0):
            return True
    except Timeout:
        return False


def test_a_lock_file_that_was_deleted_meanwhile_locks_nobody(
    backend: FsspecBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.swap(ROOT, b"1", None)
    deleting = sftp_module._SWAP.replace('[ "$1.lock" -ef', 'rm "$1.lock"; [ "$1.lock" -ef')
    assert deleting != sftp_module._SWAP
    with monkeypatch.context() as patch:
        patch.setattr(sftp_module, "_SWAP", deleting)
        with pytest.raises(ConflictError):
            backend.swap(ROOT, b"2", b"1")
    backend.swap(ROOT, b"2", b"1")
    assert [path.name for path in (tmp_path / "store").iterdir() if "tmp" in path.name] == []


def test_a_probe_leaves_no_file(backend: FsspecBackend, tmp_path: Path) -> None:
    assert probe(backend).conditional_writes
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


def test_an_account_that_may_run_nothing_has_no_safe_swap(
    ssh_home: SshServer, tmp_path: Path
) -> None:
    url = ssh_home.url(tmp_path / "store", commands=False)
    backend = FsspecBackend(url)
    found = probe(backend)
    assert (found.readable, found.writable, found.ranges) == (True, True, True)
    assert not found.conditional_writes
    assert "run no commands" in found.problem
    alone = FsspecBackend(url, single_writer=True)
    alone.swap(ROOT, b"1", None)
    with pytest.raises(ConflictError):
        alone.swap(ROOT, b"2", None)
    alone.swap(ROOT, b"2", b"1")
    assert alone.get(ROOT) == b"2"
    backend.close()
    alone.close()


def test_names_with_quotes_and_spaces(ssh_home: SshServer, tmp_path: Path) -> None:
    backend = FsspecBackend(ssh_home.url(tmp_path / "it's a $HOME; `x`" / "store"))
    backend.put("packs/a", b"data")
    backend.swap(ROOT, b"1", None)
    backend.swap(ROOT, b"2", b"1")
    assert [found.name for found in backend.list("")] == ["packs/a", ROOT]
    backend.close()


def test_a_path_that_begins_at_home(ssh_home: SshServer) -> None:
    backend = FsspecBackend(ssh_home.url(Path("/~/no-such-folder-of-datasets-vc")))
    assert list(backend.list("")) == []
    assert backend.read_root(ROOT) is None
    assert backend._root.startswith("/~/")
    backend.close()


def test_a_lost_connection_is_made_again(backend: FsspecBackend) -> None:
    backend.put("packs/a", b"data")
    filesystem = backend._files()._filesystem  # type: ignore[attr-defined]
    filesystem.loop.call_soon_threadsafe(filesystem.client.abort)
    while not filesystem.client.is_closed():
        pass
    assert backend.get("packs/a") == b"data"


def test_a_host_that_nobody_knows(new_home: Path, backend: FsspecBackend) -> None:
    (new_home / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(RemoteError, match="does not know") as caught:
        backend.get("packs/a")
    assert "ssh" in caught.value.hint
    assert not caught.value.transient


def test_nobody_let_in(new_home: Path, backend: FsspecBackend) -> None:
    with pytest.raises(RemoteError, match="refuses access"):
        backend.get("packs/a")
    assert probe(backend).reachable


def test_nobody_there(ssh_home: SshServer) -> None:
    with pytest.raises(RemoteError, match="cannot be reached"):
        FsspecBackend(f"sftp://127.0.0.1:{closed_port()}/store").get("packs/a")


def test_a_server_that_never_answers(ssh_home: SshServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"sftp://127.0.0.1:{silent.getsockname()[1]}/store"
        with pytest.raises(RemoteError) as caught:
            FsspecBackend(url, {"login_timeout": 0.3}).get("packs/a")
    assert caught.value.transient


def test_a_key_of_the_agent(
    ssh_home: SshServer, new_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is locked by a passphrase, which only the agent was told."""
    key = tmp_path / "key"
    make_key(key, "open sesame")
    granted = ssh_home.home.parent / "authorized_keys"
    before = granted.read_text()
    place = str(tmp_path / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL)
    try:
        granted.write_text(before + key.with_suffix(".pub").read_text())
        asked = tmp_path / "askpass"
        asked.write_text("#!/bin/sh\necho open sesame\n")
        asked.chmod(0o700)
        told = {"SSH_AUTH_SOCK": place, "SSH_ASKPASS": str(asked)}
        environment = os.environ | told | {"SSH_ASKPASS_REQUIRE": "force"}
        _add(key, environment)
        monkeypatch.setenv("SSH_AUTH_SOCK", place)
        backend = FsspecBackend(ssh_home.url(tmp_path / "store"))
        backend.put("packs/a", b"data")
        backend.close()
    finally:
        granted.write_text(before)
        agent.terminate()
        agent.wait()


def _add(key: Path, environment: dict[str, str]) -> None:
    for _ in range(200):
        done = subprocess.run(
            ["ssh-add", "-q", str(key)], env=environment, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode == 0:
            return
    pytest.skip("no agent takes the key")


def test_a_read_only_folder(ssh_home: SshServer, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write anywhere")
    folder = tmp_path / "store"
    folder.mkdir(mode=0o500)
    backend = FsspecBackend(ssh_home.url(folder))
    with pytest.raises(RemoteError, match="refuses access"):
        backend.put("packs/a", b"data")
    backend.close()
