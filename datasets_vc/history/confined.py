"""Where a lock file may lead: nowhere that its user did not name.

It comes with code, which may be a stranger's: what it says of places on this machine stays in the
git work tree that it lies in, and what it says of others is an address that people use.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from datasets_vc.addresses import without_secrets
from datasets_vc.backends.kinds import SCHEMES
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.lock import Lock
from datasets_vc.locations import Folder, Url, parse_address
from datasets_vc.paths import GIT_DIR, META_DIR, reserved_in

# An SSH client may hand the name of a host to a command, which takes a dash for an option.
_NAME = r"[\w.~%+][\w.~%+-]*"
_AUTHORITY = re.compile(rf"(?:{_NAME}@)?(?:{_NAME}|\[[0-9A-Fa-f:.]+\])?(?::\d+)?")


def place_of(file: Path, path: str) -> Path:
    """The folder that a lock file names, which need not exist.

    It lies in the git work tree of the lock file, or else in the lock file's folder, and no link,
    other work tree or other workspace is on the way.

    Raises:
        InvalidInputError: it does not.
    """
    top = _top_of(file)
    folder = file.absolute().parent.resolve()
    place = Path(os.path.normpath(folder / path))
    if not place.is_relative_to(top):
        raise _refused(file, path, f"lies outside of '{top}', where it belongs")
    inner = place.relative_to(top)
    if reserved_in(inner.as_posix()):
        raise _refused(file, path, f"lies in '{reserved_in(inner.as_posix())}'")
    step = top
    for part in inner.parts:
        step /= part
        if _is_link(step):
            raise _refused(file, path, f"leads through '{step}', which is a link")
        if os.path.lexists(step / GIT_DIR):
            raise _refused(file, path, f"lies in another git work tree, '{step}'")
        if step != place and os.path.lexists(step / META_DIR):
            raise _refused(file, path, f"lies in another workspace, '{step}'")
    if _is_link(place / META_DIR):
        raise _refused(file, path, f"is another workspace: its '{META_DIR}' is a link")
    return place


def address_of(file: Path, lock: Lock) -> str:
    """The store that a lock names: a URL, or an absolute path.

    Raises:
        InvalidInputError: it is no address, or of a kind that only who names it knows to be meant.
    """
    url = lock.url
    if isinstance(_parsed(file, url), Url) or url.startswith("file://"):
        _check_url(file, url)
        return url
    if url.startswith(("//", "\\\\")):
        raise _unusual(file, url, "a folder of another machine")
    if Path(url).is_absolute():
        return os.path.normpath(url)
    return str(_store_of(file, url))


def _parsed(file: Path, url: str) -> Folder | Url:
    if Path(url) == Path():  # the folder of the lock file
        return Folder(url)
    try:
        return parse_address(url)
    except InvalidInputError as error:
        raise InvalidInputError(f"'{file}': {error.message}", error.hint) from error


def is_place_beside(file: Path, path: str) -> bool:
    """Whether a lock file may name this folder as the workspace."""
    try:
        place_of(file, path)
    except InvalidInputError:
        return False
    return True


def is_store_beside(file: Path, path: str) -> bool:
    """Whether a lock file may name this folder as the store."""
    try:
        _store_of(file, path)
    except InvalidInputError:
        return False
    return True


def _top_of(file: Path) -> Path:
    """What a lock file may lead to: its git work tree, or its folder where there is none."""
    folder = file.absolute().parent.resolve()
    for candidate in (folder, *folder.parents):
        if os.path.lexists(candidate / GIT_DIR):
            return candidate
        if (candidate / META_DIR).is_dir():
            # What came with a dataset has no say in the code around it.
            return folder
    return folder


def _store_of(file: Path, path: str) -> Path:
    """A store that moves along with the lock file."""
    top = _top_of(file)
    place = Path(os.path.normpath(file.absolute().parent.resolve() / path))
    below = [each for each in (place, *place.parents) if top in each.parents]
    linked = next((each for each in below if _is_link(each)), None)
    why = f"leads through '{linked}', which is a link" if linked else ""
    if not place.is_relative_to(top):
        why = f"lies outside of '{top}'"
    if why:
        raise InvalidInputError(
            f"'{file}' names the store {path!a}, which {why}.",
            "A store elsewhere is named by its absolute path: pin again with 'dsvc pin'; or name "
            "it yourself: dsvc clone URL DIR",
        )
    return place


def _check_url(file: Path, url: str) -> None:
    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise _unusual(file, url, f"a store of the unusual kind '{scheme}'")
    if scheme != "file" and not _AUTHORITY.fullmatch(urlsplit(url).netloc):
        raise _unusual(file, url, "a store on a machine that cannot be called so")


def _unusual(file: Path, url: str, what: str) -> InvalidInputError:
    return InvalidInputError(
        f"'{file}' names {without_secrets(url)!a}, {what}, which a lock file may not.",
        "If you know it to be right, name it yourself: dsvc clone URL DIR",
    )


def _refused(file: Path, path: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"'{file}' names the workspace {path!a}, which {why}; nothing was written.",
        "If that is what you want name the place yourself: "
        f"dsvc clone --from {quote(str(file))} DIR",
    )


def _is_link(path: Path) -> bool:
    """Whether a path is a link.

    Raises:
        InvalidInputError: nobody here can tell.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InvalidInputError(f"'{path}' cannot be a place: {error.strerror}.") from error
    # A junction of Windows is no link to Python, but leads elsewhere as well.
    return stat.S_ISLNK(found.st_mode) or bool(getattr(found, "st_reparse_tag", 0))
