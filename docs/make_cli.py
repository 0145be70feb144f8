"""Writes docs/cli.md, the reference of the command line, from the help of every verb.

    make reference

`tests/cli/test_reference.py` fails if what is committed is not what this writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets_vc.cli.main import FAMILIES, VERBS, load_verb, root_command

TARGET = Path(__file__).with_name("cli.md")

_WIDTH = 96
_EXAMPLE = "\n\n\b\nExample:\n"
_INTRODUCTION = """\
# The command line

Every verb of `dsvc`, as `dsvc VERB --help` tells it; `make reference` makes this file from that.
"""


def reference() -> str:
    """The whole text of docs/cli.md."""
    root = root_command()
    context = root.make_context("dsvc", ["status"], resilient_parsing=True, terminal_width=_WIDTH)
    parts = [
        _INTRODUCTION,
        *_contents(),
        "## Options of every verb\n",
        _code(_options(root, context)),
    ]
    parts += ["`dsvc` alone takes these, too:\n", _code(_own_options(root, context))]
    parts += ["## Exit codes\n", _code(root.epilog.removeprefix("\b\nExit codes:\n").splitlines())]
    for title in dict.fromkeys(FAMILIES.values()):
        parts.append(f"## {title}\n")
        for name, verb in VERBS.items():
            if FAMILIES[verb.family] == title:
                parts += _verb(load_verb(name), [name], context)
    return "\n".join(parts)


def commands() -> Iterator[tuple[list[str], Any]]:
    """Every verb, and every verb of a group, by its words."""
    for name in VERBS:
        command = load_verb(name)
        subcommands = getattr(command, "commands", None)
        if subcommands is None:
            yield [name], command
        for word, subcommand in (subcommands or {}).items():
            yield [name, word], subcommand


def example_of(command: Any) -> list[str]:
    """The command lines that a verb's help shows."""
    return [line.strip() for line in command.help.partition(_EXAMPLE)[2].splitlines()]


def _contents() -> Iterator[str]:
    for title in dict.fromkeys(FAMILIES.values()):
        names = [name for name, verb in VERBS.items() if FAMILIES[verb.family] == title]
        links = ", ".join(f"[{name}](#dsvc-{name})" for name in names)
        yield f"- {title}: {links}"
    yield ""


def _verb(command: Any, words: Sequence[str], parent: Any) -> Iterator[str]:
    """The section of a verb, and those of the verbs below it."""
    context = command.make_context(words[-1], [], parent=parent, resilient_parsing=True)
    yield f"{'#' * (len(words) + 2)} dsvc {' '.join(words)}\n"
    yield _prose(command.help.partition(_EXAMPLE)[0])
    subcommands = getattr(command, "commands", {})
    if subcommands:
        for name, subcommand in subcommands.items():
            yield from _verb(subcommand, [*words, name], context)
        return
    yield _code([f"$ {line}" for line in example_of(command)], "console")
    usage = command.get_usage(context).splitlines()
    rows = _rows(command, context, shared=False)
    yield _code([*usage, *([""] if rows else []), *_columns(rows, context)])


def _prose(text: str) -> str:
    """Help as paragraphs of Markdown, each one line."""
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    escaped = (re.sub(r"([<>*_\[\]])", r"\\\1", paragraph) for paragraph in paragraphs)
    return "\n\n".join(re.sub(r"'((?:dsvc |--)[^']*)'", r"`\1`", part) for part in escaped) + "\n"


def _code(lines: Iterable[str], language: str = "text") -> str:
    return "\n".join([f"```{language}", *lines, "```", ""])


def _options(root: Any, context: Any) -> list[str]:
    return _columns(_rows(root, context, shared=True), context)


def _own_options(root: Any, context: Any) -> list[str]:
    return _columns(_rows(root, context, shared=False), context)


def _rows(command: Any, context: Any, *, shared: bool) -> list[tuple[str, str]]:
    """Arguments, then options, each with its help: those of every verb, or the others."""
    parameters = [*command.get_params(context)]
    parameters.sort(key=lambda parameter: parameter.param_type_name != "argument")
    rows = []
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if record and (parameter.name in _SHARED) == shared:
            rows.append(record)
    return rows


_SHARED = {"json", "folder", "quiet", "verbose", "help"}


def _columns(rows: Sequence[tuple[str, str]], context: Any) -> list[str]:
    if not rows:
        return []
    formatter = context.make_formatter()
    formatter.write_dl(rows)
    text: str = formatter.getvalue()
    return text.rstrip().splitlines()


if __name__ == "__main__":
    TARGET.write_text(reference())
