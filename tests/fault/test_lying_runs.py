"""Runs that claim what is not so, and runs that are made to cost time and memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from datasets_vc.backends import LocalBackend
from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import IntegrityError, InvalidInputError
from datasets_vc.format.json import (
    MOST_VALUES,
    canonical,
    check_of,
    encode_object,
    parse,
    values_in,
)
from datasets_vc.format.run import (
    MAX_INPUT,
    decode_run_head,
    decode_run_input,
    decode_run_log,
    encode_run_input,
    encode_run_log,
)
from datasets_vc.repository import Repository
from tests.fault.hostile import Row, add_run
from tests.fault.test_foreign_runs import COMMAND, EVENTS, INPUTS, World, code_that_says
from tests.fault.test_foreign_runs import world as world

OTHER = "ee" * 32
END: dict[str, Any] = {"event": "end", "status": "done", "metrics": {"accuracy": "0.5"}}


def log_of(*lines: bytes) -> bytes:
    """A log with any lines, whose checksum fits."""
    before = b"".join(line + b"\n" for line in lines)
    return before + canonical({"event": "check", "check": check_of(before)}) + b"\n"


def stating(dataset: str) -> list[dict[str, Any]]:
    """The events of a training whose plan names a dataset."""
    plan = {"plan": {"dataset": dataset}}
    return [{"event": "inputs", **INPUTS, **plan}, *EVENTS[1:]]


def no_number(word: str) -> NoReturn:
    raise AssertionError(f"{word} is no JSON")


# --- which dataset was trained on


def test_a_training_that_reads_another_dataset_is_not_identical(world: World) -> None:
    claimed = stating(world.data.hex())
    world.run(
        {"plan": {"dataset": world.data.hex()}},
        files=code_that_says(stating(OTHER)),
        events=claimed,
    )
    (run,) = world.publish()
    world.clone()
    told = world.dsvc("reproduce", run, "--yes", code=15)
    assert told.startswith("DIVERGED\n")
    assert "read another dataset than its run names" in told
    assert f"was {world.data.hex()}, now {OTHER}" in told
    told = world.dsvc("reproduce", run, "--yes", "--tolerance", "1", "--json", code=15)
    assert json.loads(told)["first_difference"]["part"] == "dataset"
    assert world.dsvc("runs", "list").count("DIVERGED") == 2  # that is a result, and no damage


@pytest.mark.parametrize("place", ["input", "log"])
def test_a_record_that_says_itself_that_it_read_another_dataset(world: World, place: str) -> None:
    plan = {"dataset": OTHER if place == "input" else world.data.hex()}
    said = stating(OTHER if place == "log" else world.data.hex())
    world.run({"plan": plan}, events=said)
    (run,) = world.publish()
    assert run in world.dsvc("clone", world.url, str(world.work), "--json")
    copy_runs(world, [run])
    assert "its training read another" in world.dsvc("runs", "list", code=3)
    world.dsvc("reproduce", run, "--yes", code=13)
    assert not world.executed


def test_what_a_process_says_replaces_nothing_that_is_known(world: World) -> None:
    said = [{"event": "inputs", **INPUTS, "dataset": OTHER, "code": OTHER}, *EVENTS[1:]]
    world.run(files=code_that_says(said))
    (run,) = world.publish()
    world.clone()
    told = json.loads(world.dsvc("reproduce", run, "--yes", "--json"))
    assert told["dataset"] == world.data.hex()


def copy_runs(world: World, runs: list[str]) -> None:
    """As if an earlier version had received them."""
    there = LocalBackend(Path(world.url), durable=False)
    here = LocalBackend(world.work / ".dsvc" / "store", durable=False)
    for run in runs:
        for part in ("head.json", "log.jsonl"):
            here.put(f"runs/{run}/{part}", there.get(f"runs/{run}/{part}"))


# --- what names a folder


@pytest.mark.parametrize("nonce", ["/etc/ssh", "..", "", "a" * 5000, "0" * 15, "A" * 16, "a\0b"])
def test_a_nonce_is_sixteen_hex_digits(world: World, nonce: str) -> None:
    given = world.store.chunk(encode_run_input({"dataset": OTHER, "code": OTHER, "command": ["x"]}))
    world.publish()
    run = add_run(world.url, given, encode_run_log([END]), nonce)
    with pytest.raises(IntegrityError, match="16 hex digits"):
        decode_run_head((Path(world.url) / "runs" / run / "head.json").read_bytes(), "it")
    assert "16 hex digits" in world.dsvc("clone", world.url, str(world.work))


# --- what it may cost

WIDE: list[Callable[[int], str]] = [
    lambda n: "[" + ",".join(["[]"] * n) + "]",
    lambda n: "[" + ",".join(["{}"] * n) + "]",
    lambda n: "[" * n + "]" * n,
    lambda n: "{" + ",".join(f'"{k}":0' for k in range(n)) + "}",
    lambda n: "[" + ",".join(['"\\",["'] * n) + "]",
]


@pytest.mark.parametrize("wide", WIDE)
def test_json_of_very_many_values_is_refused_before_it_is_parsed(
    wide: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ('{"zz":' + wide(MOST_VALUES + 1) + "}").encode()
    monkeypatch.setattr(json, "loads", no_number)
    with pytest.raises(IntegrityError, match="more than 65,536 values"):
        parse(data, "it")
    with pytest.raises(IntegrityError, match="more values"):
        decode_run_log(data + b"\n", "it")


@pytest.mark.parametrize("text", ["," * 200_000, '\\"[' * 100_000, "{" * 200_000, '"' * 100_000])
def test_marks_in_texts_are_no_values(text: str) -> None:
    data = json.dumps({"message": text}).encode()
    assert values_in(data) < 10
    assert parse(data, "it") == {"message": text}


@pytest.mark.parametrize("tail", [b'"' + b'\\"' * 3_000_000, b'"\\', b'"' * 3_000_001])
def test_texts_without_an_end_take_no_longer(tail: bytes) -> None:
    assert values_in(b"[" * (MOST_VALUES + 1) + tail) <= MOST_VALUES + 1


def test_inputs_that_are_too_long_are_neither_written_nor_read() -> None:
    members = {"dataset": OTHER, "code": OTHER, "command": ["x" * MAX_INPUT]}
    with pytest.raises(InvalidInputError, match="too much to be recorded"):
        encode_run_input(members)
    with pytest.raises(IntegrityError, match="are the most"):
        decode_run_input(b" " * (MAX_INPUT + 1), "it")


def test_runs_that_cost_too_much_are_left_out(world: World) -> None:
    world.run()
    wide = canonical(json.loads('{"zz":' + WIDE[0](100_000) + "}"))
    world.run(raw=wide)
    world.run({"config": {"a": "x" * 3_000_000}}, command=["A" * 1_500_000, *COMMAND[1:]])
    world.run({"config": {"a": "1"}}, log=log_of(b"", canonical(END)))
    world.run({"config": {"a": "2"}}, log=b"\n" * 1_000_000)
    good, *bad = world.publish()
    told = json.loads(world.dsvc("clone", world.url, str(world.work), "--json"))
    assert sorted(each["run"] for each in told["damaged_runs"]) == sorted(bad)
    assert good[:12] in world.dsvc("runs", "list")


def test_a_log_is_read_event_by_event() -> None:
    many = 20_000
    data = log_of(*[b'{"event":"x"}'] * many)
    assert len(decode_run_log(data, "it")) == many
    with pytest.raises(IntegrityError, match="a line is empty"):
        decode_run_log(b"\n" * 1_000_000, "it")
    with pytest.raises(IntegrityError, match="does not match its checksum"):
        decode_run_log(data + b'{"event":"x"}\n', "it")


# --- what is printed


def test_long_names_do_not_drown_a_table(world: World) -> None:
    metrics = {f"test_{'m' * 50_000}": "1", "test_b": "2"}
    world.run(command=["\x1b\u202e" + "A" * 100_000, *COMMAND[1:]])
    world.run({"config": {}}, events=[{**END, "status": "s" * 100_000, "metrics": metrics}])
    world.run({"config": {"x": "1"}})
    world.publish()
    world.clone()
    lines = world.dsvc("runs", "list").splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) < 400


def test_json_has_no_word_for_what_is_no_number(world: World) -> None:
    end = b'{"event":"end","status":"done","metrics":{"a":"nan","b":"inf","c":"-inf","d":"0.5"}}'
    world.run(log=log_of(b'{"event":"x","a":NaN,"b":[1e999,-1e999]}', end))
    (run,) = world.publish()
    world.clone()
    for verb in (["list"], ["show", run]):
        told = json.loads(world.dsvc("runs", *verb, "--json"), parse_constant=no_number)
        record = told["runs"][0] if verb == ["list"] else told
        assert record["metrics"] == {"a": "nan", "b": "inf", "c": "-inf", "d": 0.5}
    assert told["events"][0] == {"event": "x", "a": "nan", "b": ["inf", "-inf"]}


# --- what it holds

LOGS: list[bytes] = [
    log_of(canonical({"event": "checkpoint", "name": "x", "digest": "zz"}), canonical(END)),
    log_of(canonical({"event": "checkpoint", "name": "x"}), canonical(END)),
    log_of(canonical({"event": "checkpoint", "name": "x", "digest": 5}), canonical(END)),
    b"{}\n",
]


class Liars:
    """A remote with a good run, and runs that name what is not what they say it is."""

    def __init__(self, world: World) -> None:
        store = world.store
        leaf = world.data
        entry = store.entries({"a.txt": b"hello\n"})[0]
        halves = [store.file(b"a" * 9), store.file(b"b" * 9)]
        large = store.recipe(digest_of(b"a" * 9 + b"b" * 9), [(each, 9) for each in halves])
        self.entries = [*store.entries({"large": b""})]
        self.entries = [replace(self.entries[0], digest=large, size=18)]
        tip = store.commit(leaf)
        self.names: list[tuple[str, Digest]] = [
            ("dataset", entry.digest),
            ("dataset", tip),
            ("dataset", large),
            ("dataset", store.chunk(b"DSVN and no node")),
            ("dataset", store.chunk(b'{"format":"dsvc-commit"}')),
            ("dataset", store.inner(1, [Row("a.txt", leaf, 1, 6)])),
            ("dataset", store.inner(1, [Row("a.txt", leaf, 7, 6), Row("b", leaf, 1, 6)])),
            ("dataset", store.inner(1, [Row("a.txt", entry.digest), Row("b", tip)])),
            ("dataset", store.leaf([replace(entry, size=99)])),
            ("code", entry.digest),
        ]
        world.run()
        for name, digest in self.names:
            world.run({name: digest.hex()})
        for number, log in enumerate(LOGS):
            world.run({"config": {"a": str(number)}}, log=log)
        world.run(raw=encode_object("dsvc-run-input", {}))
        self.good, *self.bad = world.publish()


def test_runs_that_name_what_is_none_are_left_out(world: World) -> None:
    liars = Liars(world)
    told = json.loads(world.dsvc("clone", world.url, str(world.work), "--json"))
    left_out = {each["run"] for each in told["damaged_runs"]}
    # What is wrong below the root is found by who walks it.
    assert set(liars.bad) - left_out == set(liars.bad[6:9])
    told = json.loads(world.dsvc("runs", "list", "--json"))
    assert liars.good in {each["run"] for each in told["runs"]}
    world.dsvc("gc", "--grace", "0", code=None)
    world.dsvc("drop", "--all")


@pytest.mark.parametrize("shared", [True, False])
def test_one_lying_run_stops_nobody_and_blames_nobody(world: World, shared: bool) -> None:
    """In the store that one works in, and in a remote."""
    liars = Liars(world)
    if shared:
        world.dsvc("init", str(world.work), "--store", world.url)
        told = json.loads(world.dsvc("runs", "list", "--json", code=3))
        found = {each["run"] for each in told["damaged_runs"]}
        assert found == set(liars.bad) - set(liars.bad[6:9])
        for run in found:
            world.dsvc("reproduce", run, "--yes", code=13)
    else:
        world.clone()
    at = [] if shared else ["--remote", "origin"]
    assert "dsvc fsck --repair" in world.dsvc("gc", "--grace", "0", *at, code=3)
    told = json.loads(world.dsvc("gc", *at, "--json", code=3))
    # These name nodes, of which other things are wrong.
    assert {each["run"] for each in told["damaged_runs"]} == set(liars.bad) - set(liars.bad[5:9])
    told = json.loads(world.dsvc("fsck", *at, "--json", code=13))
    blamed = {(each["object"], each["name"]) for each in told["errors"]}
    assert blamed == {("run", run) for run in liars.bad}
    world.dsvc("fsck", "--repair", *at, code=None)
    world.dsvc("fsck", *at)
    world.dsvc("gc", *at)
    world.dsvc("gc", "--grace", "0", *at)
    assert (Path(world.url) / "quarantine" / f"{liars.bad[0]}.head.json").is_file()
    told = json.loads(world.dsvc("runs", "list", "--json"))
    assert liars.good in {each["run"] for each in told["runs"]}
    assert "BIT-IDENTICAL" in world.dsvc("reproduce", liars.good, "--yes")


def test_what_an_unreadable_run_names_is_kept(world: World) -> None:
    """One bit of its log has flipped: its checkpoints are those that other bits name."""
    world.run()
    (run,) = world.publish()
    world.clone()
    store = Repository.open(world.work).store
    with store.writer() as writer:
        kept, lost = writer.add_file(b"weights"), writer.add_file(b"nobody's")
        store.publish(writer.finish())
    log = encode_run_log([{"event": "checkpoint", "name": "x", "digest": kept.hex()}, END])
    store.backend.put(f"runs/{run}/log.jsonl", log.replace(b'"x"', b'"y"'))
    told = world.dsvc("gc", "--grace", "0", code=3)
    assert run in told
    after = Repository.open(world.work).store
    assert after.find(kept) is not None
    assert after.find(lost) is None
