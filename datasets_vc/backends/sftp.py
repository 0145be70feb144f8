"""Files of a machine that is reached by SSH, over SFTP.

sshfs lends its connection: keys from the agent or `~/.ssh`, hosts and aliases from `~/.ssh/config`,
and no host that `known_hosts` does not know.

SFTP cannot compare and swap. Where the account may also run commands, the server does it: a few
lines of shell take the lock that a process on the server itself would take, compare, and rename.
The kernel frees the lock when that shell ends, whatever became of the client.
"""

from __future__ import annotations

import posixpath
import secrets
import shlex
import stat
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from datasets_vc.addresses import Access
from datasets_vc.backends.base import (
    LOCK_SUFFIX,
    MAX_LISTED,
    MAX_OBJECT,
    MAX_ROOT,
    TEMPORARY_PREFIX,
    ObjectInfo,
    Versioned,
)
from datasets_vc.backends.failures import UnableError, is_absent
from datasets_vc.backends.local import LOCK_TIMEOUT
from datasets_vc.backends.loop import wait_for

CLIENT_OPTIONS: dict[str, Any] = {
    # An empty tuple is ~/.ssh/known_hosts; sshfs itself would take any host.
    "known_hosts": (),
    "connect_timeout": 20,
    "login_timeout": 60,
    # Without, a connection that broke silently would be waited for until the end of time.
    "keepalive_interval": 15,
}

_HOME = "/~/"
_SHELL_TIMEOUT = LOCK_TIMEOUT + 30

# $1 root, $2 its new state, $3 "first" or "next"; stdin: the state that is expected.
# A lock file that was deleted while it was waited for locks nobody else. Only who may write to the
# folder may open it: whoever can open it can hold the lock (see `permissions.lock_file`).
_SWAP = f"""
command -v flock >/dev/null && [ -e "$2" ] || exit
folder=$(dirname "$1")
case $(ls -ldL "$folder") in
????????w*) umask 0; mode=666;;
?????w*) umask 7; mode=660;;
*) umask 77; mode=600;;
esac
exec 9>>"$1{LOCK_SUFFIX}" || exit
chmod $mode "$1{LOCK_SUFFIX}" 2>/dev/null
flock -x -w {LOCK_TIMEOUT:.0f} 9 || {{ echo locked; exit; }}
[ "$1{LOCK_SUFFIX}" -ef /dev/fd/9 ] || {{ echo changed; exit; }}
if [ "$3" = first ]; then [ ! -e "$1" ]; else cmp -s - "$1"; fi || {{ echo changed; exit; }}
mv -f "$2" "$1" && {{ sync "$folder" 2>/dev/null || :; }} && echo swapped
"""

Result = TypeVar("Result")


class RootLockedError(OSError):
    """Another process keeps the root locked."""


def options_of(_: Access) -> dict[str, Any]:
    """SSH is told everything by the URL and `~/.ssh/config`."""
    return dict(CLIENT_OPTIONS)


