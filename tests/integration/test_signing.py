"""Signed versions as they are typed: who signs, who is trusted, what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from datasets_vc.format.root import decode_root, encode_root
from tests.integration.conftest import ROOT, Dsvc, Outcome, Refused
from tests.signing.keys import PASSPHRASE, Keys

CONFIG = """
[signing]
key = {key}
allowed_signers = "~/trusted people"
commits = true
tags = true
"""


@pytest.fixture
def work(home: Path, dsvc: Dsvc, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of Ada's, who signs all that she makes; and where we are. Its remote is `hub`."""
    monkeypatch.setenv("HOME", str(home / "ada's home"))
    (home / "ada's home").mkdir()
    trusted = keys.ada.of("ada@example.org") + keys.old.of('"O. Old"')
    (home / "ada's home" / "trusted people").write_text(trusted)
    folder = home / 'my "work"'
    dsvc("init", folder)
    with (folder / ".dsvc" / "config.toml").open("a") as config:
        config.write(CONFIG.format(key=json.dumps(str(keys.ada.public))))
    (folder / "a").write_text("1")
    monkeypatch.chdir(folder)
    dsvc("remote", "add", "origin", home / "hub")
    assert dsvc("commit", "-m", "one").code == 0
    return folder


def statuses(outcome: Outcome) -> list[str]:
    return [found["status"] for found in outcome.data["signatures"]]


def test_what_is_configured_is_signed(work: Path, dsvc: Dsvc, keys: Keys) -> None:
    verified = dsvc("verify", "--json")

    assert verified.code == 0
    assert verified.data["good"] is True
    (found,) = verified.data["signatures"]
    assert found | {"digest": "", "key": found["key"][:7]} == {
        "revision": "HEAD",
        "kind": "commit",
        "digest": "",
        "status": "good",
        "principal": "ada@example.org",
        "key": "SHA256:",
        "key_type": "ED25519",
        "reason": None,
    }
    (work / "a").write_text("2")
    dsvc("commit", "-m", "two", "--no-sign")
    (work / "a").write_text("3")
    dsvc("commit", "-m", "three", "--key", keys.old.private)
    dsvc("tag", "v1", "-m", "One")
    dsvc("tag", "v2", "HEAD~1", "-m", "Two", "--no-sign")
    dsvc("revert", "HEAD")
    words = dsvc("verify", "v1", "HEAD", "HEAD~1").out.decode().splitlines()
    assert [line.partition(": ")[2].partition(" (")[0] for line in words] == [
        "good signature by ada@example.org",
        "good signature by ada@example.org",
        "good signature by O. Old",
    ]
    mixed = dsvc("verify", "HEAD~2", "v2", "HEAD", "--json")
    assert (mixed.code, statuses(mixed)) == (1, ["unsigned", "unsigned", "good"])
    assert dsvc("verify", "HEAD~2").out.decode().endswith(": not signed\n")


def test_a_tampered_version_is_13(work: Path, dsvc: Dsvc) -> None:
    folder = work / ".dsvc/store"
    good = (folder / "root.json").read_bytes()
    dsvc("tag", "v1", "-m", "One")
    root = decode_root((folder / "root.json").read_bytes(), "It")
    root = replace(root, tags={**root.tags, "v2": root.tags["v1"]})
    (folder / "root.json").write_bytes(encode_root(root))
    assert good != (folder / "root.json").read_bytes()

    found = dsvc("verify", "v1", "v2", "--json")

    assert (found.code, statuses(found)) == (13, ["good", "bad"])
    assert "bad signature (ED25519 key SHA256:" in dsvc("show", "v2").out.decode()


def test_log_and_show_tell_who_signed(work: Path, dsvc: Dsvc) -> None:
    (work / "a").write_text("2")
    dsvc("commit", "-m", "two", "--no-sign")
    dsvc("tag", "v1", "HEAD~1", "-m", "One")

    log = dsvc("log", "--show-signature").out.decode().splitlines()
    signed = [line for line in log if line.startswith("signed")]
    assert signed[0] == "signed  not signed"
    assert signed[1].startswith("signed  good signature by ada@example.org (ED25519 key SHA256:")
    assert len(signed) == 2
    short = dsvc("log", "--show-signature", "--oneline").out.decode().splitlines()
    assert [line.partition(" [")[2] for line in short] == [
        "not signed]",
        "signed by ada@example.org]",
    ]
    told = dsvc("log", "--show-signature", "--json").data["commits"]
    assert [(c["signed"], c["signature"]["status"]) for c in told] == [
        (False, "unsigned"),
        (True, "good"),
    ]
    plain = dsvc("log", "--json").data["commits"]
    assert [(c["signed"], "signature" in c) for c in plain] == [(False, False), (True, False)]
    shown = dsvc("show", "v1", "--json").data
    assert (shown["signature"]["status"], shown["tag"]["signature"]["status"]) == ("good", "good")
    assert dsvc("show", "HEAD", "--json").data["signature"] is None


