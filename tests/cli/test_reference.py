"""The reference of the command line, docs/cli.md, and the examples in it."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.exceptions import TyperException

from datasets_vc.cli.main import load_verb, root_command

DOCS = Path(__file__).parents[2] / "docs"


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_cli", DOCS / "make_cli.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()
COMMANDS: dict[str, Any] = {" ".join(words): found for words, found in GENERATOR.commands()}
EXAMPLES = [line for command in COMMANDS.values() for line in GENERATOR.example_of(command)]


def test_the_reference_says_what_the_help_says() -> None:
    written = (DOCS / "cli.md").read_text()
    assert written == GENERATOR.reference(), "docs/cli.md is stale: run `make reference`"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_has_an_example_of_itself(name: str) -> None:
    lines = GENERATOR.example_of(COMMANDS[name])
    assert lines
    assert all(f"{line} ".startswith(f"dsvc {name} ") for line in lines)


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_a_line_that_the_command_line_takes(line: str) -> None:
    _parse(line)


@pytest.mark.parametrize("line", ["dsvc nothing", "dsvc commit --no-such x", "dsvc cat a b"])
def test_a_line_that_it_does_not_take_is_told_apart(line: str) -> None:
    with pytest.raises((KeyError, TyperException)):
        _parse(line)


def _parse(line: str) -> None:
    """Parse a line as the shell and `dsvc` do, and run nothing."""
    words = shlex.split(line)
    if ">" in words:
        words = words[: words.index(">")]
    context = root_command().make_context("dsvc", words[1:])
    name, *rest = [*context._protected_args, *context.args]
    command = load_verb(name)
    if hasattr(command, "commands"):
        context = command.make_context(name, rest, parent=context)
        name, *rest = [*context._protected_args, *context.args]
        command = command.commands[name]
    command.make_context(name, rest, parent=context)
