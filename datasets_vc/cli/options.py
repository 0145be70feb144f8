"""The options that every verb takes, before it or after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

JsonOption = Annotated[bool, typer.Option("--json", help="Print data as JSON, errors too.")]
FolderOption = Annotated[
    Path | None,
    typer.Option("-C", metavar="DIR", help="Work as if started in DIR."),
]
QuietOption = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="No progress, no words about what was done."),
]
VerboseOption = Annotated[
    bool,
    typer.Option(
        "-v", "--verbose", help="Say more: full lists, and where an unexpected error comes from."
    ),
]


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line, whatever the verb.

    Args:
        json: stdout is one JSON object and nothing else.
        folder: where to work; None is the current folder.
        quiet: no progress, and no words about what was done.
        verbose: full lists, and the trace of an unexpected error.
    """

    json: bool = False
    folder: Path | None = None
    quiet: bool = False
    verbose: bool = False

    def and_then(self, later: Options) -> Options:
        """These, and those given later in the line; `-C a -C b` is `-C a/b`."""
        folder = self.folder / later.folder if self.folder and later.folder else None
        return Options(
            json=self.json or later.json,
            folder=folder or self.folder or later.folder,
            quiet=self.quiet or later.quiet,
            verbose=self.verbose or later.verbose,
        )


def options_of(context: typer.Context) -> Options:
    """The options given so far."""
    return context.obj if isinstance(context.obj, Options) else Options()


def keep_options(
    context: typer.Context,
    json: JsonOption = False,
    folder: FolderOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Keep what is given before a verb for the verb; the callback of every group of verbs."""
    context.obj = options_of(context).and_then(Options(json, folder, quiet, verbose))


@wraps(keep_options)
def keep_options_or_list(context: typer.Context, **given: Any) -> Any:
    """The callback of a group that, without a verb, means its `list`."""
    keep_options(context, **given)
    if context.invoked_subcommand is not None:
        return None
    command = cast(TyperGroup, context.command).commands["list"]
    with command.make_context("list", [], parent=context) as inner:
        return command.invoke(inner)
