"""Patterns whose matching must not take forever mean what they meant before."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from datasets_vc.errors import InvalidInputError
from datasets_vc.paths import without_retries
from datasets_vc.tables.keyed import MAX_KEYS, declared_keys, key_of
from datasets_vc.workspace.ignore import MAX_RULES, IgnoreRules, is_ignored
from datasets_vc.workspace.walk import walk

words = st.sampled_from(["a", "b", "x", "*", "*", "**", "?", "/", "[ab]", "[!a]", ".", "\\*", "-"])
paths = st.lists(st.text("aabx/.*-", min_size=1, max_size=14), min_size=1, max_size=10)


@settings(max_examples=150)
@given(st.lists(words, min_size=1, max_size=10).map("".join), paths)
def test_patterns_fit_the_same_paths(pattern: str, some: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            (found,) = GitIgnoreSpec.from_lines([pattern]).patterns
        except ValueError:
            assume(False)
        assume(found.regex is not None)
        before = found.regex
        after = re.compile(without_retries(before.pattern))
    for path in some:
        assert bool(before.match(path)) == bool(after.match(path))


# With 40 stars a name of 200 letters could be divided in 10^42 ways.
@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 40 + "*b",
        "a" + "**" * 40 + "b",
        "*a?[ab]" * 20 + "*b",
        # Here it was the rewriting of the pattern that had no end.
        "*" + "?" * 60 + "b",
        "*" + "?" * 60 + "*b",
        "*" * 50_000 + "b",
        "**/a/" * 30 + "**/z",
        "/" + "a/**/" * 30 + "z",
        "**/a*a?/" * 20 + "**/[yz]",
    ],
    ids=lambda pattern: pattern[:8],
)
def test_patterns_of_a_stranger_end(pattern: str) -> None:
    rules = IgnoreRules("", pattern.encode(), Path(".dsvcignore"))
    assert not rules.ignores("a" * 2000, folder=False)
    assert not rules.ignores("aa/" * 1000 + "c", folder=False)
    assert not rules.ignores("a/" * 2000 + "c", folder=False)
    assert key_of("a" * 2000 + ".csv", {pattern: "id"}) is None


parts = st.lists(
    st.sampled_from(["**", "**", "a", "b", "*", "a*", "[ab]", "?", "aa"]), min_size=1, max_size=6
)
folders = st.lists(st.sampled_from(["a", "b", "ab", "aa", "c"]), min_size=1, max_size=7)


@given(parts.map("/".join), st.lists(folders.map("/".join), min_size=1, max_size=10))
def test_patterns_of_folders_fit_the_same_paths(pattern: str, some: list[str]) -> None:
    (found,) = GitIgnoreSpec.from_lines([f"/{pattern}"]).patterns
    assume(found.regex is not None)
    after = re.compile(without_retries(found.regex.pattern))
    for path in some:
        assert bool(found.regex.match(path)) == bool(after.match(path))


def test_more_files_of_rules_above_each_other_than_python_calls() -> None:
    rules: IgnoreRules | None = None
    for number in range(2000):
        rules = IgnoreRules("d/" * number, b"*.x\n", Path(".dsvcignore"), rules)
    assert rules is not None
    assert rules.ignores("d/" * 2000 + "a.x", folder=False)
    assert not rules.ignores("d/" * 2000 + "a.y", folder=False)


def test_a_file_of_rules_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="a file of rules can have"):
        IgnoreRules("", b"a" * (MAX_RULES + 1), Path(".dsvcignore"))
    with (tmp_path / ".dsvcignore").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidInputError, match="a file of rules can have"):
        walk(tmp_path)
    with pytest.raises(InvalidInputError, match="a file of rules can have"):
        is_ignored(tmp_path, "a")


def test_a_file_of_keys_that_is_too_long() -> None:
    with pytest.raises(InvalidInputError, match="are the most"):
        declared_keys(b"#" * (MAX_KEYS + 1))
