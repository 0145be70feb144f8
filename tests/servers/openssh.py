"""OpenSSH's server, run by whoever runs the tests, with keys made for them."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.processes import free_port, listening


@dataclass(frozen=True)
class SshServer:
    """A running server.

    Attributes:
        port: where one may run commands.
        sftp_only: where one may not.
        home: a home folder with a key that the server takes, and a `known_hosts` that knows it.
    """

    port: int
    sftp_only: int
    home: Path

    def url(self, folder: Path, *, commands: bool = True) -> str:
        """The URL of a folder of this machine."""
        port = self.port if commands else self.sftp_only
        return f"sftp://{getpass.getuser()}@127.0.0.1:{port}{folder}"


@contextmanager
def openssh(folder: Path) -> Iterator[SshServer]:
    """Serve this machine's files to this user, on the loopback device."""
    program = _program("sshd")
    if program is None or _program("ssh-keygen") is None:
        pytest.skip("sshd is not installed")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    home = folder / "home"
    keys = home / ".ssh"
    keys.mkdir(parents=True, mode=0o700)
    make_key(folder / "host_key")
    make_key(keys / "id_ed25519")
    shutil.copy(keys / "id_ed25519.pub", folder / "authorized_keys")
    sftp_only = free_port()

    def command(port: int) -> list[str]:
        (folder / "sshd_config").write_text(_config(folder, port, sftp_only))
        host = (folder / "host_key.pub").read_text()
        known = [f"[127.0.0.1]:{each} {host}" for each in (port, sftp_only)]
        (keys / "known_hosts").write_text("".join(known))
        return [program, "-D", "-e", "-f", str(folder / "sshd_config")]

    with listening(command, folder / "sshd.log") as port:
        yield SshServer(port, sftp_only, home)


def make_key(path: Path, passphrase: str = "") -> None:
    """Make a pair of keys."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)], check=True
    )


def _config(folder: Path, port: int, sftp_only: int) -> str:
    return f"""
        ListenAddress 127.0.0.1:{port}
        ListenAddress 127.0.0.1:{sftp_only}
        HostKey {folder / "host_key"}
        AuthorizedKeysFile {folder / "authorized_keys"}
        PidFile none
        StrictModes no
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PermitRootLogin prohibit-password
        MaxStartups 100
        Subsystem sftp internal-sftp
        Match LocalPort {sftp_only}
            ForceCommand internal-sftp
        """


def _program(name: str) -> str | None:
    # sshd insists on being started by its full path, which is often not on the PATH.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
