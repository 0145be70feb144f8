"""Texts in a store that give orders to a terminal, hide, or are far too long: shown as escapes."""

from __future__ import annotations

import json
import re
import tracemalloc
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datasets_vc.cli.main import main
from datasets_vc.cli.render import guarded, painted, shown
from datasets_vc.errors import IntegrityError, InvalidInputError
from datasets_vc.format.commit import (
    MAX_MESSAGE,
    MAX_NAME,
    MAX_SIZE,
    Commit,
    check_texts,
    decode_commit,
    encode_commit,
)
from datasets_vc.format.json import encode_object
from datasets_vc.format.run import encode_run_log
from datasets_vc.format.tag import Tag, encode_tag
from tests.fault.hostile import TIME, HostileStore, add_run

UNSEEN = "\u3164\u115f\u1160\uffa0\u2800\ufe0f\u180b\u034f\U000e0100\u00a0"
ORDERS = (
    UNSEEN + "\x1b[2J\x1b[31m\x1b]0;title\x07\r\x7f\x9b5m\u202e\u2066\u200b\ufeff\u2028[red]x[/red]"
)
ALLOWED = {"\n"}

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str]:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        assert "internal error" not in err
        raw = {letter for letter in out + err if not letter.isprintable()} - ALLOWED
        raw |= set(UNSEEN) & set(out + err)
        assert not raw, (words, raw)
        return code, out + err

    return run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSVC_AUTHOR", "Ada <ada@example.org>")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    return home


def planted(folder: Path) -> tuple[str, list[str]]:
    """A store with such a text wherever there can be one; and the runs in it."""
    store = HostileStore(folder)
    rows = f"file_name,label,split\na.png,{ORDERS.split(chr(13))[0]},{ORDERS[:4]}\n".encode()
    files = {
        f"{ORDERS}/{ORDERS}.png": b"1",
        f"train/{ORDERS}/b.png": b"2",
        f"test/{ORDERS}/c.png": b"3",
        "meta/metadata.csv": rows,
        "meta/a.png": b"4",
        "dsvc.toml": f'[tables]\n"*.csv" = "{ORDERS[-9:]}"\n'.encode(),
    }
    first = store.commit(store.leaf(store.entries({"old.csv": b"a\n1\n"})), (), ORDERS, ORDERS)
    leaf = store.leaf(store.entries(files, {f"link{ORDERS}": ORDERS}))
    tip = store.commit(leaf, [first], f"{ORDERS}\n{ORDERS}", ORDERS)
    tag = store.chunk(encode_tag(Tag(tip, ORDERS, ORDERS, TIME, ORDERS, ORDERS)))
    said = {
        "dataset": leaf.hex(),
        "code": leaf.hex(),
        "command": [ORDERS, ORDERS],
        "config": {ORDERS: ORDERS},
        "seeds": {ORDERS: 1},
        "packages": {ORDERS: ORDERS},
        "environment": {ORDERS: {ORDERS: ORDERS}},
        "plan": ORDERS,
    }
    log = encode_run_log(
        [
            {"event": ORDERS},
            {"event": "verdict", "verdict": ORDERS},
            {
                "event": "end",
                "status": ORDERS,
                "metrics": {ORDERS: "1.0"},
                "error": {"message": ORDERS, "kind": ORDERS, "hint": ORDERS},
            },
        ]
    )
    inputs = [store.chunk(encode_object("dsvc-run-input", said | {"n": n})) for n in range(2)]
    url = store.publish(tip, tags={"v1": tag, "old": first})
    return url, [add_run(url, each, log) for each in inputs]


def test_no_verb_passes_one_on(run: Run, home: Path, tmp_path: Path) -> None:
    url, runs = planted(tmp_path / "remote")
    here = str(home / "clone")
    assert run("clone", "--no-checkout", url, here)[0] == 0
    verbs = [
        ("status",),
        ("log", "--all", "--graph"),
        ("log", "--show-signature", "origin/main"),
        ("log", "--oneline", "origin/main"),
        ("show", "origin/main"),
        ("show", "v1"),
        ("ls", "v1"),
        ("diff", "old", "v1"),
        ("diff", "--stat", "old", "v1"),
        ("diff", "--patch", "old", "v1"),
        ("tag",),
        ("tag", "-v"),
        ("branch", "-v"),
        ("verify", "v1"),
        ("describe", "v1"),
        ("checkout", "v1"),
        ("checkout", "old"),
        ("merge", "origin/main"),
        ("cherry-pick", "v1"),
        ("fsck",),
        ("gc", "--dry-run"),
        ("runs", "list"),
        ("runs", "show", runs[0]),
        ("runs", "diff", *runs),
        ("show", ORDERS),
        ("log", "--", ORDERS),
        ("remote", "add", ORDERS, ORDERS),
        (ORDERS,),
        ("status", f"--{ORDERS}"),
    ]
    for words in verbs:
        run("-C", here, *words)
        assert json.loads(run("--json", "-C", here, *words)[1]) is not None, words


