"""Patterns whose matching must not take forever mean what they meant before."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from datasets_vc.paths import without_retries
from datasets_vc.tables.keyed import key_of
from datasets_vc.workspace.ignore import IgnoreRules

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
    ],
    ids=lambda pattern: pattern[:8],
)
def test_patterns_of_a_stranger_end(pattern: str) -> None:
    rules = IgnoreRules("", pattern.encode(), Path(".dsvcignore"))
    assert not rules.ignores("a" * 2000, folder=False)
    assert key_of("a" * 2000 + ".csv", {pattern: "id"}) is None
