"""Signatures made and checked by the real ssh-keygen."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datasets_vc.errors import CommandFailedError, InvalidInputError
from datasets_vc.signing import Signer, Verdict, Verifier
from tests.signing.keys import PASSPHRASE, Key, Keys

TIME = datetime(2026, 11, 1, 12, tzinfo=UTC)
DATA = b'{"author":"Zo\xc3\xab"}\n\x00'


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files are made; every test leaves it empty."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not any(folder.iterdir())


@pytest.fixture
def allowed(keys: Keys, tmp_path: Path) -> Path:
    return _allow(tmp_path, keys.ada.of("ada@example.org"), keys.old.of('"O. Old,old@example.org"'))


@pytest.fixture
def agent(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty agent that ends with the test."""
    if shutil.which("ssh-agent") is None:
        pytest.skip("there is no ssh-agent")
    # Sockets have short names.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        socket = f"{folder}/agent"
        with subprocess.Popen(
            ["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                assert process.stdout
                process.stdout.readline()  # it says where it listens once it does
                monkeypatch.setenv("SSH_AUTH_SOCK", socket)
                yield
            finally:
                process.terminate()


def _allow(folder: Path, *lines: str) -> Path:
    path = folder / 'whom to "trust'
    path.write_text("# who may sign\n" + "".join(lines))
    return path


def _fingerprint(key: Key) -> str:
    told = subprocess.run(["ssh-keygen", "-lf", key.public], capture_output=True, check=True)
    return told.stdout.decode().split()[1]


def test_a_signature_is_good_for_what_was_signed(keys: Keys, allowed: Path) -> None:
    signature = Signer(str(keys.ada.private))(DATA)

    assert signature.startswith("-----BEGIN SSH SIGNATURE-----\n")
    assert signature.endswith("\n-----END SSH SIGNATURE-----\n")
    verdict = Verifier(allowed).verify(DATA, signature, TIME)
    assert verdict == Verdict("good", "ada@example.org", _fingerprint(keys.ada), "ED25519")
    assert verdict.good


def test_rsa_and_a_name_with_a_space(keys: Keys, allowed: Path) -> None:
    signature = Signer(str(keys.old.public))(DATA)

    verdict = Verifier(allowed).verify(DATA, signature, TIME)

    assert (verdict.status, verdict.principal, verdict.key_type) == ("good", "O. Old", "RSA")


@pytest.mark.parametrize("other", [DATA + b"\n", DATA[:-1], DATA.replace(b"Z", b"z"), b""])
def test_changed_bytes_are_bad(keys: Keys, allowed: Path, other: bytes) -> None:
    signature = Signer(str(keys.ada.private))(DATA)

    verdict = Verifier(allowed).verify(other, signature, TIME)

    assert (verdict.status, verdict.key, verdict.good) == ("bad", None, False)


def test_a_damaged_signature_is_bad(keys: Keys, allowed: Path) -> None:
    whole = Signer(str(keys.ada.private))(DATA)
    middle = len(whole) // 2
    other = "A" if whole[middle] != "A" else "B"
    for signature in (
        whole[:middle] + other + whole[middle + 1 :],
        whole[:middle],
        whole.replace("SSH", "PGP"),
        "",
        "\x00\n-----BEGIN",
        "good",
    ):
        verdict = Verifier(allowed).verify(DATA, signature, TIME)
        assert verdict.status == "bad", signature


def test_no_signature(allowed: Path) -> None:
    assert Verifier(allowed).verify(DATA, None, TIME).status == "unsigned"


def test_one_made_for_something_else_is_bad(keys: Keys, allowed: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    command = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", keys.ada.private, tmp_path / "data"]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    signature = (tmp_path / "data.sig").read_text()

    assert Verifier(allowed).verify(DATA, signature, TIME).status == "bad"


def test_a_key_that_nobody_listed(keys: Keys, allowed: Path) -> None:
    signature = Signer(str(keys.bob.private))(DATA)

    for verifier in (Verifier(allowed), Verifier()):
        verdict = verifier.verify(DATA, signature, TIME)
        assert (verdict.status, verdict.principal) == ("untrusted", None)
        assert verdict.key == _fingerprint(keys.bob)
        assert "allowed signer" in verdict.reason


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ('valid-before="20261101"', "expired"),
        ('valid-before="20261103"', "good"),
        ('valid-after="20261103"', "expired"),
        ('valid-after="20261030",valid-before="20261103"', "good"),
        ('namespaces="git"', "untrusted"),
        ('namespaces="git,dsvc"', "good"),
        ("cert-authority", "untrusted"),
    ],
)
def test_what_the_list_says_of_a_key_counts(
    keys: Keys, tmp_path: Path, options: str, status: str
) -> None:
    signature = Signer(str(keys.ada.private))(DATA)
    verifier = Verifier(_allow(tmp_path, keys.ada.of("ada", options)))

    verdict = verifier.verify(DATA, signature, TIME)

    assert verdict.status == status
    assert verdict.key == _fingerprint(keys.ada)
    assert bool(verdict.reason) != verdict.good


def test_a_broken_list_says_where(keys: Keys, tmp_path: Path) -> None:
    signature = Signer(str(keys.ada.private))(DATA)
    verifier = Verifier(_allow(tmp_path, "ada ssh-ed25519\n"))

    verdict = verifier.verify(DATA, signature, TIME)

    assert verdict.status == "untrusted"
    assert f"{verifier.allowed_signers}:2" in verdict.reason


def test_a_second_line_may_say_more_of_a_key(keys: Keys, tmp_path: Path) -> None:
    signature = Signer(str(keys.ada.private))(DATA)
    past = keys.ada.of("ada@then", 'valid-before="20260101"')
    verifier = Verifier(_allow(tmp_path, past, keys.ada.of("ada@now")))

    assert verifier.verify(DATA, signature, TIME).principal == "ada@now"


@pytest.mark.parametrize(("before", "status"), [("210001", "good"), ("205959", "expired")])
def test_times_of_the_list_are_local(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, status: str
) -> None:
    signature = Signer(str(keys.ada.private))(DATA)
    verifier = Verifier(_allow(tmp_path, keys.ada.of("ada", f'valid-before="20261101{before}"')))
    with monkeypatch.context() as tokyo:
        tokyo.setenv("TZ", "JST-9")
        time.tzset()
        found = verifier.verify(DATA, signature, TIME).status
    time.tzset()

    assert found == status


@pytest.mark.parametrize("year", [1, 1900, 1970, 9999])
def test_no_key_is_valid_at_the_ends_of_time(keys: Keys, allowed: Path, year: int) -> None:
    signature = Signer(str(keys.ada.private))(DATA)
    then = datetime(year, 1, 1, tzinfo=UTC)

    assert Verifier(allowed).verify(DATA, signature, then).status == "expired"


def test_a_revoked_key(keys: Keys, allowed: Path, tmp_path: Path) -> None:
    signature = Signer(str(keys.ada.private))(DATA)
    krl = tmp_path / "krl"
    command = ["ssh-keygen", "-q", "-k", "-f", krl, keys.ada.public]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    for revoked in (keys.ada.public, krl):
        verdict = Verifier(allowed, revoked).verify(DATA, signature, TIME)
        assert (verdict.status, verdict.principal) == ("revoked", "ada@example.org")
    assert Verifier(allowed, keys.bob.public).verify(DATA, signature, TIME).good


def test_a_list_that_is_not_there_trusts_nobody(keys: Keys, allowed: Path, tmp_path: Path) -> None:
    signature = Signer(str(keys.ada.private))(DATA)
    missing = tmp_path / "nothing"

    for verifier, words in (
        (Verifier(missing), "allowed signers"),
        (Verifier(allowed, missing), "revoked keys"),
        (Verifier(tmp_path), "allowed signers"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            verifier.verify(DATA, signature, TIME)


def test_a_key_that_is_not_there(keys: Keys, tmp_path: Path) -> None:
    for key in (str(tmp_path / "none"), str(tmp_path), "key::", "key::nonsense", "key::a b\nc d"):
        with pytest.raises(InvalidInputError, match="key"):
            Signer(key).check()
        with pytest.raises(InvalidInputError, match="key"):
            Signer(key)(DATA)


def test_a_passphrase_is_not_asked_for_where_nobody_is(keys: Keys) -> None:
    signer = Signer(str(keys.eve.private))
    signer.check()
    with pytest.raises(CommandFailedError, match="passphrase") as caught:
        signer(DATA)
    assert "ssh-add" in caught.value.hint
    assert str(keys.eve.private) in caught.value.message


@pytest.mark.usefixtures("agent")
def test_a_key_in_the_agent(keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Key(tmp_path / "ada")
    away.public.write_text(keys.ada.public.read_text())  # the private half is elsewhere
    signers = [Signer(f"key::{keys.ada.text}"), Signer(str(away.public))]
    for signer in signers:
        with pytest.raises(CommandFailedError, match="could not sign"):
            signer(DATA)
    _add_to_agent(keys.ada)
    verifier = Verifier(_allow(tmp_path, keys.ada.of("ada")))

    for signer in [*signers, Signer("key::" + " ".join(keys.ada.text.split()[:2]))]:
        assert verifier.verify(DATA, signer(DATA), TIME).good


@pytest.mark.usefixtures("agent")
def test_the_agent_knows_the_passphrase(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "askpass"
    asked.write_text(f"#!/bin/sh\necho '{PASSPHRASE}'\n")
    asked.chmod(0o700)
    with monkeypatch.context() as somebody:
        somebody.setenv("SSH_ASKPASS", str(asked))
        somebody.setenv("SSH_ASKPASS_REQUIRE", "force")
        _add_to_agent(keys.eve)
    verifier = Verifier(_allow(tmp_path, keys.eve.of("eve")))

    assert verifier.verify(DATA, Signer(str(keys.eve.public))(DATA), TIME).good


def test_without_the_program(
    keys: Keys, allowed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = Signer(str(keys.ada.private))(DATA)
    here = _program(tmp_path / "ssh-keygen", "exit 0")
    monkeypatch.chdir(tmp_path)
    for path in ("", "."):  # one in the folder where we are is not taken
        monkeypatch.setenv("PATH", path)
        for ask in (
            Signer(str(keys.ada.private)).check,
            lambda: Signer(str(keys.ada.private))(DATA),
            lambda: Verifier(allowed).verify(DATA, signature, TIME),
        ):
            with pytest.raises(CommandFailedError, match="not on the PATH"):
                ask()
    assert here.exists()


@pytest.mark.parametrize(
    "words",
    ["ssh-keygen: unknown option -- Y", 'Unsupported operation for -Y: "sign"\nusage: ssh-keygen'],
)
def test_a_program_that_is_too_old(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    _program(tmp_path / "bin" / "ssh-keygen", f"echo '{words}' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    with pytest.raises(CommandFailedError, match="too old") as caught:
        Signer(str(keys.ada.private))(DATA)
    assert "8.2" in caught.value.hint


def test_what_is_written_meanwhile_is_private(
    keys: Keys, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path / "bin" / "ssh-keygen", f'ls -lR "{scratch}" > "{tmp_path}/seen"; exit 1')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(CommandFailedError):
        Signer(f"key::{keys.ada.text}")(DATA)

    seen = re.findall(r"^[-d]\S{9}", (tmp_path / "seen").read_text(), re.MULTILINE)

    modes = {stat.filemode(stat.S_IFREG | 0o600), stat.filemode(stat.S_IFDIR | 0o700)}
    assert len(seen) == 3
    assert set(seen) == modes


def _program(path: Path, script: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


def _add_to_agent(key: Key) -> None:
    command = ["ssh-add", "-q", key.private]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
