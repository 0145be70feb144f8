from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest

from datasets_vc import errors
from datasets_vc.cli.failure import EXIT_CODE_WORDS, EXIT_CODES, exit_code_of
from datasets_vc.cli.habits import INSTEAD
from datasets_vc.cli.main import VERBS

EXPECTED = {
    errors.DatasetError: 1,
    errors.InvalidInputError: 2,
    errors.NotFoundError: 1,
    errors.NotARepositoryError: 10,
    errors.AlreadyExistsError: 1,
    errors.UnsavedChangesError: 12,
    errors.ConflictError: 12,
    errors.LockedError: 11,
    errors.UnreadableFileError: 1,
    errors.BadSampleError: 1,
    errors.WorkerError: 1,
    errors.IntegrityError: 13,
    errors.UntrustedError: 1,
    errors.UnsafeFolderError: 1,
    errors.FormatError: 1,
    errors.MissingDataError: 16,
    errors.RemoteError: 14,
    errors.NotRestorableError: 16,
    errors.CommandFailedError: 1,
}


def _fail_with(repository: SimpleNamespace, error: BaseException) -> None:
    def status(*_: Any) -> None:
        raise error

    repository.status = status


def test_every_error_class_has_its_exit_code() -> None:
    classes = {
        member
        for _, member in inspect.getmembers(errors, inspect.isclass)
        if issubclass(member, errors.DatasetError)
    }

    assert {kind: exit_code_of(kind("x")) for kind in classes} == EXPECTED


def test_every_exit_code_is_told_in_the_help(dsvc) -> None:
    text = dsvc("--help").out

    for code in {*EXIT_CODES.values(), 0, 2, 3, 15, 130}:
        assert f"{code:>3}  {EXIT_CODE_WORDS[code]}" in text


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_error_is_a_sentence_a_hint_and_a_code(dsvc, repository, kind) -> None:
    _fail_with(repository, kind("The thing is wrong.", "Mend it."))

    outcome = dsvc("status")

    assert outcome.code == EXPECTED[kind]
    assert outcome.out == ""
    assert outcome.err == "error: The thing is wrong.\nhint: Mend it.\n"


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_error_as_json_is_on_stdout_alone(dsvc, repository, kind) -> None:
    _fail_with(repository, kind("The thing is wrong.", "Mend it."))

    outcome = dsvc("status", "--json")

    assert outcome.code == EXPECTED[kind]
    assert outcome.err == ""
    assert outcome.data == {
        "error": {"kind": kind.kind, "message": "The thing is wrong.", "hint": "Mend it."}
    }


def test_error_without_hint_is_one_line(dsvc, repository) -> None:
    _fail_with(repository, errors.LockedError("Another process is at work."))

    assert dsvc("status").err == "error: Another process is at work.\n"


def test_odd_letters_of_an_error_are_escaped(dsvc, repository) -> None:
    _fail_with(repository, errors.NotFoundError("No 'a\x1b[31m\nb\udcff'."))

    assert dsvc("status").err == "error: No 'a\\x1b[31m\\nb\\udcff'.\n"


def test_unexpected_error_has_no_traceback(dsvc, repository) -> None:
    _fail_with(repository, KeyError("oops"))

    outcome = dsvc("status")

    assert outcome.code == 1
    assert outcome.err.startswith(
        "error: internal error, please report it: KeyError: 'oops'\nhint:"
    )
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("arguments", [("status", "-v"), ("--verbose", "status")])
def test_unexpected_error_is_traced_on_demand(dsvc, repository, arguments) -> None:
    _fail_with(repository, KeyError("oops"))

    assert "Traceback" in dsvc(*arguments).err


def test_unexpected_error_is_traced_by_environment(dsvc, repository, monkeypatch) -> None:
    monkeypatch.setenv("DSVC_DEBUG", "1")
    _fail_with(repository, KeyError("oops"))

    outcome = dsvc("status", "--json")

    assert "Traceback" in outcome.err
    assert outcome.data["error"]["kind"] == "internal"


def test_interrupt_is_130(dsvc, repository) -> None:
    _fail_with(repository, KeyboardInterrupt())

    outcome = dsvc("status")

    assert outcome.code == 130
    assert outcome.err.startswith("interrupted: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["statsu"], "No such command 'statsu'. Did you mean 'status'?"),
        (["runs", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["status", "--jsn"], "No such option: --jsn"),
        (["commit"], "Missing option '-m' / '--message'."),
        (["train", "ccn", "--data", "v1"], "'ccn' is not one of 'cnn', 'rnn', 'crnn'."),
        (["log", "-n", "0"], "Input should be greater than or equal to 1"),
        (["checkout"], "name a version, a new branch with -b, or a part"),
        (["branch", "a", "-d", "b"], "one at a time."),
        (["clone", "memory://"], "it has no last part to name the folder by."),
    ],
)
def test_wrong_usage_is_2_and_a_sentence(dsvc, repository, arguments, message) -> None:
    repository.branches = repository.head = SimpleNamespace(branch="main")

    outcome = dsvc(*arguments)

    assert outcome.code == 2
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert "hint: 'dsvc" in outcome.err
    assert "Value error" not in outcome.err


@pytest.mark.parametrize(
    "words", [["add", "train"], ["-C", "train", "stash"], ["config", "--json"]]
)
def test_verbs_of_git_lead_to_ours(dsvc, words) -> None:
    # Whatever the folders are called: "train" is a verb, too.
    outcome = dsvc(*words)

    name = next(word for word in words if word in INSTEAD)
    assert outcome.code == 2
    told = outcome.data["error"]["hint"] if "--json" in words else outcome.err
    assert INSTEAD[name] in told


def test_no_verb_of_ours_is_called_anothers() -> None:
    assert not INSTEAD.keys() & VERBS.keys()


def test_wrong_usage_as_json(dsvc) -> None:
    outcome = dsvc("--json", "statsu")

    assert outcome.code == 2
    assert outcome.err == ""
    assert outcome.data["error"]["kind"] == "usage"


@pytest.mark.parametrize(
    "arguments", [["cat", "HEAD"], ["cat", "HEAD:"], ["train", "cnn", "--data", "v1", "--set", "a"]]
)
@pytest.mark.usefixtures("repository")
def test_wrong_words_are_2(dsvc, arguments) -> None:
    outcome = dsvc(*arguments)

    assert outcome.code == 2
    assert "hint: For example:" in outcome.err
