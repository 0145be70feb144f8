from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc.errors import InvalidInputError
from datasets_vc.workspace.links import check_link


@pytest.mark.parametrize(
    ("path", "target"),
    [("l", "a"), ("a/l", "../b"), ("a/b/l", "../../c"), ("l", "a/../b"), ("l", "."), ("l", "ä b")],
)
def test_links_inside_are_fine(path: str, target: str) -> None:
    assert check_link(path, target.encode()) == target


@pytest.mark.parametrize(
    ("path", "target", "words"),
    [
        ("l", "/etc/passwd", "to an absolute path"),
        ("l", "..", "out of the workspace"),
        ("a/l", "../../x", "out of the workspace"),
        ("a/l", "b/../../../a/x", "out of the workspace"),
        ("l", "", "nowhere"),
    ],
)
def test_links_outside_are_refused(path: str, target: str, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_link(path, target.encode())
    assert f"'{path}' leads {words}" in caught.value.message
    assert f"'{target}'" in caught.value.message


def test_targets_must_be_utf_8() -> None:
    with pytest.raises(InvalidInputError, match=r"caf\\xe9"):
        check_link("l", b"caf\xe9")


def test_a_way_out_through_another_link_is_found(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "up").symlink_to("../..")
    (root / "l").symlink_to("a/b/up/../x")
    check_link("l", b"a/b/up/../x")
    with pytest.raises(InvalidInputError, match="out of the workspace"):
        check_link("l", b"a/b/up/../x", str(root))
    (root / "fine").symlink_to("a/b/up/a")
    assert check_link("fine", b"a/b/up/a", str(root)) == "a/b/up/a"