def test_colours_of_ours_stay_and_those_of_others_do_not() -> None:
    line = painted("\x1b[31mname\x1b[0m", 32)
    assert guarded(line) == "\x1b[32m\\x1b[31mname\\x1b[0m\x1b[0m"
    forged = "\x1b0123456789abcdef[31mname"
    assert guarded(forged) == "\\x1b0123456789abcdef[31mname"
    assert guarded("tab\tstays") == "tab\tstays"


BLANK = re.compile(
    # A gap filler is a sign that fills a line.
    "(?<!GAP |INE )FILLER|PATTERN BLANK|NULL NOTEHEAD|JOINER|VARIATION SELECTOR|INHERENT"
)


def test_what_nobody_sees_is_told_by_the_data_of_unicode() -> None:
    for code in range(0x80, 0x110000):
        letter = chr(code)
        unseen = not letter.isprintable() or bool(BLANK.search(unicodedata.name(letter, "")))
        if unseen:
            for way in (shown, guarded):
                assert way(f"a{letter}b").isascii(), hex(code)
        else:
            assert (guarded(letter) == letter) == (shown(letter) == letter), hex(code)


def test_what_can_be_seen_stays() -> None:
    for text in ("Ärger", "A\u0308rger", "日本", "한글", "\u1112\u1161\u11ab", "😀", "👍🏽", "é"):
        assert shown(text) == guarded(text) == text
    # Names that look alike are not shown alike.
    assert shown("❤\ufe0f") == "❤\\ufe0f"
    assert guarded("👩\u200d🔬\U000e0100") == "👩\\u200d🔬\\U000e0100"


def commit(message: str, author: str = "Ada") -> Commit:
    return Commit(bytes(32), (), author, datetime(2026, 1, 1, tzinfo=UTC), message)  # type: ignore[arg-type]


def test_what_is_too_long_is_not_recorded(run: Run, home: Path) -> None:
    check_texts("a" * MAX_NAME, "m" * MAX_MESSAGE)
    for author, message in (("a" * (MAX_NAME + 1), "m"), ("a", "m" * (MAX_MESSAGE + 1))):
        with pytest.raises(InvalidInputError, match="are the most"):
            check_texts(author, message)
    run("init")
    (home / "a").write_text("a")
    code, said = run("commit", "-m", "m" * (MAX_MESSAGE + 1))
    assert (code, "are the most" in said) == (2, True)
    assert run("commit", "-m", "m")[0] == 0
    code, said = run("tag", "v1", "-m", "m" * (MAX_MESSAGE + 1))
    assert (code, "are the most" in said) == (2, True)


def test_of_what_is_too_long_the_beginning_is_read() -> None:
    found = decode_commit(encode_commit(commit("m" * (2 * MAX_MESSAGE), "a" * 5000)), "It")
    assert len(found.message) == MAX_MESSAGE
    assert found.message.endswith(f" … ({2 * MAX_MESSAGE:,} letters)")
    assert len(found.author) == MAX_NAME
    whole = commit("m" * MAX_MESSAGE, "a" * MAX_NAME)
    assert decode_commit(encode_commit(whole), "It") == whole
    with pytest.raises(IntegrityError, match="are the most"):
        decode_commit(encode_commit(commit("m" * MAX_SIZE)), "It")


def test_a_history_of_long_messages_takes_what_one_takes(
    run: Run, home: Path, tmp_path: Path
) -> None:
    store = HostileStore(tmp_path / "remote")
    leaf = store.leaf(store.entries({"a": b"a"}))
    tip = store.commit(leaf)
    for number in range(6):
        tip = store.commit(leaf, [tip], f"{number}" + "m" * (4 << 20))
    url = store.publish(tip)
    tracemalloc.start()
    try:
        assert run("clone", url, str(home / "clone"))[0] == 0
        assert run("-C", str(home / "clone"), "log", "--oneline")[0] == 0
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
