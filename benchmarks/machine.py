"""What the figures were measured on: the machine, and the versions of everything."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.peers import Peer

_PACKAGES = ("numpy", "pyarrow", "blake3", "xxhash", "zstandard", "pyfastcdc", "typer", "pathspec")


def header(work: Path, project: Path, peers: Sequence[Peer]) -> dict[str, str]:
    """Names and words for the head of a report."""
    return {
        "Date": datetime.now(UTC).date().isoformat(),
        "Machine": f"{_cores()} cores ({_processor()}), {_memory()}, {_file_system(work)}",
        "System": f"{platform.system()} {platform.release()}, {_first('cp', '--version')}, "
        f"{_first('find', '--version')}",
        "Load when it started": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "dsvc": f"{_installed('datasets-vc')}{_revision(project)}, Python "
        f"{platform.python_version()}, "
        + ", ".join(f"{name} {_installed(name)}" for name in _PACKAGES),
        "Others": ", ".join(f"{peer.name} {peer.version()}" for peer in peers) or "none",
        "Command": "`" + shlex.join(["python", *sys.argv]) + "`",
    }


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "?"
    found = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory() -> str:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / (1 << 30):.0f} GiB"


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is on, and its options."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return platform.system()
    inside = [words for words in mounts if folder.is_relative_to(words[1])]
    if not inside:
        return "?"
    _, _, kind, options, *_ = max(inside, key=lambda words: len(words[1]))
    return f"{kind} ({options})"


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def _revision(project: Path) -> str:
    """The commit of our own code, where it is known."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=project,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" ({done.stdout.strip()})"


def _first(*command: str) -> str:
    """The first line that a command says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return f"{command[0]} ?"
    return (done.stdout.splitlines() or [command[0]])[0]
