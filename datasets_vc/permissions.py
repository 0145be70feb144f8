"""Folders that several users write to, and lock files that only they can hold.

A folder says by its own permissions that it is shared: its group may write, and what is made in it
belongs to its group (the set-group-id bit). That is what every user, machine and version of this
program sees, and what an administrator sets by hand (`chmod g+ws`). All in it gets the permissions
of the folder, whatever the umask of who makes it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datasets_vc.errors import DatasetError, InvalidInputError

Sharing = Literal["group", "all"]
"""Who may use a folder besides its owner: its group, and with "all" others may read, as in git."""

LOCK_SUFFIX = ".lock"

_SHARED = stat.S_ISGID | stat.S_IWGRP
_POLL_INTERVAL = 0.01


@dataclass(frozen=True, slots=True)
class Permissions:
    """The mode of files, and that of folders."""

    files: int
    folders: int


def permissions_in(folder: Path) -> Permissions | None:
    """What everything in a shared folder gets; None: it is not shared, and the umask decides.

    Raises:
        OSError: there is no such folder.
    """
    mode = folder.stat().st_mode
    if os.name == "nt" or mode & _SHARED != _SHARED:
        return None
    return Permissions(0o660 | mode & 0o004, 0o2770 | mode & 0o005)


def give(target: int | Path, mode: int) -> None:
    """Give a file or folder a mode, unless it has it; also where its owner is somebody else.

    Raises:
        OSError: it has another one, and is not ours.
    """
    if stat.S_IMODE(os.stat(target).st_mode) != mode:  # noqa: PTH116 - a descriptor, too
        os.chmod(target, mode)  # noqa: PTH101


def share(folder: Path, sharing: Sharing) -> None:
    """Make a folder shared, with all that lies in it; nobody loses a right but to write as others.

    Once more, it mends what was made in it without these permissions.

    Raises:
        InvalidInputError: this system has no such permissions.
        DatasetError: something in it belongs to somebody else, or we are not in its group.
    """
    if os.name == "nt":
        raise InvalidInputError("Windows has no folders of a group.", "Leave --shared out.")
    found = folder.stat()
    mode = stat.S_IMODE(found.st_mode) & ~(stat.S_IWOTH | stat.S_ISVTX)
    _change(folder, found.st_gid, mode | 0o2770 | (0o005 if sharing == "all" else 0))
    permissions = permissions_in(folder)
    if permissions is None:
        raise DatasetError(
            f"'{folder}' cannot be shared: you are not in its group, {_group(found.st_gid)}.",
            "Give it a group of yours first: chgrp GROUP FOLDER; or ask somebody who is in it.",
        )
    for path, is_folder in _below(folder):
        files = 0o660 if path.name.endswith(LOCK_SUFFIX) else permissions.files
        _change(path, found.st_gid, permissions.folders if is_folder else files)


@contextmanager
def lock_file(path: Path, timeout: float, *, remove: bool = False) -> Iterator[bool]:
    """Hold a lock file, from other processes and other threads; False if others do all the time.

    Whoever can open a file can hold a lock on it. So only those can open this one who may write
    to its folder: who may only read keeps nobody waiting.

    Args:
        timeout: seconds to wait.
        remove: take the file away afterwards.

    Raises:
        OSError: it cannot be locked.
    """
    # Takes 70 ms to import, and what only reads needs no lock.
    from filelock import FileLock, Timeout

    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link", str(path))
    mode = _mode_of_locks(path.parent)
    lock = FileLock(
        path, timeout=timeout, mode=mode, poll_interval=_POLL_INTERVAL, thread_local=False
    )
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        # Somebody may have opened it who must not: the next one is another file.
        remove = _was_open_to_others(path, mode) or remove
        yield True
    finally:
        if remove:
            # Who waits for it finds that the file is gone, and makes another one.
            with suppress(OSError):
                path.unlink()
        lock.release()


def owner_of(path: Path) -> str:
    """Whom a file or folder belongs to, for people; empty if that is nobody else."""
    try:
        owner = path.lstat().st_uid
        if os.name == "nt" or owner == os.geteuid():
            return ""
    except OSError:
        return ""
    import pwd

    try:
        return f"'{pwd.getpwuid(owner).pw_name}'"
    except KeyError:
        return f"user {owner}"


def _mode_of_locks(folder: Path) -> int:
    """Who may write to a folder may hold its locks."""
    writers = folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return 0o600 | writers | writers << 1


def _was_open_to_others(path: Path, mode: int) -> bool:
    """Whether a lock file gave more rights than it should; ours gets the right ones."""
    if os.name == "nt":
        return False
    found = stat.S_IMODE(path.stat().st_mode)
    if found != mode:
        with suppress(OSError):
            path.chmod(mode)
    return bool(found & ~mode)


def _change(path: Path, group: int, mode: int) -> None:
    """Give a file or folder its group and mode, unless it has them."""
    found = path.lstat()
    try:
        if found.st_gid != group:
            os.chown(path, -1, group)
        give(path, mode)
    except OSError as error:
        whose = owner_of(path)
        reason = f"it belongs to {whose}" if whose else f"{error.strerror or error}"
        raise DatasetError(
            f"'{path}' cannot be shared: {reason}.",
            "Its owner, or root, can do it with the same command.",
        ) from error


def _below(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Everything in a folder, and whether it is a folder; links are left alone."""
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink():
            continue
        is_folder = entry.is_dir()
        yield entry, is_folder
        if is_folder:
            yield from _below(entry)


def _group(number: int) -> str:
    import grp

    try:
        return f"'{grp.getgrgid(number).gr_name}'"
    except KeyError:
        return str(number)
