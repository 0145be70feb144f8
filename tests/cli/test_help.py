from __future__ import annotations

import os
import subprocess
import sys

import pytest

import datasets_vc
from datasets_vc.cli.main import FAMILIES, VERBS, load_verb

GROUPS = {
    "remote": ["add", "list", "remove"],
    "runs": ["list", "show"],
    "safe": ["add", "list", "remove"],
}
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


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_of_any_shell_can_be_printed(dsvc, shell) -> None:
    outcome = dsvc("--show-completion", shell)

    assert (outcome.code, outcome.err) == (0, "")
    assert f"_DSVC_COMPLETE=complete_{shell}" in outcome.out.replace('"', "").replace(" = ", "=")


def test_shells_without_completion_are_told(dsvc) -> None:
    outcome = dsvc("--show-completion", "tcsh")

    assert outcome.code == 2
    assert "bash, zsh, fish" in outcome.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dsvc che", "checkout"),
        ("dsvc runs sh", "show"),
        ("dsvc commit --auth", "--author"),
        ("dsvc remote add --single", "--single-writer"),
        ("dsvc --vers", "--version"),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_shell_completion(shell, words, expected) -> None:
    surroundings = {
        **os.environ,
        "_DSVC_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    result = subprocess.run(
        [sys.executable, "-m", "datasets_vc.cli"],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )

    # After it fish is told what it means.
    assert result.stdout.split()[:1] == [expected]
