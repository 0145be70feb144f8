"""The source code of a run: recorded as a dataset of its own, restored to run again."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from datasets_vc.digest import Digest
from datasets_vc.errors import IntegrityError, InvalidInputError
from datasets_vc.format.entries import FILE, Entry, entry_table
from datasets_vc.history.manifest import Manifest, write_manifest
from datasets_vc.paths import check_path
from datasets_vc.store import ChunkWriter, Store

PACKAGES = ("datasets_vc", "loaders", "models")
_NEEDED = ("models/__init__.py", "models/__main__.py")
"""Without the first, what is installed here goes before what was recorded."""

_SUFFIXES = frozenset({".py", ".toml"})


def code_root() -> Path:
    """The folder that the bundled packages lie in.

    Raises:
        InvalidInputError: the models are not installed.
    """
    spec = find_spec("models")
    if spec is None or spec.origin is None:
        raise InvalidInputError(
            "The bundled models are not installed here.",
            "Install them with: pip install 'datasets-vc[train]'",
        )
    return Path(spec.origin).parent.parent


def record_code(writer: ChunkWriter, root: Path) -> Digest:
    """Store the source files of the bundled packages as they are; returns their dataset digest."""
    entries = []
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in _SUFFIXES and file.is_file():
                data = file.read_bytes()
                path = file.relative_to(root).as_posix()
                entries.append(Entry(path, FILE, len(data), writer.add_file(data)))
    return write_manifest(writer, entry_table(entries))


def restore_code(store: Store, code: Digest, folder: Path, what: str) -> None:
    """Write recorded source files below an empty folder.

    Args:
        what: how to call the code in messages.

    Raises:
        IntegrityError: they are not code that can be run as it was.
    """
    table = Manifest(store, code).entries()
    paths = table.column("path").to_pylist()
    for needed in _NEEDED:
        if needed not in paths:
            # Python would run what is installed here instead, and nobody would know.
            raise IntegrityError(f"{what} is malformed: it has no '{needed}'.")
    for path, data in zip(paths, store.read_files(table.column("digest").to_pylist()), strict=True):
        file = folder / check_path(path)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as written:
                written.write(data)
        except OSError as error:
            raise IntegrityError(
                f"{what} cannot be restored: '{path}': {error.strerror or error}."
            ) from error
