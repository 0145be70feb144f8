"""The first moments of a workspace, in an order by which one that was cut short can go on.

`.dsvc/` is made, then locked; a clone puts down its note (`cloning.py`); then come the store, the
settings, HEAD, and at the end of a clone the commit in HEAD. Before that no other verb can work.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from datasets_vc.config import CONFIG_FILE, DEFAULT_STORE, HEAD_FILE, read_config, read_head
from datasets_vc.durable import make_folders, replace_file, sync_folder
from datasets_vc.errors import DatasetError, NotARepositoryError, hint_about
from datasets_vc.format.root import Root, decode_root
from datasets_vc.ownership import OURS
from datasets_vc.paths import META_DIR
from datasets_vc.workspace.cloning import NOTE_FILE, read_note
from datasets_vc.workspace.git import GITIGNORE
from datasets_vc.workspace.locking import LOCK_FILE, TEMPORARY_DIR

_TEMPORARY = re.compile(r"\.(?P<name>.+)-[0-9a-f]{16}")
_FIRST = frozenset({LOCK_FILE, TEMPORARY_DIR, GITIGNORE, CONFIG_FILE, DEFAULT_STORE})
_ROOT = "root.json"


def begin(folder: Path) -> None:
    """Make `folder` and its `.dsvc/`, which may be there.

    Raises:
        DatasetError: it cannot be written to.
    """
    try:
        make_folders(folder)
        (folder / META_DIR).mkdir(exist_ok=True)
        sync_folder(folder)
    except OSError as error:
        raise DatasetError(
            f"'{folder}' cannot be made a repository: {error.strerror or error}.",
            hint_about(error, "Mend its permissions, or take another folder."),
        ) from error


def lay_out(folder: Path) -> None:
    """Make what is in the `.dsvc/` of any workspace; what is there already stays."""
    meta = folder / META_DIR
    for left in meta.glob(".*-*"):
        if _TEMPORARY.fullmatch(left.name) and left.is_file():
            left.unlink(missing_ok=True)
    (meta / TEMPORARY_DIR).mkdir(exist_ok=True)
    # Whatever else git is told, this is nothing for it.
    replace_file(meta / GITIGNORE, b"*\n")


def is_hollow(folder: Path) -> bool:
    """Whether the `.dsvc/` of a folder holds no more than what is made before HEAD.

    So it is after an `init` that was cut short, or a clone in its very first moments.
    """
    meta = folder / META_DIR
    if not meta.is_dir() or not OURS.has(folder):
        return False  # what somebody else has begun there is not gone on with
    names = {each.name for each in meta.iterdir() if not _TEMPORARY.fullmatch(each.name)}
    store = meta / DEFAULT_STORE
    try:
        if (store / _ROOT).exists():
            root = decode_root((store / _ROOT).read_bytes(), "The root")
            empty = replace(root, write_id="", id="") == Root()
        else:
            empty = HEAD_FILE not in names or _is_first_head(folder)
            names.discard(HEAD_FILE)
        without = not read_config(folder).remotes
    except (DatasetError, OSError):
        return False
    return names <= _FIRST and empty and without and not any(_objects(store))


def check_begun(folder: Path) -> None:
    """Refuse to work in a workspace whose making was cut short.

    Raises:
        NotARepositoryError: it was; says how to go on.
    """
    begun = (folder / META_DIR / HEAD_FILE).exists()
    noted = (folder / META_DIR / NOTE_FILE).exists()
    note = read_note(folder) if noted and not (begun and read_head(folder).commit) else None
    if note is not None:
        raise NotARepositoryError(
            f"The clone of {note.url} into '{folder}' was cut short.",
            f"Go on with it: {note.command(folder)}",
        )
    if not begun and is_hollow(folder):
        raise NotARepositoryError(
            f"Making a repository in '{folder}' was cut short.",
            f"Run again what was to make it, such as: dsvc init {shlex.quote(str(folder))}",
        )


def take_back(folder: Path, *, existed: bool) -> None:
    """Remove what was begun in a folder, and the folder if it was made for it.

    What tells what was begun goes last, so that this may be cut short, too.
    """
    meta = folder / META_DIR
    last = (LOCK_FILE, NOTE_FILE)
    with suppress(OSError):
        for path in [each for each in meta.iterdir() if each.name not in last]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        for name in last:
            (meta / name).unlink(missing_ok=True)
        meta.rmdir()
        if not existed:
            folder.rmdir()


def _is_first_head(folder: Path) -> bool:
    """Whether a workspace without a store of its own has HEAD first, as older versions made it."""
    return read_head(folder).commit is None and read_config(folder).store is None


def _objects(store: Path) -> Iterator[Path]:
    """What a store holds besides its root: any of it may be of worth."""
    for path in store.rglob("*"):
        passing = path.name.startswith(".tmp-") or path.name in (_ROOT, f"{_ROOT}.lock")
        if not (path.is_dir() or passing):
            yield path
