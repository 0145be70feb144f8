"""A run that was not recorded here: what is asked, what its process gets, and records that lie."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets_vc.backends import LocalBackend
from datasets_vc.cli import secret as user_secret
from datasets_vc.cli.main import main
from datasets_vc.digest import digest_of
from datasets_vc.errors import DatasetError, IntegrityError, InvalidInputError
from datasets_vc.format.json import encode_object
from datasets_vc.format.run import encode_run_log
from datasets_vc.repository import Repository
from datasets_vc.runs.arguments import (
    Overrides,
    check_arguments,
    option_of,
    repeat_arguments,
)
from datasets_vc.runs.environment import RECORDED, process_environment, recorded_variables
from datasets_vc.runs.origin import (
    Caller,
    ForeignRun,
    RecordedRuns,
    note_received,
    received_from,
)
from models.record import VARIABLES
from tests.fault.hostile import HostileStore, add_run

# Writes what it was given beside the log, where the test finds it, and a log of one step.
SPY = b"""
import json, os, pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
seen = {"environment": dict(os.environ), "home": os.path.expanduser("~"), "argv": sys.argv[1:]}
seen["in home"] = os.listdir(seen["home"])
(out / "seen.json").write_text(json.dumps(seen))
with open(out / "log.jsonl", "w") as log:
    for event in json.loads((pathlib.Path(__file__).parent / "events.json").read_text()):
        log.write(json.dumps(event) + "\\n")
"""
INPUTS = {
    "config": {"rate": "0.1"},
    "seeds": {"torch": 0},
    "plan": {},
    "packages": {},
    "environment": {"threads": 1},
    "probes": {},
}
EVENTS: list[dict[str, Any]] = [
    {"event": "inputs", **INPUTS},
    {"event": "init", "params": "aa"},
    {"event": "step", "epoch": 0, "step": 0, "batch": "bb", "loss": "cc"},
    {"event": "end", "status": "done", "metrics": {"accuracy": "0.5"}, "params": "dd"},
]
COMMAND = ["spy", "--data", "{data}", "--dataset", "x", "--out", "{out}", "--workers", "0"]
SECRETS = ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "SSH_AUTH_SOCK", "http_proxy", "MY_PASSWORD")


CODE = {"models/__init__.py": b"", "models/__main__.py": SPY}


def code_that_says(events: list[dict[str, Any]]) -> dict[str, bytes]:
    return {**CODE, "models/events.json": json.dumps(events).encode()}


class World:
    """A remote with runs of a stranger, and a user with a workspace of it."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd
        self.url = str(folder / "remote")
        self.work = folder / "work"
        self.store = HostileStore(folder / "remote")
        self.data = self.store.leaf(self.store.entries({"a.txt": b"hello\n"}))
        self._runs: list[tuple[bytes, bytes]] = []

    def run(
        self,
        members: Mapping[str, Any] | None = None,
        *,
        command: list[str] = COMMAND,
        files: Mapping[str, bytes] | None = None,
        events: list[dict[str, Any]] = EVENTS,
        log: bytes | None = None,
        raw: bytes | None = None,
    ) -> None:
        """Add a run to the remote."""
        code = files or code_that_says(events)
        said = {
            "dataset": self.data.hex(),
            "code": self.store.leaf(self.store.entries(code)).hex(),
            "commit": None,
            "command": command,
            "topology": {"workers": 0, "ranks": 1},
            **INPUTS,
            **(members or {}),
        }
        data = raw or encode_object("dsvc-run-input", said)
        self._runs.append((self.store.chunk(data), encode_run_log(events) if log is None else log))

    def publish(self) -> list[str]:
        self.store.publish(self.store.commit(self.data))
        return [add_run(self.url, given, log) for given, log in self._runs]

    def dsvc(self, *words: str, code: int | None = 0) -> str:
        self.capfd.readouterr()
        place = self.work if self.work.is_dir() else self.work.parent
        ended = main(["-C", str(place), *words])
        out, err = self.capfd.readouterr()
        assert "internal error" not in err + out, err
        assert "Traceback" not in err
        assert code is None or ended == code, (ended, err, out)
        return out + err

    def clone(self) -> None:
        self.dsvc("clone", self.url, str(self.work))

    def seen(self) -> dict[str, Any]:
        (file,) = self.work.glob(".dsvc/runs/*/seen.json")
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    @property
    def executed(self) -> bool:
        return bool(list(self.work.glob(".dsvc/runs/*/*")))


