"""What the address of a store means: a folder of this machine or the URL of a remote, never both.

What could be meant as either is refused: a mistyped URL must not become a folder that nobody looks
for.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from datasets_vc.addresses import check_url, without_secrets
from datasets_vc.errors import InvalidInputError

SCHEMES: Final = (
    *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "hf"),
    *("sftp", "ssh", "http", "https", "file"),
)
"""The schemes that we know something about; fsspec knows more."""

_RARER: Final = ("ftp", "webdav", "hdfs", "webhdfs", "smb", "oci", "dbfs", "dropbox", "lakefs")
_OTHER_NAMES: Final = {
    "aws": "s3",
    "azure": "az",
    "git+ssh": "sftp",
    "local": "file",
    "minio": "s3",
    "rsync": "sftp",
    "s3n": "s3",
    "scp": "sftp",
    "wasb": "az",
    "wasbs": "az",
}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_URL_INSIDE = re.compile(r"(\w[\w+.-]*)[^\w/]*//(.*?)[\s'\"<>\])]*", re.DOTALL)
_BEFORE_COLON = re.compile(r"(\[[^]/]*\]|[^:/]*):(.*)", re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:(?![^\\/])")
_VARIABLE = re.compile(r"\$[A-Za-z_{(]|%\w+%")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})|%2[Ff]|%00|%5[Cc]")
# Of what no server and no cloud has in the name of a machine, a bucket or a container.
_NO_PLACE = re.compile(r"[\s\x00-\x1f\x7f\"'`<>{}|\\^*,;()!&]")
_MAX = 4096
_HIDDEN = re.compile(r"([/:])[^/:@]*:[^@]*@|:[^/@]*@")
_HIDDEN_QUERY = re.compile(r"\?\S*=\S*")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine, by a path that may be relative."""

    path: str


@dataclass(frozen=True, slots=True)
class Url:
    """A remote."""

    text: str


def parse_address(text: str, *, windows: bool = os.name == "nt") -> Folder | Url:
    """What an address means.

    A path that begins with `/`, `./` or `../` is one whatever comes after; `file://` is a folder.

    Args:
        windows: whether drives and backslashes mean something here.

    Raises:
        InvalidInputError: it means nothing, or may not mean what was meant: it looks like a
            mistyped URL, is git's `host:path`, a drive where there are none, or something that a
            shell was to replace; it is the root of the file system, or the folder where one is. Or
            it carries a secret.
    """
    lines = "\n" in text or "\r" in text
    if not text.strip() or "\0" in text or (lines and not _is_path(text, windows)):
        raise InvalidInputError(
            f"{without_secrets(text)!a} is not a URL or path of a store.",
            "Give a folder, as /mnt/disk/signs, or a URL, as s3://bucket/signs.",
        )
    if len(text) > _MAX:
        raise InvalidInputError(
            f"An address of {len(text):,} letters is none.", f"The longest has {_MAX:,}."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"The address {text!a} is not valid UTF-8.", "Rename the folder."
        ) from error
    if _is_path(text, windows):
        return Folder(_checked_path(text, windows))
    _check_blanks_and_variables(text)
    url = _URL.fullmatch(text)
    if url:
        return _parse_url(text, *url.groups(), windows=windows)
    _check_typed(text, windows)
    return Folder(text)


def absolute_address(text: str, folder: Path) -> str:
    """An address that counts from `folder`, as one that counts from nowhere.

    Raises:
        InvalidInputError: see `parse_address`.
    """
    address = parse_address(text)
    if isinstance(address, Url) or _URL.match(text):
        return text
    # `/` keeps an absolute path as it is.
    return str(folder / address.path)


def relative_address(path: str) -> str:
    """A path that is not absolute, written so that it can be taken for nothing else."""
    try:
        return path if parse_address(path) == Folder(path) else f"./{path}"
    except InvalidInputError:
        return f"./{path}"


def scheme_meant(word: str) -> str | None:
    """The scheme that somebody may have meant by `word`."""
    word = word.lower()
    if word in SCHEMES or word in _RARER:
        return word
    if re.fullmatch("s[0-9]+", word):
        return "s3"
    if word in _OTHER_NAMES:
        return _OTHER_NAMES[word]
    return next(iter(get_close_matches(word, SCHEMES, 1, 0.75)), None)


def _is_path(text: str, windows: bool) -> bool:
    """Whether an address can be nothing but a path."""
    if windows:
        text = text.replace("\\", "/")
        if _DRIVE.match(text):
            return True
    return text in (".", "..") or text.startswith(("/", "./", "../"))


def _checked_path(text: str, windows: bool) -> str:
    drive = text[:2] if windows and _DRIVE.match(text) else ""
    parts = [*re.split(r"[\\/]" if windows else "/", text[len(drive) :])]
    parts = [part for part in parts if part not in ("", ".")]
    if not parts and text.startswith("."):
        raise _refused(text, "it is the folder where you are", "Name a folder by its path.")
    if not parts:
        raise _refused(text, "it is the root of the file system", "Name a folder in it.")
    return text


def _check_blanks_and_variables(text: str) -> None:
    if text != text.strip():
        raise _meant(text, "it has blanks at its ends", text.strip())
    if text.startswith("~"):
        raise _refused(
            text,
            "only a shell knows whose home folder '~' is, and it was given in quotes or in a file",
            "Write the path from the root, or './~' for the folder of that name.",
        )
    if _VARIABLE.match(text):
        raise _refused(
            text,
            "it begins with a variable that no shell has replaced",
            "Write its value, or begin with './' if a folder is called so.",
        )