class SftpFiles:
    """The files that an sshfs file system reaches, by their full path; "/~/" begins at home.

    Args:
        connect: makes an `sshfs.SSHFileSystem`; called again when the connection is lost.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._filesystem = connect()
        self._reconnecting = threading.Lock()

    def read(self, path: str, start: int, end: int | None) -> bytes:
        most = (MAX_OBJECT if end is None else end) - start
        return self._wait_for(self._read(_real(path), start, end, most))

    def write(self, path: str, data: bytes) -> None:
        self._wait_for(self._write(_real(path), data))

    def info(self, path: str) -> ObjectInfo:
        return self._wait_for(self._info(path))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return iter(self._wait_for(self._listed(prefix)))

    def delete(self, path: str) -> None:
        try:
            self._wait_for(self._delete(_real(path)))
        except Exception as error:
            if not is_absent(error):
                raise

    def read_root(self, path: str) -> Versioned:
        data = self._wait_for(self._read(_real(path), 0, None, MAX_ROOT))
        return Versioned(data, data)

    def swap(self, path: str, data: bytes, expected: object | None) -> None:
        said = self._wait_for(self._swap(_real(path), data, expected))
        if said == b"swapped":
            return
        if said == b"changed":
            raise FileExistsError("the root is in another state")
        if said == b"locked":
            raise RootLockedError("another process keeps it locked")
        raise UnableError("the account can run no commands there, or there is no flock")

    async def _read(self, path: str, start: int, end: int | None, most: int) -> bytes:
        async with self._channel() as channel, channel.open(path, "rb") as file:
            found = await file.stat()
            # A folder opens like a file, and then cannot be read.
            if not stat.S_ISREG(found.permissions):
                raise FileNotFoundError(path)
            end = found.size if end is None else min(end, found.size)
            if end - start > most:
                raise UnableError(f"it has more than the {most:,} bytes that there can be")
            return bytes(await file.read(end - start, start)) if start < end else b""

    async def _write(self, path: str, data: bytes) -> None:
        async with self._channel() as channel:
            temporary = await _upload(channel, path, data)
            try:
                await channel.posix_rename(temporary, path)
            except BaseException:
                await _forget(channel, temporary)
                raise

    async def _info(self, path: str) -> ObjectInfo:
        async with self._channel() as channel:
            found = await channel.stat(_real(path))
        if not stat.S_ISREG(found.permissions):
            raise FileNotFoundError(path)
        return ObjectInfo(path, found.size, float(found.mtime))

    async def _listed(self, prefix: str) -> Sequence[ObjectInfo]:
        found: list[ObjectInfo] = []
        folders = [prefix]
        async with self._channel() as channel:
            while folders and len(found) + len(folders) <= MAX_LISTED:
                folder = folders.pop()
                for row in await _rows(channel, _real(folder)):
                    name = f"{folder}{row.filename}"
                    if stat.S_ISDIR(row.attrs.permissions):
                        folders.append(f"{name}/")
                    else:
                        found.append(ObjectInfo(name, row.attrs.size, float(row.attrs.mtime)))
        return found

    async def _delete(self, path: str) -> None:
        async with self._channel() as channel:
            await channel.remove(path)

    async def _swap(self, path: str, data: bytes, expected: object | None) -> bytes:
        async with self._channel() as channel:
            temporary = await _upload(channel, path, data)
            try:
                return await self._run(path, temporary, expected)
            finally:
                await _forget(channel, temporary)

    async def _run(self, path: str, temporary: str, expected: object | None) -> bytes:
        try:
            ended = await self._filesystem._execute(
                swap_command(path, temporary, first=expected is None),
                input=expected if isinstance(expected, bytes) else b"",
                encoding=None,
                check=False,
                timeout=_SHELL_TIMEOUT,
            )
        except BrokenPipeError:
            if self._filesystem.client.is_closed():
                raise
            return b""  # what ran instead did not want to read
        return bytes(ended.stdout or b"").strip()

    def _channel(self) -> Any:
        return self._filesystem._pool.get()

    def _wait_for(self, request: Coroutine[Any, Any, Result]) -> Result:
        try:
            with self._reconnecting:
                if self._filesystem.client.is_closed():
                    self._filesystem = self._connect()
        except BaseException:
            request.close()
            raise
        return wait_for(self._filesystem.loop, request)


def swap_command(path: str, temporary: str, *, first: bool) -> str:
    """What a login shell of any make runs to swap a root; says "swapped", "changed" or "locked"."""
    words = ("sh", "-c", _SWAP, "sh", path, temporary, "first" if first else "next")
    return f"exec {shlex.join(words)}"


def _real(path: str) -> str:
    return path.removeprefix(_HOME)


async def _upload(channel: Any, path: str, data: bytes) -> str:
    """Write a temporary file beside `path`, on the disk as far as the server can say so."""
    from asyncssh.sftp import SFTPOpUnsupported

    folder = posixpath.dirname(path)
    temporary = posixpath.join(folder, f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    try:
        file = await channel.open(temporary, "xb")
    except Exception as error:
        if not is_absent(error):
            raise
        await channel.makedirs(folder, exist_ok=True)
        file = await channel.open(temporary, "xb")
    try:
        async with file:
            await file.write(data)
            with suppress(SFTPOpUnsupported):
                await file.fsync()
    except BaseException:
        await _forget(channel, temporary)
        raise
    return temporary


async def _forget(channel: Any, path: str) -> None:
    with suppress(Exception):
        await channel.remove(path)


async def _rows(channel: Any, folder: str) -> list[Any]:
    try:
        rows = await channel.readdir(folder)
    except Exception as error:
        if is_absent(error):
            return []
        raise
    return [row for row in rows if row.filename not in (".", "..")]
