from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc.errors import InvalidInputError
from datasets_vc.workspace.links import _stays, check_link
from tests.workspace.bench import Bench


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


def test_all_links_that_cannot_be_committed_are_named_at_once(bench: Bench) -> None:
    bench.put("a", b"1")
    bench.put("d/b", b"1")
    for path, target in {"d/fine": "../a", "loop": "loop", "dangling": "d/none"}.items():
        bench.link(path, target)
    bad = {"absolute": "/etc", "d/climbs": "../../x", "meta": ".dsvc/HEAD", "through": "d/up/../x"}
    bench.link("d/up", "..")
    for path, target in bad.items():
        bench.link(path, target)

    refused = bench.workspace.status(bench.version).bad_links
    with pytest.raises(InvalidInputError) as caught:
        bench.commit()

    assert [path for path, _ in refused] == sorted(bad)
    for path, target in bad.items():
        assert f"'{path}' leads " in caught.value.message
        assert f"'{target}'" in caught.value.message
    assert caught.value.message.startswith("4 symbolic links cannot be part of a dataset: ")
    for path in bad:
        (bench.folder / path).unlink()
    bench.commit()
    assert bench.workspace.status(bench.version).bad_links == ()


def test_of_many_links_some_are_named_and_all_counted(bench: Bench) -> None:
    for number in range(25):
        bench.link(f"{number:02}", "..")

    with pytest.raises(InvalidInputError, match=r"^25 .*'09' leads .*; and 15 more\.$"):
        bench.commit()
    assert len(bench.workspace.status(bench.version).bad_links) == 25


@pytest.mark.parametrize(
    ("path", "target", "stays"),
    [
        ("l", "a", True),
        ("l", "d/b", True),
        ("d/l", "../a", True),
        ("d/l", "../d/b", True),
        ("l", "link/b", False),
        ("l", "link", False),
        ("l", "none", False),
        ("l", "d/../a", False),
        ("l", ".", False),
        ("l", "d//b", False),
        ("d/l", "../../x", False),
    ],
)
def test_what_need_not_be_followed(tmp_path: Path, path: str, target: str, stays: bool) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "a").touch()
    (tmp_path / "d/b").touch()
    (tmp_path / "link").symlink_to("d")

    assert _stays(path, target, str(tmp_path), {"d"}) is stays