def test_telling_goes_on_without_the_program(
    work: Path, dsvc: Dsvc, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    assert "unchecked signature: Signatures need" in dsvc("show").out.decode()
    assert dsvc("show", "--json").data["signature"]["status"] == "unchecked"
    assert dsvc("log", "--show-signature").code == 0
    assert "OpenSSH" in refused(1, "verify")
    (work / "a").write_text("2")
    assert "OpenSSH" in refused(1, "commit", "-m", "two")
    assert dsvc("commit", "-m", "two", "--no-sign").code == 0


def test_a_pull_of_what_is_not_signed_changes_nothing(
    work: Path, home: Path, dsvc: Dsvc, refused: Refused
) -> None:
    dsvc("push")
    other = home / "other"
    trusted = home / "ada's home" / "trusted people"
    assert dsvc("clone", home / "hub", other, "--allowed-signers", trusted).code == 0
    (work / "a").write_text("2")
    dsvc("commit", "-m", "two", "--no-sign")
    dsvc("push")
    head = (other / ".dsvc/HEAD").read_bytes()

    for arguments in (["--verify"], [], ["--ff-only"]):
        words = refused(1, "-C", other, "pull", *arguments)
        assert "'origin/main'" in words
        assert "dsvc pull --no-verify" in words
    told = dsvc("-C", other, "pull", "--json").data["error"]
    assert told["kind"] == "untrusted"
    assert (other / ".dsvc/HEAD").read_bytes() == head
    assert (other / "a").read_text() == "1"
    assert dsvc("-C", other, "status", "--json").data["clean"]
    assert "--no-verify" in refused(1, "-C", other, "merge", "origin/main")
    new = home / "new"
    assert "not signed" in refused(1, "clone", home / "hub", new, "--allowed-signers", trusted)
    assert not new.exists()

    (work / "a").write_text("3")
    dsvc("commit", "-m", "three")
    dsvc("push")
    assert dsvc("-C", other, "pull").code == 0
    assert (other / "a").read_text() == "3"
    assert dsvc("-C", other, "pull", "--no-verify").code == 0


def test_what_makes_no_sense_is_refused(work: Path, refused: Refused, keys: Keys) -> None:
    (work / "a").write_text("2")
    assert "--no-sign" in refused(2, "commit", "-m", "x", "--no-sign", "--key", keys.ada.public)
    assert "no key" in refused(2, "commit", "-m", "x", "--key", "nothing")
    assert "not a public SSH key" in refused(2, "commit", "-m", "x", "--key", "key::nothing")
    assert "-m" in refused(2, "tag", "v1", "--sign")
    assert "hash" in refused(2, "pull", "--lock", "--verify")
    assert "cannot be read" in refused(2, "verify", "--allowed-signers", "nothing")
    refused(1, "verify", "nothing")


def test_nobody_is_asked_where_nobody_is(
    work: Path, home: Path, process: Dsvc, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key with a passphrase, no agent, no terminal, and maybe a program that opens a window."""
    (work / "a").write_text("2")
    monkeypatch.delenv("SSH_ASKPASS_REQUIRE")
    monkeypatch.setenv("DISPLAY", ":99")

    outcome = process("commit", "-m", "two", "--key", keys.eve.private)

    assert outcome.code == 1
    assert "passphrase" in outcome.err
    assert outcome.err.count("\n") == 2
    assert process("log", "--json").data["commits"][0]["message"] == "one"

    spy = home / "bin" / "ssh-keygen"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\necho "$SSH_ASKPASS_REQUIRE" > "{home}/seen"; exit 1\n')
    spy.chmod(0o700)
    monkeypatch.setenv("PATH", f"{spy.parent}:{os.environ['PATH']}")
    for askpass, told in ((None, "never"), ("/bin/window", "")):
        if askpass:
            monkeypatch.setenv("SSH_ASKPASS", askpass)
        assert process("commit", "-m", "two").code == 1
        assert (home / "seen").read_text().strip() == told


_IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def test_somebody_at_a_terminal_is_asked(
    work: Path, dsvc: Dsvc, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a desktop, where ssh-keygen would open a window if its stdin were no terminal."""
    (work / "a").write_text("2")
    monkeypatch.delenv("SSH_ASKPASS_REQUIRE")
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    verb = ["commit", "-m", "two", "--key", str(keys.eve.private)]
    command = [sys.executable, "-c", _IN_A_TERMINAL, sys.executable, "-m", "datasets_vc.cli", *verb]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        said = b""
        while b"passphrase" not in said and (more := os.read(process.stdout.fileno(), 4096)):
            said += more
        process.stdin.write(f"{PASSPHRASE}\n".encode())
        process.stdin.flush()
        said += process.stdout.read()

    assert process.returncode == 0, said
    assert PASSPHRASE.encode() not in said
    found = dsvc("verify", "--json").data["signatures"]
    assert found[0]["status"] == "untrusted"
    written = [path for path in work.rglob("*") if path.is_file()]
    assert not [path for path in written if PASSPHRASE.encode() in path.read_bytes()]
