"""Which paths no workspace may hold, whatever a dataset says: they would be more than data.

A version comes from a remote, and who made it may wish us harm. The rules are git's (`verify_path`
with protectHFS and protectNTFS, on every system: a dataset goes from one to another), with our own
folder beside git's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from datasets_vc.errors import InvalidInputError
from datasets_vc.paths import check_path, reserved_in

# Where two paths meet in a text of many, NUL is between them. What has none of these, and no letter
# beyond ASCII, has no component that is empty, begins with a dot, or is a short name of Windows.
_SUSPICIOUS = ("/.", "\0.", "//", "\0/", "/\0", "\0\0", "~", "\\")
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_NOT_ON_WINDOWS = re.compile(
    r"[\x00-\x1f<>:\"|?*\\]|[ .](?:/|$)|"
    r"(?:^|/)(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3])"
    r"[ ]*(?:[.:][^/]*)?(?:/|$)",
    re.IGNORECASE,
)


def check_safe(paths: Sequence[str], *, windows: bool = os.name == "nt") -> None:
    """Check that files may be written at these paths of a workspace.

    Args:
        windows: whether Windows will write them, which takes some names for devices and streams.

    Raises:
        InvalidInputError: a path climbs, or would lie in a folder of dsvc's or git's own, or cannot
            be written on Windows.
    """
    if not windows and not _is_suspicious(paths):
        return
    for path in paths:
        folder = reserved_in(check_path(path))
        if folder:
            raise InvalidInputError(
                f"{path!a} is not written: some file systems take it for '{folder}', and what lies "
                "there is no data.",
                "This version was not made by dsvc; do not trust it.",
            )
        if windows and _NOT_ON_WINDOWS.search(path):
            raise InvalidInputError(
                f"{path!a} is not written: Windows takes that name for something else.",
                "Check out other paths, or use another system.",
            )


def check_recordable(paths: Sequence[str]) -> None:
    """Check that no checkout will refuse these paths for what they are called.

    Raises:
        InvalidInputError: one looks like a folder of dsvc's or git's own to some file system.
    """
    for path in paths if _is_suspicious(paths) else ():
        folder = reserved_in(path)
        if folder:
            raise InvalidInputError(
                f"{path!a} cannot be recorded: some file systems take it for '{folder}'.",
                "Rename it, or ignore it in .dsvcignore.",
            )


def _is_suspicious(paths: Sequence[str]) -> bool:
    """Whether some paths must be looked at one by one; most need not."""
    text = "\0".join(("", *paths, ""))
    if text.count("\0") != len(paths) + 1 or any(each in text for each in _SUSPICIOUS):
        return True
    return not text.isascii() and _UNSEEN.search(text) is not None
