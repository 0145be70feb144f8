"""A workspace's settings: where it is, `.dsvc/config.toml` and `.dsvc/HEAD`.

`config.toml` belongs to its user and is edited in place, comments kept:

    author = "Ada <ada@example.org>"      # who commits, unless the command says otherwise
    store = "/data/shared-store"          # the store, if it is not .dsvc/store; a path that is not
                                          # absolute, here and below, counts from the workspace
    files = false                         # the workspace holds no files, only the store
    only = ["train/**", "!*.raw"]         # of each version only these are here; see `checkout`

    [remote.origin]
    url = "s3://bucket/signs"
    single_writer = false                 # true: push although the remote has no conditional write
    endpoint = "https://storage.example"  # the server, where it is not the cloud's own
    region = "eu-central-1"
    profile = "team"                      # which credentials of those that the cloud's tools keep
    anonymous = false                     # true: ask without credentials
    id = "5f0c…"                          # kept by dsvc: of the store seen there; or "none"

    [tables]                              # which column tells a table's rows apart, as in dsvc.toml
    "labels/*.csv" = "image_id"
    [signing]                             # keys and whom to trust: see `signing.settings`

Tables and keys that this version does not know are left alone; the command line tells of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets_vc.addresses import PLAIN, Access, check_access
from datasets_vc.decoding import load_toml
from datasets_vc.digest import Digest, checksum_of, is_hex, parse_digest
from datasets_vc.durable import read_plain, replace_file
from datasets_vc.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidInputError,
    NotARepositoryError,
    NotFoundError,
    UnreadableFileError,
)
from datasets_vc.locations import absolute_address
from datasets_vc.ownership import check_plain
from datasets_vc.paths import META_DIR

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

CONFIG_FILE = "config.toml"
HEAD_FILE = "HEAD"
DEFAULT_STORE = "store"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_TYPE_WORDS = {str: "text", bool: "true or false", dict: "a table", list: "a list of texts"}


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """A named store elsewhere.

    Attributes:
        name: what it is called here.
        url: where it is.
        single_writer: a promise that only one machine pushes there at a time.
        access: how to get there, where the URL does not say it.
        id: of the store seen there, or "none"; None if nobody looked. No part of what it is.
    """

    name: str
    url: str
    single_writer: bool = False
    access: Access = PLAIN
    id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Config:
    """What `config.toml` says; None where it says nothing.

    `files` is false in a workspace that was made without writing its files. `only` are patterns of
    the part of its version that a workspace has; none of them: no file. `tables` and `signing` are
    as they are written: what reads tables, or signs, checks them.
    """

    store: str | None = None
    author: str | None = None
    files: bool = True
    remotes: Mapping[str, RemoteConfig] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] | None = None
    signing: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a workspace stands.

    Attributes:
        branch: which one it is on, if it is on one.
        commit: where its files come from, if they come from any. The branch in the store may have
            been moved on since, by another workspace on that store.
    """

    branch: str | None
    commit: Digest | None


