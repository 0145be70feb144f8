"""Files of a workspace put in place and read back without our own code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from datasets_vc.digest import Digest
from datasets_vc.format.entries import SYMLINK
from datasets_vc.history.manifest import dataset_digest
from datasets_vc.repository import Repository
from tests.workspace.bench import Tree, table_from, tree_of

AUTHOR = "Ada <ada@example.org>"

__all__ = ["AUTHOR", "Tree", "committed_tree", "digest_of_tree", "make_tree", "tree_of"]


def make_tree(folder: Path, tree: Tree) -> None:
    """Make the files of `folder` those of `tree`; what is right already is not touched."""
    now = tree_of(folder)
    for path in now.keys() - tree.keys():
        (folder / path).unlink()
        _remove_empty(folder, (folder / path).parent)
    for path, (kind, data) in tree.items():
        if now.get(path) == (kind, data):
            continue
        place = folder / path
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == SYMLINK:
            place.symlink_to(data.decode())
        else:
            place.write_bytes(data)


def _remove_empty(top: Path, folder: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def committed_tree(repository: Repository, revision: str = "HEAD") -> Tree:
    """Every entry of a version with its bytes, read from the store."""
    return {
        row["path"]: (row["kind"], b"".join(map(bytes, repository.cat(revision, row["path"]))))
        for row in repository.ls(revision).to_pylist()
    }


def digest_of_tree(tree: Mapping[str, tuple[int, bytes]]) -> Digest:
    """The dataset digest that such files have, computed from nothing but them."""
    return dataset_digest(table_from(dict(tree)))
