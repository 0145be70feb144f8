"""The entry point: global options, the list of verbs, and the one place where errors end."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

import datasets_vc
from datasets_vc.cli.commands import Group
from datasets_vc.cli.failure import (
    DONE,
    EXIT_CODE_WORDS,
    AnswerLostError,
    WorkInterruptedError,
    report,
    report_usage,
)
from datasets_vc.cli.habits import INSTEAD
from datasets_vc.cli.options import (
    FolderOption,
    JsonOption,
    QuietOption,
    VerboseOption,
    keep_options,
)
from datasets_vc.cli.streams import need_utf8, open_standard_streams, settle

_SHELLS = ("bash", "zsh", "fish", "powershell")


class Listed(NamedTuple):
    """A verb as `dsvc --help` lists it: the file that it is in, and what it does."""

    family: str
    summary: str


VERBS = {
    "init": Listed("workspace", "Make a workspace of a folder."),
    "status": Listed("workspace", "Show what changed since the last commit."),
    "commit": Listed("workspace", "Record the changes as a new version."),
    "checkout": Listed("workspace", "Put a version's files into the workspace."),
    "restore": Listed("workspace", "Bring files back as they were, whatever happened to them."),
    "merge": Listed("merging", "Bring another version's changes into this one."),
    "revert": Listed("merging", "Take back what one commit changed, in a new commit."),
    "cherry-pick": Listed("merging", "Do what one commit changed here, too, in a new commit."),
    "log": Listed("history", "Show the history of a version, newest first."),
    "show": Listed("history", "Show one version: what it is and what lies in it."),
    "diff": Listed(
        "differences", "Show what differs between two versions or a version and the files."
    ),
    "ls": Listed("history", "List the files of a version."),
    "cat": Listed("history", "Write a file of a version to stdout, as it is."),
    "verify": Listed("signing", "Check who signed versions."),
    "branch": Listed("refs", "List, create, rename or delete branches."),
    "tag": Listed("refs", "List, create or delete tags."),
    "describe": Listed("refs", "Call a version by the nearest tag before it."),
    "remote": Listed("remotes", "Name the stores elsewhere that versions move to and from."),
    "safe": Listed("safe", "List whose workspaces are worked in, beside your own."),
    "clone": Listed("remotes", "Make a workspace of a version in a remote store."),
    "fetch": Listed("fetching", "Get versions from a remote; the workspace stays as it is."),
    "pull": Listed("remotes", "Get the branch's new versions from a remote, and its files."),
    "push": Listed("pushing", "Send branches and tags with their versions to a remote."),
    "pin": Listed("pinning", "Write a small file that says which version some code uses."),
    "fsck": Listed("maintenance", "Check that everything is there and sound, or mend it."),
    "gc": Listed("maintenance", "Delete what no branch, tag or run needs any more."),
    "drop": Listed("maintenance", "Free local space of files that a remote has, too."),
    "train": Listed("runs", "Train a model on a version and record the run."),
    "runs": Listed("runs", "Look at recorded runs."),
    "reproduce": Listed(
        "reproducing", "Train a recorded run again and say whether it is the same."
    ),
}

# The titles under which the help lists them.
FAMILIES = {
    "workspace": "Files and versions",
    "merging": "Files and versions",
    "history": "Looking",
    "differences": "Looking",
    "signing": "Looking",
    "refs": "Names of versions",
    "remotes": "Other places",
    "fetching": "Other places",
    "pushing": "Other places",
    "safe": "Other places",
    "pinning": "Other places",
    "maintenance": "Keeping stores in order",
    "runs": "Training",
    "reproducing": "Training",
}


class VerbGroup(Group):
    """Knows every verb by name and summary, and loads the file of the one that is called."""

    def __init__(self, **settings: Any) -> None:
        stubs = {
            name: TyperCommand(name, help=verb.summary, rich_markup_mode=None)
            for name, verb in VERBS.items()
        }
        super().__init__(**{**settings, "commands": stubs})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            command = load_verb(name)
        return name, command, rest

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] == ["--show-completion"] and args[1:]:
            _print_completion(args[1])
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        for title in dict.fromkeys(FAMILIES.values()):
            listed = [(n, v.summary) for n, v in VERBS.items() if FAMILIES[v.family] == title]
            with formatter.section(title):
                formatter.write_dl(listed)


def root_command() -> Any:
    """`dsvc` itself, which knows its verbs."""
    command: Any = typer.main.get_command(app)
    for parameter in command.params:
        if parameter.name == "show_completion":
            parameter.help = "Print the completion of the current shell, or of the one named after."
    return command


def load_verb(name: str) -> Any:
    """The command behind a name in VERBS."""
    family = import_module(f"datasets_vc.cli.{VERBS[name].family}")
    return typer.main.get_group(family.app).commands[name]


def _print_completion(shell: str) -> None:
    from typer._completion_shared import get_completion_script

    if shell not in _SHELLS:
        raise typer.BadParameter(f"it is one of {', '.join(_SHELLS)}.", param_hint="SHELL")
    script = get_completion_script(prog_name="dsvc", complete_var="_DSVC_COMPLETE", shell=shell)
    sys.stdout.write(script + "\n")
    raise typer.Exit(DONE)


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"dsvc {datasets_vc.__version__}\n")
        raise typer.Exit(DONE)


_EXIT_CODES = "\n".join(f"  {code:>3}  {words}" for code, words in EXIT_CODE_WORDS.items())

app = typer.Typer(
    cls=VerbGroup,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"\b\nExit codes:\n{_EXIT_CODES}",
)


@app.callback()
def options(
    context: typer.Context,
    json: JsonOption = False,
    folder: FolderOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Version, sync and train from datasets: git for training data.

    'dsvc VERB --help' tells more about a verb. The options -C, --json, -q and -v may stand before
    or after the verb.
    """
    keep_options(context, json, folder, quiet, verbose)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; the `dsvc` script calls this.

    Args:
        arguments: those of this process by default, whose standard streams are then seen to.
    """
    if arguments is None:
        need_utf8()
        open_standard_streams()
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    # Known before parsing, since parsing is what may fail.
    as_json = "--json" in _before_dashes(given)
    trace = bool({"-v", "--verbose"} & set(_before_dashes(given)) or os.environ.get("DSVC_DEBUG"))
    return settle(_run(given, as_json=as_json, trace=trace))


def _run(given: list[str], *, as_json: bool, trace: bool) -> int:
    try:
        code = root_command().main(given, prog_name="dsvc", standalone_mode=False)
    except TyperException as error:
        return _report_usage(error, given, as_json=as_json)
    except AnswerLostError:
        return DONE
    except (KeyboardInterrupt, WorkInterruptedError):
        return report(WorkInterruptedError(), as_json=as_json, trace=trace)
    except Exception as error:
        return report(error, as_json=as_json, trace=trace)
    return code if isinstance(code, int) else DONE


def _report_usage(error: TyperException, given: list[str], *, as_json: bool) -> int:
    message = error.format_message().replace("Value error, ", "")
    return report_usage(message, _usage_hint(error, message, given), as_json=as_json)


def _usage_hint(error: TyperException, message: str, given: list[str]) -> str:
    # A folder may be called as a verb is: where the parser says how far it came, that counts.
    context = getattr(error, "ctx", None)
    words = context.command_path.split()[1:] if context else given
    if verb := next((word for word in words if word in VERBS), None):
        return f"'dsvc {verb} --help' shows how it is used."
    unknown = re.match("No such command '(.*?)'", message)
    return INSTEAD.get(unknown[1] if unknown else "", "'dsvc --help' lists the verbs.")


def _before_dashes(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words