def _parse_url(text: str, scheme: str, place: str, *, windows: bool) -> Folder | Url:
    if len(scheme) == 1:
        raise _drive(text, windows)
    if scheme != scheme.lower():
        raise _meant(text, "its scheme has capital letters", f"{scheme.lower()}://{place}")
    if scheme == "local":
        raise _meant(text, "a folder has another scheme", f"file://{place}")
    if scheme == "file":
        return Folder(_path_of(text, place, windows))
    check_url(text)
    if scheme == "memory":  # for tests of what needs a client library and no server
        return Url(text)
    if not place.strip("/"):
        raise _refused(text, "it names no place", f"Say where: {scheme}://PLACE/FOLDER")
    if place.startswith("/") and scheme in SCHEMES:
        meant = f"{scheme}://{place.lstrip('/')}"
        raise _meant(text, "its third slash comes before the name of a place", meant)
    if scheme in SCHEMES and _NO_PLACE.search(place.partition("/")[0]):
        why = "no machine, bucket or container can have such a name"
        raise _refused(text, why, "Check what comes after '//': no blanks, no quotes, no '*'.")
    return Url(text)


def _path_of(text: str, place: str, windows: bool) -> str:
    """The folder that a file URL names."""
    host, slash, path = place.partition("/")
    if host not in ("", "localhost"):
        why = "it names a folder of another machine, or lacks a slash"
        raise _meant(text, why, f"sftp://{host}/{path} or file:///{host}/{path}")
    if not slash or not path.strip("/."):
        raise _refused(text, "it is the root of the file system", "Name a folder: file:///FOLDER")
    if "?" in path or "#" in path:
        raise _refused(text, "'?' and '#' are no part of a folder's URL", "Write %3F and %23.")
    if _BAD_ESCAPE.search(path):
        hint = "Give the path itself; '%25' stands for '%'."
        raise _refused(text, "a '%' in it stands for no letter of a name", hint)
    try:
        path = unquote_to_bytes(path).decode()
    except UnicodeDecodeError as error:
        hint = "Give the path itself."
        raise _refused(text, "its escapes are not UTF-8", hint) from error
    return path if windows and _DRIVE.match(path) else f"/{path}"


def _check_typed(text: str, windows: bool) -> None:
    """Refuse what is no URL, and would be a folder of a strange name."""
    inside = _URL_INSIDE.fullmatch(text)
    scheme = scheme_meant(inside[1]) if inside else None
    if inside and scheme:
        raise _meant(text, "it looks like a URL and is none", f"{scheme}://{inside[2].lstrip('/')}")
    if "://" in text:
        found = re.search(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]*", text)
        raise _meant(text, "it looks like a URL and is none", found[0] if found else None)
    colon = _BEFORE_COLON.fullmatch(text)
    if colon:
        raise _with_colon(text, colon[1], colon[2], windows)
    if windows or "\\" not in text:
        return
    if text.startswith("\\\\"):
        hint = "Mount it, and give the folder where it is."
        raise _refused(text, "it is a share of Windows", hint)
    raise _meant(text, "backslashes are letters of names here", text.replace("\\", "/"))


def _with_colon(text: str, word: str, rest: str, windows: bool) -> InvalidInputError:
    if _DRIVE.match(text) or (windows and len(word) == 1):
        return _drive(text, windows)
    scheme = scheme_meant(word)
    place = rest.replace("\\", "/").lstrip("/:")
    if scheme:
        slashes = ":///" if scheme == "file" else "://"
        meant = scheme + slashes + place if place else None
        return _meant(text, "it has a scheme, and not the slashes that come after it", meant)
    if word == "rclone":
        hint = "Serve it (rclone serve s3) or mount it, and give that address."
        return _refused(text, "remotes of rclone are not reached by their names", hint)
    if re.match(r"\d+(/|$)", rest):
        return _meant(text, "a machine needs a scheme", f"sftp://{word}:{rest}")
    # Without a slash, or with "~", the path begins at the home folder.
    path = rest if rest.startswith("/") else f"/~/{rest.removeprefix('~/')}"
    meant = f"sftp://{word}{path}" if word else None
    return _meant(text, "it is HOST:PATH, as git and ssh write it", meant)


def _drive(text: str, windows: bool) -> InvalidInputError:
    if windows:
        return _refused(text, "it does not say where on the drive", "Write C:\\FOLDER.")
    rest = text[2:].replace("\\", "/").strip("/")
    return _meant(text, "there are no drives here", f"/mnt/{text[0].lower()}/{rest}")


def _meant(text: str, why: str, meant: str | None) -> InvalidInputError:
    """An error that names what was probably meant, unless a secret may be in it."""
    if meant is None or _shown(text) != text:
        return _refused(text, why, "Write it as sftp://HOST/FOLDER or s3://BUCKET/FOLDER.")
    return _refused(text, why, f"Perhaps {meant} was meant; the folder of that name is './{text}'.")


def _refused(text: str, why: str, hint: str) -> InvalidInputError:
    return InvalidInputError(f"'{_shown(text)}' is not the address of a store: {why}.", hint)


def _shown(text: str) -> str:
    """`text` without what may be a password, be it a URL or nearly one."""
    text = _HIDDEN_QUERY.sub("?***", without_secrets(text))
    return _HIDDEN.sub(lambda found: f"{found[1] or ''}***@", text)
