"""What no dataset records, told once in each workspace: modes, and folders without files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from datasets_vc.durable import read_plain, replace_file
from datasets_vc.paths import META_DIR
from datasets_vc.workspace.listing import Unrecorded

TOLD_FILE = "told"

_EXECUTABLES = "executables"
_EMPTY_FOLDERS = "empty-folders"


def warnings_once(folder: Path, found: Unrecorded) -> tuple[str, ...]:
    """What a commit has to say of `found` that none in the workspace `folder` has said yet."""
    counts = {_EXECUTABLES: found.executables, _EMPTY_FOLDERS: found.empty_folders}
    seen = [what for what, count in counts.items() if count]
    if not seen:
        return ()
    place = folder / META_DIR / TOLD_FILE
    told = _told(place)
    new = [what for what in seen if what not in told]
    if new:
        with suppress(OSError):  # then it is told again
            replace_file(place, "".join(f"{what}\n" for what in (*told, *new)).encode())
    return tuple(_words(what, counts[what]) for what in new)


def _told(place: Path) -> list[str]:
    try:
        return read_plain(place).decode(errors="replace").split()
    except OSError:
        return []


def _words(what: str, count: int) -> str:
    if what == _EXECUTABLES:
        files = "1 file is" if count == 1 else f"{count:,} files are"
        return f"{files} executable, which is not recorded: a checkout makes ordinary files."
    folders = "1 folder is" if count == 1 else f"{count:,} folders are"
    return f"{folders} empty and not recorded: a version has files only."
