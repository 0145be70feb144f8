"""What a user has said for all workspaces: `~/.config/dsvc/config.toml`.

[safe]
directory = ["/srv/team/photos", "/mnt/lab/*"]    # workspaces of others that are worked in
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets_vc.decoding import load_toml
from datasets_vc.durable import make_folders, replace_file
from datasets_vc.errors import InvalidInputError, UnreadableFileError

VARIABLE = "XDG_CONFIG_HOME"


def user_file() -> Path | None:
    """Where it lies; None for a user without a home folder."""
    configured = os.environ.get(VARIABLE, "")
    if Path(configured).is_absolute():
        return Path(configured) / "dsvc" / "config.toml"
    try:
        return Path.home() / ".config" / "dsvc" / "config.toml"
    except RuntimeError:
        return None


def listed_folders() -> Sequence[str]:
    """The workspaces of others that are listed.

    Raises:
        InvalidInputError, UnreadableFileError: the file cannot be understood, or not be read.
    """
    path = user_file()
    return _folders(path, _text(path)) if path else []


def change_folders(change: Callable[[list[str]], None]) -> Path:
    """Change the list, and nothing else in the file; returns where that is.

    Raises:
        InvalidInputError: there is no home folder; or see `listed_folders`.
    """
    import tomlkit

    path = user_file()
    if path is None:
        raise InvalidInputError("There is no home folder to note it in.", f"Set {VARIABLE}.")
    text = _text(path)
    folders = list(_folders(path, text))
    change(folders)
    document = tomlkit.parse(text)
    table: Any = document.setdefault("safe", tomlkit.table())
    table["directory"] = folders
    try:
        make_folders(path.parent)
        replace_file(path, tomlkit.dumps(document).encode())
    except OSError as error:
        raise UnreadableFileError(
            f"'{path}' cannot be written: {error.strerror}.", "Mend its permissions."
        ) from error
    return path


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"'{path}' is not UTF-8 text.", "Mend or remove it.") from error
    except PermissionError:
        return ""  # of a home folder that is not ours: nothing of it is ours to follow
    except OSError as error:
        raise UnreadableFileError(f"'{path}' cannot be read: {error.strerror}.") from error


def _folders(path: Path, text: str) -> Sequence[str]:
    try:
        document = load_toml(text)
    except ValueError as error:
        raise InvalidInputError(f"'{path}' is not valid TOML: {error}.", "Mend it.") from error
    table = document.get("safe", {})
    listed = table.get("directory", []) if isinstance(table, dict) else None
    listed = [listed] if isinstance(listed, str) else listed
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise InvalidInputError(f"'{path}': the key 'safe.directory' must be a list of folders.")
    return listed
