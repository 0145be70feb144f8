"""Dataset paths: relative, slash-separated UTF-8 strings, in byte order.

Paths are kept as they were given: no case folding and no Unicode normalisation, so that twins that
differ only in these stay two entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from datasets_vc.errors import InvalidInputError

Value = TypeVar("Value")

MAX_PATH = 4096
"""Bytes of a path. One of more than 2,048 components is longer, as each takes two."""

SHORTER = "`dsvc ls` and `dsvc cat` show what is recorded so; give the files shorter paths."

META_DIR = ".dsvc"
GIT_DIR = ".git"

# What HFS+ leaves out when it compares names: zero-width and direction marks.
_UNSEEN = "[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]*"
# Windows drops dots and blanks at the end of a name, takes `:` for the beginning of a stream's
# name, `\` for a separator, and knows a folder by a short name such as DSVC~1.
_END = rf"{_UNSEEN}[ .]*(?::[^/\\]*)?(?=[/\\]|$)"
_RESERVED = re.compile(
    rf"(?:^|[/\\]){_UNSEEN}(?:"
    rf"(?P<meta>{_UNSEEN.join('.dsvc').replace('.', '[.]')}|dsvc~[0-9]+)|"
    rf"{_UNSEEN.join('.git').replace('.', '[.]')}|git~[0-9]+){_END}",
    re.IGNORECASE,
)

# A star of a pattern, or several in a row, and what follows up to another one of the same
# component: letters, and sets that cannot mean the separator. There is one way to read each
# expression, and one place to begin: what is read may be as long as a stranger likes.
_STAR = r"(?:\[\^//?\]\*)++"
_LETTER = r"\\.|\[\^//?\](?!\*)|\[\^/(?!/?\])[^]\\[]+\]|\[(?!\^)[^]/\\[]+\]|[^][\\/(){}|^$.*+?]"
_STAR_AND_MORE = re.compile(rf"(?<!\]\*){_STAR}((?:{_LETTER})++)(?={_STAR})")
_STARS = re.compile(_STAR)

# How pathspec writes `/**` before a separator, and `**/` at the beginning.
_FOLDERS = "(?:/.+)?"
_ANYWHERE = "^(?:.+/)?"

_BAD = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|\x00|^\.dsvc(?:/|$)", re.IGNORECASE)


def problem_with(path: str) -> str:
    """Why `path` cannot be a dataset path, or an empty string if it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not valid UTF-8"
    if not _BAD.search(path):
        return ""
    if "\x00" in path:
        return "it contains a NUL character"
    if path.lower().startswith(META_DIR):
        return f"it lies in the reserved folder {META_DIR}"
    if path.startswith("/"):
        return "it is absolute"
    return "it has an empty, '.' or '..' component"


def check_path(path: str) -> str:
    """Return `path` if it is a dataset path.

    Raises:
        InvalidInputError: it is absolute, climbs, is empty, is not UTF-8, or names `.dsvc`.
    """
    problem = problem_with(path)
    if problem:
        raise InvalidInputError(f"{path!a} cannot be a dataset path: {problem}.")
    return path


def check_path_length(path: str) -> None:
    """Check that a path is no longer than may be recorded, written to disk, or compared.

    Raises:
        InvalidInputError: it is longer than MAX_PATH.
    """
    # A name that is not UTF-8 is told by `problem_with`.
    length = len(path.encode(errors="surrogatepass"))
    if length > MAX_PATH:
        raise InvalidInputError(
            f"The path {path[:60]!a}… is too long: it has {length:,} bytes and "
            f"{path.count('/') + 1:,} components; {MAX_PATH:,} bytes and 2,048 components are "
            "the most.",
            SHORTER,
        )


def reserved_in(path: str) -> str:
    """Which of `.dsvc` and `.git` some file system takes a component of `path` for, or "".

    On macOS and Windows more names than one lead to such a folder, so no data may have any of them
    anywhere: who wrote there could change what `dsvc` and `git` do (CVE-2014-9390 of git).
    """
    found = _RESERVED.search(path)
    if not found:
        return ""
    return META_DIR if found["meta"] else GIT_DIR


def without_retries(expression: str) -> str:
    """A regular expression made of a pattern of paths, so that matching takes no undue time.

    Where several stars are in one component, the first place where what follows a star fits is as
    good as any later one: no other need be tried (an atomic group), of which there are a^n for a
    name of `a` letters and n stars. Whoever wrote the pattern may not wish us well.
    """
    stars = _STARS.sub("[^/]*", _STAR_AND_MORE.sub(r"(?>[^/]*?\1)", expression))
    # The same for `**`, which stands for folders: what follows one, up to another one, is whole
    # components, of which the first place is as good as any later one.
    first, *more = stars.split(_FOLDERS)
    if not more:
        return stars
    if first.startswith(_ANYWHERE):
        first = f"^(?>(?:[^/]+/)*?{first.removeprefix(_ANYWHERE)}(?=/))"
    between = (f"(?>(?:/[^/]+)*?{part}(?=/))" for part in more[:-1])
    return "".join((first, *between, _FOLDERS, more[-1]))


def is_under(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies below it; everything lies under the empty folder."""
    return not folder or path == folder or path.startswith(folder + "/")


def parents_of(path: str) -> list[str]:
    """The folders that `path` lies in, outermost first: for one path, or a few.

    For many see `folders_of` and `inherited`, which look at each folder once.
    """
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def folders_of(paths: Iterable[str]) -> set[str]:
    """The folders that `paths` lie in, at any depth."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def inherited(path: str, known: dict[str, Value], of: Callable[[str, Value], Value]) -> Value:
    """What holds of a path, given what holds of the folder that it lies in.

    Args:
        known: what has been found out so far, of the top "" at least; learns more.
        of: tells it of a path, of whose folder it is told.
    """
    new: list[str] = []
    while path not in known:
        new.append(path)
        path = path.rpartition("/")[0]
    value = known[path]
    for each in reversed(new):
        value = known[each] = of(each, value)
    return value