@pytest.fixture
def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> World:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    for name in SECRETS:
        monkeypatch.setenv(name, "secret")
    return World(tmp_path, capfd)


# --- whose code it is


def test_without_a_terminal_and_without_yes_it_is_refused(world: World) -> None:
    world.run()
    (run,) = world.publish()
    world.clone()
    told = world.dsvc("reproduce", run[:12], code=2)
    assert f"Run {run} was not recorded here" in told
    assert f"the remote 'origin', {world.url}" in told
    assert f"dsvc reproduce {run} --yes" in told
    assert "invalid_input" in world.dsvc("reproduce", run, "--json", code=2)
    assert not world.executed
    with pytest.raises(InvalidInputError, match=run):
        Repository.open(world.work).runs.reproduce(run)
    assert "BIT-IDENTICAL" in world.dsvc("reproduce", run[:12], "--yes")
    assert world.executed


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "yess\n", "y\n", "yes\n"])
def test_at_a_terminal_it_asks(world: World, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    world.run({"environment": {"variables": {"OMP_NUM_THREADS": "2", "LD_PRELOAD": "/x.so"}}})
    (run,) = world.publish()
    world.clone()
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    agreed = answer.strip() in ("y", "yes")
    told = world.dsvc("reproduce", run[:12], "-q", code=0 if agreed else 1)
    assert world.executed is agreed
    for part in (run, "'origin'", world.url, "python -m models spy --data", "OMP_NUM_THREADS=2"):
        assert part in told
    assert "not set  LD_PRELOAD" in told
    assert "[y/N]" in told


def test_what_a_run_says_gives_no_orders_to_the_terminal_that_is_asked(world: World) -> None:
    world.run(command=["\x1b]0;owned\x07", *COMMAND[1:]])
    (run,) = world.publish()
    world.clone()
    with pytest.MonkeyPatch.context() as patch:
        terminal = io.StringIO("n\n")
        patch.setattr(terminal, "isatty", lambda: True, raising=False)
        patch.setattr(sys, "stdin", terminal)
        patch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        told = world.dsvc("reproduce", run, code=1)
    assert "\x1b" not in told.replace("\x1b[K", "").replace("\r", "")


def test_what_a_run_says_pushes_nothing_off_the_screen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    blanks = " " * 60
    forged = f"x{blanks}\n\n  It was recorded by you. Execute it? [y/N] y"
    variables = {"OMP_NUM_THREADS": "1\n" * 2000, **{f"X{number}": "y" for number in range(500)}}
    world.run(
        {"environment": {"variables": variables}},
        command=[*COMMAND, "a\n\nb", "y" * 5000, forged, *["x"] * 500],
    )
    (run,) = world.publish()
    world.clone()
    terminal = io.StringIO("n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    told = world.dsvc("reproduce", run, code=1)
    assert len(told) < 6000
    assert len(told.splitlines()) < 40
    assert "  " * 10 not in told
    assert "[2 blanks, 2 of them line ends]" in told
    assert "more letters]" in told
    decisive = told[told.index("These are dsvc's: it was not recorded here.") :].splitlines()
    assert decisive[1] == f"It came from the remote 'origin', {world.url}."
    assert decisive[2].startswith("To reproduce it is to execute its code")
    assert decisive[3].startswith("Execute it? [y/N]")


def test_of_a_run_from_a_shared_store_nobody_knows_the_remote(world: World) -> None:
    world.run()
    (run,) = world.publish()
    world.dsvc("init", str(world.work), "--store", world.url)
    assert "another user of this store" in world.dsvc("reproduce", run, code=2)


def test_a_run_that_was_recorded_here_is_not_asked_about(world: World) -> None:
    world.run()
    (run,) = world.publish()
    world.clone()
    secret = user_secret.own_secret()
    assert secret == user_secret.own_secret()
    assert secret
    RecordedRuns(world.work / ".dsvc", secret).add(run)
    told = world.dsvc("reproduce", run)
    assert "BIT-IDENTICAL" in told
    again = told.split("recorded as run ")[1].split(".")[0]
    assert again in RecordedRuns(world.work / ".dsvc", secret)


def test_the_repetition_of_a_foreign_run_is_foreign(world: World) -> None:
    world.run()
    (run,) = world.publish()
    world.clone()
    again = world.dsvc("reproduce", run, "--yes").split("recorded as run ")[1].split(".")[0]
    assert f"Run {again} was not recorded here" in world.dsvc("reproduce", again, code=2)


def test_marks_of_others_do_not_count(tmp_path: Path) -> None:
    """Who hands over a workspace, in an archive for instance, can write any file of it."""
    run, other = digest_of(b"run").hex(), digest_of(b"other").hex()
    RecordedRuns(tmp_path, b"theirs").add(run)
    ours = RecordedRuns(tmp_path, b"ours")
    assert run not in ours
    ours.add(other)
    assert other in ours
    file = tmp_path / "recorded-runs"
    file.write_text(
        file.read_text() + f"{run} {'0' * 64}\n{run}\n{run} \udcff\n", "utf-8", "ignore"
    )
    assert run not in ours
    assert run not in RecordedRuns(tmp_path, None)
    assert received_from(tmp_path, b"ours", run) is None


def test_where_a_run_came_from_is_believed_of_this_user_alone(tmp_path: Path) -> None:
    run = digest_of(b"run").hex()
    note_received(tmp_path, b"theirs", "company", "s3://company/data", [run])
    with (tmp_path / "received-runs").open("a") as notes:
        notes.write(f"{run} company s3://company/data\n{run} {'0' * 64} company s3://x\n")
    note_received(tmp_path, None, "company", "s3://company/data", [run])
    assert received_from(tmp_path, b"ours", run) is None
    assert received_from(tmp_path, None, run) is None
    note_received(tmp_path, b"ours", "origin", "/a b\n/c", [run])
    assert received_from(tmp_path, b"ours", run) == ("origin", "/a b /c")


@pytest.mark.parametrize("wrong", ["mode", "short", "no folder"])
def test_a_secret_that_others_may_know_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = tmp_path / "dsvc" / "secret"
    if wrong == "no folder":
        (tmp_path / "dsvc").write_text("")
        assert user_secret.own_secret() is None
        return
    secret = user_secret.own_secret()
    assert file.stat().st_mode & 0o077 == 0
    if wrong == "mode":
        file.chmod(0o644)
        assert user_secret.own_secret() is None
    else:
        file.write_bytes(b"")
        assert user_secret.own_secret() not in (None, b"", secret)


# --- what its process gets


def test_the_process_gets_few_variables_and_no_secret(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = {"LD_PRELOAD": "/x.so", "PATH": "/evil", "PYTHONPATH": "/evil", "BASH_ENV": "/evil"}
    variables = {"OMP_NUM_THREADS": "3", "PYTHONHASHSEED": "7", "CUDA_VISIBLE_DEVICES": "5"}
    world.run({"environment": {"variables": variables | hostile | {"HOME": "/evil"}}})
    (run,) = world.publish()
    world.clone()
    monkeypatch.setenv("TMPDIR", str(world.work.parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    for name in ("PYTHONPATH", "LD_PRELOAD", "BASH_ENV"):
        monkeypatch.delenv(name, raising=False)
    world.dsvc("reproduce", run, "--yes", "--pass-env", "MY_PASSWORD")
    seen = world.seen()
    got = seen["environment"]
    assert got["PATH"] == os.environ["PATH"]
    assert got["TMPDIR"] == str(world.work.parent)
    assert (got["OMP_NUM_THREADS"], got["PYTHONHASHSEED"]) == ("3", "7")
    assert got["CUDA_VISIBLE_DEVICES"] == "1"
    assert got["MY_PASSWORD"] == "secret"
    assert not {*SECRETS[:-1], "LD_PRELOAD", "PYTHONPATH", "BASH_ENV"} & got.keys()
    assert seen["home"] == got["HOME"]
    assert seen["in home"] == []
    assert not Path(seen["home"]).exists()
    assert list(world.work.glob(".dsvc/tmp/*")) == []


def test_what_is_to_be_passed_has_to_be_there(world: World) -> None:
    world.run()
    (run,) = world.publish()
    world.clone()
    told = world.dsvc("reproduce", run, "--yes", "--pass-env", "NO_SUCH", code=2)
    assert "NO_SUCH" in told
    assert not world.executed


def test_what_a_record_may_set_is_what_is_recorded() -> None:
    assert set(VARIABLES) == RECORDED
    none = process_environment({}, {"CUDA_VISIBLE_DEVICES": ""}, (), Path("/h"))
    assert none["CUDA_VISIBLE_DEVICES"] == ""


# --- records that are none

WRONG: list[dict[str, Any]] = [
    {"command": 3},
    {"command": []},
    {"command": [3]},
    {"command": ["a\0b", *COMMAND[1:]]},
    {"topology": {"workers": 10**9}},
    {"topology": []},
    {"config": []},
    {"seeds": "x"},
    {"environment": 3},
    {"packages": []},
    {"plan": "x"},
    {"code": "x"},
    {"dataset": 5},
    {"commit": 5},
]


def test_malformed_runs_hide_no_other(world: World) -> None:
    world.run()
    for wrong in WRONG:
        world.run(wrong)
    good, *bad = world.publish()
    told = json.loads(world.dsvc("clone", world.url, str(world.work), "--json"))
    assert sorted(each["run"] for each in told["damaged_runs"]) == sorted(bad)
    world.dsvc("runs", "list")
    # They may have come before anybody looked.
    (local,) = world.work.glob(".dsvc/store")
    remote, here = LocalBackend(Path(world.url), durable=False), LocalBackend(local, durable=False)
    for run in bad:
        for part in ("head.json", "log.jsonl"):
            here.put(f"runs/{run}/{part}", remote.get(f"runs/{run}/{part}"))
    told = world.dsvc("runs", "list", code=3)
    assert good[:12] in told
    assert "Left out: The input of run" in told
    listed = json.loads(world.dsvc("runs", "list", "--json", code=3))
    assert [each["run"] for each in listed["runs"]] == [good]
    assert sorted(each["run"] for each in listed["damaged_runs"]) == sorted(bad)
    for run in bad:
        world.dsvc("runs", "show", run, code=13)
        world.dsvc("reproduce", run, "--yes", code=13)
    world.dsvc("fsck", code=13)
    world.dsvc("gc", "--dry-run", code=None)
    world.dsvc("remote", "add", "copy", str(world.work.parent / "copy"))
    told = world.dsvc("push", "copy", "--all-runs")
    assert f"Left out: The input of run {sorted(bad)[0]}" in told
    assert "1 run sent, 1 of them not recorded here." in told
    told = json.loads(world.dsvc("push", "copy", "--json"))
    assert sorted(each["run"] for each in told["damaged_runs"]) == sorted(bad)
    assert (world.work.parent / "copy" / "runs" / good).is_dir()


COMMANDS = [
    COMMAND[:-2],
    [*COMMAND[:-1], "1000000000"],
    [*COMMAND[:-1], "9" * 5000],
    [*COMMAND[:-1], "-1"],
    COMMAND[:-1],
    [*COMMAND, "--set"],
    [*COMMAND, "--config"],
    [*COMMAND, "--threads", "10000000"],
    [*COMMAND, "--steps", "x"],
    ["spy", "--data", "../x", "--out", "{out}", "--workers", "0"],
    ["spy", "--data", "{data}", "--out", "{out}/../../x", "--workers", "0"],
    [*COMMAND, "x" * 200_000],
    [*COMMAND, *["x"] * 20_000],
    [*COMMAND, "--dataset=y"],
    [*COMMAND, "--datas", "y"],
    [*COMMAND, "--dataset", "y"],
    [*COMMAND, "--out=/tmp"],
]
CODES = [
    {"x.py": SPY},
    {"models/__main__.py": SPY},
    {**CODE, "models/a": b"", "models/a/b": b""},
    {**CODE, "models/" + "x" * 300: b""},
    {**CODE, "models": b""},
]


def test_runs_that_cannot_be_repeated_end_in_one_sentence(world: World) -> None:
    for command in COMMANDS:
        world.run(command=command)
    for code in CODES:
        world.run(files=code)
    runs = world.publish()
    world.clone()
    for run in runs:
        world.dsvc("reproduce", run, "--yes", code=13)
    assert not world.executed


NONSENSE: list[dict[str, Any]] = [
    {"event": "checkpoint"},
    {"event": "checkpoint", "name": "../../../config.toml", "digest": "00"},
    {"event": "checkpoint", "name": "no", "digest": "00"},
    {"event": "end", "status": "failed", "error": {"x": "y"}},
    {"event": "end", "metrics": {"accuracy": "high"}},
    {"event": "end", "status": 3},
    {"event": "step"},
    {"no": "event"},
]


def test_processes_that_say_nonsense(world: World) -> None:
    for event in NONSENSE:
        world.run(files=code_that_says([{"event": "inputs", **INPUTS}, event]))
    world.run(files=code_that_says([{"event": "end", "error": {"x": "y"}}]))
    runs = world.publish()
    world.clone()
    for run in runs:
        world.dsvc("reproduce", run, "--yes", "-q", code=None)
    world.dsvc("runs", "list", code=None)


def test_a_line_without_end(world: World) -> None:
    world.run(log=b'{"event":"' + b"x" * (17 << 20) + b'"}\n')
    world.publish()
    told = world.dsvc("clone", world.url, str(world.work))
    assert "longer than any event" in told


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("\0"),
    _nested,
    max_leaves=6,
)
NAMES = ("dataset", "code", "commit", "command", "topology", *INPUTS)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(name=st.sampled_from(NAMES), value=JSON, inner=st.booleans(), events=JSON)
def test_any_member_may_be_anything(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    value: object,
    inner: bool,
    events: object,
) -> None:
    """Each is listed or named as damaged, and nothing but our errors comes of looking at it."""
    folder = tmp_path_factory.mktemp("fuzz")
    world = World(folder, None)  # type: ignore[arg-type]
    said = {name: value}
    if inner:
        said = {"environment": {"variables": value}, "topology": {"workers": value}}
    try:
        world.run(said, log=encode_run_log([{"event": "end", "metrics": events}]))
    except (DatasetError, UnicodeError):
        return
    world.run()
    ids = world.publish()
    store = Repository.clone(world.url, world.work)
    repository = Repository.open(world.work)
    found = repository.runs.look()
    listed = {record.id for record in found.runs} | set(store.damaged)
    assert listed == set(ids)
    for run in ids:
        caller = Caller(allow=_stop)
        with pytest.raises(DatasetError):
            repository.runs.reproduce(run, caller=caller)


def _stop(run: ForeignRun) -> None:
    raise InvalidInputError(f"Stopped at {run.id}.")


@given(st.lists(st.sampled_from([*COMMAND, "--set", "--steps", "--threads", "9" * 40, "x\0"])))
def test_any_command_is_checked_or_repeated(arguments: list[str]) -> None:
    try:
        check_arguments(arguments, "it")
    except IntegrityError:
        return
    repeated = repeat_arguments(arguments, Overrides(workers=1), "0" * 64)
    assert option_of(repeated, "--workers") == "1"


@given(JSON)
def test_any_variables_are_checked_or_set(value: Any) -> None:
    try:
        found = recorded_variables({"environment": value}, "it")
    except IntegrityError:
        return
    assert process_environment({}, found, (), Path("/h"))["HOME"] == "/h"
