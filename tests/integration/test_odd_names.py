"""Names and files that people do have, there and back byte for byte."""

from __future__ import annotations

from pathlib import Path

from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.repository import Repository
from tests.integration.conftest import Dsvc
from tests.integration.trees import (
    AUTHOR,
    Tree,
    committed_tree,
    digest_of_tree,
    make_tree,
    tree_of,
)

ODD: Tree = {
    path: (FILE, f"content of {path!a}".encode())
    for path in (
        "new\nline",
        "tab\tand\rreturn",
        "\x1b[31mred\x1b[0m",
        "\"double\" and 'single'",
        "back\\slash",
        "emoji \N{ZEBRA FACE}/\N{FAMILY}",
        "trailing space ",
        " leading space/ x ",
        "caf\u00e9",
        "cafe\u0301",
        "CASE",
        "case",
        "-rf",
        "--json",
        "*",
        "[a]?",
        "#hash",
        "!bang",
        "$HOME",
        "%s%n",
        "~",
        "a:b",
        "COM1",
        "dot.",
        "...",
        "a/.hidden",
        "\u202egnp.exe",
        "\ufeffbom",
        "\U0010ffff",
        "x" * 250,
        "/".join(f"d{depth}" for depth in range(60)),
        "a/b",
        "a-b",
        "a.b",
        "a0",
    )
} | {
    "empty": (FILE, b""),
    "also empty": (FILE, b""),
    "zeros": (FILE, bytes(3 << 20)),
    "link": (SYMLINK, b"emoji \xf0\x9f\xa6\x93"),
    "emoji \N{ZEBRA FACE}/up": (SYMLINK, b"../a/./b"),
    "dangling": (SYMLINK, b"nowhere"),
    "to itself": (SYMLINK, b"to itself"),
}


def test_there_and_back(home: Path, incompressible) -> None:
    tree = ODD | {"large": (FILE, incompressible(5 << 20))}
    repository = Repository.init(home / "work")
    make_tree(repository.folder, tree)
    assert tree_of(repository.folder) == tree
    made = repository.commit("odd\nand \N{ZEBRA FACE}\n", author="\N{SNOWMAN} <s@x>")
    assert made.dataset == digest_of_tree(tree)
    assert committed_tree(repository) == tree
    repository.remotes.add("origin", str(home / "remote folder \N{ZEBRA FACE}"))
    repository.push()

    Repository.clone(str(home / "remote folder \N{ZEBRA FACE}"), home / "other\nplace")

    other = Repository.open(home / "other\nplace")
    assert tree_of(other.folder) == tree
    assert other.status().clean
    (info,) = other.log()
    assert (info.message, info.author) == ("odd\nand \N{ZEBRA FACE}\n", "\N{SNOWMAN} <s@x>")
    for path in tree:
        (other.folder / path).unlink()
    assert sorted(other.status().deleted) == sorted(tree)
    other.restore(sorted(tree))
    assert tree_of(other.folder) == tree


def test_what_is_printed_stays_on_its_line(dsvc: Dsvc, home: Path) -> None:
    repository = Repository.init(home / "work")
    make_tree(repository.folder, ODD)

    lines = dsvc("-C", home / "work", "status", "-v").out.decode().splitlines()
    assert sum(line.startswith("  added:") for line in lines) == len(ODD)
    assert not any("\x1b" in line or "\u202e" in line for line in lines)
    data = dsvc("-C", home / "work", "status", "--json").data
    assert sorted(data["added"]) == sorted(ODD)

    repository.commit("odd", author=AUTHOR)
    for verb in ("ls", "diff"):
        assert dsvc("-C", home / "work", verb, "--json").code == 0
    listed = dsvc("-C", home / "work", "ls", "--json").data["entries"]
    assert [each["path"] for each in listed] == sorted(ODD)
    for path in ("a:b", "--json", "new\nline", "cafe\u0301"):
        assert dsvc("-C", home / "work", "cat", f"HEAD:{path}").out == ODD[path][1]
    outcome = dsvc("-C", home / "work", "commit", "-m", "x", "--", "--json")
    assert outcome.code == 2
    assert "Nothing changed" in outcome.err