def find_workspace(start: Path) -> Path:
    """The workspace that `start` lies in: the nearest folder, from it upwards, that holds `.dsvc/`.

    Raises:
        NotARepositoryError: there is none.
        UnsafeFolderError, UnreadableFileError: see `check_plain`.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / META_DIR).is_dir():
            check_plain(folder)
            return folder
    raise NotARepositoryError(
        f"Neither '{start}' nor any folder above it is a dataset repository.",
        "Run 'dsvc init' to make one, or go to one with '-C DIR'.",
    )


def read_config(folder: Path) -> Config:
    """The settings of the workspace `folder`; defaults where it has no `config.toml`.

    Raises:
        InvalidInputError: the file is not TOML, or one of our keys has a wrong type or value, such
            as an address that is none.
    """
    path = folder / META_DIR / CONFIG_FILE
    text = _read_text(path)
    if text is None:
        return Config()
    try:
        return _parse(load_toml(text), folder)
    except InvalidInputError as error:
        raise InvalidInputError(f"'{path}': {error.message}", error.hint) from error
    except ValueError as error:
        raise InvalidInputError(f"'{path}' is not valid TOML: {error}.", "Mend it.") from error


def set_author(folder: Path, author: str) -> None:
    """Write the default author into `config.toml`."""
    edit_config(folder, lambda document: document.update({"author": author}))


def set_store(folder: Path, store: str) -> None:
    """Write the store's URL or path into `config.toml`.

    Raises:
        InvalidInputError: it is no address; see `parse_address`.
    """
    absolute_address(store, folder)
    edit_config(folder, lambda document: document.update({"store": store}))


def set_files(folder: Path, files: bool) -> None:
    """Write into `config.toml` whether the workspace holds the files of its version."""
    if read_config(folder).files != files:
        edit_config(folder, lambda document: document.update({"files": files}))


def set_only(folder: Path, patterns: Sequence[str] | None) -> None:
    """Write into `config.toml` which part of its version the workspace has; None: the whole."""
    if patterns is None:
        edit_config(folder, lambda document: document.pop("only", None))
    else:
        edit_config(folder, lambda document: document.update({"only": list(patterns)}))


def check_new_remote(folder: Path, remote: RemoteConfig) -> None:
    """Check that `add_remote` would take a remote, before anything is tried with it.

    Raises:
        AlreadyExistsError: the name is taken.
        InvalidInputError: the name, the URL or the access is not acceptable.
    """
    check_remote_name(remote.name)
    absolute_address(remote.url, folder)
    check_access(remote.access)
    if remote.name in read_config(folder).remotes:
        raise AlreadyExistsError(
            f"There is a remote '{remote.name}' already.", "Remove it first, or take another name."
        )


def add_remote(folder: Path, remote: RemoteConfig) -> None:
    """Write a remote into `config.toml`; raises what `check_new_remote` does."""
    check_new_remote(folder, remote)
    values = asdict(remote) | asdict(remote.access) | {"name": None, "access": None}

    def add(document: TOMLDocument) -> None:
        import tomlkit

        remotes = document.setdefault("remote", tomlkit.table(is_super_table=True))
        table = tomlkit.table()
        table.update({key: value for key, value in values.items() if value})
        remotes[remote.name] = table

    edit_config(folder, add)


def remove_remote(folder: Path, name: str) -> None:
    """Take a remote out of `config.toml`.

    Raises:
        NotFoundError: there is no remote of that name.
    """
    if name not in read_config(folder).remotes:
        raise NotFoundError(f"There is no remote '{name}'.", "'dsvc remote list' names them.")

    def remove(document: TOMLDocument) -> None:
        remotes: Any = document["remote"]
        del remotes[name]
        if not remotes:
            del document["remote"]

    edit_config(folder, remove)


def check_remote_name(name: str) -> str:
    """Return `name` if a remote can have it: a first component of tracking refs, a key of TOML.

    Raises:
        InvalidInputError: it has other characters than letters, digits, '.', '_', '-'.
    """
    if _NAME.fullmatch(name) and not name.endswith(".lock"):
        return name
    raise InvalidInputError(
        f"{name!a} cannot be the name of a remote.",
        "Use ASCII letters, digits, '.', '_' and '-', beginning with a letter or digit.",
    )


def store_location(folder: Path) -> str:
    """The URL or absolute path of the store that the workspace `folder` uses."""
    store = read_config(folder).store
    if store is None:
        return str(folder / META_DIR / DEFAULT_STORE)
    return absolute_address(store, folder)


def read_head(folder: Path) -> Head:
    """Where the workspace `folder` stands.

    Raises:
        InvalidInputError: `.dsvc/HEAD` says neither a branch nor a commit.
        IntegrityError: it is damaged.
    """
    path = folder / META_DIR / HEAD_FILE
    said, check, found = (_read_text(path) or "").rpartition("check: ")
    if check and found != f"{checksum_of(said.encode()):016x}\n":
        raise IntegrityError(
            f"'{path}' is damaged: it does not match its checksum.",
            "If its other lines are right, remove the last one.",
        )
    lines = (said if check else found).splitlines()
    branch = lines.pop(0)[5:].strip() if lines and lines[0].startswith("ref: ") else None
    commit = parse_digest(lines[0]) if lines and len(lines[0]) == 64 and is_hex(lines[0]) else None
    if len(lines) != bool(commit) or not (branch or commit):
        raise InvalidInputError(
            f"'{path}' is missing or names neither a branch nor a commit.",
            "Run a clone again; else write 'ref: BRANCH' into it, then run: dsvc checkout BRANCH",
        )
    return Head(branch, commit)


def write_head(folder: Path, head: Head) -> None:
    """Record where the workspace stands: its branch, and the commit that its files come from."""
    if head.branch is None and head.commit is None:
        raise InvalidInputError("A workspace must stand on a branch or on a commit.")
    branch = f"ref: {head.branch}\n" if head.branch else ""
    commit = f"{head.commit.hex()}\n" if head.commit else ""
    said = branch + commit
    data = f"{said}check: {checksum_of(said.encode()):016x}\n".encode()
    replace_file(folder / META_DIR / HEAD_FILE, data)


def _read_text(path: Path) -> str | None:
    """The text of a file, None if there is none."""
    try:
        return read_plain(path).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"'{path}' is not UTF-8 text.", "Mend or remove it.") from error
    except OSError as error:
        raise UnreadableFileError(f"'{path}' cannot be read: {error.strerror}.") from error


def edit_config(folder: Path, change: Callable[[TOMLDocument], object]) -> None:
    """Change `config.toml` in place; what `change` does not touch stays as it is written."""
    import tomlkit

    path = folder / META_DIR / CONFIG_FILE
    read_config(folder)  # a file that we cannot read is not ours to rewrite
    document = tomlkit.parse(_read_text(path) or "")
    change(document)
    replace_file(path, tomlkit.dumps(document).encode())


def _parse(document: dict[str, Any], folder: Path) -> Config:
    store = _value(document, "store", str, None)
    author = _value(document, "author", str, None)
    by_name = _value(document, "remote", dict, {})
    if store is not None:
        absolute_address(store, folder)
    files = _value(document, "files", bool, True)
    remotes = {name: _parse_remote(by_name, name, folder) for name in by_name}
    tables = _value(document, "tables", dict, {})
    listed = _value(document, "only", list, None)
    only = None if listed is None else tuple(listed)
    signing = _value(document, "signing", dict, {})
    return Config(store, author, files, remotes, tables, only, signing)


def _parse_remote(tables: dict[str, Any], name: str, folder: Path) -> RemoteConfig:
    check_remote_name(name)
    table = _value(tables, name, dict, None, "remote.")
    prefix = f"remote.{name}."
    url = _value(table, "url", str, None, prefix)
    if url is None:
        raise InvalidInputError(f"The key '{prefix}url' is missing.", "Add it.")
    single_writer = _value(table, "single_writer", bool, False, prefix)
    access = Access(
        endpoint=_value(table, "endpoint", str, None, prefix),
        region=_value(table, "region", str, None, prefix),
        profile=_value(table, "profile", str, None, prefix),
        anonymous=_value(table, "anonymous", bool, False, prefix),
    )
    url = absolute_address(url, folder)
    seen = _value(table, "id", str, None, prefix)
    return RemoteConfig(name, url, single_writer, check_access(access), seen)


def _value(table: dict[str, Any], key: str, kind: type, default: Any, prefix: str = "") -> Any:
    value = table.get(key, default)
    texts = all(isinstance(each, str) for each in value) if isinstance(value, list) else True
    if value is default or (isinstance(value, kind) and texts):
        return value
    raise InvalidInputError(f"The key '{prefix}{key}' must be {_TYPE_WORDS[kind]}, not {value!r}.")
