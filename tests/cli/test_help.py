from __future__ import annotations

import os
import subprocess
import sys

import pytest

import datasets_vc
from datasets_vc.cli.main import FAMILIES, VERBS, load_verb

GROUPS = {"remote": ["add", "list", "remove"], "runs": ["list", "show"]}
COMMANDS = [[name] for name in VERBS if name not in GROUPS] + [
    [group, name] for group, names in GROUPS.items() for name in names
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_a_verb_has_an_example_and_the_shared_options(dsvc, command) -> None:
    outcome = dsvc(*command, "--help")

    assert outcome.code == 0
    assert f"Usage: dsvc {' '.join(command)} " in outcome.out
    assert f"Example:\n    dsvc {' '.join(command)}" in outcome.out
    for option in ("--json", "-C DIR", "--quiet", "--verbose"):
        assert option in outcome.out


@pytest.mark.parametrize("name", VERBS)
def test_list_of_verbs_says_what_each_verb_says(name) -> None:
    assert load_verb(name).help.split("\n")[0] == VERBS[name].summary
    assert VERBS[name].family in FAMILIES


def test_groups_are_those_known_here() -> None:
    groups = {name: list(load_verb(name).commands) for name in VERBS if name in GROUPS}

    assert groups == GROUPS


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_every_verb(dsvc, arguments) -> None:
    outcome = dsvc(*arguments)

    assert outcome.code == 0
    for name, verb in VERBS.items():
        assert name in outcome.out
        assert verb.summary in outcome.out


def test_version(dsvc) -> None:
    assert dsvc("--version").out == f"dsvc {datasets_vc.__version__}\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [("dsvc che", "checkout"), ("dsvc runs sh", "show"), ("dsvc commit --auth", "--author")],
)
def test_shell_completion(words, expected) -> None:
    surroundings = {
        **os.environ,
        "_DSVC_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    result = subprocess.run(
        [sys.executable, "-m", "datasets_vc.cli"],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.stdout.split() == [expected]
